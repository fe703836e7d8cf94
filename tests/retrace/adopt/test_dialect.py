"""How a file is written is found from the file alone, and a file that is not a table is refused in one line."""

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrace.adopt.dialect import understand
from src.datasets import table


def written(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


@pytest.mark.parametrize(
    ("content", "how"),
    [
        ("a,b\n1,2.5\n", {}),
        ("a;b\n1;2,5\n", {"separator": ";"}),
        ("a;b\n1;2.5\n", {"separator": ";"}),
        ("a\tb\n1\t2\n", {"separator": "\t"}),
        ("a|b\nx, y|2\n", {"separator": "|"}),
        ("a b\n1 2.5\n3 4.5\n", {"separator": " "}),
        ("first name,age\nAnna van Lee,3\nOtto de Wit,4\n", {}),
        ('a,b\n"1,5","2,5"\n"3,5","4,5"\n', {}),
        ('a,b\n"1,500","2,000"\n', {}),
        ('a,b\n"x;y;z","1;2;3"\n"x;y","1;2"\n', {}),
        ('a,b\n"two\nlines",1\n"and "" a quote",2\n', {}),
        ("\ufeffa,b\n1,2\n", {}),
        ("sep=;\na;b\n1;2\n", {"separator": ";", "skip_rows": 1}),
        ('\ufeff"sep=,"\r\na,b\r\n1,2\r\n', {"skip_rows": 1}),
        ("Sales 2020\n\na,b,c\n1,2,3\n4,5,6\n", {"skip_rows": 2}),
        ("Sales 2020,,\nin EUR,,\na,b,c\n1,2,3\n4,5,6\n", {"skip_rows": 2}),
        ("# made by a sensor\n# in Bern\na;b\n1,5;2\n3,5;4\n", {"separator": ";", "skip_rows": 2}),
        ("\na,b\n1,2\n", {}),
        ("<TICKER>,<PER>\nA,1\nB,2\n", {}),
        ("<DATE>\t<OPEN>\nA\t1\nB\t2\n", {"separator": "\t"}),
        ("a,b\n1," + "long " * 100_000 + "\n2,x\n", {}),
    ],
)
def test_the_separator_and_the_header_are_found(tmp_path: Path, content: str, how: dict[str, Any]):
    assert understand(written(tmp_path, content)) == how


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("größe,ort\n1,Köln\n2,Zürich\n", "cp1252"),
        ("prix,ville\n1,Besançon\n2,Nîmes €\n", "cp1252"),
        ("город,цена\nМосква,1\nКазань,2\nСанкт-Петербург,3\n", "cp1251"),  # noqa: RUF001  # Cyrillic is meant
        ("都市,値段\n東京,1\n大阪,2\n名古屋,3\n", "cp932"),
        ("p,q\n£1,2\n£3,4\n", "cp1252"),
        ("p;q\n1\u00a0234;2\n3\u00a0456;4\n", "cp1252"),
        ("größe,ort\n1,Köln\n", "utf-8"),
        ("größe,ort\n1,Köln\n", "utf-16"),
        ("größe,ort\n1,Köln\n", "utf-16-le"),
        ("größe,ort\n1,Köln\n", "utf-16-be"),
        ("größe,ort\n1,Köln\n", "utf-32"),
    ],
)
def test_an_encoding_is_found_and_reads_back_what_was_written(tmp_path: Path, text: str, encoding: str):
    file = written(tmp_path, text.encode(encoding))
    how = understand(file)
    assert how.get("encoding", "utf-8") == encoding
    header, first = text.splitlines()[:2]
    frame = pd.concat(table.read(file, **how)["table"])
    separator = how.get("separator", ",")
    assert [*frame.columns] == header.split(separator)
    assert [str(value) for value in frame.iloc[0]] == first.split(separator)


