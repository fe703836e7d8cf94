"""A table in any kind of file is read as it is, or refused in one line that shows none of its values."""

import errno
import gzip
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrace import row_ids, table_files
from retrace.adopt.stored import load
from retrace.tables.options import MISSING, ReadOptions
from retrace.tables.pandas_types import to_pandas
from src.datasets import table


def read(file: Path, **options: Any) -> pd.DataFrame:
    return pd.concat(table.read(file, **options)["table"])


FRAME = pd.DataFrame(
    {
        "size": [1.5, 2.25, None],
        "rooms": [1, 2, 3],
        "city": ["Bern", "Zürich", "NA; nein"],
        "sold": [True, False, True],
        "when": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"]).astype("datetime64[us]"),
    }
)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl", "csv.gz"])
def test_every_kind_of_file_gives_the_same_table(tmp_path: Path, suffix: str):
    file = tmp_path / f"a.{suffix}"
    match suffix.split(".", maxsplit=1)[0]:
        case "parquet":
            FRAME.to_parquet(file)
        case "jsonl":
            FRAME.assign(when=FRAME["when"].astype(str)).to_json(file, orient="records", lines=True)
        case kind:
            FRAME.to_csv(file, index=False, sep="\t" if kind == "tsv" else ",")
    pd.testing.assert_frame_equal(read(file), FRAME)


def test_a_folder_is_one_table_in_the_order_of_names(tmp_path: Path):
    (tmp_path / ".ipynb_checkpoints").mkdir()
    FRAME.to_csv(tmp_path / ".ipynb_checkpoints/a.csv", index=False)
    FRAME[1:].to_csv(tmp_path / "b.csv", index=False)
    FRAME[:1].to_csv(tmp_path / "a.csv", index=False)
    pd.testing.assert_frame_equal(read(tmp_path), FRAME)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"a,b\n1,2\nsecret\n", "row 2 (line 3 of the file) has more or fewer cells"),
        ("a.csv", b"a,b\n1,2\n1,2,secret\n", "row 2 (line 3 of the file) has more or fewer cells"),
        ("a.csv", b"a,a\n1,2\n", "the column a is duplicated"),
        ("a.csv", "a\né\n".encode("latin-1"), "column a is not text in the encoding"),
        ("a.parquet", b"PAR1secret", "not a complete table"),
        ("a.jsonl", b'{"a": 1}\n{"a": secret', "line 2 is not valid JSON"),
        ("a.jsonl", b'{"a": [1]}\n', "column a holds list"),
        ("a.jsonl", b'{"a": 1}\n{"a": "secret"}\n', "column a holds a number in one line and a string in another"),
        ("a.jsonl", b'{"a": 1}\n\n{"b": 2, "a": "secret"}\n', "a string in another, line 3; correct it"),
        ("a.csv", b'a,b\n"1\n1",2\n\n1,2,secret\n', "row 2 (line 5 of the file) has more or fewer cells"),
        ("a.CSV.GZ", gzip.compress(b"a,b\n1,2\n", mtime=0), "rename it so that it ends in .gz, in lowercase"),
        ("a.csv", b"z,z\n01,2\n", "the column z is duplicated"),
        ("a.csv.gz", gzip.compress(b"a,b\n" * 999, mtime=0)[:20], "not a complete table"),
        ("a.xlsx", b"PK", "not a table that can be read"),
        ("a.csv", b"a,b\n1,2\n", "no column z (data.read.types"),
    ],
)
def test_what_is_not_a_table_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, line: str):
    (tmp_path / name).write_bytes(content)
    types = {"z": "text"} if "column z" in line else {}
    with pytest.raises(SystemExit) as error:
        read(tmp_path / name, types=types)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_a_duplicate_name_in_parquet_is_named(tmp_path: Path):
    pa.parquet.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "a.parquet")
    with pytest.raises(SystemExit, match="the column a is duplicated"):
        read(tmp_path / "a.parquet")


def test_a_column_without_a_name_gets_the_name_that_pandas_gives(tmp_path: Path):
    FRAME.to_csv(tmp_path / "a.csv")
    assert [*read(tmp_path / "a.csv")] == [*pd.read_csv(tmp_path / "a.csv")] == ["Unnamed: 0", *FRAME]


def test_files_with_different_columns_are_refused(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "b.csv").write_text("b\n1\n")
    with pytest.raises(SystemExit, match="is not in every file of the folder"):
        read(tmp_path)


