"""Has something changed? Each new unit is ranked among all earlier ones, and its rank becomes a normal score.

A *statistic* is watched by one number for each *unit*. A unit is a day if the rows of one day may depend on each other,
and otherwise a single row. Nothing has changed as long as the units are *exchangeable*: any order of them is equally
likely. Then the rank of a new unit among itself and all earlier units is uniform, and independent of all earlier ranks,
whatever the distribution of the units is (Rényi, 1962; Vovk, Gammerman and Shafer, Algorithmic Learning in a Random
World, 2nd edition, 2022, chapter 8). So the normal scores of the ranks are independent, with mean 0 and a variance of
at most 1. After a change their mean differs from 0. retrace/monitoring/alarms.py looks for that.

Units with equal values share their rank. Vovk and others break such ties at random. Here the score is the mean over all
ways of breaking them, so that nothing is random, and a statistic that never varies has the score 0. The theory covers
units without ties; docs/monitoring.md shows by simulation that the promise is kept with ties, too.

A rank doesn't say how far a day is beyond all days of the reference, so that a small and a large change look alike.
Beyond the reference's range, a power law with the exponent 1 is assumed in place of ranks: a day that is twice as far
from the median as the farthest day of the reference is half as likely. Real tails are seldom heavier.
"""

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit
from scipy.stats import pearson3

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

LARGEST_SCORE = 38.0  # the normal score of the smallest probability that a float can hold
SMALLEST_PROBABILITY = 1e-9  # of an observation, relative to that of the tail beyond it; below it, it's as good as 0
SMALLEST_EXCEEDANCE = 1e-300  # the smallest probability of a day beyond the reference's range; its score is 37
LARGEST_CORRELATION = 0.99
LONGEST_LAG = 14  # in days, for correlations that fade slowly
SMALLEST_SKEWNESS = 1e-3  # below it, a sum is taken as normal: the tails of pearson3 are imprecise there


class NormalScores(NamedTuple):
    """How the units of each day compare with all earlier units.

    Attributes:
        scores: without a change, independent, with mean 0 and a variance of at most 1; 0 on a day without units; shape
            (days,).
        earlier: the number of units before each day, shape (days,).
        units: the number of units of each day, shape (days,).
        variance_growth: the increase of the variance of a sum of scores with its first, second, third and so on day,
            for sums that begin on each day; 1 if the scores are independent, and never less. It's estimated from the
            units before that day. Shape (days, LONGEST_LAG + 1); the last column is used for all later days, too.
    """

    scores: Array
    earlier: Array
    units: Array
    variance_growth: Array


class Shift(NamedTuple):
    """How far a statistic has moved.

    Attributes:
        before: its mean over the units that are compared with.
        now: its mean over the units that are compared.
        low: if nothing has changed, the mean of as many units is above this, 97.5 times in 100.
        high: it's below this, 97.5 times in 100.
    """

    before: float
    now: float
    low: float
    high: float


