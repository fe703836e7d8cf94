"""How far chance moves a score, by the scores of resamples and of refits."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
from scipy.special import stdtrit


class Noise(NamedTuple):
    """How far chance moves a score: a variance, and the degrees of freedom with which it's known."""

    variance: float
    freedom: float

    @property
    def margin(self) -> float:
        """Half of the 95 % interval's width, by Student's t; infinite where the variance isn't known."""
        if self.variance == 0:
            return 0.0
        return float(stdtrit(self.freedom, 0.975)) * math.sqrt(self.variance) if self.freedom > 0 else math.inf


UNKNOWN = Noise(math.nan, 0)


def noise_of_rows(scores: pd.Series, units: float) -> Noise:
    """The noise of which rows are in `valid`, by the scores of resamples of so many units.

    Resamples vary by (G - 1) / G as much as new samples of G units do, which matters where G is small.
    """
    known = min(units, scores.count()) - 1
    return Noise(float(scores.var()) * (1 + 1 / (units - 1)), known) if known > 0 else UNKNOWN


def noise_of_training(scores: pd.Series, units: float, drawn: float) -> Noise:
    """The noise of one training, by the scores of refits on `drawn` of so many units.

    What is drawn without replacement varies by 1/m - 1/n where a whole sample varies by 1/n (Politis and Romano, 1994).
    """
    known = min(units, scores.count()) - 1
    return Noise(float(scores.var()) * drawn / (units - drawn), known) if known > 0 else UNKNOWN


def total_noise(noises: Iterable[Noise]) -> Noise:
    """The sum of independent noises, with the degrees of freedom that it's known with (Satterthwaite, 1946)."""
    noises = list(noises)
    total = sum(noise.variance for noise in noises)
    if math.isnan(total):
        return UNKNOWN
    unsure = sum(noise.variance**2 / noise.freedom for noise in noises if noise.variance)
    return Noise(total, total**2 / unsure if unsure else math.inf)
