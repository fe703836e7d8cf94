"""A large raw table is prepared in chunks, with the rows that the data set's module says it needs besides."""

from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrace import large_tables, table_files
from retrace.large_tables import LargeTable, chunks_of, sorted_chunks
from retrace.params import Data
from retrace.row_ids import row_ids
from retrace.table_files import schema_of, write_table

RNG = np.random.default_rng(1)
TABLE = pd.DataFrame(
    {
        "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(RNG.integers(0, 60, 500), unit="h"),
        "row": np.arange(500),
        "name": RNG.choice(["a", "b"], 500),
    }
).astype({"when": "datetime64[us]"})


def data(**roles: Any) -> Data:
    given = {"set": "own", "source": "x", "read": {}, "target": "row", "task": "regression", "positive": None}
    given |= {
        "id": None,
        "id_columns": ["name"],
        "time": None,
        "group": None,
        "drop": [],
        "private": [],
        "weight": None,
    }
    return Data(**given | roles)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_table(TABLE, tmp_path / "raw.parquet")
    return tmp_path / "raw.parquet"


def chunks(large: LargeTable, path: Path, **roles: Any) -> list[dict[str, Any]]:
    return list(chunks_of(large, path, data(**roles), path.with_name("temporary")))


@pytest.mark.parametrize(("cells", "files"), [(30, 200), (30, 3), (300, 200), (3_000_000, 200)])
def test_rows_are_sorted_whatever_the_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: int, files: int):
    monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", cells)
    monkeypatch.setattr(large_tables, "MOST_FILES", files)
    pieces = [TABLE.iloc[start : start + 70] for start in range(0, 500, 70)]
    found = list(sorted_chunks(lambda: iter(pieces), schema_of(TABLE), "when", tmp_path / "sorted"))
    pd.testing.assert_frame_equal(
        pd.concat(found, ignore_index=True), TABLE.sort_values("when", kind="stable", ignore_index=True)
    )
    for before, after in pairwise(found):
        assert before["when"].max() < after["when"].min(), "rows with the same value are in one chunk"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cells", [30, 300])
def test_a_chunk_comes_with_the_rows_before_it(path: Path, monkeypatch: pytest.MonkeyPatch, cells: int):
    monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", cells)
    found = chunks(
        LargeTable("raw", by="when", lookback=pd.Timedelta(hours=9)), path, id="row", id_columns=[], target="name"
    )
    assert len(found) > 3
    for tables in found:
        start = tables["raw"]["when"].min()
        expected = TABLE[(TABLE["when"] < start) & (TABLE["when"] > start - pd.Timedelta(hours=9))]
        assert sorted(tables["raw_before"]["row"]) == sorted(expected["row"])


def test_a_column_of_python_s_objects_is_sorted_with_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    table = TABLE.assign(born=[date(2020, 1, 1), None] * 250)
    write_table(table, tmp_path / "raw.parquet")
    monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", 30)
    found = chunks(LargeTable("raw", by="when"), tmp_path / "raw.parquet", id="row", id_columns=[], target="name")
    joined = pd.concat([tables["raw"] for tables in found], ignore_index=True)
    pd.testing.assert_frame_equal(joined, table.sort_values("when", kind="stable", ignore_index=True))


def test_the_ids_of_a_chunks_rows_are_those_of_the_whole_table(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", 30)
    found = chunks(LargeTable("raw"), path)
    assert [len(tables["row_ids"]) for tables in found] == [len(tables["raw"]) for tables in found]
    assert [row for tables in found for row in tables["row_ids"]] == row_ids(TABLE, ["name"], {})


def test_what_cannot_be_sorted_or_numbered_is_one_line(path: Path):
    roles = {"id": "row", "id_columns": [], "target": "name"}
    with pytest.raises(SystemExit, match="column name: has neither numbers nor times, so rows"):
        chunks(LargeTable("raw", by="name"), path, **roles)
    with pytest.raises(SystemExit, match="column other: the table to be sorted by it has none"):
        chunks(LargeTable("raw", by="other"), path, **roles)
    with pytest.raises(SystemExit, match=r"data.id: must name a column, since LARGE_TABLE cuts raw by when"):
        chunks(LargeTable("raw", by="when"), path)
    with pytest.raises(SystemExit, match="column when: lookback in LARGE_TABLE must be a Timedelta, as the column has"):
        chunks(LargeTable("raw", by="when", lookback=7), path, **roles)
    with pytest.raises(SystemExit, match="column row: lookback in LARGE_TABLE must be a number, as the column's are"):
        chunks(LargeTable("raw", by="row", lookback=pd.Timedelta(days=7)), path, **roles)
    with pytest.raises(SystemExit, match=r"data.id_columns: x has no column other"):
        chunks(LargeTable("raw"), path, id_columns=["other"])
    with pytest.raises(SystemExit, match=r'LARGE_TABLE: sort_by is text; write \("when",\)'):
        LargeTable("raw", sort_by="when")  # type: ignore[arg-type]  # the mistake itself
    with pytest.raises(SystemExit, match="LARGE_TABLE: lookback needs `by`"):
        LargeTable("raw", lookback=7)
    missing = TABLE.assign(when=TABLE["when"].where(TABLE["row"] > 2))
    with pytest.raises(SystemExit, match="column when: 3 values are missing, so rows can't be sorted by it"):
        list(sorted_chunks(lambda: iter([missing]), schema_of(missing), "when", path.with_name("sorted")))


def test_times_of_a_zone_are_sorted_too(tmp_path: Path):
    zoned = TABLE.assign(when=TABLE["when"].dt.tz_localize("Europe/Zurich"))
    [found] = sorted_chunks(lambda: iter([zoned]), schema_of(zoned), "when", tmp_path / "sorted")
    pd.testing.assert_frame_equal(found, zoned.sort_values("when", kind="stable", ignore_index=True))
