"""Is a difference of two scores real, or does chance explain it? The verdict, and the interval that it follows from.

The review compares two commits with these functions, and `python -m retrace challenge` two models.
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.intervals import Noise
from retrace.resamples import SEED
from retrace.scores import higher_is_better, is_judged

Verdict = Literal["better", "worse", "equivalent", "can't tell", "the same", "not judged", "no score"]
SIMULATIONS = 100_000  # the quantile that they give is right to about 0.01


class Difference(NamedTuple):
    """The difference of two scores.

    Attributes:
        value: The score here minus the other; NaN if one is missing.
        low: The lower end of its 95 % interval; NaN if a score is missing, infinite if the variation isn't known.
        high: The upper end, likewise.
        paired: Whether both scores are of the same rows.
    """

    value: float
    low: float
    high: float
    paired: bool


class Slice(NamedTuple):
    """The rows whose `column` has this value."""

    column: str
    value: str


class MeasuredDifference(NamedTuple):
    """A difference of two scores, and by how much chance moves it.

    Attributes:
        value: The score here minus the other.
        noise: How far chance moves it.
        resamples: The resamples of the difference if it's paired; else those of each side.
        paired: Whether both scores are of the same rows.
    """

    value: float
    noise: Noise
    resamples: list[pd.Series]
    paired: bool


def with_margin(measured: MeasuredDifference, margin: float) -> Difference:
    """The difference with an interval of this margin on both sides."""
    return Difference(measured.value, measured.value - margin, measured.value + margin, measured.paired)


def simultaneous(measured: Mapping[Slice, MeasuredDifference]) -> list[tuple[Slice, Difference]]:
    """The differences of slices with intervals that hold all at once, 95 times in 100; the largest change first.

    Half the width of each interval is the same multiple of its standard error: the largest multiple by which chance
    moves any of them (single-step max-t; Hothorn, Bretz and Westfall, 2008). A slice without a score is left out.
    """
    known = {
        part: difference
        for part, difference in measured.items()
        if math.isfinite(difference.value + difference.noise.variance)
    }
    multiple = largest_t([difference for difference in known.values() if difference.noise.variance])
    differences = [
        (part, with_margin(difference, multiple * math.sqrt(difference.noise.variance)))
        for part, difference in known.items()
    ]
    return sorted(differences, key=lambda item: -abs(item[1].value))


def gain(difference: Difference, metric: str) -> Difference:
    """The difference with its sign such that more is better, whether the metric is a score or a loss."""
    if higher_is_better(metric):
        return difference
    return Difference(0 - difference.value, 0 - difference.high, 0 - difference.low, difference.paired)


def verdict(difference: Difference, metric: str, smallest: float) -> Verdict:
    """The verdict on a difference, by its interval.

    Args:
        difference: of a metric, here minus there.
        metric: its name, by which it's known which way is better.
        smallest: the least difference that matters; an interval within it on both sides of 0 means equivalent.
    """
    if math.isnan(difference.value):
        return "no score"
    if difference.value == difference.low == difference.high == 0:
        return "the same"
    if not is_judged(metric):
        return "not judged"
    _, low, high, _ = gain(difference, metric)
    if -smallest <= low and high <= smallest:
        return "equivalent"
    if low > 0:
        return "better"
    return "worse" if high < 0 else "can't tell"


def largest_t(differences: list[MeasuredDifference]) -> float:
    """The multiple of their standard errors within which all differences stay 95 times in 100, by simulation.

    Correlations are those of the resamples. The degrees of freedom are the fewest of any.
    """
    if not differences:
        return 0.0
    values, vectors = np.linalg.eigh(_correlation(differences))
    root = vectors * np.sqrt(values.clip(min=0))
    rng = np.random.default_rng(SEED)
    normal = np.abs(rng.standard_normal((SIMULATIONS, len(differences))) @ root.T).max(axis=1)
    freedom = min(difference.noise.freedom for difference in differences)
    shared = np.sqrt(rng.chisquare(freedom, SIMULATIONS) / freedom) if math.isfinite(freedom) else 1.0
    return float(np.quantile(normal / shared, 0.95))


def _correlation(differences: list[MeasuredDifference]) -> NDArray[np.float64]:
    """The correlations of differences in their resamples; the covariances of the two sides are added if unpaired."""
    by_side = zip(*(difference.resamples for difference in differences), strict=True)
    sides = [pd.DataFrame(dict(enumerate(resamples))) for resamples in by_side]
    covariance = np.sum([side.cov().to_numpy() for side in sides], axis=0)
    deviation = np.sqrt(np.diag(covariance))
    scale = np.outer(deviation, deviation)
    # Where a slice doesn't vary in the resamples, it counts as independent, which makes the multiple largest.
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=np.isfinite(scale) & (scale > 0))
    np.fill_diagonal(correlation, 1)
    return np.asarray(np.nan_to_num(correlation))


def interval_of_difference(difference: Difference) -> str:
    """A difference's 95 % interval, or that there is none."""
    if math.isinf(difference.low):
        return "no interval: too few rows"
    if math.isnan(difference.low):
        return "no interval"
    return f"{signed(difference.low)} to {signed(difference.high)}"


def signed(value: float) -> str:
    """A difference with two digits and its sign."""
    return "no score" if math.isnan(value) else f"{value:+.2g}"
