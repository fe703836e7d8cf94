"""Scores of predictions whose labels aren't known yet, estimated from calibrated probabilities.

It's the method that NannyML calls confidence-based performance estimation (CBPE). It assumes that the probabilities are
right: of the rows with a probability of 0.3, three in ten are positive, now as before. So it can't see a change in how
the target depends on the features. What it tells is how good the model would be on these rows if nothing else changed.
Labels that arrive later are the only check.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from retrace.monitoring.exchangeability import Array
from retrace.params import Costs

SMALLEST = float(np.finfo(float).eps)  # probabilities are at least this far from 0 and 1, as in the log loss


class Estimate(NamedTuple):
    """The estimate of a score.

    Attributes:
        score: the expected score.
        low: the score of the true labels is above this, 97.5 times in 100; NaN if the score is.
        high: it's below this, 97.5 times in 100.
    """

    score: float
    low: float
    high: float


class Influence(NamedTuple):
    """A score as a function of the labels, near the labels that are expected.

    Attributes:
        score: the expected score.
        of_rows: how much the score grows if a row's label goes from negative to positive, shape (rows,).
        lowest: the lowest value that the score can have.
        highest: the highest one.
    """

    score: float
    of_rows: Array
    lowest: float
    highest: float


def estimate_scores(
    probabilities: Array, costs: Costs | None = None, overdispersion: dict[str, float] | None = None
) -> dict[str, Estimate]:
    """The scores that are expected of predictions, with 95 % intervals for the scores of their true labels.

    The labels are taken as drawn from the probabilities, each by itself. The variance of a score is found from its
    derivatives by the labels (the delta method), and the score is taken as normal.

    Args:
        probabilities: of the positive class, calibrated, shape (rows,), at least one row.
        costs: what each kind of error costs, if the cost is to be estimated.
        overdispersion: by metric, as measure_overdispersion returns it, if the rows of one day share their chance.

    Returns:
        `roc_auc`, `log_loss`, `brier` and, with costs, `cost`. The ROC AUC is NaN if all rows are surely of one class.
    """
    estimates = {}
    for name, influence in influences(probabilities, costs).items():
        variance = (influence.of_rows**2 * probabilities * (1 - probabilities)).sum()
        margin = float(ndtri(0.975) * np.sqrt(variance * (overdispersion or {}).get(name, 1.0)))
        low = np.maximum(influence.score - margin, influence.lowest)
        high = np.minimum(influence.score + margin, influence.highest)
        estimates[name] = Estimate(influence.score, float(low), float(high))
    return estimates


def measure_overdispersion(
    truth: NDArray[Any], probabilities: Array, units: NDArray[np.intp], costs: Costs | None = None
) -> dict[str, float]:
    """How many times larger the variance of each score is than if labels were independent, measured on labelled rows.

    Rows of one day may share their chance: on a bad day, more rows are positive than was predicted. It's the ratio of
    the variance of the days' sums to the one that follows from the probabilities, and at least 1. The ratio depends on
    the number of rows per day, which should be similar to that of the rows that are estimated later.

    Args:
        truth: whether each row is positive, shape (rows,).
        probabilities: the predicted probability of each row, shape (rows,).
        units: the day of each row as a number from 0, shape (rows,).
        costs: what each kind of error costs, if the cost is estimated.

    Returns:
        The ratio, by metric.
    """
    found = {}
    for name, influence in influences(probabilities, costs).items():
        sums = np.bincount(units, influence.of_rows * (truth - probabilities))
        expected = (influence.of_rows**2 * probabilities * (1 - probabilities)).sum()
        found[name] = max(1.0, float((sums**2).sum() / expected)) if expected > 0 else 1.0
    return found


def influences(probabilities: Array, costs: Costs | None) -> dict[str, Influence]:
    """Each score's expected value, and its derivative by each row's label."""
    count = len(probabilities)
    clipped = np.clip(probabilities, SMALLEST, 1 - SMALLEST)
    losses: dict[str, tuple[Array, Array, float]] = {  # of a positive row, of a negative row, and the largest one
        "log_loss": (-np.log(clipped), -np.log1p(-clipped), -float(np.log(SMALLEST))),
        "brier": ((1 - probabilities) ** 2, probabilities**2, 1.0),
    }
    if costs:
        acted = probabilities >= costs.threshold
        largest = float(max(costs.false_negative, costs.false_positive))
        losses["cost"] = (np.where(acted, 0, costs.false_negative), np.where(acted, costs.false_positive, 0), largest)
    found = {"roc_auc": _roc_auc(probabilities)}
    for name, (of_positive, of_negative, largest) in losses.items():
        expected = float((probabilities * of_positive + (1 - probabilities) * of_negative).mean())
        found[name] = Influence(expected, (of_positive - of_negative) / count, 0, largest)
    return found


def _roc_auc(probabilities: Array) -> Influence:
    """The expected ROC AUC: of pairs of a positive and a negative row, how many rank the positive one higher.

    It's the ratio of the expected number of such pairs to that of all pairs of a positive and a negative row. In a pair
    of equal probabilities, half of it is ranked right.
    """
    positive, negative = probabilities, 1 - probabilities
    _, ranks = np.unique(probabilities, return_inverse=True)
    positives_of_rank, negatives_of_rank = np.bincount(ranks, positive), np.bincount(ranks, negative)
    positives_up_to, negatives_up_to = np.cumsum(positives_of_rank), np.cumsum(negatives_of_rank)
    # No row makes a pair with itself.
    negatives_below = (negatives_up_to - negatives_of_rank / 2)[ranks] - negative / 2
    positives_above = (positives_up_to[-1] - positives_up_to + positives_of_rank / 2)[ranks] - positive / 2
    other_negatives, other_positives = negative.sum() - negative, positive.sum() - positive
    pairs = float(positive @ other_negatives)
    if pairs < SMALLEST:
        return Influence(np.nan, np.full(len(probabilities), np.nan), 0, 1)
    score = min(float(positive @ negatives_below) / pairs, 1.0)  # a rounding error may make it larger
    growth = (negatives_below - positives_above) - score * (other_negatives - other_positives)
    return Influence(score, growth / pairs, 0, 1)
