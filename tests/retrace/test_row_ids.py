"""A row keeps its id when the table grows, and when its columns are read as other types."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrace import row_ids
from retrace.params import Data
from src.datasets import table
from tests.conftest import ROLES


def data(**roles: Any) -> Data:
    return Data(**ROLES | {"source": "x.csv", "read": {}, "target": "y", "task": "classification"} | roles)


def ids_of(file: Path, columns: list[str], text: str, **options: Any) -> list[str]:
    """The ids that the rows of a CSV file get."""
    file.write_text(text)
    given = data(id_columns=columns, target="y", read=options)
    return table.prepare({"table": pd.concat(table.read(file, **options)["table"])}, given)["row_id"].tolist()


CELLS = {
    "whole": [1, 2, 10**6],
    "decimal": [0.1, 1e-7, 123456.789],
    "dose": ["1.50", "2", "-0.0"],
    "zip": ["007", "10", "8"],
    "flag": ["true", "false", "true"],
    "day": ["2020-01-31", "2020-02-01", "1999-12-31"],
    "moment": ["2020-01-31 10:00:00", "2020-01-31T10:30:01", "2020-02-01 00:00:00"],
    "zoned": ["2020-01-31T10:00:00Z", "2020-01-31T10:00:00+02:00", "2020-01-31T10:00:00-01:30"],
    "clock": ["10:20", "23:59", "00:01"],
    "text": ["a", "b; c", "é"],
}


FIRST_ROW = ["1", "0.1", "1.5", "7", "1", "2020-01-31", *["2020-01-31T10:00:00"] * 2, "10.333333333333334", "a"]


@pytest.mark.parametrize("changed", CELLS)
@pytest.mark.parametrize("cell", ["", "some text"])
def test_ids_stay_when_a_new_row_changes_the_type_of_a_column(tmp_path: Path, changed: str, cell: str):
    rows = pd.DataFrame(CELLS | {"y": [0, 1, 0]}, dtype=object)
    before = ids_of(tmp_path / "a.csv", list(CELLS), rows.to_csv(index=False))
    more = pd.concat([rows, rows.iloc[[0]].assign(**{changed: cell})])
    after = ids_of(tmp_path / "a.csv", list(CELLS), more.to_csv(index=False))
    assert after[:3] == before
    assert len(set(after)) == 4


def test_an_id_is_a_hash_of_the_canonical_texts_that_no_version_of_a_package_changes(tmp_path: Path):
    rows = pd.DataFrame(CELLS | {"y": [0, 1, 0]}, dtype=object)
    digest = hashlib.blake2b("\x1f".join(FIRST_ROW).encode(), digest_size=8).hexdigest()
    assert digest == "815f45eec4e6ca9e"
    assert ids_of(tmp_path / "a.csv", list(CELLS), rows.to_csv(index=False))[0] == f"{digest}-0"


def test_ids_stay_when_columns_are_added_renamed_or_moved_and_the_target_is_corrected(tmp_path: Path):
    rows = pd.DataFrame(CELLS | {"y": [0, 1, 0]}, dtype=object)
    before = ids_of(tmp_path / "a.csv", list(CELLS), rows.to_csv(index=False))
    other = rows.assign(y=[1, 1, 0], new=7).rename(columns={"zip": "postcode"})[::-1].iloc[:, ::-1]
    names = ["postcode" if name == "zip" else name for name in CELLS]
    assert ids_of(tmp_path / "a.csv", names, other.to_csv(index=False)) == before[::-1]


@pytest.mark.parametrize(
    ("alike", "different"),
    [
        (["1", "1.0", "01", "1e0", "+1", " 1 "], ["10", "-1", "1.01"]),
        (["0", "-0", "0.0", "-0.0", "0,0"], ["", "00.1"]),
        (["1.5", "1,5", "1.50", "15e-1"], ["15", "1.5.0"]),
        (["true", "TRUE", "True", "1"], ["yes", "t"]),
        (["", "NA", "null", "?", "  "], ["none", "-"]),
        (["2020-01-31", "2020-01-31 00:00", "2020-01-31T00:00:00Z"], ["2020-01-30", "2020-01-32"]),
        (["1/2/2020 7:00", "01/02/2020 07:00"], ["2/1/2020 7:00", "01/02/2020 17:00"]),
        (["100000000000000001", "+100000000000000001"], ["100000000000000002"]),
        (["inf", "Infinity", "+inf"], ["-inf", "info"]),
    ],
)
def test_cells_that_mean_the_same_have_the_same_canonical_text(alike: list[str], different: list[str]):
    assert len(set(row_ids.canonical(pd.Series(alike, dtype="str")))) == 1
    assert not set(row_ids.canonical(pd.Series(alike, dtype="str"))) & set(row_ids.canonical(pd.Series(different)))


def test_a_date_with_a_format_keeps_its_id_when_it_is_read_as_text(tmp_path: Path):
    rows = "when,y\n31.12.2020,1\n1.2.2021,0\n"
    dated = ids_of(tmp_path / "a.csv", ["when"], rows, types={"when": "%d.%m.%Y"})
    assert ids_of(tmp_path / "a.csv", ["when"], f"{rows}soon,0\n")[:2] == dated


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=5))
def test_numbers_have_the_same_text_whatever_the_type(numbers: list[float]):
    texts = row_ids.canonical(pd.Series(numbers))
    assert row_ids.canonical(pd.Series([repr(number) for number in numbers], dtype="str")) == texts
    assert row_ids.canonical(pd.Series([f"{number:.25e}" for number in numbers], dtype="str")) == texts
    whole = [int(number) for number in numbers if abs(number) < 2**53]
    assert row_ids.canonical(pd.Series(whole, dtype="int64")) == row_ids.canonical(pd.Series(whole, dtype="float64"))


def test_duplicate_rows_are_numbered_in_the_order_of_the_file():
    raw = pd.DataFrame({"x": [1, 2, 1, 1], "y": ["a", "b", "b", "a"]})
    ids = table.prepare({"table": raw}, data(id_columns=["x"]))["row_id"]
    hashes, numbers = zip(*ids.str.split("-"), strict=True)
    assert numbers == ("0", "0", "1", "2")
    assert len(set(hashes)) == 2
    reordered = table.prepare({"table": raw[::-1].reset_index(drop=True)}, data(id_columns=["x"]))["row_id"]
    assert set(reordered) == set(ids), "ids stay when rows move"


def test_ids_do_not_depend_on_how_many_rows_are_hashed_at_once(monkeypatch: pytest.MonkeyPatch):
    raw = pd.DataFrame({"x": np.arange(100) // 2, "z": [None, "a"] * 50})
    whole = row_ids.row_ids(raw, ["x", "z"], {})
    monkeypatch.setattr(row_ids, "ROWS_AT_ONCE", 7)
    assert row_ids.row_ids(raw, ["x", "z"], {}) == whole
