"""Is a difference real?

Two sources of noise are measured: which rows are in `valid` (bootstrap resamples) and one training's chance (refits on
random halves of the training rows, whose spread is that of a whole fit: Politis and Romano, 1994). Their variances are
added. Where both sides have the same rows, they are compared draw by draw, which takes out what both share; else as
independent. The question is whether the change is better, not whether this one fit is (Bouthillier and others, 2021,
Accounting for Variance in Machine Learning Benchmarks).
"""

import math
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from retrace.intervals import UNKNOWN, Noise, noise_of_rows, noise_of_training, total_noise
from retrace.resamples import SEED
from retrace.review.results import MANY, Results, is_score
from retrace.scores import higher_is_better, is_judged

Verdict = Literal["better", "worse", "equivalent", "can't tell", "the same", "not judged", "no score"]
SIMULATED = 100_000  # the quantile that it gives is right to about 0.01


class Difference(NamedTuple):
    """Here minus there, with its 95 % interval; `paired` where both have the same rows.

    Without a score on either side all three are NaN. Where the noise isn't known the interval has no end.
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


class Compared(NamedTuple):
    """A difference, its noise, and its resamples: of the difference itself, or of each side where they're unpaired."""

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
    found = _compared(here, base, metric, part)
    return _interval(found, found.noise.margin)


def compare_slices(here: Results, base: Results, metric: str) -> list[tuple[Slice, Difference]]:
    """The differences of the slices that both sides score and neither marks as small, the largest change first.

    All of the intervals hold their truths at once 95 times in 100: each has the same multiple of its standard error for
    half its width, the largest that chance makes of any (single-step max-t; Hothorn, Bretz and Westfall, 2008). A slice
    without a score on either side is left out.
    """
    both = [
        Slice(column, value)
        for column, values in here.slices.items()
        for value, slice_ in values.items()
        if not slice_.get("small") and not base.slices.get(column, {}).get(value, {"small": True}).get("small")
    ]
    compared = {part: _compared(here, base, metric, part) for part in both}
    known = {part: one for part, one in compared.items() if math.isfinite(one.value + one.noise.variance)}
    multiple = largest_t([one for one in known.values() if one.noise.variance])
    found = [(part, _interval(one, multiple * math.sqrt(one.noise.variance))) for part, one in known.items()]
    return sorted(found, key=lambda item: -abs(item[1].value))


def beyond(results: Results, baseline: str, metric: str) -> Difference:
    """The model's score less a baseline's, on the same resamples; how much a baseline's fit varies isn't measured."""
    resamples = series(results.bootstrap, "model", metric)[1] - series(results.bootstrap, baseline, metric)[1]
    value = score_of(results, metric) - score_of(results, metric, model=baseline)
    noise = [_of_rows(resamples, WHOLE, results), _of_training(series(results.refits, "model", metric)[1], results)]
    found = Compared(value, total_noise(noise), [resamples], paired=True)
    return _interval(found, found.noise.margin)


def gain(difference: Difference, metric: str) -> Difference:
    """The difference with more as better, whichever way the metric goes."""
    if higher_is_better(metric):
        return difference
    return Difference(0 - difference.value, 0 - difference.high, 0 - difference.low, difference.paired)


def verdict(difference: Difference, metric: str, smallest: float) -> Verdict:
    """What a difference is, by its interval.

    Args:
        difference: of a metric, here minus there.
        metric: its name, by which it's known which way is better.
        smallest: the least difference that matters; what surely lies within it is equivalent.
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


def largest_t(compared: list[Compared]) -> float:
    """The multiple of their standard errors within which all differences stay 95 times in 100, by simulation.

    Correlations are those of the resamples, degrees of freedom the fewest of any.
    """
    if not compared:
        return 0.0
    sides = [pd.DataFrame(dict(enumerate(side))) for side in zip(*(one.resamples for one in compared), strict=True)]
    covariance = np.sum([side.cov().to_numpy() for side in sides], axis=0)
    deviation = np.sqrt(np.diag(covariance))
    scale = np.outer(deviation, deviation)
    # Where a slice doesn't vary in the resamples, it counts as independent, which makes the multiple largest.
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=np.isfinite(scale) & (scale > 0))
    np.fill_diagonal(correlation, 1)
    values, vectors = np.linalg.eigh(np.nan_to_num(correlation))
    root = vectors * np.sqrt(values.clip(min=0))
    rng = np.random.default_rng(SEED)
    freedom = min(one.noise.freedom for one in compared)
    normal = np.abs(rng.standard_normal((SIMULATED, len(compared))) @ root.T).max(axis=1)
    shared = np.sqrt(rng.chisquare(freedom, SIMULATED) / freedom) if math.isfinite(freedom) else 1.0
    return float(np.quantile(normal / shared, 0.95))


def _compared(here: Results, base: Results, metric: str, part: Slice) -> Compared:
    value = score_of(here, metric, part) - score_of(base, metric, part)
    rows, ours = series(here.bootstrap, "model", metric, part)
    base_rows, theirs = series(base.bootstrap, "model", metric, part)
    refits, base_refits = (series(side.refits, "model", metric, part)[1] for side in (here, base))
    if ours.empty or theirs.empty or refits.empty or base_refits.empty:
        return Compared(math.nan, UNKNOWN, [], paired=True)
    if rows != base_rows:
        noise = [_of_rows(ours, part, here), _of_rows(theirs, part, base)]
        noise += [_of_training(refits, here), _of_training(base_refits, base)]
        return Compared(value, total_noise(noise), [ours, theirs], paired=False)
    moved, retrained = (ours - theirs).dropna(), (refits - base_refits).dropna()
    if value == 0 and not moved.any() and not retrained.any():
        return Compared(0.0, Noise(0.0, math.inf), [moved], paired=True)
    noise = [_of_rows(moved, part, here, base), _of_training(retrained, here, base)]
    return Compared(value, total_noise(noise), [moved], paired=True)


def _of_rows(scores: pd.Series, part: Slice, *sides: Results) -> Noise:
    """The noise of the rows; of two sides that are compared the one with fewer units counts."""
    return noise_of_rows(scores, min(_units(side, part) for side in sides))


def _of_training(scores: pd.Series, *sides: Results) -> Noise:
    """The noise of training; of two sides that are compared the one with fewer units counts."""
    fewer = min((side.units for side in sides), key=lambda units: units["train"])
    return noise_of_training(scores, fewer["train"], fewer["half"])


def _units(results: Results, part: Slice) -> float:
    """How many units the resamples of the whole, or of a slice, are drawn from."""
    if part == WHOLE:
        return results.units["valid"]
    return results.slices[part.column][part.value].get("units") or MANY["valid"]


def _interval(found: Compared, margin: float) -> Difference:
    """The difference, give or take a margin."""
    return Difference(found.value, found.value - margin, found.value + margin, found.paired)


def score_of(results: Results, metric: str, part: Slice = WHOLE, model: str = "model") -> float:
    """The score of a model, or of a slice of the rows; NaN where there is none."""
    if part != WHOLE:
        score = results.slices.get(part.column, {}).get(part.value, {}).get(metric)
    else:
        score = results.scores.get(model, {}).get(metric, {}).get("score")
    return score if is_score(score) else float("nan")
