"""A table comes back as it was written, and its file's bytes don't depend on the chunks that it was written in."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrace import table_files
from retrace.table_files import (
    TableWriter,
    common_schema,
    read_chunks,
    read_column,
    read_schema,
    read_table,
    read_tables,
    row_count,
    schema_of,
    without_rows,
    write_table,
)
from retrace.tables.parquet import read_parquet
from tests.retrace.test_files import tables


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@given(tables)
def test_a_table_comes_back_as_it_was(folder: Path, table: pd.DataFrame):
    table.attrs["dropped"] = {"why": 3}
    write_table(table, folder / "a.parquet")
    read = read_table(folder / "a.parquet")
    pd.testing.assert_frame_equal(read, table, check_dtype=False)
    assert read.attrs == table.attrs
    write_table(read, folder / "b.parquet")
    again = read_table(folder / "b.parquet")
    write_table(again, folder / "c.parquet")
    assert (folder / "b.parquet").read_bytes() == (folder / "c.parquet").read_bytes()


def test_a_table_has_no_trace_of_its_index(tmp_path: Path):
    table = pd.DataFrame({"a": [1, 2, 3]})
    write_table(table, tmp_path / "a.parquet")
    write_table(table.set_index(pd.Index([7, 8, 9])), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all", None])
def test_a_broken_table_is_one_line(tmp_path: Path, content: bytes | None):
    file = tmp_path / "a.parquet"
    if content is None:
        write_table(pd.DataFrame({"a": range(1000)}), file)
        content = file.read_bytes()[:-20]
    file.write_bytes(content)
    with pytest.raises(SystemExit, match="not a whole Parquet file"):
        read_table(file)


def test_missing_tables_are_one_line(tmp_path: Path):
    with pytest.raises(SystemExit, match="no such file"):
        read_table(tmp_path / "a.parquet")
    with pytest.raises(SystemExit, match="no tables yet"):
        read_tables(tmp_path)


@pytest.fixture
def few_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "CELLS_IN_ROW_GROUP", 12)
    monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", 8)


TABLE = pd.DataFrame(
    {
        "number": np.arange(50),
        "text": [None, "a", "b", None, "a"] * 10,
        "when": pd.date_range("2020-01-01", periods=50, freq="h").astype("datetime64[us]"),
        "objects": [True, None, False, True, False] * 10,
    }
)


@given(lengths=st.lists(st.integers(0, 50), max_size=6))
@pytest.mark.usefixtures("few_cells")
def test_the_chunks_that_a_table_is_written_in_leave_no_trace(folder: Path, lengths: list[int]):
    table = TABLE.copy()
    table.attrs = {"block": "day"}
    write_table(table, folder / "whole.parquet")
    ends = sorted(lengths)
    chunks = [table.iloc[start:end] for start, end in zip([0, *ends], [*ends, len(table)], strict=True)]
    for number, chunk in enumerate(chunks):
        chunk.attrs = {"chunk": number}
    schema = common_schema([schema_of(chunk) for chunk in chunks])
    with TableWriter(folder / "chunks.parquet", schema, table.attrs) as writer:
        for chunk in chunks:
            writer.write(chunk)
    assert writer.rows == 50
    assert (folder / "chunks.parquet").read_bytes() == (folder / "whole.parquet").read_bytes()


@pytest.mark.usefixtures("few_cells")
def test_a_column_of_several_tables_is_as_if_they_were_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(table_files, "ROWS_COPIED_AT_ONCE", 7)
    table = TABLE.assign(
        decimals=np.where(TABLE["number"] % 3, TABLE["number"] / 7, np.nan),
        sometimes=TABLE["when"].where(TABLE["number"] % 3 > 0),
        short=TABLE["number"].astype("int16"),
        mark=TABLE["number"] > 20,
    )
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    write_table(table[:20], paths[0])
    write_table(table[20:], paths[1])
    for name, values in table.items():
        pd.testing.assert_series_equal(read_column(paths, str(name)), values)


@pytest.mark.parametrize("read", [lambda file: read_chunks(file, rows=20_000), read_parquet])
def test_what_was_read_of_a_file_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Iterator[object]]
):
    monkeypatch.setattr(table_files, "CELLS_IN_ROW_GROUP", 80_000)
    monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", 80_000)
    table = pd.DataFrame(np.random.default_rng(0).random((1_000_000, 4)), columns=list("abcd"))  # 32 MB
    write_table(table, tmp_path / "a.parquet")
    before = pa.total_allocated_bytes()
    most = max(pa.total_allocated_bytes() for _ in read(tmp_path / "a.parquet")) - before
    assert most < 8_000_000


@pytest.mark.usefixtures("few_cells")
def test_a_table_is_read_in_chunks_with_its_types_and_attrs(tmp_path: Path):
    table = TABLE.copy()
    table.attrs = {"block": "day"}
    write_table(table, tmp_path / "a.parquet")
    chunks = list(read_chunks(tmp_path / "a.parquet"))
    assert max(map(len, chunks)) == 2
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), read_table(tmp_path / "a.parquet"))
    assert chunks[1].index.tolist() == [0, 1]
    assert all(chunk.attrs == table.attrs for chunk in chunks)
    columns = list(read_chunks(tmp_path / "a.parquet", ["text"]))
    assert max(map(len, columns)) == 8
    assert pd.concat(columns).columns.tolist() == ["text"]
    empty = without_rows(tmp_path / "a.parquet").drop(columns="objects")  # whose type follows from values
    pd.testing.assert_frame_equal(empty, chunks[0].iloc[:0].drop(columns="objects"))
    assert row_count(tmp_path / "a.parquet") == 50


def test_types_that_differ_between_chunks_become_those_of_the_whole_table(tmp_path: Path):
    chunks = [pd.DataFrame({"a": [1], "b": [None]}), pd.DataFrame({"a": [0.5], "b": [True]})]
    with TableWriter(tmp_path / "a.parquet", common_schema([schema_of(chunk) for chunk in chunks])) as writer:
        for chunk in chunks:
            writer.write(chunk)
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet"), pd.concat(chunks, ignore_index=True))


def test_chunks_that_make_no_table_are_one_line_without_a_value(tmp_path: Path):
    numbers, texts = pd.DataFrame({"a": [1]}), pd.DataFrame({"a": ["John"]})
    with pytest.raises(SystemExit, match=r"the columns differ between chunks of the table \(b\); correct"):
        common_schema([schema_of(numbers), schema_of(numbers.assign(b=1))])
    with pytest.raises(SystemExit, match=r"the types differ between chunks of the table: .*; correct"):
        common_schema([schema_of(numbers), schema_of(texts)])
    for wrong, line in (
        (texts, "column a: has another type than in earlier chunks"),
        (texts.assign(b=1), "the columns differ"),
    ):
        with (
            pytest.raises(SystemExit, match=line) as error,
            TableWriter(tmp_path / "a.parquet", schema_of(numbers)) as w,
        ):
            w.write(wrong)
        assert "John" not in str(error.value)
    assert not list(tmp_path.iterdir()), "nothing is half-written"


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", None, "b", "a"], dtype="category"),
        pd.Series([7, 8, 7, None], dtype="category"),
        pd.Series([None, None, "a", "b"], dtype=object),
        pd.Series([1, 2, None, 3], dtype="Int64"),
        pd.Series([True, False, None, True], dtype="boolean"),
    ],
)
def test_no_type_of_a_column_shows_its_chunks(tmp_path: Path, column: pd.Series):
    table = pd.DataFrame({"a": column})
    for size in (1, 2, 4):
        chunks = [table.iloc[start : start + size] for start in range(0, 4, size)]
        schema = common_schema([schema_of(chunk) for chunk in chunks])
        with TableWriter(tmp_path / f"{size}.parquet", schema) as writer:
            for chunk in chunks:
                writer.write(chunk)
    contents = {(tmp_path / f"{size}.parquet").read_bytes() for size in (1, 2, 4)}
    assert len(contents) == 1
    assert read_table(tmp_path / "1.parquet")["a"].isna().tolist() == column.isna().tolist()


def test_categories_become_text(tmp_path: Path):
    write_table(pd.DataFrame({"a": pd.Series([7, 8, 7], dtype="category")}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet")["a"].tolist() == ["7", "8", "7"]


@pytest.mark.usefixtures("few_cells")
def test_each_chunk_has_the_types_of_the_whole_table(tmp_path: Path):
    write_table(pd.DataFrame({"a": [True, False] * 10 + [None], "b": range(21)}), tmp_path / "a.parquet")
    whole = read_table(tmp_path / "a.parquet")
    chunks = list(read_chunks(tmp_path / "a.parquet"))
    assert len(chunks) > 3
    assert all((chunk.dtypes == whole.dtypes).all() for chunk in chunks)


def test_what_cannot_be_stored_is_one_line_without_a_value(tmp_path: Path):
    mixed = pd.DataFrame({"a": ["John", 1]}, dtype=object)
    with pytest.raises(SystemExit, match="column a: has values of different kinds; correct") as error:
        write_table(mixed, tmp_path / "a.parquet")
    assert "John" not in str(error.value)
    nanoseconds = pd.DataFrame({"a": pd.to_datetime([1577836800123456789])})
    with pytest.raises(SystemExit, match="a time has nanoseconds; round it to microseconds"):
        write_table(nanoseconds, tmp_path / "a.parquet")
    numbers = pd.DataFrame({"a": [1, 2]})
    with TableWriter(tmp_path / "b.parquet", schema_of(numbers)) as writer:
        writer.write(numbers)
        with pytest.raises(SystemExit, match="column a: has whole numbers, and some are missing; store decimals"):
            writer.write(numbers.where(numbers > 1))
    assert [file.name for file in tmp_path.iterdir()] == ["b.parquet"]


@pytest.mark.usefixtures("few_cells")
def test_the_chunks_of_a_file_can_be_written_with_its_schema(tmp_path: Path):
    table = TABLE.assign(born=[date(2020, 1, 1), None] * 25)
    table.attrs = {"block": "day"}
    write_table(table, tmp_path / "a.parquet")
    with TableWriter(tmp_path / "b.parquet", read_schema(tmp_path / "a.parquet"), table.attrs) as writer:
        for chunk in read_chunks(tmp_path / "a.parquet"):
            writer.write(chunk)
    assert (tmp_path / "b.parquet").read_bytes() == (tmp_path / "a.parquet").read_bytes()


def test_the_column_that_has_another_type_is_named(tmp_path: Path):
    numbers = pd.DataFrame({"a": [1], "b": [2], "c": ["text"]})
    file, line = tmp_path / "a.parquet", "column b: has another type than in earlier chunks"
    with pytest.raises(SystemExit, match=line), TableWriter(file, schema_of(numbers)) as writer:
        writer.write(numbers.assign(b="John"))