def test_an_odd_letter_late_in_a_large_file_counts_too(tmp_path: Path):
    file = written(tmp_path, b"a,b\n" + b"x,1\n" * 400_000 + "é,2\n".encode("latin-1"))
    assert understand(file) == {"encoding": "cp1252"}


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.csv.gz", "a.tsv"])
def test_other_kinds_need_no_arguments(tmp_path: Path, name: str):
    frame, file = pd.DataFrame({"a": [1, 2], "b": ["x", "ü"]}), tmp_path / name
    match name.partition(".")[2]:
        case "parquet":
            frame.to_parquet(file)
        case "jsonl":
            frame.to_json(file, orient="records", lines=True, force_ascii=False)
        case suffix:
            frame.to_csv(file, index=False, sep="\t" if suffix == "tsv" else ",")
    assert understand(file) == {}
    pd.testing.assert_frame_equal(pd.concat(table.read(file)["table"]), frame)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b" \n\n", "empty"),
        ("a.csv", b"a,b\n", "only a header"),
        ("a.csv", b"Dear Sir\nhow are you\n", "not a table, or one of a single column"),
        ("a.csv", b"a,b\n\x00\x01,2\n", "binary"),
        ("a.csv", b"\x00\x01\x02", "binary"),
        ("a.csv", b'{"a": 1}\n{"a": 2}\n', "JSON Lines; rename it so that it ends in .jsonl"),
        ("a.json", b'{"a": [1, 2], "b": [3, 4]}', "a JSON object of columns; write an object for each row, one a line"),
        ("a.csv.GZ", gzip.compress(b"a,b\n1,2\n", mtime=0), "rename it so that it ends in .gz, in lowercase"),
        ("a.csv", b"PK\x03\x04rest", "a spreadsheet or an archive; open it and save the table as CSV"),
        ("a.xls", b"\xd0\xcf\x11\xe0rest", "a spreadsheet; open it"),
        ("a.pdf", b"%PDF-1.4", "a PDF"),
        ("a.csv", b"<html><table>", "HTML or XML"),
        ("a.csv", b"<!DOCTYPE html>", "HTML or XML"),
        ("a.csv", b"<rows>\n  <row>1</row>", "HTML or XML"),
        ("a.json", b'[{"a": 1}]', "one JSON array; write one object per line"),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n" * 999, mtime=0)[:30], "cut short, or not gzip"),
        ("a.csv.gz", b"a,b\n1,2\n", "cut short, or not gzip"),
        ("a.csv", b'a,b\n1,2\n"3,4\n5,6\n', "the quote that opens in line 3 is never closed"),
    ],
)
def test_a_file_that_is_not_a_table_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, line: str):
    file = written(tmp_path, content, name)
    with pytest.raises(SystemExit) as error:
        understand(file)
    assert str(error.value).startswith(f"{file}: {line}")
    assert "\n" not in str(error.value)


def test_a_folder_is_understood_by_its_files(tmp_path: Path):
    with pytest.raises(SystemExit, match="a folder without tables"):
        understand(tmp_path)
    written(tmp_path, "a;b\n1;2\n", "1.csv")
    written(tmp_path, "a;b\n3;4\n", "2.CSV")
    written(tmp_path, b"\0", ".DS_Store")
    written(tmp_path, "", "_SUCCESS")
    assert understand(tmp_path) == {"separator": ";"}
    written(tmp_path, "größe;b\n3;4,5\n".encode("cp1252"), "3.csv")
    assert understand(tmp_path) == {"separator": ";", "encoding": "cp1252"}
    written(tmp_path, "a,b\n5,6\n", "4.csv")
    with pytest.raises(
        SystemExit, match=r"4.csv: separator ',', and ';' in the folder's files before it; make them alike"
    ):
        understand(tmp_path)


def test_folders_that_name_a_column_are_refused(tmp_path: Path):
    written(tmp_path / "year=2020", "a,b\n1,2\n")
    with pytest.raises(SystemExit, match="a folder's name holds a column, which is not read"):
        understand(tmp_path)


def test_the_lines_above_the_header_may_be_named(tmp_path: Path):
    file = written(tmp_path, "one,two\nthree,four\na,b\n1,2\n")
    assert understand(file) == {}
    assert understand(file, skip_rows=2) == {"skip_rows": 2}


@pytest.mark.parametrize("content", ["x\n1,5\n2,6\n", "a,b\n1,2,3\n4,5,6\n"])
def test_a_short_header_is_not_taken_for_a_title(tmp_path: Path, content: str):
    file = written(tmp_path, content)
    assert understand(file) == {}
    with pytest.raises(SystemExit, match=r"row 1 \(line 2 of the file\) has more or fewer cells than the header"):
        list(table.read(file)["table"])


cells = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@given(st.lists(st.tuples(cells, st.floats(-1e6, 1e6)), min_size=2, max_size=20), st.sampled_from(",;\t|"))
def test_any_bytes_are_understood_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float]], separator: str
):
    file = tmp_path_factory.mktemp("any") / "a.csv"
    pd.DataFrame(rows, columns=["text", "number"]).to_csv(file, index=False, sep=separator)
    assert understand(file).get("encoding", "utf-8") == "utf-8"
