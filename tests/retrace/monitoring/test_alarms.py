"""Without a change alarms are as rare as promised; a change raises one that says what moved, since when and how far."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import norm

from retrace.monitoring.alarms import SHIFT, find_alarms, log_evidence, log_evidence_by_start, share_level
from retrace.monitoring.exchangeability import LONGEST_LAG, Days, NormalScores, Rows

LEVEL = 0.001
NAMES = st.lists(st.text(), max_size=4)


def days(means: NDArray[np.float64]) -> Days:
    return Days(means, np.full(len(means), 100), 0.0)


def normal_days(count: int, *seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=count)


def changed(first: int, last: int, size: float, seed: int = 1) -> tuple[dict[str, Days], dict[str, Days]]:
    """A reference of 200 days, and 200 days that are watched, whose mean is higher on some of them."""
    means = normal_days(400, seed)
    means[200 + first : 200 + last] += size
    other = days(normal_days(400, 2, seed))
    both = {"mean": days(means), "other": other}
    before = {name: units.take(slice(200)) for name, units in both.items()}
    return before, {name: units.take(slice(200, None)) for name, units in both.items()}


@given(st.floats(0.001, 0.5), st.dictionaries(st.text(), NAMES))
def test_the_levels_of_all_series_add_up_to_the_promise(false_alarms: float, groups: dict[str, list[str]]):
    unique = {group: [f"{group} {number}" for number in range(len(names))] for group, names in groups.items()}
    levels = share_level(false_alarms, unique)
    assert set(levels) == {name for names in unique.values() for name in names}
    assert not levels or sum(levels.values()) == pytest.approx(false_alarms)


def test_each_group_has_the_same_share():
    levels = share_level(0.12, {"performance": ["loss"], "columns": ["a", "b", "c"], "slices": []})
    assert levels == pytest.approx({"loss": 0.06, "a": 0.02, "b": 0.02, "c": 0.02})


def independent(days: int) -> NDArray[np.float64]:
    """The growth of the variance of sums of independent units."""
    return np.ones((days, LONGEST_LAG + 1))


def test_the_evidence_is_the_likelihood_of_all_shifts_weighted_by_a_normal_distribution():
    rng = np.random.default_rng(3)
    units = np.array([5.0, 7.0, 4.0])
    earlier = 20 + np.append(0, np.cumsum(units)[:-1])
    scores = NormalScores(rng.normal(size=3) + 1, earlier, units, independent(3))

    def likelihood(shift: float, start: int) -> float:
        share = earlier[start] / earlier[start:]  # of the pool that is from before the change
        means = shift * share * np.sqrt(units[start:] * earlier[start:] / (units[start:] + earlier[start:]))
        ratio = norm.pdf(scores.scores[start:] - means) / norm.pdf(scores.scores[start:])
        return float(np.prod(ratio) * norm.pdf(shift, scale=SHIFT / math.sqrt(units[start])))

    found = log_evidence_by_start(scores)
    for start in range(3):
        assert np.exp(found[start, -1]) == pytest.approx(quad(likelihood, -20, 20, args=(start,))[0])
    assert (found[np.tril_indices(3, -1)] == -np.inf).all()


def test_the_evidence_of_a_year_is_the_mean_over_its_days_and_the_first_day_has_half_of_the_weight():
    by_start = np.log(np.array([[2.0, 6.0], [0.0, 4.0]]) + 1e-300)
    expected = [2 / 2 + (2 + 9) / 10 / 2, 6 / 2 + (6 + 4 + 8) / 10 / 2]
    assert np.exp(log_evidence(by_start, 10)) == pytest.approx(expected)


def test_without_a_change_the_expected_evidence_is_1():
    """The integral over the scores of two days, because a mean over random scores hardly converges."""
    grid = np.arange(-30.0, 31)
    expected = 0.0
    for first, second in product(grid, grid):
        scores = NormalScores(np.array([first, second]), np.array([30.0, 31]), np.ones(2), independent(2))
        log_likelihood = norm.logpdf(scores.scores).sum()
        expected += np.exp(log_evidence(log_evidence_by_start(scores), 10)[-1] + log_likelihood)
    assert expected == pytest.approx(1, abs=0.01)


def test_similar_days_are_weaker_evidence():
    scores = np.full(10, 1.5)
    found = [
        log_evidence_by_start(NormalScores(scores, np.arange(30, 40.0), np.ones(10), growth * independent(10)))[0, -1]
        for growth in (1.0, 2.0, 10.0)
    ]
    assert found[0] > found[1] > found[2]


def test_false_alarms_are_as_rare_as_the_level_says():
    level, years = 0.2, 300
    found = [
        find_alarms({"mean": days(normal_days(50, 5, year))}, {"mean": days(normal_days(100, 6, year))}, level, 100)
        for year in range(years)
    ]
    assert sum(map(bool, found)) / years <= level


def test_an_alarm_says_what_moved_since_when_and_how_far():
    (alarm,) = find_alarms(*changed(80, 200, size=3), LEVEL)
    assert alarm.statistic == "mean"
    assert alarm.since in range(77, 84)
    assert alarm.raised in range(82, 95)
    assert alarm.over is None
    assert alarm.shift.before == pytest.approx(0, abs=0.3)
    assert alarm.shift.now == pytest.approx(3, abs=1)
    assert alarm.shift.low < alarm.shift.before < alarm.shift.high < alarm.shift.now


def test_an_alarm_is_raised_on_the_first_day_whose_evidence_reaches_the_inverse_of_the_level():
    before, watched = changed(80, 200, size=1.5)
    before, watched = {"mean": before["mean"]}, {"mean": watched["mean"]}
    evidence = log_evidence(log_evidence_by_start(watched["mean"].normal_scores(before["mean"])), 365)
    (alarm,) = find_alarms(before, watched, LEVEL)
    assert alarm.raised == np.flatnonzero(evidence >= np.log(1 / LEVEL))[0]


def test_the_evidence_of_a_series_is_the_mean_of_that_of_its_statistics():
    """With 99 statistics that never vary, it takes a hundred times as much evidence."""
    before, watched = changed(80, 200, size=1.5)
    before, watched = {"mean": before["mean"]}, {"mean": watched["mean"]}
    constant = {f"constant {number}": days(np.zeros(200)) for number in range(99)}
    (alarm,) = find_alarms(before | constant, watched | constant, LEVEL)
    (alone,) = find_alarms(before, watched, LEVEL / 100)
    assert alarm.statistic == "mean"
    assert abs(alarm.raised - alone.raised) <= 1


def test_one_extreme_day_is_no_alarm_and_some_are():
    """However extreme it is, a day may be one of a kind that is rare, and that the reference happens to lack."""
    watched = np.zeros(60)
    watched[30] = 0.5
    reference = {"missing": days(np.zeros(100))}
    assert find_alarms(reference, {"missing": days(watched)}, LEVEL) == []
    watched[31:33] = 0.5
    (alarm,) = find_alarms(reference, {"missing": days(watched)}, LEVEL)
    assert alarm.since == 30
    assert alarm.raised <= 32


def test_a_change_downwards_is_seen_too():
    (alarm,) = find_alarms(*changed(80, 200, size=-3), LEVEL)
    assert alarm.shift.now < alarm.shift.low


def test_an_alarm_is_over_when_the_days_are_as_before_the_change():
    (alarm,) = find_alarms(*changed(60, 100, size=3), LEVEL)
    assert alarm.raised < 100
    assert alarm.over in range(102, 130)


def test_a_second_change_raises_a_second_alarm():
    before, watched = changed(40, 60, size=4)
    watched["mean"].means[140:] -= 4
    first, second = find_alarms(before, watched, LEVEL)
    assert first.over is not None
    assert second.since in range(137, 144)
    assert second.shift.now < second.shift.low


def test_later_days_are_not_compared_with_the_days_of_an_alarm():
    """What was unusual doesn't become usual: after the alarm, the same change is seen as well as at first."""
    before, watched = changed(20, 80, size=4)
    watched["mean"].means[150:] += 4
    first, second = find_alarms(before, watched, LEVEL)
    assert second.shift.before == pytest.approx(0, abs=0.2)
    assert second.raised - second.since <= first.raised - first.since + 2


