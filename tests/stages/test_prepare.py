"""A prepared table keeps its contract, or one line says what it breaks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrace import table_files
from retrace.large_tables import LargeTable
from retrace.params import Data
from retrace.prepared import check_prepared
from src.datasets import table
from src.stages import prepare
from tests.conftest import ROLES, change_params

TABLE = pd.DataFrame({"id": ["a", "b", "c"], "x": [1.0, 2.0, 3.0], "z": [3.0, 3.0, 1.0], "y": ["no", "yes", "no"]})


def data(**roles: Any) -> Data:
    given = {"source": "x", "read": {}, "target": "y", "task": "classification", "id": "id"}
    return Data(**ROLES | given | roles)


def test_a_good_table_passes():
    check_prepared([TABLE], data())
    check_prepared([TABLE.assign(y=[1.0, 2.0, 4.0])], data(task="regression"))


@pytest.mark.parametrize(
    ("change", "roles", "line"),
    [
        ({}, {"target": "q"}, "data.target: the prepared table has no column q"),
        ({}, {"time": "q"}, "data.time: the prepared table has no column q"),
        ({}, {"id": None}, "data.id: the prepared table has no column row_id, which names the rows; name another"),
        ({}, {"drop": ["q"]}, "data.drop: the prepared table has no column q"),
        ({}, {"positive": "maybe"}, "data.positive: no row's y has that value"),
        ({"id": "a"}, {}, "column id: 2 ids are repeated"),
        ({"id": [None, "b", "c"]}, {}, "column id: 1 ids are missing"),
        ({"y": [None, "no", "yes"]}, {}, "column y: 1 targets are missing"),
        ({"y": "no"}, {}, "column y: all rows have one class"),
        ({"y": [0.5, 1.0, 2.0]}, {}, "column y: its values are measurements"),
        ({}, {"task": "regression"}, "column y: its values aren't numbers"),
        ({"y": [1.0, np.inf, 2.0]}, {"task": "regression"}, "column y: some targets are infinite"),
        ({"y": 1.0}, {"task": "regression"}, "column y: all targets are equal"),
        ({"t": [None, "m", "n"]}, {"group": "t"}, "column t: 1 values are missing"),
        ({}, {"weight": "q"}, "data.weight: the prepared table has no column q"),
        (
            {"w": ["1", "2", "3"]},
            {"weight": "w"},
            "column w: weights must be numbers that are present and not negative",
        ),
        ({"w": [-1, 1, 2]}, {"weight": "w"}, "column w: weights must be numbers"),
        ({"w": [np.nan, 1, 2]}, {"weight": "w"}, "column w: weights must be numbers"),
        ({"w": [np.inf, 1, 2]}, {"weight": "w"}, "column w: weights must be numbers"),
        ({"w": pd.Timestamp(0)}, {"weight": "w"}, "column w: weights must be numbers"),
        ({"x": [1.0, -np.inf, np.inf]}, {}, "column x: 2 values are infinite"),
        ({"x": pd.Timestamp(0)}, {}, "column x: a date, which no model takes; make numbers of it, or data.drop: [x]"),
        ({}, {"drop": ["x", "z"]}, "no column is left to learn from"),
        ({"w": [1.0, 2.0, 4.0], "y": [1, 2, 4]}, {"task": "regression"}, "column w: says the same as the target"),
        ({"w": [0, 1, 0]}, {}, "column w: says the same as the target; leave it out: data.drop: [w]"),
    ],
)
def test_what_breaks_the_contract_is_one_line(change: dict[str, Any], roles: dict[str, Any], line: str):
    with pytest.raises(SystemExit) as error:
        check_prepared([TABLE.assign(**change)], data(**roles))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_no_rows_is_one_line():
    with pytest.raises(SystemExit, match="no rows are left"):
        check_prepared([TABLE[:0]], data())


def test_ids_that_are_repeated_in_another_chunk_are_found_and_nothing_is_left_behind(
    copy_of: Callable[[Path], Path], wine: Path, monkeypatch: pytest.MonkeyPatch
):
    project = copy_of(wine)
    change_params(project, data={"id": "alcohol", "id_columns": []})
    monkeypatch.chdir(project)
    monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", 14)  # a row
    before = prepare.PREPARED.read_bytes()
    with pytest.raises(SystemExit, match="column alcohol: 52 ids are repeated"):
        prepare.main()
    assert not prepare.TEMPORARY.exists()
    assert prepare.PREPARED.read_bytes() == before


def test_what_a_killed_run_left_behind_is_removed(
    copy_of: Callable[[Path], Path], wine: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(copy_of(wine))
    before = prepare.PREPARED.read_bytes()
    (prepare.TEMPORARY / "sorted").mkdir(parents=True)
    (prepare.TEMPORARY / "0.parquet").write_text("half")
    prepare.main()
    assert not prepare.TEMPORARY.exists()
    assert prepare.PREPARED.read_bytes() == before


def test_a_large_table_that_does_not_exist_is_one_line(
    copy_of: Callable[[Path], Path], wine: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(copy_of(wine))
    monkeypatch.setattr(table, "LARGE_TABLE", LargeTable("visits"))
    with pytest.raises(SystemExit, match=r"src/datasets/table.py: LARGE_TABLE: data/raw has no table visits; name one"):
        prepare.main()
