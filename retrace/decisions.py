"""The decision that the costs of errors imply, and whether the threshold that it's made by can be trusted."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from retrace.curves import calibration_bins
from retrace.params import Costs
from retrace.scores import Array

MOST_MISCALIBRATED = 0.2  # of the smaller of the threshold and its complement


def decide(costs: Costs, truth: NDArray[Any], guess: Array, prior: float) -> dict[str, Any]:
    """The decision that the costs imply: the threshold, how many rows fall where, the best constant action.

    Args:
        costs: what each kind of error costs.
        truth: whether each row is positive.
        guess: its predicted probability.
        prior: the share of positives in `train`. From the threshold on, acting on each row of train costs less than
            acting on none.
    """
    acted = guess >= costs.threshold
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
    threshold: float, truth: NDArray[Any], guess: Array, weights: NDArray[np.integer], units: int
) -> dict[str, Any]:
    """Whether the probabilities around a threshold are calibrated, so that it can be trusted.

    Looked at are the two bins of the calibration curve between which the threshold lies. The threshold can't be trusted
    if in one of them the mean prediction and the observed rate differ by more than MOST_MISCALIBRATED of the smaller of
    the threshold and its complement, and by more than chance explains 99 times in 100.

    Args:
        threshold: the probability from which on the positive class is acted on.
        truth: whether each row is positive, shape (rows,).
        guess: its predicted probability, shape (rows,).
        weights: how often each row is in each resample, shape (resamples, rows).
        units: how many groups of rows (or single rows) the resamples are drawn from.

    Returns:
        `trusted`, and `bins`: rows, mean prediction, observed rate, and how far chance may part the two (`margin`).
        There are no bins where there is one unit only: then chance isn't known.
    """
    if units < 2:
        return {"trusted": True, "bins": []}
    bins = calibration_bins(guess)
    rows_in = [bins == number for number in np.unique(bins)]
    below = [rows for rows in rows_in if guess[rows].mean() < threshold][-1:]
    above = [rows for rows in rows_in if guess[rows].mean() >= threshold][:1]
    found = []
    for rows in below + above:
        gaps = truth[rows] - guess[rows]
        with np.errstate(invalid="ignore"):  # a resample may have none of the rows
            resampled = (weights[:, rows] @ gaps) / weights[:, rows].sum(axis=1)
        # Resamples of few rows may hold no positive, and then show no noise: calibrated rows vary at least by this.
        least = np.sqrt((guess[rows] * (1 - guess[rows])).sum()) / rows.sum()
        deviation = max(float(np.nanstd(resampled) * np.sqrt(units / (units - 1))), float(least))
        margin = float(stdtrit(units - 1, 1 - 0.005 / 2)) * deviation  # 99 times in 100 in both bins (Bonferroni)
        found.append(
            {
                "rows": int(rows.sum()),
                "predicted": float(guess[rows].mean()),
                "observed": float(truth[rows].mean()),
                "margin": margin,
            }
        )
    most = MOST_MISCALIBRATED * min(threshold, 1 - threshold)
    gaps_found = [(abs(each["observed"] - each["predicted"]), each["margin"]) for each in found]
    return {"trusted": all(gap <= max(most, margin) for gap, margin in gaps_found), "bins": found}
