"""The decision that the costs of errors imply, and whether the threshold that it's made by can be trusted."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from retrace.curves import calibration_bins
from retrace.params import Costs
from retrace.scorers import Array, MeanOfRows, Weights

MOST_MISCALIBRATED = 0.2  # of the threshold or its complement, whichever is smaller


def decide(costs: Costs, truth: NDArray[Any], probabilities: Array, prior: float) -> dict[str, Any]:
    """The decision that the costs imply, and how many rows it gets right and wrong.

    Args:
        costs: what each kind of error costs.
        truth: whether each row is positive, shape (rows,).
        probabilities: the predicted probability of each row, shape (rows,).
        prior: the share of positives in `train`. If it reaches the threshold, acting on every row of train costs less
            than acting on none.

    Returns:
        The costs, the threshold, the better constant action, and the confusion matrix.
    """
    acted = probabilities >= costs.threshold
    return {
        "costs": costs.model_dump(),
        "threshold": costs.threshold,
        "best_constant_action": "always" if prior >= costs.threshold else "never",
        "true_positives": int((acted & truth).sum()),
        "false_positives": int((acted & ~truth).sum()),
        "false_negatives": int((~acted & truth).sum()),
        "true_negatives": int((~acted & ~truth).sum()),
    }


def check_threshold(
    threshold: float, truth: NDArray[Any], probabilities: Array, draws: Iterable[Weights], units: int
) -> dict[str, Any]:
    """Whether the probabilities around a threshold are calibrated, so that it can be trusted.

    The two bins of the calibration curve around the threshold are checked. The threshold can't be trusted if in one of
    them the mean prediction and the observed rate differ by more than MOST_MISCALIBRATED of the threshold or of its
    complement, whichever is smaller, and by more than chance explains 99 times in 100.

    Args:
        threshold: the probability from which on rows are acted on.
        truth: whether each row is positive, shape (rows,).
        probabilities: the predicted probability of each row, shape (rows,).
        draws: how often each row is in each resample, shape (resamples, rows).
        units: how many units the resamples are drawn from.

    Returns:
        `trusted`, and `bins`: the number of rows, the mean prediction, the observed rate, and by how much the two may
        differ by chance (`margin`). With one unit there are no bins, since the effect of chance isn't known.
    """
    if units < 2:
        return {"trusted": True, "bins": []}
    bins = []
    for rows in bins_around(threshold, probabilities):
        margin = margin_of_gap(truth[rows], probabilities[rows], (weights[rows] for weights in draws), units)
        observed, predicted = float(truth[rows].mean()), float(probabilities[rows].mean())
        bins.append({"rows": int(rows.sum()), "predicted": predicted, "observed": observed, "margin": margin})
    tolerated = MOST_MISCALIBRATED * min(threshold, 1 - threshold)
    trusted = all(abs(found["observed"] - found["predicted"]) <= max(tolerated, found["margin"]) for found in bins)
    return {"trusted": trusted, "bins": bins}


def bins_around(threshold: float, probabilities: Array) -> list[NDArray[np.bool_]]:
    """The rows of the two bins around a threshold, or of the nearest bin if all are on one side.

    Returns:
        Whether each row is in the bin, shape (rows,), for each of the one or two bins.
    """
    bin_of_row = calibration_bins(probabilities)
    rows_of_bins = [bin_of_row == number for number in np.unique(bin_of_row)]
    below = [rows for rows in rows_of_bins if probabilities[rows].mean() < threshold]
    above = [rows for rows in rows_of_bins if probabilities[rows].mean() >= threshold]
    return below[-1:] + above[:1]


def margin_of_gap(truth: NDArray[Any], probabilities: Array, draws: Iterable[Weights], units: int) -> float:
    """By how much the mean prediction and the observed rate of a bin may differ by chance, 99 times in 100.

    Args:
        truth: whether each row of the bin is positive, shape (rows,).
        probabilities: the predicted probability of each row, shape (rows,).
        draws: how often each row is in each resample, shape (resamples, rows).
        units: how many units the resamples are drawn from.
    """
    residuals = MeanOfRows(truth - probabilities)
    gaps = [residuals.score(weights) for weights in draws]  # NaN where a resample has none of the rows
    deviation = float(np.nanstd(gaps) * np.sqrt(units / (units - 1)))
    # Resamples of few rows may have no positive, and then show no variation: calibrated rows vary at least by this.
    least = float(np.sqrt((probabilities * (1 - probabilities)).sum()) / len(probabilities))
    both_bins = 1 - 0.005 / 2  # 99 times in 100 in both bins (Bonferroni)
    return float(stdtrit(units - 1, both_bins)) * max(deviation, least)
