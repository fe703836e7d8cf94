"""The verdicts are right where the truth is known: `python -m tests.calibrate` on a small scale.

These tests fail with intervals of half the width, without the sampling variation, without the training variation, with
rows that share their chance drawn one by one, and with each slice's interval computed for this slice alone.
"""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from retrace.differences import Difference, MeasuredDifference, Verdict, largest_t, verdict
from retrace.intervals import Noise
from retrace.review.results import SERIES, Results
from retrace.review.score_differences import gain_from_all_rows
from tests.calibrate import (
    Case,
    Way,
    covered,
    covered_at_once,
    expect,
    linear,
    right,
    shared_chance,
    sliced,
    telling_changes,
    too_low,
    trials,
)

SIZES = (300, 5_000)


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (-0.02, 0.01, "equivalent"),
        (0.001, 0.02, "equivalent"),
        (-0.02, 0.03, "can't tell"),
        (-0.03, 0.0, "can't tell"),
        (-math.inf, math.inf, "can't tell"),
        (0.001, 0.03, "better"),
        (0.05, 0.09, "better"),
        (-0.03, -0.001, "worse"),
        (0.0, 0.0, "the same"),
    ],
)
@pytest.mark.parametrize("metric", ["roc_auc", "log_loss"])
def test_a_verdict_follows_from_the_interval_of_the_gain(low: float, high: float, says: Verdict, metric: str):
    """Better, worse and equivalent are said only if the whole interval agrees; the least that matters is 0.02 here."""
    if metric == "log_loss":
        low, high = 0 - high, 0 - low
    value = 0.0 if math.isinf(low) else (low + high) / 2
    assert verdict(Difference(value, low, high, paired=True), metric, smallest=0.02) == says


def test_what_has_no_score_or_is_not_to_be_judged_gets_no_verdict():
    assert verdict(Difference(math.nan, math.nan, math.nan, paired=True), "roc_auc", 0) == "no score"
    assert verdict(Difference(0.1, 0.05, 0.15, paired=True), "calibration_error", 0) == "not judged"


@pytest.mark.parametrize(
    ("trials", "counted", "fails"),
    [("1,000", "91.3", True), ("1,000", "91.5", False), ("200", "89.3", True), ("200", "89.5", False)],
)
def test_calibrate_fails_where_an_interval_covers_the_truth_less_often_than_promised(
    trials: str, counted: str, fails: bool
):
    """93 of 100, less two standard errors of so many trials."""
    line = ["linear", "strong regularization", "roc_auc", "+0.00001", trials, "", counted, "99"]
    assert too_low([line]) == ([line] if fails else [])
    line[2] = "calibration_error"  # which isn't judged
    assert too_low([line]) == []


def of_slices(draws: np.ndarray, freedom: float) -> list[MeasuredDifference]:
    return [MeasuredDifference(0.0, Noise(1.0, freedom), [pd.Series(series)], paired=True) for series in draws]


def test_the_multiple_for_all_slices_is_that_of_the_largest_t():
    rng = np.random.default_rng(0)
    single = of_slices(rng.normal(size=(1, 2_000)), math.inf)
    assert largest_t(single) == pytest.approx(1.96, abs=0.03)
    assert largest_t(of_slices(rng.normal(size=(1, 2_000)), 9)) == pytest.approx(2.262, abs=0.04)
    assert largest_t(single * 10) == pytest.approx(1.96, abs=0.03), "ten times the same slice is one"
    apart = largest_t(of_slices(rng.normal(size=(10, 2_000)), math.inf))
    assert apart == pytest.approx(2.80, abs=0.03), "Šidák's for ten that are independent"
    alike = largest_t(of_slices(rng.normal(size=(10, 2_000)) + 2 * rng.normal(size=2_000), math.inf))
    assert 2.2 < alike < apart - 0.2
    assert largest_t(single) == largest_t(single)
    assert largest_t([]) == 0


@pytest.mark.slow
def test_the_interval_covers_the_truth():
    base, regularized = Way(linear("regression")), Way(linear("regression", strength=0.003))
    case = Case("regression", base, {"strong regularization": regularized}, ("r2", "rmse"), SIZES, resamples=100)
    coverage = covered(trials(case, count=60), expect(case, fits=100))
    assert coverage.min(axis=None) >= 90, coverage


@pytest.mark.slow
@pytest.mark.parametrize(("units", "count"), [("groups", 5), ("days", 10)])
def test_the_interval_covers_the_truth_where_few_units_share_their_chance(units: str, count: int):
    case = shared_chance(units, count)._replace(sizes=(1_000,), metrics=("log_loss",), resamples=100, refits=5)
    coverage = covered(trials(case, count=60), expect(case, fits=60))
    assert coverage.min(axis=None) >= 90, coverage


@pytest.mark.slow
def test_the_intervals_of_all_slices_cover_their_truths_at_once():
    case = sliced("days", 30)._replace(resamples=100, refits=5)
    found = trials(case, count=40, sliced=True)
    assert found.groupby(["trial", "way"]).size().min() >= 7
    assert covered_at_once(found, expect(case, fits=60, sliced=True)) >= 90


@pytest.fixture(scope="module")
def verdicts() -> pd.DataFrame:
    return right(trials(telling_changes(iterations=40)._replace(resamples=100, sizes=SIZES[1:]), count=4))


@pytest.mark.parametrize(
    "change", ["another seed: can't tell", "a twentieth of the iterations: worse", "a useful feature: better"]
)
def test_the_verdict_is_right(verdicts: pd.DataFrame, change: str):
    found = verdicts.loc[change]
    assert found.min(axis=None) >= 75, found


def test_what_the_other_half_of_the_rows_brings_has_the_variation_of_the_fit_and_of_the_mean_of_the_refits():
    refits = pd.DataFrame([[0.70, 0.72, 0.71, 0.73, 0.69]])
    refits.index = pd.MultiIndex.from_tuples([("rows", "model", "", "", "roc_auc")], names=SERIES)
    here = Results({"model": {"roc_auc": {"score": 0.75}}}, {}, refits.iloc[:0], refits)
    found = gain_from_all_rows(here, "roc_auc")
    assert found.value == pytest.approx(0.04)
    deviation = math.sqrt(refits.loc[:, :].to_numpy().var(ddof=1) * (1 + 1 / 5))
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 4) * deviation)
    assert math.isnan(gain_from_all_rows(here, "brier").value)