def test_a_column_whose_type_differs_between_files_is_named(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a,b\n1,1\n")
    (tmp_path / "b.csv").write_text("a,b\n1.5,secret\n")
    with pytest.raises(SystemExit, match="column b is int64 and string in different files; correct them"):
        read(tmp_path)


def test_a_subfolder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("open/a.csv", "unreadable/b.csv", ".hidden/c.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("a,b\n1,2\n")
    usual = os.scandir

    def refuse(folder: str) -> Any:
        if Path(folder).name in ("unreadable", ".hidden"):
            raise PermissionError(errno.EACCES, "Permission denied", folder)  # which root never meets
        return usual(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SystemExit, match="/unreadable: cannot be read: Permission denied"):
        read(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(SystemExit, match="an empty folder"):
        read(tmp_path)


names = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=6).map(lambda name: f"x{name}")


cells = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00\r"), max_size=8)


@given(st.integers(1, 8).flatmap(lambda n: st.dictionaries(names, st.lists(cells, min_size=n, max_size=n), min_size=1)))
def test_any_text_and_any_names_come_back_from_csv(tmp_path_factory: pytest.TempPathFactory, columns: dict[str, Any]):
    file = tmp_path_factory.mktemp("csv") / "a.csv"
    frame = pd.DataFrame(columns, dtype="str")
    frame.to_csv(file, index=False, quoting=1)
    back = read(file, types=dict.fromkeys(columns, "text"))
    expected = frame.where(~frame.isin(MISSING))
    pd.testing.assert_frame_equal(back, expected)


@pytest.mark.parametrize("cell", [*row_ids.EXCEL_ERRORS, "\\N", "NULL", "n/a", "<NA>", "   "])
def test_texts_that_programs_write_for_no_value_are_missing(tmp_path: Path, cell: str):
    (tmp_path / "a.csv").write_text(f"a,b\n{cell},x\n1.5,y\n")
    assert read(tmp_path / "a.csv")["a"].tolist() == pytest.approx([np.nan, 1.5], nan_ok=True)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_cell_may_be_megabytes_long(tmp_path: Path, suffix: str):
    frame = pd.DataFrame({"a": ["x" * 3_000_000, "y"], "b": [1, 2]})
    file = tmp_path / f"a.{suffix}"
    frame.to_csv(file, index=False) if suffix == "csv" else frame.to_json(file, orient="records", lines=True)
    pd.testing.assert_frame_equal(read(file), frame)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"a": 1, "a": 2}', "line 3 has the key a twice"),
        ('{"a": 1', "line 3 is not valid JSON"),
        ("[1]", "line 3 is not a JSON object"),
        ("[" * 100_000, "line 3 is nested too deep"),
    ],
)
def test_a_line_that_is_not_an_object_is_named(tmp_path: Path, line: str, told: str):
    (tmp_path / "a.jsonl").write_text(f'{{"a": 1}}\n{{"a": 2}}\n{line}\n')
    with pytest.raises(SystemExit, match=told):
        read(tmp_path / "a.jsonl")


def test_a_table_of_very_many_columns_is_read(tmp_path: Path):
    names = [f"column {n}" for n in range(40_000)]
    (tmp_path / "a.csv").write_text("\n".join([",".join(names), ",".join("1" * 40_000), ",".join("2" * 40_000)]))
    assert read(tmp_path / "a.csv").shape == (2, 40_000)


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_texts_of_any_arrow_type_are_stripped_and_compared_with_missing_values(tmp_path: Path, type_: pa.DataType):
    pa.parquet.write_table(pa.table({"a": pa.array([" x", "-", "7 kg"], type_)}), tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet", strip=True, missing=["-"])["a"]
    assert found.fillna("missing").tolist() == ["x", "missing", "7 kg"]


CELLS = st.sampled_from(["", "1", "2.5", "true", "x", "2020-01-01", "2020-01-01T10:00:00Z", "9007199254740993"])


@given(files=st.lists(st.lists(CELLS, min_size=1, max_size=3), min_size=1, max_size=4))
def test_files_that_are_read_one_by_one_have_the_types_of_the_whole_table(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[str]]
):
    folder = tmp_path_factory.mktemp("files")
    for number, cells in enumerate(files):
        (folder / f"{number}.csv").write_text("row,a\n" + "".join(f"{row},{cell}\n" for row, cell in enumerate(cells)))
    try:
        whole = to_pandas(load(folder, ReadOptions()), folder)
    except SystemExit as error:
        with pytest.raises(SystemExit, match=re.escape(str(error))):
            read(folder)
        return
    pd.testing.assert_frame_equal(read(folder), whole)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(table_files, "CELLS_IN_CHUNK", 1)
        chunks = list(table.read(folder)["table"])
    assert len(chunks) == len(files)
    assert all((chunk.dtypes == whole.dtypes).all() for chunk in chunks)
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), whole)


def test_a_parquet_file_is_read_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    FRAME.to_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", 5)
    chunks = list(table.read(tmp_path / "a.parquet")["table"])
    assert [len(chunk) for chunk in chunks] == [1, 1, 1]
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), FRAME)


def test_a_wrong_cell_in_a_later_chunk_is_named_by_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pd.DataFrame({"a": ["1 kg", "2 kg", "x"]}).to_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", 1)
    with pytest.raises(SystemExit, match="column a, row 3 of the data: not a number"):
        read(tmp_path / "a.parquet", types={"a": "number"})
