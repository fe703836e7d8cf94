"""The folds of a search."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrace.errors import UserError
from retrace.params import Data, SplitByShare, SplitByTime
from retrace.search.folds import make_folds
from tests.conftest import ROLES

RNG = np.random.default_rng(0)
TIMES = pd.date_range("2020-01-01", periods=1000, freq="h")
TABLE = pd.DataFrame(
    {
        "id": [f"row {n}" for n in range(1000)],
        "when": TIMES,
        "house": RNG.integers(0, 200, 1000),
        "x": RNG.random(1000),
        "y": RNG.random(1000) > 0.5,
    }
)


def data(**roles: Any) -> Data:
    given = {"source": "x", "read": {}, "target": "y", "task": "classification", "id": "id"}
    return Data(**ROLES | given | {"time": "when", "group": "house"} | roles)


def by_time(block: str | None = None, *, purge: bool = False) -> SplitByTime:
    return SplitByTime(by="time", valid_from="2021-01-01", test_from="2022-01-01", block=block, purge=purge)


def by_share(by: str) -> SplitByShare:
    return SplitByShare(by=by, valid=0.2, test=0.2, seed=3)


@pytest.mark.parametrize("purge", [False, True])
def test_by_time_the_rows_to_score_follow_those_to_fit_on(purge: bool):
    folds = make_folds(TABLE, data(), by_time(purge=purge), 4)
    assert np.array([fold.score for fold in folds]).sum(axis=0).max() == 1, "no row is scored twice"
    for fold in folds:
        assert TIMES[fold.fit].max() < TIMES[fold.score].min()
        shared = set(TABLE["house"][fold.fit]) & set(TABLE["house"][fold.score])
        assert bool(shared) != purge


def test_the_rows_of_a_block_stay_together():
    days = TIMES.normalize()
    for fold in make_folds(TABLE, data(group=None), by_time("day"), 3):
        assert not set(days[fold.fit]) & set(days[fold.score])


@pytest.mark.parametrize("by", ["random", "group"])
def test_drawn_folds_score_each_row_once_and_keep_groups_apart(by: str):
    folds = make_folds(TABLE, data(), by_share(by), 5)
    assert (np.array([fold.score for fold in folds]).sum(axis=0) == 1).all()
    for fold in folds:
        assert (fold.fit != fold.score).all()
        shared = set(TABLE["house"][fold.fit]) & set(TABLE["house"][fold.score])
        assert bool(shared) == (by == "random")


LATE_CLASS = TABLE.assign(y=TABLE["when"] > TIMES[600])
EARLY_CLASS = TABLE.assign(y=(TABLE.index % 2 == 0) | (TABLE.index > 300))
LATE_FEATURE = TABLE.assign(x=np.where(TABLE.index > 500, 1, np.nan))


@pytest.mark.parametrize(
    ("table", "split", "count", "line"),
    [
        (TABLE, by_time("month"), 2, "search.folds: train has 2 months, too few for 2 folds"),
        (TABLE, by_share("random"), 300, "rows to be scored, and 10 are the least; use fewer folds"),
        (LATE_CLASS, by_time(), 4, "a class is missing in the rows that a fold is fitted on"),
        (EARLY_CLASS, by_time(), 2, "has only one value in the rows that a fold scores"),
        (LATE_FEATURE, by_time(), 4, "no feature has a value in the rows"),
    ],
)
def test_rows_that_give_no_folds_are_refused(table: pd.DataFrame, split: Any, count: int, line: str):
    with pytest.raises(UserError, match=line):
        make_folds(table, data(), split, count)
