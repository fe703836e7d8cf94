"""How far columns have moved: no further than samples of one population do, or as far as they have."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrace.markdown import bars
from retrace.review.drift import Drift, measure_drift, rank_drifts
from src.stages.describe import describe

RNG = np.random.default_rng(1)


def moved(base: pd.Series, here: pd.Series, private: tuple[bool, bool] = (False, False)) -> Drift:
    sides = describe([base], private[0]), describe([here], private[1])
    return measure_drift("x", sides, (len(base), len(here)))


@pytest.mark.parametrize("values", [RNG.normal(size=2000), RNG.choice(list("abc"), 2000), RNG.random(2000) < 0.3])
def test_samples_of_one_population_differ_no_more_than_by_chance(values: np.ndarray):
    base, here = pd.Series(values[:1000]), pd.Series(values[1000:])
    drift = moved(base, here)
    assert 0 < drift.distance < drift.by_chance
    assert moved(base, base).distance == 0


def test_chance_exceeds_the_bound_in_one_of_twenty_samples():
    pairs = [(pd.Series(RNG.normal(size=300)), pd.Series(RNG.normal(size=500))) for _ in range(200)]
    flagged = sum(moved(*pair).exceeds_chance for pair in pairs)
    assert flagged <= 20


@pytest.mark.parametrize("most", [30, 100])
def test_rare_values_do_not_look_like_a_move(most: int):
    """They are counted together, and which they are depends on chance."""
    pairs = [[pd.Series(RNG.integers(0, most, 400).astype(str)) for _ in range(2)] for _ in range(100)]
    flagged = sum(moved(*pair).exceeds_chance for pair in pairs)
    assert flagged <= 12


@pytest.mark.parametrize(
    ("base", "here", "distance"),
    [
        (pd.Series(["a"] * 500 + ["b"] * 500), pd.Series(["a"] * 800 + ["b"] * 200), 0.3),
        (pd.Series(["a"] * 1000), pd.Series(["b"] * 1000), 1),
        (pd.Series([1.0] * 1000), pd.Series([1.0] * 600 + [np.nan] * 400), 0.4),
        (pd.Series([1.0] * 1000), pd.Series([9.0] * 1000), 1),
        (pd.Series(np.arange(1000.0)), pd.Series(np.arange(1000.0) + 500), 0.5),
    ],
)
def test_the_distance_is_the_share_of_rows_with_other_values(base: pd.Series, here: pd.Series, distance: float):
    assert moved(base, here).distance == pytest.approx(distance, abs=0.05)
    assert moved(here, base).distance == pytest.approx(distance, abs=0.05)


@pytest.mark.parametrize("private", [(True, True), (False, True), (True, False)])
def test_of_a_private_column_only_what_is_missing_is_compared(private: tuple[bool, bool]):
    drift = moved(pd.Series(["a"] * 100), pd.Series(["b"] * 50 + [None] * 50), private)
    assert drift.distance == 0.5
    assert len(drift.base) == 2


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=60), st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=60)
)
def test_distances_are_shares(base: list[float], here: list[float]):
    drift = moved(pd.Series(base), pd.Series(here))
    assert -1e-9 <= drift.distance <= 1 + 1e-9
    assert drift.base.sum() == pytest.approx(1)
    assert drift.here.sum() == pytest.approx(1)
    assert len(bars(drift.here, 1)) == min(len(drift.here), 24)


def test_columns_are_ranked_by_their_excess_over_chance():
    table = pd.DataFrame({"same": RNG.normal(size=500), "far": RNG.normal(size=500)})
    sides = [
        {"rows": len(side), "columns": {name: describe([side[name]], False) for name in side}}
        for side in (table, table.assign(far=table["far"] + 2))
    ]
    assert [drift.column for drift in rank_drifts(*sides)] == ["far", "same"]
    assert rank_drifts(sides[0], {"rows": 1, "columns": {}}) == []


def test_a_value_that_is_shown_from_one_row_more_on_has_not_moved():
    base, here = pd.Series(["a"] * 190 + ["b"] * 10), pd.Series(["a"] * 191 + ["b"] * 9)
    assert moved(base, here).distance < 0.01
    assert moved(here, base).distance < 0.01
