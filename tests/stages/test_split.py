"""Parts share no row, keep order in time, and stay what they were when rows are added."""

import hashlib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrace.params import Data, SplitByShare, SplitByTime
from retrace.parts import Summary, places, purged, split
from retrace.table_files import read_table, write_table
from src.stages.split import FOLDER, PREPARED, main, shared_groups_warning
from tests.conftest import ROLES

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "id": [f"row {n}" for n in range(1000)],
        "when": pd.date_range("2020-01-01", periods=1000, freq="h"),
        "house": RNG.integers(0, 50, 1000),
        "x": RNG.random(1000),
        "y": RNG.random(1000) > 0.5,
    }
)
RANDOM = SplitByShare(by="random", valid=0.2, test=0.1, seed=3)
GROUP = SplitByShare(by="group", valid=0.2, test=0.2, seed=3)
TIME = SplitByTime(by="time", valid_from="2020-01-20", test_from="2020-02-01", block=None, purge=False)


def moments(valid_from: object, test_from: object) -> SplitByTime:
    return SplitByTime(by="time", valid_from=valid_from, test_from=test_from, block=None, purge=False)


def data(**roles: Any) -> Data:
    given = {"source": "x", "read": {}, "target": "y", "task": "classification", "id": "id"}
    return Data(**ROLES | given | {"time": "when", "group": "house"} | roles)


@pytest.mark.parametrize("how", [RANDOM, GROUP, TIME])
def test_every_row_is_in_one_part(how: SplitByShare | SplitByTime):
    parts = split(TABLE, data(), how)
    assert list(parts) == ["train", "valid", "test"]
    assert sorted(pd.concat(parts.values())["id"]) == sorted(TABLE["id"])


def test_time_goes_forward_and_a_moment_belongs_to_the_later_part():
    parts = split(TABLE, data(), TIME)
    assert parts["train"]["when"].max() < TIME.valid_from == parts["valid"]["when"].min()
    assert parts["valid"]["when"].max() < TIME.test_from == parts["test"]["when"].min()


def test_numbers_split_as_time_too():
    years = TABLE.assign(when=np.arange(1000) / 10)
    parts = split(years, data(), TIME.model_copy(update={"valid_from": 50.0, "test_from": 80.0}))
    assert [len(part) for part in parts.values()] == [500, 300, 200]


def test_a_part_that_is_scored_has_ten_rows():
    hours = pd.Timestamp("2020-01-20") + pd.to_timedelta([9, 10], unit="h")
    with pytest.raises(SystemExit, match="split: the part valid has 9 rows, and 10 are the least; see split"):
        split(TABLE, data(group=None), moments("2020-01-20", hours[0]))
    assert len(split(TABLE, data(group=None), moments("2020-01-20", hours[1]))["valid"]) == 10


def warning_of(parts: dict[str, pd.DataFrame]) -> str:
    summaries = {name: Summary().add(rows, data()) for name, rows in parts.items()}
    return shared_groups_warning(summaries, Summary().add(purged(parts, data()), data()), data())


def test_groups_on_both_sides_are_warned_of_or_removed_from_train():
    parts = split(TABLE, data(), TIME)
    told = warning_of(parts)
    assert told.startswith("50 of 50 groups (column house) are in train and in a later part")
    assert told.endswith("split.purge: true would leave too few rows in train; a split by group keeps groups apart")

    moving = TABLE.assign(house=np.where(TABLE["when"] < "2020-01-15", TABLE["house"], 100 + TABLE["house"]))
    left = split(moving, data(), TIME.model_copy(update={"purge": True}))
    leaves = f"removes their rows from train, which leaves {len(left['train'])} of {len(parts['train'])}"
    assert warning_of(split(moving, data(), TIME)).endswith(leaves)
    assert set(left["train"]["house"]) == set(range(50))
    assert left["train"]["when"].max() < pd.Timestamp("2020-01-15")
    assert [len(left[name]) for name in ("valid", "test")] == [len(parts[name]) for name in ("valid", "test")]
    with pytest.raises(SystemExit, match="the part train has no rows"):
        split(TABLE, data(), TIME.model_copy(update={"purge": True}))


