"""Draws depend on the rows alone, units are drawn as a whole, and the draws' scores can't be solved for a few rows."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retrace import resamples
from retrace.examples import slices
from retrace.params import Block, Data
from retrace.resamples import (
    Draws,
    bootstrap,
    bootstrap_slices,
    fingerprint,
    fingerprints,
    half,
    join_at_random,
    pools_of_units,
    resample,
    units,
)
from retrace.table_files import write_table
from tests.conftest import ROLES

DATA = Data(**ROLES | {"source": "x", "read": {}, "target": "y", "task": "classification", "id": "id", "time": "at"})
GROUPED = DATA.model_copy(update={"group": "day"})


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": range(300),
            "day": [f"day {n // 10:02d}" for n in range(300)],
            "at": pd.date_range("2020-01-01", periods=300, freq="144min"),  # ten a day
            "x": rng.random(300),
            "y": rng.random(300) > 0.5,
        }
    )


def weights_of(draws: Draws) -> np.ndarray:
    """How often each row is in each resample, shape (resamples, rows)."""
    return np.stack(list(draws))


def by_id(table: pd.DataFrame, draws: np.ndarray) -> list[int]:
    return pd.Series(draws, index=table["id"]).sort_index().tolist()


@pytest.mark.parametrize("data", [DATA, GROUPED])
def test_draws_do_not_depend_on_the_order_or_the_other_columns(table: pd.DataFrame, data: Data):
    other = table.sample(frac=1, random_state=1).assign(x=0)
    few, more = bootstrap(table, data, 5), bootstrap(other, data, 9)
    for ours, theirs in zip(few, more, strict=False):
        assert by_id(table, ours) == by_id(other, theirs)
    assert by_id(table, half(table, data, 2).rows) == by_id(other, half(other, data, 2).rows)
    assert fingerprint(table, data) == fingerprint(other, data)


def test_rows_of_a_group_are_drawn_together(table: pd.DataFrame):
    for drawn in (*bootstrap(table, GROUPED, 5), half(table, GROUPED, 0).rows):
        spread = pd.Series(drawn.astype(int)).groupby(table["day"]).agg(["min", "max"])
        assert (spread["min"] == spread["max"]).all()


@pytest.mark.parametrize(("block", "count"), [("hour", 300), ("day", 30), ("week", 5), ("month", 1)])
def test_rows_of_a_calendar_block_are_a_unit(table: pd.DataFrame, block: Block, count: int):
    table.attrs["block"] = block
    found = units(table, DATA)
    assert found.max() + 1 == count
    names = table["at"].dt.strftime({"hour": "%d %m %H", "day": "%d %m", "week": "%G %V", "month": "%m"}[block])
    assert pd.Series(found).groupby(names).nunique().max() == 1


def test_blocks_are_drawn_as_the_groups_that_they_are(table: pd.DataFrame):
    blocks = table.copy()
    blocks.attrs["block"] = "day"
    np.testing.assert_array_equal(weights_of(bootstrap(blocks, DATA, 5)), weights_of(bootstrap(table, GROUPED, 5)))
    np.testing.assert_array_equal(half(blocks, DATA, 3).rows, half(table, GROUPED, 3).rows)


def test_a_resample_has_as_many_units_and_a_half_has_half_of_them(table: pd.DataFrame):
    found = bootstrap(table, DATA, 20)
    assert found.units == 30
    assert set(weights_of(found).sum(axis=1)) == {300}
    assert len({tuple(weights) for weights in found}) == 20
    drawn = half(table, DATA, 0)
    assert (drawn.rows.sum(), drawn.drawn, drawn.units) == (150, 150, 300)
    assert (drawn.rows != half(table, DATA, 1).rows).any()
    odd = half(table[table["day"] < "day 05"], GROUPED, 0)
    assert (odd.rows.sum(), odd.drawn, odd.units) == (30, 3, 5)


def test_each_class_is_in_each_half(table: pd.DataFrame):
    rare = table.assign(y=np.where(np.arange(300) == 7, "rare", "common"))
    assert all(
        rare.loc[half(rare, data, draw).rows, "y"].nunique() == 2 for data in (DATA, GROUPED) for draw in range(20)
    )


def test_classes_that_no_half_can_hold_are_one_line(table: pd.DataFrame):
    with pytest.raises(SystemExit, match="column y: in 1,000 random halves of train a class is missing; more groups"):
        half(table.assign(y=table["day"]), GROUPED, 0)


@pytest.mark.parametrize("sizes", [[1] * 88, [3] * 40, [50, 1, 1, 1, 40], [1, 2], [30] * 4])
def test_a_pool_has_ten_rows_and_whole_units(sizes: list[int]):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    pools = pools_of_units(codes)
    rows = np.bincount(pools)
    assert rows.min() >= 10 or len(rows) == 1
    assert pd.Series(pools).groupby(codes).nunique().max() == 1
    groups = join_at_random(np.array(sizes), salt="x")
    assert np.bincount(groups, sizes).min() >= 10 or groups.max() == 0
    if min(sizes) >= 10:
        assert pools.tolist() == codes.tolist()


def known(weights: np.ndarray) -> np.ndarray:
    """The projection onto what follows from sums with these weights, by row."""
    return np.linalg.pinv(weights.astype(float), rcond=1e-9) @ weights


def test_the_scores_of_resamples_cannot_be_solved_for_rows(table: pd.DataFrame):
    rows = table.iloc[:88]
    assert np.diag(known(weights_of(resample(units(rows, DATA), 500)))) == pytest.approx(1), "rows drawn alone can be"
    assert np.diag(known(weights_of(bootstrap(rows, DATA, 500)))).max() < 0.11


def revealed_by(table: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """The projection onto what follows from all that is written: each slice's sum, and the sums of all draws."""
    whole = bootstrap(table, GROUPED, 200)
    rows_of_slices = slices(table, columns, whole.pools)
    lines = [np.ones((1, len(table))), weights_of(whole)]
    for name, draws in bootstrap_slices(rows_of_slices, whole).items():
        weights = np.zeros((200, len(table)))
        weights[:, rows_of_slices[name]] = weights_of(draws)
        lines += [weights, rows_of_slices[name][None, :]]
    return known(np.vstack(lines))