@pytest.mark.parametrize("seed", range(5))
def test_an_alarm_stays_as_it_was_when_more_days_are_watched(seed: int):
    before, watched = changed(50, 120, size=2.5, seed=seed)
    alarms = find_alarms(before, watched, LEVEL)
    assert alarms
    for count in range(10, 200, 10):
        first_days = {name: units.take(slice(count)) for name, units in watched.items()}
        known = [
            alarm._replace(over=alarm.over if alarm.over is not None and alarm.over < count else None)
            for alarm in alarms
            if alarm.raised < count
        ]
        assert find_alarms(before, first_days, LEVEL) == known


def test_a_year_without_alarms_is_reference_for_the_next_year():
    before, watched = changed(130, 200, size=3)
    (alarm,) = find_alarms(before, watched, LEVEL, days_per_year=100)
    first_year = {name: units.take(slice(100)) for name, units in watched.items()}
    second_year = {name: units.take(slice(100, None)) for name, units in watched.items()}
    longer = {name: before[name].append(first_year[name]) for name in before}
    (same,) = find_alarms(longer, second_year, LEVEL, days_per_year=100)
    assert (alarm.since, alarm.raised) == (same.since + 100, same.raised + 100)


def test_what_never_varies_raises_no_alarm():
    assert find_alarms({"mean": days(np.zeros(30))}, {"mean": days(np.zeros(300))}, level=0.9) == []


def test_rows_as_units_raise_an_alarm_on_the_day_of_a_large_change():
    rng = np.random.default_rng(7)
    reference, counts = rng.multinomial(10_000, [0.9, 0.1], size=1), rng.multinomial(1_000, [0.9, 0.1], size=100)
    counts[40:] = rng.multinomial(1_000, [0.7, 0.3], size=60)
    statistic = np.array([0.0, 1.0])
    (alarm,) = find_alarms({"share": Rows(reference, statistic)}, {"share": Rows(counts, statistic)}, LEVEL)
    assert (alarm.since, alarm.raised, alarm.over) == (40, 40, None)
    assert alarm.shift.now == pytest.approx(0.3, abs=0.05)


def test_days_without_rows_raise_no_alarm():
    rng = np.random.default_rng(8)
    counts = rng.multinomial(1_000, [0.9, 0.1], size=100)
    counts[::3] = 0
    statistic = np.array([0.0, 1.0])
    reference = Rows(rng.multinomial(10_000, [0.9, 0.1], size=1), statistic)
    assert find_alarms({"share": reference}, {"share": Rows(counts, statistic)}, LEVEL) == []
