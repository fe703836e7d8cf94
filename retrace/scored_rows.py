"""Scores of predictions on the validation rows, on resamples of them, and of refits; and their 95 % intervals.

Resamples are drawn from *units*, which are independent of each other: single rows, whole groups or whole blocks of
time. Small units are joined at random into pools of at least ten rows, and the pools are drawn, so that no score shows
how well a few rows are predicted (retrace/resamples.py).

A 95 % interval is the score plus or minus t standard errors. The standard error is the standard deviation of the scores
on the resamples, times the root of n / (n - 1) for n pools, and t is the quantile of Student's distribution with
min(n, resamples) - 1 degrees of freedom. An interval never goes beyond the lowest and the highest value that its metric
can have.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.examples import Target, slices
from retrace.files import FEWEST_ROWS_SHOWN
from retrace.intervals import noise_of_rows
from retrace.params import Params
from retrace.project_metrics import ProjectMetric
from retrace.resamples import Draws, SliceName, bootstrap, bootstrap_slices
from retrace.scorers import Array, Weights
from retrace.scores import Metric, project_metrics, score_draws
from retrace.table_files import read_table, without_rows

Metrics = Mapping[str, Metric]
WHOLE: SliceName = ("", "")  # what all rows are called among slices
# Slices with fewer rows or units than these are scored but not judged.
FEWEST_ROWS = 100
FEWEST_UNITS = 5


@dataclass(frozen=True)
class Rows:
    """Validation rows that are scored: all of them, or those of a slice.

    Attributes:
        name: of the slice.
        slices: whether each of all validation rows is in a slice, by the slice's name.
        valid: all validation rows, as `prepare` made them. Only metrics of the project look at them.
        truth: the targets of the selected rows, as the metrics take them, shape (rows,).
        resamples: how often each of the selected rows is in each resample.
    """

    name: SliceName
    slices: Mapping[SliceName, NDArray[np.bool_]]
    valid: pd.DataFrame
    truth: NDArray[Any]
    resamples: Draws

    @property
    def selected(self) -> NDArray[np.bool_] | slice:
        """Which of all validation rows these are: an index of arrays and tables of all of them."""
        return slice(None) if self.name == WHOLE else self.slices[self.name]


@dataclass(frozen=True)
class Scored:
    """The scores of a model, a baseline or a constant action.

    Attributes:
        rows: the rows that were scored.
        scores: the score of each metric on these rows.
        resampled: the scores on resamples of these rows: a row for each metric, a column for each resample.
    """

    rows: Rows
    scores: dict[str, float]
    resampled: pd.DataFrame


def rows_to_score(params: Params, valid: pd.DataFrame, target: Target) -> tuple[Rows, dict[SliceName, Rows]]:
    """All validation rows, and the rows of each slice, with their resamples.

    Raises:
        UserError: the rows can't be sliced by a column that `evaluate.slices` names.
    """
    data = params.data
    truth = target.truth(valid[data.target])
    resamples = bootstrap(valid, data, params.evaluate.resamples)
    found = slices(valid, params.evaluate.slices, resamples.pools)
    slice_resamples = bootstrap_slices(found, resamples)
    if not project_metrics():
        valid = valid.head(0).copy()  # a view would keep all rows in memory
    slice_rows = {
        name: Rows(name, found, valid, truth[selected], slice_resamples[name]) for name, selected in found.items()
    }
    return Rows(WHOLE, found, valid, truth, resamples), slice_rows


def score_weighted(metrics: Metrics, rows: Rows, predictions: Array, draws: Iterable[Weights]) -> pd.DataFrame:
    """The scores of some rows in each draw: a row for each metric, a column for each draw.

    Args:
        metrics: by name.
        rows: the rows to score.
        predictions: for all validation rows.
        draws: how often each of the rows to score is in each draw, shape (draws, rows).
    """
    need_table = any(isinstance(metric, ProjectMetric) for metric in metrics.values())
    table = rows.valid[rows.selected] if need_table else None
    return score_draws(metrics, rows.truth, predictions[rows.selected], draws, table)


def score_once(metrics: Metrics, rows: Rows, predictions: Array) -> dict[str, float]:
    """The score of each metric on some rows.

    Args:
        metrics: by name.
        rows: the rows to score.
        predictions: for all validation rows.
    """
    each_row_once = np.ones((1, len(rows.truth)), dtype=np.int8)
    scores = score_weighted(metrics, rows, predictions, each_row_once)[0]
    return {name: scores[name] for name in metrics}


def score_whole(metrics: Metrics, whole: Rows, predictions: Array) -> Scored:
    """Scores on all rows, and on each resample of them."""
    resampled = score_weighted(metrics, whole, predictions, whole.resamples)
    return Scored(whole, score_once(metrics, whole, predictions), resampled)


def score_slice(metrics: Metrics, gate_metric: str, rows: Rows, predictions: Array) -> Scored:
    """Scores on the rows of a slice; on each resample of them, the score of the gate's metric alone."""
    only_gate_metric = {gate_metric: metrics[gate_metric]}
    resampled = score_weighted(only_gate_metric, rows, predictions, rows.resamples)
    return Scored(rows, score_once(metrics, rows, predictions), resampled)


