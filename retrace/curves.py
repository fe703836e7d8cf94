"""Curves of predictions, to be plotted: ROC, precision and recall, calibration, residuals. None shows a single row."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.examples import Target, equal_bins
from retrace.privacy import histogram, merge_small_bins
from retrace.scorers import Array, Ranking

CURVE_POINTS = 200


def curves(target: Target, truth: NDArray[Any], predictions: Array, private: bool) -> dict[str, pd.DataFrame]:
    """The points of each curve that this kind of target has, by the curve's name.

    Multiclass predictions are pooled: each row counts once for each class. The residuals of a regression are a
    histogram, with the lower edge of each bin.

    Args:
        target: what is predicted.
        truth: as `Target.truth` returns it, shape (rows,).
        predictions: as `Target.predict` returns them.
        private: whether the target's values may not be shown; then there are no residuals.
    """
    if target.kind == "regression":
        found = {"calibration": calibration(truth, predictions)}
        shown = None if private else histogram([truth - predictions])
        if shown:
            edges = shown["first"] + shown["step"] * np.arange(len(shown["counts"]))
            found["residuals"] = pd.DataFrame({"residual": edges, "rows": shown["counts"]})
        return found
    if target.kind == "multiclass":
        truth, predictions = np.eye(len(target.classes))[truth].astype(bool).ravel(), predictions.ravel()
    return {  # one after the other, because a curve takes memory before it's thinned
        "roc": roc(truth, predictions),
        "precision_recall": precision_recall(truth, predictions),
        "calibration": calibration(truth, predictions),
    }


def roc(truth: NDArray[np.bool_], predictions: Array) -> pd.DataFrame:
    """Points of the ROC curve."""
    positives, negatives = ranked(truth, predictions)
    # As in scikit-learn's roc_curve, a point on a line between its neighbours is left out.
    bends = np.diff(positives, 2).astype(bool) | np.diff(negatives, 2).astype(bool)
    kept = np.r_[True, bends, True] if len(positives) > 1 else [True]
    rates = {"false_positive_rate": negatives[kept], "true_positive_rate": positives[kept]}
    return thinned(pd.DataFrame({name: np.append(0, counts / counts[-1]) for name, counts in rates.items()}))


def precision_recall(truth: NDArray[np.bool_], predictions: Array) -> pd.DataFrame:
    """Points of the curve of precision and recall."""
    positives, negatives = ranked(truth, predictions)
    recall, precision = np.append(0, positives / positives[-1]), np.append(1, positives / (positives + negatives))
    return thinned(pd.DataFrame({"recall": recall, "precision": precision}))


def ranked(truth: NDArray[np.bool_], predictions: Array) -> NDArray[np.int32]:
    """How many positives, and how many negatives, have each rank or a higher one: shape (2, ranks)."""
    counts = Ranking(truth, predictions).counts(np.ones(len(truth), dtype=np.int8))
    return np.concatenate([[found[0, 1:], found[1, 1:] - found[0, 1:]] for found in counts], axis=1, dtype=np.int32)


def thinned(curve: pd.DataFrame) -> pd.DataFrame:
    """About CURVE_POINTS of a curve's points, among them both ends, evenly spread along its first column."""
    first = curve.iloc[:, 0].to_numpy()
    keep = np.searchsorted(first, np.linspace(first[0], first[-1], CURVE_POINTS), side="left")
    return curve.iloc[np.unique(np.append(keep, [0, len(curve) - 1]))]


def calibration_bins(predictions: Array) -> NDArray[np.intp]:
    """The bin of each prediction, shape (rows,): at most ten bins, of about equal count and of 10 rows or more."""
    bins = equal_bins(predictions)
    return merge_small_bins(np.bincount(bins))[bins]


def calibration(truth: NDArray[Any], predictions: Array) -> pd.DataFrame:
    """The mean prediction, the mean of the truth and the number of rows in each bin."""
    bins = calibration_bins(predictions)
    points = []
    for number in range(bins.max() + 1):
        rows = bins == number
        points.append((predictions[rows].mean(), truth[rows].mean(), rows.sum()))
    return pd.DataFrame(points, columns=["predicted", "observed", "rows"])
