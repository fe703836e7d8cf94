"""Scores depend on the order of the units alone, and are independent with mean 0 as long as any order is as likely."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import hypergeom, norm

from retrace.monitoring.exchangeability import (
    LARGEST_SCORE,
    Days,
    Rows,
    expected_normal_scores,
    sequential_scores,
    variance_growth,
)

HALF_NORMAL_MEAN = np.sqrt(2 / np.pi)
NUMBERS = st.lists(st.integers(-5, 5), min_size=1, max_size=40)


def days(means: NDArray[np.float64], rows: int = 100, row_variance: float = 0.0) -> Days:
    return Days(means, np.full(len(means), rows), row_variance)


def ranked(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores of the ranks of values, all of which are the reference."""
    return sequential_scores(values, len(values))


def similar_days(count: int, correlation: float, share: float, seed: int) -> NDArray[np.float64]:
    """Days that are similar to the day before in a share of their variance; the rest is independent."""
    rng = np.random.default_rng(seed)
    slow = lfilter([np.sqrt(1 - correlation**2)], [1, -correlation], rng.normal(size=count + 200))[200:]
    return np.sqrt(share) * slow + np.sqrt(1 - share) * rng.normal(size=count)


def test_the_score_is_the_mean_of_the_normal_distribution_between_the_quantiles_of_the_rank():
    first, lower, higher = ranked(np.array([5.0, 3.0, 4.0]))
    assert first == 0  # it's alone: any rank of one
    assert lower == pytest.approx(-HALF_NORMAL_MEAN)  # the lower half
    assert higher == pytest.approx(0)  # the middle third


@given(NUMBERS)
def test_scores_depend_on_the_order_alone(numbers: list[int]):
    values = np.array(numbers, dtype=float)
    assert (ranked(values) == ranked(values**3 * 7 + 1)).all()
    assert ranked(-values) == pytest.approx(-ranked(values))


@pytest.mark.parametrize("units", [[1, 2, 3, 4, 5], [1, 1, 2, 3, 3], [0, 0, 0, 0, 1]])
def test_if_any_order_is_as_likely_scores_have_mean_0_and_are_uncorrelated(units: list[int]):
    scores = np.array([ranked(np.array(order, dtype=float)) for order in permutations(units)])
    assert scores.mean(axis=0) == pytest.approx(0, abs=1e-12)
    products = scores.T @ scores / len(scores)
    assert products - np.diag(np.diag(products)) == pytest.approx(0, abs=1e-12)
    assert (np.diag(products) <= 1).all()


def test_what_never_varies_has_the_score_0():
    assert (ranked(np.zeros(20)) == 0).all()
    assert (days(np.full(20, 0.3)).normal_scores(days(np.full(10, 0.3))).scores == 0).all()
    counts = np.array([[30, 0], [20, 0]])
    assert (Rows(counts, np.array([0.0, 1.0])).normal_scores(Rows(counts, np.array([0.0, 1.0]))).scores == 0).all()


@given(st.floats(0, 1), st.floats(0, 1))
def test_scores_are_finite_however_rare_an_observation_is(below: float, part: float):
    at = (1 - below) * part
    (score,) = expected_normal_scores(np.array([below]), np.array([at]), np.array([1 - below - at]))
    assert abs(score) <= LARGEST_SCORE


def test_a_day_of_few_rows_is_not_unusual_because_its_mean_varies_more():
    rng = np.random.default_rng(1)
    reference = Days(rng.normal(size=200) / np.sqrt(400), np.full(200, 400), row_variance=1.0)
    few_rows = Days(rng.normal(size=300) / np.sqrt(25), np.full(300, 25), row_variance=1.0)
    assert few_rows.normal_scores(reference).scores.std() == pytest.approx(1, abs=0.1)


def test_the_means_of_days_that_vary_by_themselves_are_compared_as_they_are():
    rng = np.random.default_rng(2)
    means, rows = rng.normal(size=150), rng.integers(50, 500, 150)
    found = Days(means[100:], rows[100:], 1e-9).normal_scores(Days(means[:100], rows[:100], 1e-9))
    inside = (means[:100].min() < means[100:]) & (means[100:] < means[:100].max())
    assert inside.sum() >= 45
    assert found.scores[inside] == pytest.approx(ranked(means)[100:][inside])


