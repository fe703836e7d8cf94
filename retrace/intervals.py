"""How much a score varies by chance, estimated from the scores of resamples and of refits."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
from scipy.special import stdtrit


class Noise(NamedTuple):
    """How much a score varies by chance.

    Attributes:
        variance: the variance of the score; NaN where it isn't known.
        freedom: the degrees of freedom of this estimate.
    """

    variance: float
    freedom: float

    @property
    def margin(self) -> float:
        """Half of the 95 % interval's width; infinite where the variance isn't known."""
        return self.limit(0.025)

    def limit(self, beyond: float) -> float:
        """How far chance moves the score in one direction, by Student's t; infinite where the variance isn't known.

        Args:
            beyond: the probability that chance moves it further.
        """
        if self.variance == 0:
            return 0.0
        return float(stdtrit(self.freedom, 1 - beyond)) * math.sqrt(self.variance) if self.freedom > 0 else math.inf


UNKNOWN = Noise(math.nan, 0)


def noise_of_rows(scores: pd.Series, units: float) -> Noise:
    """Sampling variation: how much a score depends on which rows are in `valid`.

    The variance of resamples is (G - 1) / G of the variance of new samples of G units, which matters where G is small.

    Args:
        scores: the scores of resamples.
        units: how many units they are drawn from.
    """
    freedom = min(units, scores.count()) - 1
    return Noise(float(scores.var()) * (1 + 1 / (units - 1)), freedom) if freedom > 0 else UNKNOWN


def noise_of_training(scores: pd.Series, units: float, drawn: float) -> Noise:
    """Training variation: how much a score depends on the training rows and on the chance in one fit.

    Where the variance of a fit on n units is proportional to 1/n, that of fits on m of them, drawn without replacement,
    is proportional to 1/m - 1/n (Politis and Romano, 1994).

    Args:
        scores: the scores of refits.
        units: how many units there are in train.
        drawn: how many of them each refit is fitted on.
    """
    freedom = min(units, scores.count()) - 1
    return Noise(float(scores.var()) * drawn / (units - drawn), freedom) if freedom > 0 else UNKNOWN


def total_noise(noises: Iterable[Noise]) -> Noise:
    """The sum of independent noises, whose degrees of freedom are those of Satterthwaite (1946)."""
    noises = list(noises)
    variance = sum(noise.variance for noise in noises)
    if math.isnan(variance):
        return UNKNOWN
    denominator = sum(noise.variance**2 / noise.freedom for noise in noises if noise.variance)
    return Noise(variance, variance**2 / denominator if denominator else math.inf)