def test_the_parts_say_which_blocks_of_time_they_are_drawn_in():
    parts = split(TABLE, data(group=None), TIME.model_copy(update={"block": "day"}))
    assert [part.attrs["block"] for part in parts.values()] == ["day"] * 3
    with pytest.raises(SystemExit, match="split: train has 3 weeks to draw from, and 5 are the least"):
        split(TABLE, data(group=None), TIME.model_copy(update={"block": "week"}))


def test_groups_are_never_cut():
    houses = [set(part["house"]) for part in split(TABLE, data(), GROUP).values()]
    assert sum(len(part) for part in houses) == TABLE["house"].nunique()


@pytest.mark.parametrize("how", [RANDOM, GROUP])
def test_a_row_stays_in_its_part_when_others_are_added_or_moved(how: SplitByShare):
    some = TABLE.sample(600, random_state=1)
    for name, part in split(some, data(), how).items():
        assert set(part["id"]) <= set(split(TABLE, data(), how)[name]["id"])


@pytest.mark.parametrize("how", [RANDOM, GROUP])
def test_a_row_stays_in_its_part_when_a_column_gets_another_type(how: SplitByShare):
    table = TABLE.assign(id=range(1000))
    parts = split(table, data(), how)
    for type_ in ("float64", "str"):
        other = split(table.astype({"id": type_, "house": type_}), data(), how)
        assert [part["x"].tolist() for part in other.values()] == [part["x"].tolist() for part in parts.values()]


def test_a_place_is_a_hash_that_no_version_of_a_package_changes():
    found = places(pd.Series(["row 1", "row 2", "row 1"]), seed=3)
    digest = hashlib.sha256(b"3 row 1").hexdigest()
    assert found[0] == found[2] == int(digest[:16], 16) / 2**64
    assert found[0] != found[1]


def test_rows_that_are_alike_are_in_one_part():
    twins = TABLE.drop(columns="id").assign(row_id=[f"{n // 3:x}-{n % 3}" for n in range(1000)])
    parts = split(twins, data(id=None), RANDOM)
    hashes = [set(part["row_id"].str.partition("-")[0]) for part in parts.values()]
    assert sum(len(part) for part in hashes) == 334


def test_shares_are_about_what_was_asked_and_the_seed_matters():
    parts = split(TABLE, data(), RANDOM)
    assert [len(part) / 1000 for part in parts.values()] == pytest.approx([0.7, 0.2, 0.1], abs=0.04)
    other = split(TABLE, data(), RANDOM.model_copy(update={"seed": 4}))
    assert set(other["test"]["id"]) != set(parts["test"]["id"])


@pytest.mark.parametrize(
    ("change", "how", "line"),
    [
        ({}, moments("2019-01-01", "2020-02-01"), "the part train has no rows"),
        ({}, moments("2020-01-20", "2021-01-01"), "the part test has no rows"),
        ({"y": np.arange(1000) < 200}, TIME, "the part valid has only one value of y"),
        ({"y": np.arange(1000) // 200}, TIME, "a class of valid has no rows in train"),
        ({}, moments(1, 2), "must be dates, as column when is"),
        ({"when": np.arange(1000)}, TIME, "must be numbers, as column when is"),
        ({"when": "monday"}, TIME, "column when: not a date; give it a format"),
        ({"house": np.arange(1000) // 500}, TIME, "split: train has 1 groups to draw from"),
    ],
)
def test_a_split_that_cannot_be_used_is_one_line(change: dict[str, Any], how: SplitByTime, line: str):
    with pytest.raises(SystemExit) as error:
        split(TABLE.assign(**change), data(), how)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_a_column_of_dates_without_a_time_is_divided_too(
    copy_of: Callable[[Path], Path], wine: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(copy_of(wine))
    table = read_table(PREPARED)
    write_table(table.assign(born=[date(2020, 1, 1)] * len(table)), PREPARED)
    main()
    assert read_table(FOLDER / "train.parquet")["born"].eq(date(2020, 1, 1)).all()