def test_a_day_without_rows_has_no_score_and_changes_no_other():
    means = np.random.default_rng(3).normal(size=60)
    without = days(means[30:]).normal_scores(days(means[:30]))
    rows = np.full(61, 100)
    rows[40] = 0
    with_empty = Days(np.insert(means, 40, np.nan), rows, 0.0)
    found = with_empty.take(slice(30, None)).normal_scores(with_empty.take(slice(30)))
    assert (found.scores[10], found.units[10]) == (0, 0)
    for name in ("scores", "earlier", "units", "variance_growth"):
        assert np.delete(getattr(found, name), 10, axis=0) == pytest.approx(getattr(without, name)), name


def test_each_day_is_compared_with_all_days_before_it():
    found = days(np.arange(5.0)).normal_scores(days(np.arange(10.0)))
    assert found.earlier.tolist() == [10, 11, 12, 13, 14]
    assert found.units.tolist() == [1] * 5


def test_beyond_the_range_of_the_reference_a_score_says_how_far():
    rng = np.random.default_rng(11)
    reference = days(rng.normal(size=100))
    highest = reference.means.max()
    near, far, further = (
        days(np.array([highest * factor])).normal_scores(reference).scores[0] for factor in (1.01, 3, 30)
    )
    assert near < far < further - 0.5
    assert days(np.array([-30 * highest])).normal_scores(reference).scores[0] < -further + 1


def test_a_day_twice_as_far_beyond_the_reference_is_half_as_likely():
    reference = days(np.random.default_rng(11).normal(size=100))
    distances = np.array([10.0, 20.0])
    scores = [days(np.array([distance])).normal_scores(reference).scores[0] for distance in distances]
    assert norm.sf(scores[1]) == pytest.approx(norm.sf(scores[0]) / 2, rel=0.02)


def test_a_day_far_beyond_the_reference_does_not_make_the_next_one_usual():
    reference = days(np.random.default_rng(12).normal(size=100))
    scores = days(np.full(5, 50.0)).normal_scores(reference).scores
    assert (scores > 2.8).all()


@pytest.mark.parametrize("tail", ["normal", "t with 2 degrees of freedom"])
def test_scores_beyond_the_reference_keep_the_promise_if_the_tail_is_heavy(tail: str):
    """The expected evidence of one day, for shifts of its score, is at most 1."""
    rng = np.random.default_rng(13)
    scores = []
    for _ in range(4_000):
        means = rng.normal(size=60) if tail == "normal" else rng.standard_t(2, size=60)
        scores.append(days(means[50:]).normal_scores(days(means[:50])).scores)
    for shift in (-2, -1, 1, 2):
        assert np.exp(shift * np.array(scores) - shift**2 / 2).mean() < 1.05, shift


def test_the_first_missing_value_of_a_column_is_less_unusual_than_a_column_that_is_missing():
    reference = days(np.zeros(100))
    one_row, all_rows = (days(np.array([share])).normal_scores(reference).scores[0] for share in (0.01, 1.0))
    assert 2 < one_row < all_rows - 1


def test_the_growth_of_variance_from_a_day_on_is_estimated_from_the_days_before_it():
    means = similar_days(60, 0.7, 1, seed=9)
    other = means.copy()
    other[50] = 9.0
    found, changed = (days(each[40:]).normal_scores(days(each[:40])).variance_growth[:, -1] for each in (means, other))
    assert (found[:11] == changed[:11]).all()
    assert (found[11:] != changed[11:]).all()


@pytest.mark.parametrize(
    ("pool", "with_property", "drawn"),
    [(1_000, 3, 20), (1_000, 50, 20), (1_000, 10, 200), (1_000, 500, 1_000), (100_000, 100, 3_000), (1_000, 990, 20)],
)
def test_scores_of_shares_keep_the_promise_however_rare_the_property(pool: int, with_property: int, drawn: int):
    """For each shift, the expected evidence is at most 1; the distribution of the shares is known exactly."""
    rows = pool + drawn
    shares = np.arange(max(0, drawn - rows + with_property), min(drawn, with_property) + 1)
    statistic = np.array([0.0, 1.0])
    scores = []
    for found in shares:
        before = Rows(np.array([[pool - with_property + found, with_property - found]]), statistic)
        scores.append(Rows(np.array([[drawn - found, found]]), statistic).normal_scores(before).scores[0])
    probability = hypergeom.pmf(shares, rows, with_property, drawn)
    for shift in (-3, -2, -1, 1, 2, 3):
        assert probability @ np.exp(shift * np.array(scores) - shift**2 / 2) <= 1.03, shift
    assert probability @ np.array(scores) == pytest.approx(0, abs=0.05)