@dataclass(frozen=True)
class Days:
    """A statistic of which each day is one unit.

    Days may have different numbers of rows. The mean of a few rows varies more than that of many. So before a day's
    mean is ranked, it's divided by the standard deviation that is expected for its number of rows.

    Attributes:
        means: the mean over the rows of each day, in the order of time; any number on a day without rows; shape
            (days,).
        rows: over how many rows, shape (days,).
        row_variance: the variance between the rows of one day.
    """

    means: Array
    rows: NDArray[np.integer]
    row_variance: float

    def __len__(self) -> int:
        return len(self.means)

    def take(self, selection: slice | NDArray[np.intp]) -> "Days":
        """Some of the days."""
        return Days(self.means[selection], self.rows[selection], self.row_variance)

    def append(self, later: "Days") -> "Days":
        """These days and later ones."""
        return Days(np.append(self.means, later.means), np.append(self.rows, later.rows), self.row_variance)

    def present(self) -> Array:
        """The means of the days that have rows."""
        return self.means[self.rows > 0]

    def mean(self) -> float:
        """The mean over all days that have rows, each of the same weight; NaN if there are none."""
        return float(self.present().mean()) if len(self.present()) else np.nan

    def normal_scores(self, earlier: "Days") -> NormalScores:
        """The scores of these days, each compared with all earlier ones.

        Args:
            earlier: the days before these. At least one of them has rows.
        """
        all_days = earlier.append(self)
        present = all_days.rows > 0
        scores, growth = np.zeros(len(all_days)), np.ones((len(all_days), LONGEST_LAG + 1))
        scores[present] = sequential_scores(
            all_days._standardized(like=earlier)[present], int((earlier.rows > 0).sum())
        )
        growth[present] = variance_growth(scores[present])
        these = slice(len(earlier), None)
        count = np.cumsum(present)
        # On each day, the growth is the one that was estimated up to the last day before it that has rows.
        last = np.maximum.accumulate(np.where(present, np.arange(len(present)), 0))
        growth = growth[np.append(0, last[:-1])]
        earlier_days: Array = (count - present).astype(float)
        return NormalScores(scores[these], earlier_days[these], present[these].astype(float), growth[these])

    def shift(self, before: "Days") -> Shift:
        """How far the mean of these days is from that of the days before, of which at least 2 have rows."""
        values, mean = before.present(), before.mean()
        ratio = variance_growth(sequential_scores(values, len(values)))[-1, -1]
        error = float(values.std(ddof=1) * np.sqrt(ratio * (1 / len(values) + 1 / len(self.present()))))
        margin = float(stdtrit(len(values) - 1, 0.975)) * error
        return Shift(mean, self.mean(), mean - margin, mean + margin)

    def _standardized(self, like: "Days") -> Array:
        """The days' means, less the median of the days `like`, divided by the expected standard deviation of each."""
        known = like.rows > 0
        between_days = max(0.0, float(like.means[known].var() - self.row_variance * (1 / like.rows[known]).mean()))
        # Not more rows than the days `like` have: their median isn't known any better.
        rows = np.clip(self.rows, 1, np.median(like.rows[known]))
        row_variance = self.row_variance
        if between_days == row_variance == 0:
            # All days `like` are equal, such as the share of missing values in a column that has none. A deviation of 0
            # is avoided by assuming that the next row is the first one that differs.
            row_variance = 1 / like.rows.sum()
        deviation = np.sqrt(between_days + row_variance / rows)
        # From the median, so that days with the most common value, such as 0, are equal whatever their number of rows.
        standardized: Array = (self.means - np.median(like.means[known])) / deviation
        return standardized


@dataclass(frozen=True)
class Rows:
    """A statistic of which each row is one unit.

    Only counts are needed: how many rows of each day are in each bin of a column.

    Attributes:
        counts: the number of rows in each bin, by day, shape (days, bins).
        scores: the statistic's value for the rows in each bin, shape (bins,). The rows in a bin with NaN are left out.
    """

    counts: Counts
    scores: Array

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, selection: slice) -> "Rows":
        """Some of the days."""
        return Rows(self.counts[selection], self.scores)

    def append(self, later: "Rows") -> "Rows":
        """These days and later ones."""
        return Rows(np.concatenate([self.counts, later.counts]), self.scores)

    def mean(self) -> float:
        """The mean over all rows; NaN if there are none."""
        return self._moments()[0]

    def normal_scores(self, earlier: "Rows") -> NormalScores:
        """The scores of the rows of each day, compared with all earlier rows.

        The sum over a day's rows is compared with the sum over as many rows that are drawn, without replacement, from
        these and all earlier rows. The distribution of that sum is approximated by Pearson's type III, which has its
        mean, variance and skewness.

        Args:
            earlier: the rows before these, on any number of days.
        """
        used = np.isfinite(self.scores)
        values, counts = self.scores[used], self.counts[:, used]
        earlier_counts = earlier.counts[:, used].sum(axis=0) + np.cumsum(counts, axis=0) - counts
        scores = _scores_of_sums(counts, earlier_counts, values)
        earlier_rows, rows = earlier_counts.sum(axis=1).astype(float), counts.sum(axis=1).astype(float)
        return NormalScores(scores, earlier_rows, rows, np.ones((len(counts), LONGEST_LAG + 1)))

    def shift(self, before: "Rows") -> Shift:
        """How far the mean of these rows is from that of the rows before; there is at least one row of each."""
        mean, variance, rows = before._moments()
        margin = float(ndtri(0.975) * np.sqrt(variance * (1 / rows + 1 / self._moments()[2])))
        return Shift(mean, self.mean(), mean - margin, mean + margin)

    def _moments(self) -> tuple[float, float, int]:
        """The mean and the variance of all rows, and their number."""
        used = np.isfinite(self.scores)
        counts, values = self.counts[:, used].sum(axis=0), self.scores[used]
        rows = int(counts.sum())
        if not rows:
            return np.nan, np.nan, 0
        mean = float(counts @ values / rows)
        return mean, float(counts @ (values - mean) ** 2 / rows), rows


