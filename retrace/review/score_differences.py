"""Is the difference between the scores of two sides real, or does chance explain it?

Two sources of variation are measured: which rows are in `valid` (sampling variation, by bootstrap resamples) and how
much one fit varies (training variation, by refits on random halves of the training rows, from whose spread that of a
whole fit follows: Politis and Romano, 1994). Their variances are added. Where both sides have the same rows, they are
compared draw by draw, which removes what both share. Otherwise they are compared as independent. The question is
whether the change is better, not whether this one fit is (Bouthillier and others, 2021, Accounting for Variance in
Machine Learning Benchmarks).
"""

import math
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.intervals import UNKNOWN, Noise, noise_of_rows, noise_of_training, total_noise
from retrace.resamples import SEED
from retrace.review.results import UNKNOWN_UNITS, Results, is_score
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


WHOLE = Slice("", "")


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


def series(draws: pd.DataFrame, model: str, metric: str, part: Slice = WHOLE) -> tuple[str, pd.Series]:
    """The fingerprint of the rows, and the scores by draw; no scores where there is no such series."""
    try:
        rows = draws.index[0][0]  # the same in every line
        return str(rows), pd.Series(draws.xs((rows, model, *part, metric)))
    except (KeyError, IndexError):
        return "", pd.Series(dtype=float)


def compare(here: Results, base: Results, metric: str, part: Slice = WHOLE) -> Difference:
    """The difference that a change makes to a metric of the model, or of a slice; NaN where a side doesn't have it."""
    measured = _measure(here, base, metric, part)
    return _with_margin(measured, measured.noise.margin)


def compare_slices(here: Results, base: Results, metric: str) -> list[tuple[Slice, Difference]]:
    """The differences of the slices that both sides score and neither marks as small, the largest change first.

    95 times in 100 all of the intervals hold the true differences at once. Half the width of each is the same multiple
    of its standard error: the largest multiple by which chance moves any of them (single-step max-t; Hothorn, Bretz and
    Westfall, 2008). A slice without a score on either side is left out.
    """
    measured = {}
    for part in _slices_of_both(here, base):
        difference = _measure(here, base, metric, part)
        if math.isfinite(difference.value + difference.noise.variance):
            measured[part] = difference
    multiple = largest_t([difference for difference in measured.values() if difference.noise.variance])
    differences = []
    for part, difference in measured.items():
        margin = multiple * math.sqrt(difference.noise.variance)
        differences.append((part, _with_margin(difference, margin)))
    return sorted(differences, key=lambda item: -abs(item[1].value))


def _slices_of_both(here: Results, base: Results) -> list[Slice]:
    """The slices that both sides have and neither marks as small."""
    both = []
    for column, values in here.slices.items():
        for value, scores in values.items():
            base_scores = base.slices.get(column, {}).get(value)
            if base_scores is not None and not scores.get("small") and not base_scores.get("small"):
                both.append(Slice(column, value))
    return both


def lead_over_baseline(results: Results, baseline: str, metric: str) -> Difference:
    """The model's score minus a baseline's, on the same resamples; how much a baseline's fit varies isn't measured."""
    resamples = series(results.bootstrap, "model", metric)[1] - series(results.bootstrap, baseline, metric)[1]
    refits = series(results.refits, "model", metric)[1]
    value = score_of(results, metric) - score_of(results, metric, model=baseline)
    noise = total_noise([_noise_of_rows([results], resamples, WHOLE), _noise_of_training([results], refits)])
    return _with_margin(MeasuredDifference(value, noise, [resamples], paired=True), noise.margin)


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


def _measure(here: Results, base: Results, metric: str, part: Slice) -> MeasuredDifference:
    """The difference of a score on two sides, and how far chance moves it."""
    value = score_of(here, metric, part) - score_of(base, metric, part)
    rows, resamples = series(here.bootstrap, "model", metric, part)
    base_rows, base_resamples = series(base.bootstrap, "model", metric, part)
    refits, base_refits = (series(side.refits, "model", metric, part)[1] for side in (here, base))
    if resamples.empty or base_resamples.empty or refits.empty or base_refits.empty:
        return MeasuredDifference(math.nan, UNKNOWN, [], paired=True)
    if rows != base_rows:
        noise = total_noise(
            [
                _noise_of_rows([here], resamples, part),
                _noise_of_rows([base], base_resamples, part),
                _noise_of_training([here], refits),
                _noise_of_training([base], base_refits),
            ]
        )
        return MeasuredDifference(value, noise, [resamples, base_resamples], paired=False)
    resampled = (resamples - base_resamples).dropna()
    refitted = (refits - base_refits).dropna()
    if value == 0 and not resampled.any() and not refitted.any():
        return MeasuredDifference(0.0, Noise(0.0, math.inf), [resampled], paired=True)
    noise = total_noise([_noise_of_rows([here, base], resampled, part), _noise_of_training([here, base], refitted)])
    return MeasuredDifference(value, noise, [resampled], paired=True)


def _noise_of_rows(sides: list[Results], scores: pd.Series, part: Slice) -> Noise:
    """The sampling variation; of two sides that are compared, the one with fewer units counts."""
    return noise_of_rows(scores, min(_units(side, part) for side in sides))


def _noise_of_training(sides: list[Results], scores: pd.Series) -> Noise:
    """The training variation; of two sides that are compared, the one with fewer units counts."""
    fewer = min((side.units for side in sides), key=lambda units: units["train"])
    return noise_of_training(scores, fewer["train"], fewer["half"])


def _units(results: Results, part: Slice) -> float:
    """How many units the resamples of the whole, or of a slice, are drawn from."""
    if part == WHOLE:
        return results.units["valid"]
    return results.slices[part.column][part.value].get("units") or UNKNOWN_UNITS["valid"]


def _with_margin(measured: MeasuredDifference, margin: float) -> Difference:
    """The difference with an interval of so much on both sides."""
    return Difference(measured.value, measured.value - margin, measured.value + margin, measured.paired)


def score_of(results: Results, metric: str, part: Slice = WHOLE, model: str = "model") -> float:
    """The score of a model, or of a slice of the rows; NaN where there is none."""
    if part != WHOLE:
        score = results.slices.get(part.column, {}).get(part.value, {}).get(metric)
    else:
        score = results.scores.get(model, {}).get(metric, {}).get("score")
    return score if is_score(score) else float("nan")