def test_a_slice_reveals_nothing_of_the_few_rows_by_which_it_differs_from_whole_groups():
    table = pd.DataFrame({"id": range(2000), "day": np.arange(2000) // 50, "y": 0})
    table["place"] = np.where(table["id"] < 1002, "a", "b")
    few = np.isin(table["id"], [1000, 1001]).astype(float)
    assert few @ revealed_by(table, ["place"]) @ few / 2 < 0.9, "1 where their sum follows"


def test_a_slice_reveals_nothing_of_the_few_rows_that_it_lacks_of_each_group():
    """Two groups of forty rows, less the slice's rows of both, would be two rows."""
    table = pd.DataFrame({"id": range(4000), "day": np.arange(4000) // 40, "y": 0})
    lacking = np.arange(0, 4000, 40)
    table["flag"] = np.where(table["id"].isin(lacking), "yes", "no")
    found = revealed_by(table, ["flag"])[np.ix_(lacking, lacking)]
    assert np.diag(found).max() < 0.9
    pairs = (np.diag(found)[:, None] + np.diag(found) + 2 * found) / 2
    assert pairs[~np.eye(len(found), dtype=bool)].max() < 0.9


def test_the_scores_of_slices_cannot_be_solved_for_a_few_rows_either():
    rng = np.random.default_rng(0)
    carrier = rng.choice(["big", "middle", "small", "rare"], 900, p=[0.5, 0.35, 0.13, 0.02])
    table = pd.DataFrame({"id": range(900), "day": np.arange(900) // 30, "carrier": carrier, "y": 0})
    slices = {("carrier", name): carrier == name for name in ("big", "middle", "small")}
    for data in (DATA, GROUPED):
        whole = bootstrap(table, data, 200)
        parts = bootstrap_slices(slices, whole)
        lines = [weights_of(whole)]
        for name, rows in slices.items():
            line = np.zeros((200, 900), dtype=np.int16)
            line[:, rows] = weights_of(parts[name])
            lines.append(line)
        found = known(np.vstack(lines))
        few = [np.eye(900)[0]] + [((table["day"] == day) & (carrier == "rare")).to_numpy(float) for day in range(30)]
        few += [((table["day"] == day) & (carrier == "small")).to_numpy(float) for day in range(30)]
        shares = [piece @ found @ piece / piece.sum() for piece in few if 0 < piece.sum() < 10]
        assert len(shares) > 20
        assert max(shares) < 0.9, "1 where the sum of these few rows follows from what is written"


def test_a_slice_is_drawn_with_the_whole_where_that_reveals_nothing():
    table = pd.DataFrame({"id": range(800), "day": np.arange(800) // 40, "half": np.arange(800) % 2, "y": 0})
    slices = {("half", "0"): table["half"].to_numpy() == 0, ("few", "1"): np.arange(800) % 8 == 0}
    whole = bootstrap(table, GROUPED, 9)
    parts = bootstrap_slices(slices, whole)
    assert (parts["half", "0"].units, parts["few", "1"].units) == (20, 10), "5 rows a day: pools of two days"
    np.testing.assert_array_equal(weights_of(parts["half", "0"]), weights_of(whole)[:, slices["half", "0"]])
    days = table.loc[slices["few", "1"], "day"]
    assert pd.Series(weights_of(parts["few", "1"])[0]).groupby(days.to_numpy()).nunique().max() == 1


@pytest.mark.parametrize("change", [{"id": range(1, 301)}, {"day": 0}])
def test_the_fingerprint_changes_with_what_the_draws_depend_on(table: pd.DataFrame, change: dict[str, object]):
    assert fingerprint(table.assign(**change), GROUPED) != fingerprint(table, GROUPED)


def test_the_fingerprints_of_ids_and_of_targets_are_kept_apart(table: pd.DataFrame):
    before, other = fingerprints(table, GROUPED), fingerprints(table.assign(y=~table["y"]), GROUPED)
    assert (other["ids"] == before["ids"], other["targets"] == before["targets"]) == (True, False)
    assert fingerprint(table.assign(y=~table["y"]), GROUPED) == fingerprint(table, GROUPED)
    moved = fingerprints(table.assign(id=table["id"] + 1), GROUPED)
    assert (moved["ids"] == before["ids"], moved["targets"] == before["targets"]) == (False, False)
    assert fingerprints(table.assign(day=0), GROUPED) == before


def test_fingerprints_do_not_depend_on_the_order_or_the_types_of_the_columns(table: pd.DataFrame):
    table = table.assign(y=np.arange(300) // 100)
    for other in (table.sample(frac=1, random_state=1), table.astype({"id": "str", "y": "float64"})):
        assert fingerprint(other, GROUPED) == fingerprint(table, GROUPED)
        assert fingerprints(other, GROUPED) == fingerprints(table, GROUPED)


@pytest.mark.parametrize("rows", [300, 40, 7])
def test_fingerprints_do_not_depend_on_how_many_rows_are_hashed_at_once(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
):
    table = table.assign(id="flight " + table["id"].astype("str"))
    table.attrs["block"] = "day"
    write_table(table, tmp_path / "part.parquet")
    texts = sorted(f"{flight}\x1f{day:%Y-%m-%d}" for flight, day in zip(table["id"], table["at"], strict=True))
    expected = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    found = fingerprints(table, DATA)
    monkeypatch.setattr(resamples, "SAMPLED", 3)
    monkeypatch.setattr(resamples, "ROWS_SORTED_AT_ONCE", rows)
    monkeypatch.setattr(resamples, "ROWS_HASHED_AT_ONCE", rows // 2)
    for one in (table, tmp_path / "part.parquet"):
        assert fingerprint(one, DATA) == expected
        assert fingerprints(one, DATA) == found


def test_there_is_no_hash_of_a_private_target(table: pd.DataFrame):
    assert set(fingerprints(table, DATA.model_copy(update={"private": ["y"]}))) == {"ids"}


def test_the_order_of_rows_that_are_equal_but_for_their_target_is_no_other_definition_of_it():
    data = DATA.model_copy(update={"id": None})
    table = pd.DataFrame({"row_id": ["aa-0", "aa-1", "bb-0"], "y": [True, False, True]})
    assert fingerprints(table, data) == fingerprints(table.assign(y=[False, True, True]), data)
    assert fingerprints(table, data) != fingerprints(table.assign(y=[True, True, True]), data)