Units = TypeVar("Units", Days, Rows)


def sequential_scores(values: Array, reference: int) -> Array:
    """The normal score of each value's rank among itself and all earlier values.

    Args:
        values: in the order of time, as distances from a typical value of the reference, shape (values,).
        reference: the number of values at the beginning that are the reference. The score of a later value outside of
            their range also depends on how far outside it is.

    Returns:
        Shape (values,).
    """
    ordered: list[float] = []
    below, equal = np.empty(len(values)), np.empty(len(values))
    for number, value in enumerate(values.tolist()):
        below[number] = bisect_left(ordered, value)
        equal[number] = bisect_right(ordered, value) - below[number] + 1
        insort(ordered, value)
    count = np.arange(1, len(values) + 1)
    scores = expected_normal_scores(below / count, equal / count, (count - below - equal) / count)
    for sign in (1, -1):
        is_beyond, of_those = _scores_beyond(sign * values, reference)
        scores[is_beyond] = sign * of_those
    return scores


def expected_normal_scores(below: Array, at: Array, above: Array) -> Array:
    """The mean of a standard normal variable between two of its quantiles.

    It's the score of an observation of a discrete distribution: the mean of the normal quantiles of all probabilities
    that belong to it.

    Args:
        below: the probability of a lower observation, any shape.
        at: the probability of the same observation.
        above: the probability of a higher observation.
    """
    is_upper = below > above
    tail = np.where(is_upper, above, below)  # the smaller of the two, which has more correct digits
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (_density_at_quantile(tail) - _density_at_quantile(np.minimum(tail + at, 1))) / at
    scores = np.where(at > SMALLEST_PROBABILITY * tail, mean, ndtri(tail))
    scores = np.fmax(scores, -LARGEST_SCORE)  # which is taken where there is no number
    return np.where(is_upper, -scores, scores)


def _scores_beyond(values: Array, reference: int) -> tuple[NDArray[np.bool_], Array]:
    """Which values are higher than all values of the reference, and their scores.

    If the order of all values is random, and j of n earlier ones are beyond the reference, the next one is beyond it
    with the probability (j + 1) / (n + 1). The probability that it's beyond r times the reference's highest value is
    taken to be 1 / r times this.

    Args:
        values: as distances from a typical value of the reference, shape (values,).
        reference: how many of them, from the first on, are the reference.
    """
    # With few rows or many equal days the highest distance can be small, or 0, by chance.
    highest = max(float(values[:reference].max()), float(ndtri(reference / (reference + 1))))
    is_beyond = values > highest
    is_beyond[:reference] = False
    earlier = np.arange(len(values))
    beyond_before: Counts = np.cumsum(is_beyond) - is_beyond
    probability = ((beyond_before + 1) / (earlier + 1))[is_beyond] * highest / values[is_beyond]
    return is_beyond, -ndtri(np.maximum(probability, SMALLEST_EXCEEDANCE))


