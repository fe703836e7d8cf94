"""Is the difference between the scores of two sides real, or does chance explain it?

Two sources of variation are measured: which rows are in `valid` (sampling variation, by bootstrap resamples) and how
much one fit varies (training variation, by refits on random halves of the training rows, from whose spread that of a
whole fit follows: Politis and Romano, 1994). Their variances are added. Where both sides have the same rows, they are
compared draw by draw, which removes what both share. Otherwise they are compared as independent. The question is
whether the change is better, not whether this one fit is (Bouthillier and others, 2021, Accounting for Variance in
Machine Learning Benchmarks).
"""

import math

import pandas as pd

from retrace.differences import Difference, MeasuredDifference, Slice, simultaneous, with_margin
from retrace.intervals import UNKNOWN, Noise, noise_of_rows, noise_of_training, total_noise
from retrace.review.results import UNKNOWN_UNITS, Results, is_score

WHOLE = Slice("", "")


def series(draws: pd.DataFrame, model: str, metric: str, part: Slice = WHOLE) -> tuple[str, pd.Series]:
    """The fingerprint of the rows, and the scores by draw; no scores where there is no such series."""
    try:
        rows = draws.index[0][0]  # the same in every line
        return str(rows), pd.Series(draws.xs((rows, model, *part, metric)))
    except (KeyError, IndexError):
        return "", pd.Series(dtype=float)


def compare(here: Results, base: Results, metric: str, part: Slice = WHOLE) -> Difference:
    """The difference that a change makes to a metric of the model, or of a slice; NaN where a side doesn't have it."""
    measured = measure(here, base, metric, part)
    return with_margin(measured, measured.noise.margin)


def compare_slices(here: Results, base: Results, metric: str) -> list[tuple[Slice, Difference]]:
    """The differences of the slices that both sides score and neither marks as small, the largest change first.

    95 times in 100 all of the intervals hold the true differences at once. A slice without a score on either side is
    left out.
    """
    return simultaneous({part: measure(here, base, metric, part) for part in _slices_of_both(here, base)})


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
    return with_margin(MeasuredDifference(value, noise, [resamples], paired=True), noise.margin)


def gain_from_all_rows(results: Results, metric: str) -> Difference:
    """The model's score minus the mean score of the refits, which are fitted on halves of its training rows.

    The interval has the training variation of both, as if they were independent of each other. They aren't, so it's too
    wide: in simulations the variance is half as large. The validation rows are the same, and their sampling variation
    isn't in it.
    """
    refits = series(results.refits, "model", metric)[1]
    whole = _noise_of_training([results], refits)
    noise = Noise(whole.variance + float(refits.var()) / max(1, refits.count()), whole.freedom)
    value = score_of(results, metric) - float(refits.mean())
    return with_margin(MeasuredDifference(value, noise, [], paired=True), noise.margin)


def measure(here: Results, base: Results, metric: str, part: Slice = WHOLE) -> MeasuredDifference:
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


def score_of(results: Results, metric: str, part: Slice = WHOLE, model: str = "model") -> float:
    """The score of a model, or of a slice of the rows; NaN where there is none."""
    if part != WHOLE:
        score = results.slices.get(part.column, {}).get(part.value, {}).get(metric)
    else:
        score = results.scores.get(model, {}).get(metric, {}).get("score")
    return score if is_score(score) else float("nan")
