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
    for name, metric in METRICS.items():
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise UserError(f"{FILE}: {name}: a metric's name must be lowercase letters, digits and _")
        if name in {*taken, *BESIDE_SCORES}:
            raise UserError(f"{FILE}: {name}: this name is taken; give the metric another one")
        if not isinstance(metric, ProjectMetric) or not callable(metric.function):
            raise UserError(f"{FILE}: {name}: must be a ProjectMetric with a function")
    return dict(METRICS)


class ProjectScorer(Scorer):
    """Predictions for some rows, to be scored by a metric of the project with any weights of these rows."""

    def __init__(
        self, name: str, metric: ProjectMetric, truth: NDArray[Any], predictions: Array, table: pd.DataFrame
    ) -> None:
        self.name = name
        self.function = metric.function
        self.truth = truth
        self.predictions = predictions
        self.table = table

    def score(self, weights: Weights) -> float:
        """The score; NaN where no row counts, or where the function returns an infinite number.

        Raises:
            UserError: the function raises an error, or returns something else than a number.
        """
        if not weights.any():
            return math.nan
        try:
            found = self.function(self.truth, self.predictions, weights.astype(float), self.table)
        except Exception as error:  # whatever the project's code raises; its message may hold a private value
            raise UserError(f"{FILE}{_line_of(error)}: the metric {self.name} raises {type(error).__name__}") from None
        if not isinstance(found, Real) or isinstance(found, bool):
            kind = type(found).__name__
            raise UserError(f"{FILE}: the metric {self.name} must return one number, not a value of type {kind}")
        return float(found) if math.isfinite(found) else math.nan


def _line_of(error: Exception) -> str:
    """The line of src/metrics.py in which an error was raised, as an error names it; empty where it's none."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).parts[-2:] == FILE.parts]
    return f", line {lines[-1]}" if lines else ""