def variance_growth(scores: Array) -> Array:
    """The increase of the variance of a sum of scores with each further day; 1 if the scores are independent.

    A day is often similar to the days before. The m-th day of a sum increases its variance by 1 plus twice the sum of
    the autocorrelations at lags 1 to m - 1. The larger of two estimates is used:

    - A first-order autoregressive process: the autocorrelation at lag k is r to the power of k. The estimate of r is
      corrected for its bias (Kendall, 1954), and one standard error is added, so that it's seldom too low.
    - The autocorrelations may also decrease more slowly. Those at lags up to LONGEST_LAG are estimated one by one, and
      the largest of their cumulative sums so far is used.

    If the units are exchangeable, what is estimated from earlier units is independent of the later scores. It is at
    least 1, so it never increases the probability of a false alarm.

    Args:
        scores: shape (units,).

    Returns:
        Shape (units, LONGEST_LAG + 1): for each score, the increase with the first, second, third and so on day, at
        least 1, estimated from the scores up to this one. The last column is used for all later days, too.
    """
    count = np.arange(1, len(scores) + 1)
    squares = np.cumsum(scores**2)
    correlations = np.zeros((LONGEST_LAG + 1, len(scores)))
    for lag in range(1, min(len(correlations), len(scores))):
        products = np.cumsum(scores[lag:] * scores[:-lag])
        np.divide(products, squares[lag:], out=correlations[lag, lag:], where=squares[lag:] > 0)
    next_day = correlations[1]
    standard_error = np.sqrt(np.maximum(1 - next_day**2, 0) / count)
    high = np.clip(next_day + (1 + 3 * next_day) / count + standard_error, 0, LARGEST_CORRELATION)
    powers = high ** np.arange(1, LONGEST_LAG + 2)[:, None]
    powers[-1] = 0  # the last column is for all later days: the limit of the sum for large lags
    by_next_day = 1 + 2 * (high - powers) / (1 - high)
    by_sums = 1 + 2 * np.maximum.accumulate(np.cumsum(correlations, axis=0), axis=0)
    return np.asarray(np.maximum(by_next_day, by_sums).T)


def _density_at_quantile(probability: Array) -> Array:
    """The density of the standard normal distribution at its quantile of a probability."""
    return np.asarray(np.exp(-(ndtri(probability) ** 2) / 2) / np.sqrt(2 * np.pi))


def _scores_of_sums(counts: Counts, earlier: Counts, values: Array) -> Array:
    """The scores of the sum over each day's rows.

    Args:
        counts: how many rows of each day are in each bin, shape (days, bins).
        earlier: how many earlier rows are in it, shape (days, bins).
        values: the statistic's value for the rows in each bin, shape (bins,).
    """
    pool = counts + earlier
    drawn, rows = counts.sum(axis=1), pool.sum(axis=1)
    mean = pool @ values / np.maximum(rows, 1)
    deviations = values - mean[:, None]
    variance = (pool * deviations**2).sum(axis=1) / np.maximum(rows, 1)
    variance_of_sum = drawn * variance * (rows - drawn) / np.maximum(rows - 1, 1)
    varies = variance_of_sum > 0
    variance, variance_of_sum = np.where(varies, variance, 1), np.where(varies, variance_of_sum, 1)
    skewness_of_rows = (pool * deviations**3).sum(axis=1) / np.maximum(rows, 1) / variance**1.5
    # A draw without replacement is less skewed than one with replacement; of half of all rows, it's symmetric.
    remaining = np.where(varies, rows - drawn, 1)
    skewness = skewness_of_rows * (rows - 2 * drawn) / np.maximum(rows - 2, 1)
    skewness *= np.sqrt(np.maximum(rows - 1, 1) / (np.maximum(drawn, 1) * remaining))
    skewness = np.where(np.abs(skewness) < SMALLEST_SKEWNESS, 0, skewness)
    # The sum of two values can only take every n-th number: a normal variable is rounded to it (continuity correction).
    different = np.unique(values)
    half_step = (different[1] - different[0]) / 2 if len(different) == 2 else 0.0
    distance, deviation = counts @ values - drawn * mean, np.sqrt(variance_of_sum)
    low, high = (distance - half_step) / deviation, (distance + half_step) / deviation
    below, up_to = pearson3.cdf(low, skewness), pearson3.cdf(high, skewness)
    above, from_on = pearson3.sf(high, skewness), pearson3.sf(low, skewness)
    scores = expected_normal_scores(below, np.where(below > above, from_on - above, up_to - below), above)
    return np.where(varies, scores, 0.0)
