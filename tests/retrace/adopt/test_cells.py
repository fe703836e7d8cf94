"""Numbers and dates as people write them are read right, or refused or warned of in a line that names the option."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from retrace.adopt.command import parse
from retrace.adopt.plan import read

ROWS = 60


def column(cells: list[str]) -> list[str]:
    """The cells again and again, for a table of ROWS rows."""
    return (cells * ROWS)[:ROWS]


def written(folder: Path, separator: str = ",", quote: str = "", **columns: list[str]) -> Path:
    lines = zip(*([name, *column(cells)] for name, cells in columns.items()), strict=True)
    file = folder / "a.csv"
    file.write_text("".join(separator.join(f"{quote}{cell}{quote}" for cell in line) + "\n" for line in lines))
    return file


def understood(file: Path, *words: str, **was: Any) -> tuple[pd.DataFrame, dict[str, Any], list[str]]:
    """A table as adopt reads it, how, and what it warns of."""
    raw, how, doubts, _ = read(file, parse([str(file), "--target", "y", *words]), was)
    return raw, how, [f"{name}: {line}" for name, lines in doubts.items() for line in lines]


def refusal(file: Path, *words: str) -> str:
    with pytest.raises(SystemExit) as error:
        understood(file, *words)
    message = str(error.value)
    assert "\n" not in message
    return message.removeprefix(f"{file}: ")


THOUSANDS = [566, 603, 640, 677, 714, 751, 788, 825, 862, 899, 936, 973, 1010, 1047, 1084, 2675]


@pytest.mark.parametrize(("separator", "sign"), [("\t", ","), (";", ","), (";", "."), ("\t", ".")])
def test_thousands_from_1000_on_are_read_as_such_with_a_warning(tmp_path: Path, separator: str, sign: str):
    cells = [f"{number:,}".replace(",", sign) for number in THOUSANDS]
    raw, how, warned = understood(written(tmp_path, separator, x=cells, y=["0", "1"]))
    assert raw["x"].tolist()[:16] == THOUSANDS
    assert how["types"] == {"x": "number"}
    assert warned == [f"x: 1{sign}010 is read as 1010; if {sign} is the decimal sign: --decimal {sign}"]
    raw, _, warned = understood(written(tmp_path, separator, x=cells, y=["0", "1"]), "--decimal", sign)
    assert raw["x"].tolist()[12] == 1.01
    assert warned == []


@pytest.mark.parametrize(
    ("cells", "others", "numbers"),
    [
        (["1,234,567", "1,000"], [], [1234567, 1000]),
        (["1.234.567", "1.000"], [], [1234567, 1000]),
        (["1,234.5", "950"], [], [1234.5, 950]),
        (["1.234,5", "950"], [], [1234.5, 950]),
        (["1,234", "2,345"], ["1.5", "2.25"], [1234, 2345]),
        (["1.234", "2.345"], ["1,5", "2,25"], [1234, 2345]),
        (["1.234", "2.345"], ["1.5", "2.25"], [1.234, 2.345]),
        (["1,234", "2,345"], ["1,5", "2,25"], [1.234, 2.345]),
        (["0,125", "1,250"], [], [0.125, 1.25]),
        (["0.125", "1.250"], [], [0.125, 1.25]),
        (["1234,125", "1,250"], [], [1234.125, 1.25]),
        (["1,5e3", "2,25E-2"], [], [1500, 0.0225]),
        (["1,23,456", "12,34,567.5"], [], [123456, 1234567.5]),
        (["1'234.50", "987"], [], [1234.5, 987]),
        (["1’234’567", "987"], [], [1234567, 987]),  # noqa: RUF001  # as Swiss programs write it
        (["1 234 567", "-3"], [], [1234567, -3]),
        (["1\u00a0234,5", "12\u202f345,25"], [], [1234.5, 12345.25]),
        (["-1,234.5", "+2,345.5"], [], [-1234.5, 2345.5]),
    ],
)
def test_figures_are_read_as_they_are_meant(tmp_path: Path, cells: list[str], others: list[str], numbers: list[float]):
    file = written(tmp_path, ";", x=cells, other=others or ["a"], y=["0", "1"])
    raw, _, warned = understood(file)
    assert raw["x"].tolist()[: len(numbers)] == numbers
    assert [line for line in warned if not line.startswith("x: 1")] == []


def test_a_late_cell_decides_too(tmp_path: Path):
    cells = ["1.234"] * 3000 + ["1.5"]
    file = tmp_path / "a.csv"
    file.write_text("x;y\n" + "".join(f"{cell};1\n" for cell in cells))
    assert understood(file)[0]["x"].iloc[0] == 1.234


@pytest.mark.parametrize("sign", [",", "."])
def test_where_both_readings_fit_the_user_decides(tmp_path: Path, sign: str):
    file = written(tmp_path, ";", x=[f"1{sign}234", f"2{sign}345"], y=["0", "1"])
    options = f"--thousands {sign} or --decimal {sign} decides"
    assert refusal(file) == f"column x: 1{sign}234 may be 1234 or 1.234; {options}"
    assert (
        refusal(file, "--private", "x") == f"column x: {sign} may separate thousands or be the decimal sign; {options}"
    )
    assert understood(file, "--thousands", sign)[0]["x"].tolist()[:2] == [1234, 2345]
    assert understood(file, "--decimal", sign)[0]["x"].tolist()[:2] == [1.234, 2.345]
    assert understood(file, decimal=",")[0]["x"].iloc[0] == (1.234 if sign == "," else 1234), "as params.yaml has it"
    assert understood(file, "--drop", "x")[1].get("thousands") is None, "what is left out need not be read"
    assert understood(file, "--type", "x=text")[0]["x"].iloc[0] == f"1{sign}234"


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
        ([*map(str, range(20)), "-x"], "--missing=-x if that stands for no value, else correct it"),
        ([*map(str, range(20)), "no\u00a0'value'"], "--missing $'no\\xc2\\xa0\\x27value\\x27' if that stands for"),
        ([*map(str, range(20)), "none"], "--missing none if that stands for no value, else correct it"),
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
def test_what_is_doubtful_is_told_with_value_and_row(tmp_path: Path, cells: list[str], line: str):
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
def test_what_names_something_stays_text(tmp_path: Path, cells: list[str]):
    raw, how, _ = understood(written(tmp_path, x=cells, y=["0", "1"]))
    assert raw["x"].tolist()[:2] == cells
    assert how == {"types": {"x": "text"}}


def test_what_names_something_is_found_wherever_it_is(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_text("y,b\n" + "1,2\n" * 600_000 + "1,00042\n")
    assert understood(file)[1] == {"types": {"b": "text"}}


def test_a_missing_value_that_is_named_leaves_numbers(tmp_path: Path):
    file = written(tmp_path, x=[*map(str, range(20)), "-"], z=["-999.0", "1.5"], y=["0", "1"])
    raw, how, warned = understood(file, "--missing", "-", "--missing", "-999")
    assert how == {"missing": ["-", "-999"]}
    assert warned == []
    assert [raw[name].isna().sum() for name in ("x", "z", "y")] == [2, 30, 0]
    assert raw.dtypes.astype(str).tolist() == ["float64", "float64", "int64"]


@pytest.mark.parametrize("word", ["--decimal=5", "--decimal=-", "--thousands=a", '--thousands="', "--decimal=\t"])
def test_what_is_no_sign_between_digits_is_refused(word: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parse(["a.csv", "--target", "y", word])
    assert "not a sign such as . or ," in capsys.readouterr().err


def test_two_hyphens_are_a_value_like_any_other(tmp_path: Path):
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


DATES = [
    (["01/02/2014", "13/02/2014"], "%d/%m/%Y", "2014-02-01"),
    (["01/02/2014", "01/13/2014"], "%m/%d/%Y", "2014-01-02"),
    (["1.2.2014", "3.2.2014"], "%d.%m.%Y", "2014-02-01"),
    (["31.12.20", "01.02.21"], "%d.%m.%y", "2020-12-31"),
    (["12/31/20", "01/02/21"], "%m/%d/%y", "2020-12-31"),
    (["01/01/2023 12:00:00 AM", "01/13/2023 02:00:00 PM"], "%m/%d/%Y %I:%M:%S %p", "2023-01-01"),
    (["13/01/2023 1:05 pm", "14/01/2023 2:05 am"], "%d/%m/%Y %I:%M %p", "2023-01-13 13:05"),
    (["12/31/2020 5:30", "12/30/2020 15:30"], "%m/%d/%Y %H:%M", "2020-12-31 05:30"),
    (["31 December 2020", "1 May 2021"], "%d %B %Y", "2020-12-31"),
    (["1-Feb-2020", "2-Mar-2020"], "%d-%b-%Y", "2020-02-01"),
    (["Feb 1, 2020", "Mar 2, 2020"], "%b %d, %Y", "2020-02-01"),
    (
        ["Mon, 06 Jan 2020 10:00:00 GMT", "Tue, 07 Jan 2020 10:00:00 GMT"],
        "%a, %d %b %Y %H:%M:%S %z",
        "2020-01-06 10:00",
    ),
    (["2020-01", "2020-02"], "%Y-%m", "2020-01-01"),
    (["01/2020", "02/2020"], "%m/%Y", "2020-01-01"),
    (["2020/01/31", "2020/02/01"], "%Y/%m/%d", "2020-01-31"),
    (["31/12/9999", "01/01/1500"], "%d/%m/%Y", "9999-12-31"),
    (["01/01/2014", "02/02/2014"], "%d/%m/%Y", "2014-01-01"),  # the same dates either way
]


@pytest.mark.parametrize(("cells", "format_", "first"), DATES)
def test_a_date_is_found_with_its_format(tmp_path: Path, cells: list[str], format_: str, first: str):
    raw, how, warned = understood(written(tmp_path, ";", x=cells, y=["0", "1"]))
    assert how["types"] == {"x": format_}
    assert raw["x"].iloc[0] == pd.Timestamp(first)
    assert warned == (["x: years of two digits are read as 2020 to 2021"] if "%y" in format_ else [])


def test_where_day_or_month_may_come_first_the_user_decides(tmp_path: Path):
    file = written(tmp_path, x=["01/01/2014", "01/02/2014", "01/12/2014"], y=["0", "1"])
    told = "column x: 01/01/2014 and other dates can be read in 2 ways; --dayfirst or --monthfirst decides"
    assert refusal(file) == told
    assert "01/01" not in refusal(file, "--private", "x")
    assert understood(file, "--dayfirst")[0]["x"].iloc[1] == pd.Timestamp(2014, 2, 1)
    assert understood(file, "--monthfirst")[0]["x"].iloc[1] == pd.Timestamp(2014, 1, 2)
    assert understood(file, types={"x": "%d/%m/%Y"})[0]["x"].iloc[1] == pd.Timestamp(2014, 2, 1), "as it was"
    changed, how, _ = understood(file, "--monthfirst", types={"x": "%d/%m/%Y", "y": "text"})
    assert changed["x"].iloc[1] == pd.Timestamp(2014, 1, 2), "as it is said now"
    assert how["types"] == {"x": "%m/%d/%Y", "y": "text"}
    file = written(tmp_path, x=["01-02-03", "02-03-04"], y=["0", "1"])
    assert refusal(file).endswith("--dayfirst or --monthfirst or --type x=%y-%m-%d decides")
    assert understood(file, "--type", "x=%y-%m-%d")[0]["x"].iloc[0] == pd.Timestamp(2001, 2, 3)


def test_a_cell_that_is_no_date_is_told(tmp_path: Path):
    file = written(tmp_path, x=[*[f"2020-01-{day:02}" for day in range(1, 20)], "soon"], y=["0", "1"])
    told = "dates, but 'soon' in row 20 is not written as %Y-%m-%d, so the column is read as text: correct it, or "
    assert understood(file)[2] == [f"x: {told}--missing soon if it stands for no value"]
    assert refusal(file, "--time", "x").startswith(f"column x: {told}")
    assert understood(file, "--missing", "soon")[0]["x"].iloc[0] == pd.Timestamp(2020, 1, 1)


def test_dates_written_in_two_ways_are_told(tmp_path: Path):
    file = written(tmp_path, x=["31/12/2020", "30/12/2020 10:00"], y=["0", "1"])
    assert "is not written as %d/%m/%Y, so the column is read as text: write them alike" in understood(file)[2][0]


def test_a_spreadsheets_days_are_dates_if_the_user_says_so(tmp_path: Path):
    file = written(tmp_path, date=["43831", "43832.5"], y=["0", "1"])
    assert "--type date=excel-date reads them" in understood(file)[2][0]
    raw = understood(file, "--type", "date=excel-date")[0]
    assert raw["date"].tolist()[:2] == [pd.Timestamp(2020, 1, 1), pd.Timestamp(2020, 1, 2, 12)]


@pytest.mark.parametrize(
    "cells",
    [["2020-01-01T23:00:00+02:00", "2020-07-01T01:00:00+03:00"], ["01/31/2020 23:00 +0200", "02/01/2020 01:00 Z"]],
)
def test_a_date_with_an_offset_is_read_as_the_clock_showed_it(tmp_path: Path, cells: list[str]):
    raw, _, warned = understood(written(tmp_path, x=cells, y=["0", "1"]))
    assert raw["x"].dt.hour.tolist()[:2] == [23, 1]
    assert warned == ["x: its offsets from UTC differ; each time is read as the clock showed it"]


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


def test_rows_that_stray_quotes_have_swallowed_are_told(tmp_path: Path):
    rows = [f"t{n % 7},{n},{n % 2}\n" for n in range(100)]
    rows[20], rows[80] = f'"{rows[20]}', f'"{rows[80]}'
    (tmp_path / "a.csv").write_text("x,n,y\n" + "".join(rows))
    told = "x: the cell in row 21 holds 60 line breaks, and may be rows in one: correct the quote before it"
    assert understood(tmp_path / "a.csv")[2] == [told]
    letters = "".join(f'"Dear Ada,\n{"we, and they, write." * 3}\n{"yours" * 20}\n",{n},1\n' for n in range(20))
    (tmp_path / "a.csv").write_text("x,n,y\n" + letters)
    assert understood(tmp_path / "a.csv")[2] == []


def test_a_header_that_is_repeated_is_named(tmp_path: Path):
    rows = "".join(f"{n},{n}\n" for n in range(20))
    (tmp_path / "a.csv").write_text(f"x,y\n{rows}x, y\n{rows}")
    assert refusal(tmp_path / "a.csv") == "row 21 of the data repeats the header; take such lines out of the file"


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_blanks_are_removed_and_lines_left_out_where_that_can_be(tmp_path: Path, suffix: str):
    frame, file = pd.DataFrame({" x": pd.Categorical(column([" a", "b "])), "y": column(["0", "1"])}), tmp_path / "a"
    file = file.with_suffix(f".{suffix}")
    frame.to_parquet(file) if suffix == "parquet" else frame.to_json(file, orient="records", lines=True)
    assert understood(file, "--strip")[0]["x"].tolist()[:2] == ["a", "b"]
    for words in (["--skip-footer", "1"], ["--skip-rows", "1"]):
        assert refusal(file, *words) == f"{' '.join(words)}: only for CSV and TSV files; leave the rows out of {file}"


def test_numbers_of_16_bits_are_understood_as_others_are(tmp_path: Path):
    halves = pa.array(column(["1.5", "-999"]), pa.string()).cast(pa.float16())
    pa.parquet.write_table(pa.table({"day": halves, "y": column(["0", "1"])}), tmp_path / "a.parquet")
    assert understood(tmp_path / "a.parquet")[0]["day"].tolist()[:2] == [1.5, -999]
    assert understood(tmp_path / "a.parquet", "--missing", "-999")[0]["day"].isna().sum() == ROWS / 2


def test_text_in_other_kinds_of_files_is_understood_as_well(tmp_path: Path):
    frame = pd.DataFrame(
        {"x": column(["1,5", "2,5"]), "when": column(["31.12.2020", "01.01.2021"]), "y": column(["0", "1"])}
    )
    frame.to_parquet(tmp_path / "a.parquet")
    _, how, warned = understood(tmp_path / "a.parquet")
    assert how == {"decimal": ",", "types": {"when": "%d.%m.%Y"}}
    assert "x: numbers written as text, such as '1,5' in row 1: --type x=number reads them" in warned
    assert understood(tmp_path / "a.parquet", "--type", "x=number")[0]["x"].iloc[0] == 1.5


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
def test_an_option_that_cannot_be_right_is_one_line(tmp_path: Path, words: list[str], line: str):
    assert line in refusal(written(tmp_path, x=["a", "b"], y=["0", "1"]), *words)
