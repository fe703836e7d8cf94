"""The metrics of the project, from METRICS in src/metrics.py, whose first lines are their manual."""

import math
import re
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.scorers import Array, Scorer, Weights

FILE = Path("src/metrics.py")
BESIDE_SCORES = ("rows", "units", "low", "high", "small")  # keys of metrics/slices.json that are no metric


@dataclass(frozen=True)
class ProjectMetric:
    """A metric of the project.

    Attributes:
        function: takes truth, predictions, weights and table, and returns the score.
        higher_is_better: its direction.
        lowest: the lowest value that it can have.
        highest: the highest value that it can have.
    """

    function: Callable[[NDArray[Any], Array, Array, pd.DataFrame], float]
    higher_is_better: bool
    lowest: float = -math.inf
    highest: float = math.inf


def read_project_metrics(taken: Iterable[str]) -> dict[str, ProjectMetric]:
    """The project's metrics, by name.

    Args:
        taken: the names of other metrics.

    Raises:
        UserError: src/metrics.py can't be imported, a name can't be used, or a metric isn't described as it must be.
    """
    try:
        from src.metrics import METRICS  # noqa: PLC0415  # only where metrics are needed: it's the project's own code
    except Exception as error:  # whatever the project's code raises
        raise UserError(f"{FILE}: can't be imported: {type(error).__name__}: {error}") from None
    if not isinstance(METRICS, dict):
        raise UserError(f"{FILE}: METRICS must be a dict of metrics by name")
    for name, metric in METRICS.items():
        if not re.fullmatch("[a-z][a-z0-9_]*", str(name)):
            raise UserError(f"{FILE}: {name}: a metric's name must be lowercase letters, digits and _")
        if name in {*taken, *BESIDE_SCORES}:
            raise UserError(f"{FILE}: {name}: this name is taken; give the metric another one")
        if not isinstance(metric, ProjectMetric) or not callable(metric.function):
            raise UserError(f"{FILE}: {name}: must be a ProjectMetric with a function")
        if not isinstance(metric.higher_is_better, bool):
            raise UserError(f"{FILE}: {name}: higher_is_better must be True or False")
        if not metric.lowest < metric.highest:
            raise UserError(f"{FILE}: {name}: lowest must be less than highest")
    return dict(METRICS)


class ProjectScorer(Scorer):
    """Predictions for some rows, to be scored by a metric of the project with any weights of these rows."""

    def __init__(
        self, name: str, metric: ProjectMetric, truth: NDArray[Any], predictions: Array, table: pd.DataFrame
    ) -> None:
        self.name = name
        self.metric = metric
        self.truth = _read_only(truth)
        self.predictions = _read_only(predictions)
        self.table = table

    def score(self, weights: Weights) -> float:
        """The score; NaN where no row counts, or where the function returns an infinite number.

        Raises:
            UserError: the function raises an error, or returns something else than a number.
        """
        if not weights.any():
            return math.nan
        table = self.table.copy(deep=False)  # a column that the function adds or changes stays its own
        try:
            found = self.metric.function(self.truth, self.predictions, weights.astype(float), table)
        except Exception as error:  # whatever the project's code raises; its message may hold a private value
            raise UserError(f"{FILE}{_line_of(error)}: the metric {self.name} raises {type(error).__name__}") from None
        if not isinstance(found, Real) or isinstance(found, bool):
            kind = type(found).__name__
            raise UserError(f"{FILE}: the metric {self.name} must return one number, not a value of type {kind}")
        try:
            score = float(found)
        except OverflowError:
            return math.nan
        if not self.metric.lowest <= score <= self.metric.highest and math.isfinite(score):
            raise UserError(f"{FILE}: the metric {self.name} returns a score beyond its bounds, lowest and highest")
        return score if math.isfinite(score) else math.nan


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    """The same values in an array that a function can't change."""
    view = values.view()
    view.flags.writeable = False
    return view


def _line_of(error: Exception) -> str:
    """The line of src/metrics.py in which an error was raised, as an error names it; empty where it's none."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).parts[-2:] == FILE.parts]
    return f", line {lines[-1]}" if lines else ""