def score_refits(
    metrics: Metrics, gate_metric: str, rows: Mapping[SliceName, Rows], refits: Iterable[Array]
) -> dict[SliceName, pd.DataFrame]:
    """The scores of each refit: of each metric on all rows, and of the gate's metric on each slice.

    Args:
        metrics: by name.
        gate_metric: the name of the gate's metric.
        rows: those of each slice, and all of them as WHOLE.
        refits: what each refit predicts for all validation rows.

    Returns:
        A row for each metric, a column for each refit, by the name of the slice.
    """
    scores: dict[SliceName, list[dict[str, float]]] = {name: [] for name in rows}
    for predictions in refits:
        for name, part in rows.items():
            wanted = metrics if name == WHOLE else {gate_metric: metrics[gate_metric]}
            scores[name].append(score_once(wanted, part, predictions))
    return {name: pd.DataFrame(of_refits).T for name, of_refits in scores.items()}


def read_refits(path: Path, id_column: str) -> Iterator[Array]:
    """What each refit predicts for the validation rows: shape (rows,), or (rows, classes) where there are several.

    Args:
        path: of refits.parquet: a column for each refit and class, named REFIT.CLASS, beside the ids.
        id_column: the column of the ids.
    """
    columns_of_refits: dict[str, list[str]] = {}
    for column in without_rows(path).columns.drop(id_column):
        columns_of_refits.setdefault(column.split(".")[0], []).append(column)
    for columns in columns_of_refits.values():
        predictions = read_table(path, columns).to_numpy(float)
        yield predictions[:, 0] if len(columns) == 1 else predictions


def interval(score: float, resampled: pd.Series, units: int, metric: Metric) -> dict[str, float]:
    """A score's 95 % interval, from `low` to `high`; both are NaN where there are too few units to have one.

    Args:
        score: on the rows themselves.
        resampled: the scores on resamples of these rows.
        units: how many units the resamples are drawn from.
        metric: what was scored. Its bounds limit the interval.
    """
    margin = noise_of_rows(resampled, units).margin
    if not math.isfinite(margin):
        return {"low": math.nan, "high": math.nan}
    return {"low": max(score - margin, metric.lowest), "high": min(score + margin, metric.highest)}


def interval_of(scored: Scored, name: str, metric: Metric) -> dict[str, float]:
    """The 95 % interval of one of the scores."""
    return interval(scored.scores[name], scored.resampled.T[name], scored.rows.resamples.units, metric)


def is_small(target: Target, truth: NDArray[Any], units: int) -> bool:
    """Whether a slice is too small to be judged: fewer than 100 rows, 5 units, or 10 rows of one of two classes."""
    if len(truth) < FEWEST_ROWS or units < FEWEST_UNITS:
        return True
    return target.kind == "two classes" and bool(min(truth.sum(), (~truth).sum()) < FEWEST_ROWS_SHOWN)
