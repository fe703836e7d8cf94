"""Is a difference real?

Two sources of noise are measured: which rows are in `valid` (the bootstrap resamples) and the luck of one training
(refits on random halves of the training rows, whose spread is that of a whole fit: Politis and Romano, 1994). Their
variances are added. Where both sides have the same rows, they are compared draw by draw, which takes out what both
share; else as independent. The question is whether the change is better, not whether this one fit is (Bouthillier and
others, 2021, Accounting for Variance in Machine Learning Benchmarks).
"""

import math
from typing import Literal, NamedTuple

import pandas as pd
from scipy.special import stdtrit

from src.core.params import UNJUDGED
from src.core.scores import HIGHER_IS_BETTER
from src.review.results import Results, is_score

Verdict = Literal["better", "worse", "noise", "the same", "too small to matter", "not judged", "no score"]


class Difference(NamedTuple):
    """Here minus there, with its 95 % interval; `paired` where both have the same rows."""

    value: float
    low: float
    high: float
    paired: bool


class Slice(NamedTuple):
    """The rows whose `column` has this value."""

    column: str
    value: str


WHOLE = Slice("", "")


def series(draws: pd.DataFrame, model: str, metric: str, part: Slice = WHOLE) -> tuple[str, pd.Series]:
    """The fingerprint of the rows, and the scores by draw; no scores where there is no such series."""
    try:
        rows = draws.index[0][0]  # the same in every line
        return str(rows), pd.Series(draws.xs((rows, model, *part, metric)))
    except (KeyError, IndexError):
        return "", pd.Series(dtype=float)


def compare(here: Results, base: Results, metric: str, part: Slice = WHOLE, looked_at: int = 1) -> Difference:
    """The difference that a change makes to a metric of the model, or of a slice; NaN where a side doesn't have it.

    With `looked_at` comparisons the interval holds all of them at once 95 times in 100 (Bonferroni).
    """
    difference = _score(here, metric, part) - _score(base, metric, part)
    noise, pairs = [], []
    for ours, theirs in ((here.bootstrap, base.bootstrap), (here.refits, base.refits)):
        (rows, a), (other_rows, b) = (series(draws, "model", metric, part) for draws in (ours, theirs))
        pairs.append(rows == other_rows)
        noise += [a - b] if rows == other_rows else [a, b]
    return _interval(difference, noise, all(pairs), looked_at)


def compare_slices(here: Results, base: Results, metric: str) -> list[tuple[Slice, Difference]]:
    """The differences of the slices that both sides score and neither marks as small, the largest move first.

    How many there are widens the intervals; one without a score on either side is left out.
    """
    both = [
        Slice(column, value)
        for column, values in here.slices.items()
        for value, slice_ in values.items()
        if not slice_.get("small") and not base.slices.get(column, {}).get(value, {"small": True}).get("small")
    ]
    compared = [(part, compare(here, base, metric, part, looked_at=len(both))) for part in both]
    found = [(part, difference) for part, difference in compared if not math.isnan(difference.low + difference.high)]
    return sorted(found, key=lambda one: -abs(one[1].value))


def beyond(results: Results, baseline: str, metric: str) -> Difference:
    """The model's score less a baseline's, on the same resamples; the luck in fitting a baseline isn't measured."""
    draws = series(results.bootstrap, "model", metric)[1] - series(results.bootstrap, baseline, metric)[1]
    value = _score(results, metric) - _score(results, metric, model=baseline)
    return _interval(value, [draws, series(results.refits, "model", metric)[1]], paired=True)


def verdict(difference: Difference, metric: str, smallest: float) -> Verdict:
    """What a difference is; `smallest` is the least that matters."""
    value, low, high, _ = difference
    if math.isnan(low + high):
        return "no score"
    if value == low == high == 0:
        return "the same"
    if metric in UNJUDGED or metric not in HIGHER_IS_BETTER:
        return "not judged"
    if low <= 0 <= high:
        return "noise"
    if abs(value) <= smallest:
        return "too small to matter"
    return "better" if (value > 0) == HIGHER_IS_BETTER[metric] else "worse"


def _interval(value: float, noise: list[pd.Series], paired: bool, looked_at: int = 1) -> Difference:
    """The value give or take its noise; few draws tell a variance badly, so t (Satterthwaite, 1946; Welch, 1947)."""
    variances = [float(draws.var()) for draws in noise]
    total = sum(variances)
    unsure = sum(own**2 / (draws.count() - 1) for own, draws in zip(variances, noise, strict=True) if own)
    margin = float(stdtrit(total**2 / unsure, 1 - 0.025 / looked_at)) * math.sqrt(total) if unsure else total
    return Difference(value, value - margin, value + margin, paired)


def _score(results: Results, metric: str, part: Slice = WHOLE, model: str = "model") -> float:
    if part != WHOLE:
        score = results.slices.get(part.column, {}).get(part.value, {}).get(metric)
    else:
        score = results.scores.get(model, {}).get(metric, {}).get("score")
    return score if is_score(score) else float("nan")
