"""Which of several experiments are better than their base, which may be the best, and the bias of choosing.

The more experiments there are, the further chance moves some of them. So the limits of chance are those of Bonferroni,
which hold for any number of comparisons, however they depend on each other. Each comparison is that of a report: on the
same resamples of `valid`, and on refits on the same halves of train.

The best score of several is best partly by chance (selection bias, or the winner's curse). How large this bias is
expected to be follows from how far chance moves all scores, and how much the true scores differ: their variance is that
of the scores minus that of chance (empirical Bayes; Efron and Morris, 1975).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.differences import Difference, MeasuredDifference, with_margin
from retrace.errors import UserError
from retrace.intervals import Noise
from retrace.resamples import SEED
from retrace.review.results import Results
from retrace.review.score_differences import measure, score_of, series

SIMULATIONS = 20_000
WRONG = 0.05  # the probability that any of the intervals, or the choice of those that may be the best, is wrong
FEWEST_DRAWS = 2

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Experiments:
    """Experiments and their base, scored by one metric on the same rows of `valid`.

    Attributes:
        base: the results of the base.
        others: those of the experiments, one at least.
        metric: by which they are compared.
        higher_is_better: the direction of the metric.
    """

    base: Results
    others: Sequence[Results]
    metric: str
    higher_is_better: bool

    @cached_property
    def measured(self) -> list[MeasuredDifference]:
        """The difference of each experiment from the base, and how far chance moves it."""
        return [measure(other, self.base, self.metric) for other in self.others]

    def differences(self) -> list[Difference]:
        """The difference of each experiment from the base, with intervals that hold all at once, 95 times in 100."""
        ends = 2 * sum(each.noise.variance > 0 for each in self.measured)
        return [with_margin(each, each.noise.limit(WRONG / max(ends, 1))) for each in self.measured]

    def may_be_best(self) -> list[bool]:
        """Whether the base, and each experiment, may be the best. 95 times in 100, the best of all is among these.

        A side may not be the best if the side with the best score is ahead of it by more than chance explains. Any
        other side could have had the best score, so the limit is that for as many comparisons.
        """
        best = int(self._scores.argmax())
        leads = self._scores[best] - self._scores
        limits = [self._noise(best, side).limit(WRONG / len(self.others)) for side in range(len(leads))]
        return [bool(lead <= limit) for lead, limit in zip(leads, limits, strict=True)]

    def selection_bias(self) -> float:
        """By how much the best score of the experiments is expected to be too good because it's the best of several.

        Raises:
            UserError: too few draws have a score of all experiments.
        """
        return expected_selection_bias(self._scores[1:], self._simulated_noise())

    def _noise(self, first: int, second: int) -> Noise:
        """How far chance moves the difference of two sides, by their numbers; 0 is the base."""
        if first == second:
            return Noise(0.0, math.inf)
        if 0 in (first, second):
            return self.measured[max(first, second) - 1].noise
        return measure(self.others[first - 1], self.others[second - 1], self.metric).noise

    @cached_property
    def _scores(self) -> Array:
        """The scores of the base and of the experiments; more is better, whatever the metric. Shape (sides,)."""
        sign = 1 if self.higher_is_better else -1
        return np.array([sign * score_of(side, self.metric) for side in (self.base, *self.others)])

    def _simulated_noise(self) -> Array:
        """How chance may move the scores of the experiments, by a normal distribution. Shape (SIMULATIONS, others)."""
        of_rows = _common_draws([series(side.bootstrap, "model", self.metric)[1] for side in self.others])
        of_training = _common_draws([series(side.refits, "model", self.metric)[1] for side in self.others])
        # As noise_of_rows and noise_of_training scale them.
        units = pd.DataFrame([side.units for side in self.others])
        of_rows *= np.sqrt(1 + 1 / (units["valid"] - 1)).to_numpy()
        of_training *= np.sqrt(units["half"] / (units["train"] - units["half"])).to_numpy()
        deviations = np.concatenate([of_rows, of_training])
        root = np.linalg.qr(deviations, mode="r")  # it has the same products of columns, and fewer rows
        return np.asarray(np.random.default_rng(SEED).standard_normal((SIMULATIONS, len(root))) @ root)


def expected_selection_bias(scores: Array, noise: Array) -> float:
    """By how much the best of some scores is expected to be too good.

    Args:
        scores: more is better, shape (sides,).
        noise: how chance may move them, shape (simulations, sides).
    """
    noise = noise - noise.mean(axis=1, keepdims=True)  # what moves all of them doesn't decide which is the best
    by_chance, observed = float(noise.var(axis=0).mean()), float(scores.var())
    true_share = max(0.0, 1 - by_chance / observed) if observed else 0.0  # of the variance of the scores
    true_scores = scores.mean() + math.sqrt(true_share) * (scores - scores.mean())
    best = (true_scores + noise).argmax(axis=1)
    return float(noise[np.arange(len(noise)), best].mean())


def _common_draws(scores: Sequence[pd.Series]) -> Array:
    """The deviations from their means of the draws that all sides have, shape (draws, sides).

    They are scaled such that the sum of the products of two columns is the covariance of two scores.

    Raises:
        UserError: there are too few of them.
    """
    table = pd.concat(scores, axis=1, keys=range(len(scores)), join="inner").dropna()
    if len(table) < FEWEST_DRAWS:
        raise UserError("metrics: too few resamples or refits have a score of all experiments; compare fewer of them")
    deviations = table.to_numpy() - table.to_numpy().mean(axis=0)
    return np.asarray(deviations / math.sqrt(len(table) - 1))
