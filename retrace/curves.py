"""What is drawn of predictions: ROC, precision and recall, calibration, residuals. Nothing shows a single row."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from retrace.examples import Target, equal_bins
from retrace.privacy import histogram, joined
from retrace.scores import Array

CURVE_POINTS = 200


def curves(target: Target, truth: NDArray[Any], guess: Array, private: bool) -> dict[str, pd.DataFrame]:
    """What is drawn, by name. More classes are pooled: each row counts once for each class.

    A regression's residuals are a histogram, each at its bin's lower edge; those of a private target aren't shown.
    """
    if target.kind == "regression":
        found = {"calibration": calibration(truth, guess)}
        if not private and (shown := histogram(truth - guess)):
            edges = shown["first"] + shown["step"] * np.arange(len(shown["counts"]))
            found["residuals"] = pd.DataFrame({"residual": edges, "rows": shown["counts"]})
        return found
    if target.kind == "more classes":
        truth, guess = np.eye(len(target.classes))[truth].astype(bool).ravel(), guess.ravel()
    false, true, _ = roc_curve(truth, guess)
    precision, recall, _ = precision_recall_curve(truth, guess)
    return {
        "roc": thinned(pd.DataFrame({"false_positive_rate": false, "true_positive_rate": true})),
        "precision_recall": thinned(pd.DataFrame({"recall": recall[::-1], "precision": precision[::-1]})),
        "calibration": calibration(truth, guess),
    }


def thinned(curve: pd.DataFrame) -> pd.DataFrame:
    """About CURVE_POINTS of a curve's points, evenly spread along its first column, its ends among them."""
    first = curve.iloc[:, 0].to_numpy()
    keep = np.searchsorted(first, np.linspace(first[0], first[-1], CURVE_POINTS), side="left")
    return curve.iloc[np.unique(np.append(keep, [0, len(curve) - 1]))]


def calibration_bins(guess: Array) -> NDArray[np.intp]:
    """The bin of each prediction, shape (rows,): at most ten, of about equal count, of at least 10 rows."""
    bins = equal_bins(guess)
    return joined(np.bincount(bins))[bins]


def calibration(truth: NDArray[Any], guess: Array) -> pd.DataFrame:
    """The mean prediction and the mean of what happened in each bin."""
    table = pd.DataFrame({"predicted": guess, "observed": truth.astype(float), "bin": calibration_bins(guess)})
    grouped = table.groupby("bin")
    return grouped[["predicted", "observed"]].mean().assign(rows=grouped.size())