def test_scores_of_sums_have_mean_0_and_variance_1():
    rng = np.random.default_rng(4)
    shares = np.array([0.9, 0.05, 0.03, 0.02])
    counts = rng.multinomial(100, shares, size=3_000)
    statistic = np.array([0.0, 1.0, 3.0, 10.0])
    found = Rows(counts, statistic).normal_scores(Rows(rng.multinomial(5_000, shares, size=1), statistic))
    assert found.scores.mean() == pytest.approx(0, abs=0.05)
    assert found.scores.std() == pytest.approx(1, abs=0.05)
    assert np.corrcoef(found.scores[1:], found.scores[:-1])[0, 1] == pytest.approx(0, abs=0.05)
    assert found.earlier[:2].tolist() == [5_000, 5_100]


def test_scores_of_sums_allow_for_a_day_that_has_most_of_all_rows():
    rng = np.random.default_rng(10)
    statistic, all_rows = np.array([0.0, 1.0, 2.0]), np.array([300, 200, 100])
    drawn = rng.multivariate_hypergeometric(all_rows, 500, size=2_000)
    found = [Rows(day[None], statistic).normal_scores(Rows(all_rows - day[None], statistic)).scores[0] for day in drawn]
    assert np.std(found) == pytest.approx(1, abs=0.05)


def test_rows_in_a_bin_without_a_value_do_not_count():
    counts, before = np.array([[5, 7, 1], [9, 4, 30]]), np.array([[50, 40, 80]])
    statistic = np.array([0.0, 1.0, np.nan])
    found = Rows(counts, statistic).normal_scores(Rows(before, statistic))
    without = Rows(counts[:, :2], statistic[:2]).normal_scores(Rows(before[:, :2], statistic[:2]))
    assert (found.scores == without.scores).all()
    assert found.units.tolist() == [12, 13]
    assert Rows(counts, statistic).mean() == 11 / 25


def test_the_variance_of_a_sum_of_independent_units_grows_by_hardly_more_than_1():
    growth = variance_growth(ranked(similar_days(300, 0, 1, seed=5)))[-1]
    assert (growth >= 1).all()
    assert (growth < 1.5).all()


def test_the_variance_of_a_sum_grows_by_1_with_its_first_day_and_by_more_with_later_days():
    growth = variance_growth(ranked(similar_days(3_000, 0.6, 1, seed=5)))[-1]
    assert growth[:4] == pytest.approx([1, 2.2, 2.92, 3.35], rel=0.1)  # 1 + 2 * (0.6 + 0.6**2 + ...)


@pytest.mark.parametrize(("correlation", "share", "ratio"), [(0.6, 1, 4), (0.8, 0.5, 5), (0.7, 0.3, 2.4)])
def test_the_growth_of_variance_is_seldom_too_low_if_days_are_similar_to_the_days_before(
    correlation: float, share: float, ratio: float
):
    """Days with correlations of share · correlation ** lag: the sum of many varies `ratio` times as much."""
    assert ratio == pytest.approx(1 + 2 * share * correlation / (1 - correlation), rel=0.05)
    found = [variance_growth(ranked(similar_days(300, correlation, share, seed)))[-1, -1] for seed in range(40)]
    assert np.median(found) > 0.75 * ratio
    assert np.median(found) < 1.6 * ratio


@given(NUMBERS)
def test_the_growth_of_variance_is_finite_and_at_least_1(numbers: list[int]):
    growth = variance_growth(np.array(numbers, dtype=float))
    assert np.isfinite(growth).all()
    assert (growth >= 1).all()


@pytest.mark.parametrize("unit", ["days", "rows"])
def test_without_a_change_the_mean_stays_between_the_bounds_95_times_in_100(unit: str):
    rng = np.random.default_rng(6)
    inside = 0
    for _ in range(500):
        if unit == "days":
            shift = days(rng.normal(size=15)).shift(days(rng.normal(size=60)))
        else:
            counts = rng.multinomial(200, [0.5, 0.3, 0.2], size=5)
            statistic = np.array([0.0, 1.0, 2.0])
            shift = Rows(counts[:2], statistic).shift(Rows(counts[2:], statistic))
        inside += shift.low <= shift.now <= shift.high
    assert 0.92 < inside / 500 <= 1
