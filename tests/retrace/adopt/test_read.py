"""A table is read as its cells and the command line say, or refused in one line."""

from pathlib import Path

import pandas as pd
import pytest

from retrace.adopt.command import parse
from tests.retrace.adopt.small_tables import column, refusal, understood, written


def test_a_column_without_its_missing_values_is_numbers(tmp_path: Path):
    file = written(tmp_path, x=[*map(str, range(20)), "-"], z=["-999.0", "1.5"], y=["0", "1"])
    raw, how, warned = understood(file, "--missing", "-", "--missing", "-999")
    assert how == {"missing": ["-", "-999"]}
    assert warned == []
    assert [raw[name].isna().sum() for name in ("x", "z", "y")] == [2, 30, 0]
    assert raw.dtypes.astype(str).tolist() == ["float64", "float64", "int64"]


def test_two_hyphens_are_an_ordinary_value(tmp_path: Path):
    raw, how, warned = understood(written(tmp_path, x=[*map(str, range(20)), "--"], y=["0", "1"]), "--missing=--")
    assert raw["x"].isna().sum() == 2
    assert (how, warned) == ({"missing": ["--"]}, [])
    assert parse(["a.csv", "--target=--", "--drop=--"]).target == "--"
    for word in ("--type=--", "--decimal=--", "--task=--", "--skip-rows=--"):
        with pytest.raises(SystemExit) as error:
            parse(["a.csv", "--target", "y", word])
        assert error.value.code == 2


def test_blank_cells_among_numbers_are_missing(tmp_path: Path):
    raw, how, _ = understood(written(tmp_path, x=["1.5", "  ", ""], y=["0", "1"]))
    assert raw["x"].tolist()[0] == 1.5
    assert raw["x"].isna().sum() == 40
    assert how == {}


def test_files_of_a_folder_may_have_their_columns_in_another_order(tmp_path: Path):
    (tmp_path / "1.csv").write_text("x,y\n1,a\n")
    (tmp_path / "2.csv").write_text("y,x\nb,007\n")
    raw, how, _ = understood(tmp_path)
    assert raw.to_dict("list") == {"x": ["1", "007"], "y": ["a", "b"]}
    assert how == {"types": {"x": "text"}}


def test_a_folders_columns_are_understood_together(tmp_path: Path):
    (tmp_path / "1.csv").write_text("x;z\n1;a\n7;b\n")
    (tmp_path / "2.csv").write_text("x;z\n2,000,777;a\n1,234;b\n")
    raw, how, _ = understood(tmp_path)
    assert raw["x"].tolist() == [1, 7, 2000777, 1234]
    assert how == {"separator": ";", "thousands": ",", "types": {"x": "number"}}


def test_a_repeated_header_is_named(tmp_path: Path):
    rows = "".join(f"{n},{n}\n" for n in range(20))
    (tmp_path / "a.csv").write_text(f"x,y\n{rows}x, y\n{rows}")
    assert refusal(tmp_path / "a.csv") == "row 21 of the data repeats the header; take such lines out of the file"


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_blanks_are_removed_and_lines_left_out_of_text_files_alone(tmp_path: Path, suffix: str):
    frame, file = pd.DataFrame({" x": pd.Categorical(column([" a", "b "])), "y": column(["0", "1"])}), tmp_path / "a"
    file = file.with_suffix(f".{suffix}")
    frame.to_parquet(file) if suffix == "parquet" else frame.to_json(file, orient="records", lines=True)
    assert understood(file, "--strip")[0]["x"].tolist()[:2] == ["a", "b"]
    for words in (["--skip-footer", "1"], ["--skip-rows", "1"]):
        assert refusal(file, *words) == f"{' '.join(words)}: only for CSV and TSV files; leave the rows out of {file}"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--type", "z=number"], "--type z: "),
        (["--decimal", ",", "--thousands", ","], "--thousands ,: is --decimal already, and must be another sign"),
        (["--decimal", ",", "--decimal", "."], "--decimal: given twice; it takes one value"),
        (["--target", "x"], "--target: given twice; it takes one value"),
        (["--time", "x", "--time", "z"], "--time: given twice; it takes one value"),
        (["--type", "x=date"], "column x, row 1 of the data: not a date"),
    ],
)
def test_an_impossible_option_is_refused_in_one_line(tmp_path: Path, words: list[str], line: str):
    assert line in refusal(written(tmp_path, x=["a", "b"], y=["0", "1"]), *words)
