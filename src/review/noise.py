"""Is a difference real?

Two sources of noise are measured: which rows are in `valid` (the bootstrap resamples) and the luck of one training
(refits on random halves of the training rows, whose spread is that of a whole fit: Politis and Romano, 1994). Their
variances are added. Where both sides have the same rows, they are compared draw by draw, which takes out what both
share; else as independent. The question is whether the change is better, not whether this one fit is (Bouthillier and
others, 2021, Accounting for Variance in Machine Learning Benchmarks).
"""

import math
from typing import NamedTuple

import pandas as pd

from src.review.results import Results

NORMAL_95 = 1.959964


class Difference(NamedTuple):
    """Here minus there, with its 95 % interval; `paired` where both have the same rows."""

    value: float
    low: float
    high: float
    paired: bool


def series(draws: pd.DataFrame, model: str, metric: str, column: str = "", value: str = "") -> tuple[str, pd.Series]:
    """The fingerprint of the rows, and the scores by draw; no scores where there is no such series."""
    try:
        found = draws.xs((model, column, value, metric), level=("model", "column", "value", "metric"))
    except KeyError:
        return "", pd.Series(dtype=float)
    return str(found.index[0]), found.iloc[0]


def compare(here: Results, base: Results, metric: str) -> Difference:
    """The difference that a change makes to a metric of the model; NaN where a side doesn't have it."""
    value = _score(here, metric) - _score(base, metric)
    variance, pairs = 0.0, []
    for ours, theirs in ((here.bootstrap, base.bootstrap), (here.refits, base.refits)):
        (rows, a), (other_rows, b) = series(ours, "model", metric), series(theirs, "model", metric)
        pairs.append(rows == other_rows)
        variance += float((a - b).var()) if rows == other_rows else float(a.var() + b.var())
    return _interval(value, variance, all(pairs))


def beyond(results: Results, baseline: str, metric: str) -> Difference:
    """The model's score less a baseline's, on the same resamples; the luck in fitting a baseline isn't measured."""
    draws = series(results.bootstrap, "model", metric)[1] - series(results.bootstrap, baseline, metric)[1]
    value = _score(results, metric) - _score(results, metric, baseline)
    return _interval(value, float(draws.var() + series(results.refits, "model", metric)[1].var()), paired=True)


def _interval(value: float, variance: float, paired: bool) -> Difference:
    margin = NORMAL_95 * math.sqrt(variance)
    return Difference(value, value - margin, value + margin, paired)


def _score(results: Results, metric: str, model: str = "model") -> float:
    score = results.scores.get(model, {}).get(metric, {}).get("score")
    return float("nan") if score is None else score
