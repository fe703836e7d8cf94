"""Dates as people write them are read by the format that the cells prove, or the user is asked."""

from pathlib import Path

import pandas as pd
import pytest

from tests.retrace.adopt.small_tables import refusal, understood, written

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


def test_the_user_decides_if_day_or_month_may_come_first(tmp_path: Path):
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


def test_a_cell_that_is_not_a_date_is_told(tmp_path: Path):
    file = written(tmp_path, x=[*[f"2020-01-{day:02}" for day in range(1, 20)], "soon"], y=["0", "1"])
    told = "dates, but 'soon' in row 20 is not written as %Y-%m-%d, so the column is read as text: correct it, or "
    assert understood(file)[2] == [f"x: {told}--missing soon if it means no value"]
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
