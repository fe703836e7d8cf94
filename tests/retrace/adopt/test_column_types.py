"""Columns whose cells may be misread get a type, or a warning that names the option."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.retrace.adopt.small_tables import ROWS, column, understood, written


@pytest.mark.parametrize(
    ("cells", "number", "value"),
    [
        (["(0.5)", "1.5"], -0.5, "'(0.5)'"),
        (["0.5 kg", "1.5 kg"], 0.5, "'0.5 kg'"),
        (["$5", "$1,200.50"], 5, "'$5'"),
        (["1.200,50 €", "5 €"], 1200.5, "'1.200,50 €'"),
        (["EUR 5", "EUR 6"], 5, "'EUR 5'"),
        (["Rs. 1,23,456", "Rs. 5"], 123456, "'Rs. 1,23,456'"),
        (["12 %", "7.5%"], 12, "'12 %'"),
        (["5-", "6"], -5, "'5-'"),
        (["3 m²", "4 m²"], 3, "'3 m²'"),
        (["50 km/h", "4.5 km/h"], 50, "'50 km/h'"),
        (["1'200.-", "5.-"], 1200, '"1\'200.-"'),
    ],
)
def test_numbers_written_as_text_are_warned_of_and_read_by_the_option(
    tmp_path: Path, cells: list[str], number: float, value: str
):
    file = written(tmp_path, ";", x=cells, y=["0", "1"])
    raw, _, warned = understood(file)
    assert raw["x"].iloc[0] == cells[0]
    assert warned == [f"x: numbers written as text, such as {value} in row 1: --type x=number reads them"]
    hidden = understood(file, "--private", "x")[2]
    assert hidden == ["x: numbers written as text, such as a cell in row 1: --type x=number reads them"]
    raw, how, warned = understood(file, "--type", "x=number")
    assert raw["x"].iloc[0] == number
    assert how["types"] == {"x": "number"}
    assert warned == []


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        (["12 kg", "950"], "numbers with different units, or without one, such as '12 kg' in row 1"),
        (["12 kg", "950 g"], "numbers with different units, or without one, such as '12 kg' in row 1"),
        (["5k", "3M"], "numbers with different units, or without one, such as '5k' in row 1"),
        ([*map(str, range(20)), "-"], "numbers but for 2 rows, such as '-' in row 21, so the column is read as text"),
        ([*map(str, range(20)), "-x"], "--missing=-x if that means no value, else correct it"),
        ([*map(str, range(20)), "no\u00a0'value'"], "--missing $'no\\xc2\\xa0\\x27value\\x27' if that means"),
        ([*map(str, range(20)), "none"], "--missing none if that means no value, else correct it"),
        (["1,5", "2,5", "3,5", "1.5"], "numbers with different decimal signs or groups, such as '1.5' in row 4"),
        (["555 123", "555 124"], "digits in groups, such as '555 123' in row 1; if they are numbers: --thousands ' '"),
        (["1152921504606846976", "1152921504606846977"], "has more digits than a number holds exactly"),
        ([" 1.5 ", "2,5 "], "numbers with different decimal signs or groups, such as ' 1.5 ' in row 1"),
        (["31.12.2020", "1.2.2020 "], "dates with blanks around some, such as '1.2.2020 ' in row 2: --strip removes"),
        (["31.12.", "01.02."], "dates or times in a form that is not read, such as '31.12.' in row 1"),
        (["2020-15-06", "2020-25-07"], "dates or times in a form that is not read, such as '2020-15-06' in row 1"),
        (["6 janvier 2020", "7 mars 2020"], "dates or times in a form that is not read, such as '6 janvier 2020'"),
        (["Jan-20", "Feb-21"], "dates or times in a form that is not read, such as 'Jan-20' in row 1"),
        (
            ["5th Jan 2020", "6th Mar 2021"],
            "dates or times in a form that is not read, such as '5th Jan 2020' in row 1",
        ),
        (["10h30", "11h45"], "dates or times in a form that is not read, such as '10h30' in row 1"),
        (["23.01.02", "22.03.04"], "are read as 2002 to 2004; if the year comes first: --type x=%y.%m.%d"),
        (
            ["05:54", "06:30"],
            "times of day, such as '05:54' in row 1, are read as hours; if they are none: --type x=text",
        ),
        (['="5"', '="6"'], """formulas of a spreadsheet, such as '="5"' in row 1: save their values"""),
        (["1_000", "2_500"], "digits in groups, such as '1_000' in row 1: leave out the _ in the file"),
        (["1/2", "3/4"], "two numbers with a slash, such as '1/2' in row 1: write decimals, or two columns"),
        (["\u0661\u0662", "\u0663"], "digits of another script, such as '\u0661\u0662' in row 1: write them as 0 to 9"),
        (["28:58:46", "3:10:00"], "dates or times in a form that is not read, such as '28:58:46' in row 1"),
        (["1.1", "1.10", "1.9"], "'1.10' in row 2 is read as 1.1, which other rows hold; if it is a version or a code"),
        (["20201231235900", "20210101000000"], "may be dates such as 20201231235900: --type x=%Y%m%d%H%M%S reads them"),
        (["NA", "EMEA", "APAC"], "NA in 20 rows, first in row 1, is read as missing; if it is a code, write another"),
        (["NULL", "MSFT", "BRK.B"], "NULL in 20 rows, first in row 1, is read as missing; if it is a code, write"),
        (["DE", "NA", "FR"], "NA in 20 rows, first in row 2, is read as missing; if it is a code, write another"),
        (['"a \\"b\\" c"', "d"], 'quotes written as \\" in 30 rows are not read as quotes: write them as ""'),
        (
            [*["-"] * 40, *map(str, range(20))],
            "numbers but for 40 rows, such as '-' in row 1, so the column is read as",
        ),
        ([f"20{year}{month:02}" for year in (20, 21) for month in range(1, 13)], "may be dates such as 202012: --type"),
        (["20200131", "20200201"], "may be dates such as 20201231: --type x=%Y%m%d reads them"),
        (["#N/A", "1.5", "2.5"], "#N/A in 20 rows, first in row 1, is read as missing"),
        (["1.5", "#DIV/0!", "2.5"], "#DIV/0! in 20 rows, first in row 2, is read as missing"),
        (
            ["12E3", "45E7", "123"],
            "'12E3' in row 1 is read as a number with an exponent; if it is a code: --type x=text",
        ),
        (["1:45 PM", "12:30 AM"], "dates or times in a form that is not read, such as '1:45 PM' in row 1"),
        (["2020-W01", "2020-W02"], "dates or times in a form that is not read, such as '2020-W01' in row 1"),
        (["1. März 2020", "2. Mai 2020"], "dates or times in a form that is not read, such as '1. März 2020'"),
        (["a", "#REF!", "b"], "#REF! in 20 rows, first in row 2, is read as missing"),
    ],
)
def test_doubtful_cells_are_told_with_value_and_row(tmp_path: Path, cells: list[str], line: str):
    warned = understood(written(tmp_path, ";", x=cells, y=["0", "1"]))[2]
    assert len(warned) == 1
    assert line in warned[0]


@pytest.mark.parametrize(
    "cells",
    [
        ["10.0.0.1", "10.0.0.2"],
        ["192.168.100.100", "192.168.100.101"],
        ["555 1234", "555 1235"],
        ["A1", "A2"],
        ["12a", "14b", "3c", "7d"],
        ["2 Elm 7", "12 Oak 20"],
        ["May", "June"],
        ["2019/20", "2020/21"],
        ["1-2", "3-4"],
        ["1st", "2nd", "3rd"],
        ["1A", "2B", "3A"],
        ["yes", "NA", "no"],
    ],
)
def test_other_text_with_digits_is_text(tmp_path: Path, cells: list[str]):
    raw, how, warned = understood(written(tmp_path, ";", x=cells, y=["0", "1"]))
    assert raw["x"].fillna("NA").tolist()[: len(cells)] == cells
    assert (how, warned) == ({"separator": ";"}, [])


@pytest.mark.parametrize(
    "cells",
    [["00042", "7"], ["0x1F", "0x20"], ["01", "12"], ["12345678901234567890", "3"], ["+41781234567", "+41781234568"]],
)
def test_names_made_of_digits_stay_text(tmp_path: Path, cells: list[str]):
    raw, how, _ = understood(written(tmp_path, x=cells, y=["0", "1"]))
    assert raw["x"].tolist()[:2] == cells
    assert how == {"types": {"x": "text"}}


def test_names_made_of_digits_are_found_in_any_row(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_text("y,b\n" + "1,2\n" * 600_000 + "1,00042\n")
    assert understood(file)[1] == {"types": {"b": "text"}}


def test_rows_in_one_cell_because_of_a_wrong_quote_are_told(tmp_path: Path):
    rows = [f"t{n % 7},{n},{n % 2}\n" for n in range(100)]
    rows[20], rows[80] = f'"{rows[20]}', f'"{rows[80]}'
    (tmp_path / "a.csv").write_text("x,n,y\n" + "".join(rows))
    told = "x: the cell in row 21 holds 60 line breaks, and may be rows in one: correct the quote before it"
    assert understood(tmp_path / "a.csv")[2] == [told]
    letters = "".join(f'"Dear Ada,\n{"we, and they, write." * 3}\n{"yours" * 20}\n",{n},1\n' for n in range(20))
    (tmp_path / "a.csv").write_text("x,n,y\n" + letters)
    assert understood(tmp_path / "a.csv")[2] == []


def test_floats_of_16_bits_are_read_as_numbers(tmp_path: Path):
    halves = pa.array(column(["1.5", "-999"]), pa.string()).cast(pa.float16())
    pa.parquet.write_table(pa.table({"day": halves, "y": column(["0", "1"])}), tmp_path / "a.parquet")
    assert understood(tmp_path / "a.parquet")[0]["day"].tolist()[:2] == [1.5, -999]
    assert understood(tmp_path / "a.parquet", "--missing", "-999")[0]["day"].isna().sum() == ROWS / 2


def test_numbers_in_texts_of_parquet_are_found_too(tmp_path: Path):
    frame = pd.DataFrame(
        {"x": column(["1,5", "2,5"]), "when": column(["31.12.2020", "01.01.2021"]), "y": column(["0", "1"])}
    )
    frame.to_parquet(tmp_path / "a.parquet")
    _, how, warned = understood(tmp_path / "a.parquet")
    assert how == {"decimal": ",", "types": {"when": "%d.%m.%Y"}}
    assert "x: numbers written as text, such as '1,5' in row 1: --type x=number reads them" in warned
    assert understood(tmp_path / "a.parquet", "--type", "x=number")[0]["x"].iloc[0] == 1.5
