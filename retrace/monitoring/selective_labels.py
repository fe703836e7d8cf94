"""Do labels arrive for all predictions alike? If not, scores of the labelled rows are biased.

Labels may come only for some predictions, such as those that someone acted on. Whether a prediction has a label then
depends on the prediction, and this can be seen. A dependence on something else, such as the outcome, can't.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from retrace.monitoring.exchangeability import Array


class Selection(NamedTuple):
    """Which rows have a label.

    Attributes:
        labelled: the share of all rows that have a label.
        superiority: the probability that a labelled row has a higher prediction than an unlabelled row of the same day,
            where equal predictions count half. It's 0.5 if labels don't depend on the prediction; NaN if no day has
            rows of both kinds.
        low: the superiority is above this, 97.5 times in 100, if labels don't depend on the prediction.
        high: it's below this, 97.5 times in 100.
        p_value: the probability of a superiority that is as far from 0.5 or farther, if labels don't depend on it.
    """

    labelled: float
    superiority: float
    low: float
    high: float
    p_value: float


def measure_selection(predictions: Array, is_labelled: NDArray[np.bool_], days: NDArray[np.intp]) -> Selection:
    """Whether having a label depends on the prediction, among rows of the same day.

    It's the Wilcoxon rank-sum test, stratified by day: the ranks of the labelled rows of each day are compared with
    those of as many rows that are drawn from the same day. So it doesn't matter that later days have fewer labels. The
    days' counts of pairs are added, and their sum is taken as normal.

    Args:
        predictions: shape (rows,), at least one row.
        is_labelled: whether each row has a label, shape (rows,).
        days: the day of each row as a number, shape (rows,).
    """
    order = np.argsort(days, kind="stable")
    first_of_day = np.flatnonzero(np.diff(days[order])) + 1
    higher = pairs = variance = 0.0
    for rows in np.split(order, first_of_day):
        ranks, chosen = rankdata(predictions[rows]), is_labelled[rows]
        labelled, count = int(chosen.sum()), len(rows)
        unlabelled = count - labelled
        if not labelled or not unlabelled:
            continue
        higher += float(ranks[chosen].sum()) - labelled * (labelled + 1) / 2
        pairs += labelled * unlabelled
        variance += labelled * unlabelled / count * float(ranks.var(ddof=1))
    share = float(is_labelled.mean())
    if not pairs:
        return Selection(share, np.nan, np.nan, np.nan, np.nan)
    deviation = np.sqrt(variance) / pairs
    margin = float(ndtri(0.975) * deviation)
    distance = higher / pairs - 0.5
    p_value = float(2 * ndtr(-abs(distance) / deviation)) if deviation else 1.0
    return Selection(share, higher / pairs, 0.5 - margin, 0.5 + margin, p_value)
