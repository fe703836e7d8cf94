"""Validation rows, the scores of predictions for them, and the scores on resamples of them and of refits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.resamples import Draws
from retrace.scorers import Array
from retrace.scores import Metric, score_draws

Metrics = Mapping[str, Metric]


@dataclass(frozen=True)
class Rows:
    """Validation rows that are scored: all of them, or those of a slice.

    Attributes:
        selected: which of all validation rows these are, shape (validation rows,).
        table: the rows themselves, as `prepare` made them.
        truth: their targets, as the metrics take them, shape (rows,).
        resamples: how often each of them is in each resample.
    """

    selected: NDArray[np.bool_]
    table: pd.DataFrame
    truth: NDArray[Any]
    resamples: Draws


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


def score_once(metrics: Metrics, rows: Rows, predictions: Array) -> dict[str, float]:
    """The score of each metric on some rows.

    Args:
        metrics: by name.
        rows: the rows to score.
        predictions: for all validation rows.
    """
    each_row_once = np.ones((1, len(rows.truth)), dtype=np.int64)
    scores = score_draws(metrics, rows.truth, predictions[rows.selected], each_row_once, rows.table)[0]
    return {name: scores[name] for name in metrics}


def score_whole(metrics: Metrics, whole: Rows, predictions: Array) -> Scored:
    """Scores on all rows, and on each resample of them."""
    resampled = score_draws(metrics, whole.truth, predictions, whole.resamples.weights, whole.table)
    return Scored(whole, score_once(metrics, whole, predictions), resampled)


def score_slice(metrics: Metrics, gate_metric: str, rows: Rows, predictions: Array) -> Scored:
    """Scores on the rows of a slice; on each resample of them, the score of the gate's metric alone."""
    only_gate_metric = {gate_metric: metrics[gate_metric]}
    resampled = score_draws(
        only_gate_metric, rows.truth, predictions[rows.selected], rows.resamples.weights, rows.table
    )
    return Scored(rows, score_once(metrics, rows, predictions), resampled)


def score_refits(metrics: Metrics, rows: Rows, refits: list[Array]) -> pd.DataFrame:
    """The scores of each refit on some rows: a row for each metric, a column for each refit."""
    return pd.DataFrame([score_once(metrics, rows, predictions) for predictions in refits]).T


def predictions_of_refits(refits: pd.DataFrame, id_column: str) -> list[Array]:
    """What each refit predicts for the validation rows: shape (rows,), or (rows, classes) where there are several.

    Args:
        refits: a column for each refit and class, named REFIT.CLASS, beside the ids.
        id_column: the column of the ids.
    """
    columns_of_refits: dict[str, list[str]] = {}
    for column in refits.columns.drop(id_column):
        columns_of_refits.setdefault(column.split(".")[0], []).append(column)
    tables = [refits[columns].to_numpy(float) for columns in columns_of_refits.values()]
    return [table[:, 0] if table.shape[1] == 1 else table for table in tables]
