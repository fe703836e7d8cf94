"""Values that may mean something else are told with their row, unless they are private."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrace.adopt import columns
from retrace.adopt.values import codes, odd_values, told_totals, total_rows

SIZES = [65.5, 50.8, 36.9, 37.7, 52.4, 56.6, 44.1, 61.3]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([*SIZES, -999, -999], [-999]),
        ([*SIZES, 9999, 9999], [9999]),
        ([*SIZES, -999, -999, 9999, 9999], [-999, 9999]),
        ([1, 2, 3, 4, 5, 98, 99, 98, 99], [98, 99]),
        ([10.0, 10_000, 2_000_000, 35, -99, -99], [-99]),  # all others are positive
        ([*SIZES, -999], []),  # an outlier that is there once
        ([*SIZES, 70.1, 70.1], []),
        ([0, 1, 0, 1, 1, 0], []),
        ([0, 1, -999, 0, -999], [-999]),
        ([5, 9999, 9999], [9999]),
        ([500, 999, 999], []),
        ([1, 2, 9, 9], []),
        ([0, 0, 0, 1, 5, 20, 100], []),
        ([-99, -99, -98.5, -97, -100.5, -101], []),
        ([np.nan, np.inf], []),
        ([0, 0, 0, 0, 36, 37, 38.5, 40, 41], []),  # those who work, and those who don't
        ([0, 0, *range(30, 60)], [0]),
        ([1, 10, 100, 1000, 10_000, 100_000] * 9, []),  # doses
        ([0.001, 0.01, 0.1, 1, 10, 100, 1000] * 9, []),
        ([1, 2, 3, 4, 5, 8888, 8888], [8888]),
        ([], []),
    ],
)
def test_codes_for_no_value_repeat_and_are_far_from_all_others(values: list[float], found: list[float]):
    assert sorted(codes(np.array(values, dtype=float))) == found


def told(values: list[Any], hidden: bool = False, is_target: bool = False) -> list[str]:
    return list(odd_values(pd.Series(values), hidden, is_target))


def test_a_code_is_told_with_its_row_and_the_option():
    line = "-999 in 2 rows, first in row 9, is far from all others; if it means no value: --missing=-999"
    assert told([*SIZES, -999, -999]) == [line]
    assert "999" not in told([*SIZES, -999, -999], hidden=True)[0]


@pytest.mark.parametrize(
    ("code", "text"), [(1234567890123456.0, "--missing 1234567890123456"), (-1e9 - 0.1, "--missing=-1000000000.1")]
)
def test_a_code_is_told_with_all_digits(code: float, text: str):
    assert told([*SIZES, code, code])[0].endswith(f"no value: {text}")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            ["yes ", "no", "yes"],
            "'yes ' in row 1 and 'yes' in row 3 differ only in the blanks around them: --strip removes",
        ),
        (["no", "Yes", "yes"], "'Yes' in row 2 and 'yes' in row 3 differ only in case: write them alike in the file"),
        (["no", "Yes", " yes"], "'Yes' in row 2 and ' yes' in row 3 differ only in case"),
        (["no", "yes", "yes\u200b"], r"'yes' in row 2 and 'yes\u200b' in row 3 differ only in what cannot be seen"),
        (["a yes", "a\u00a0yes"], r"'a yes' in row 1 and 'a\xa0yes' in row 2 differ only in what cannot be seen"),
        (["\u00e9yes", "e\u0301yes"], "in row 1 and 'e\u0301yes' in row 2 differ only in what cannot be seen"),
    ],
)
def test_texts_that_differ_in_blanks_or_case_are_told(values: list[str], line: str):
    assert [text for text in told(values * 3) if line in text]
    assert "es'" not in "".join(told(values * 3, hidden=True))


def test_texts_that_differ_otherwise_are_not_told():
    assert told(["yes", "no", None, "maybe"] * 5) == []


def test_a_date_far_from_today_is_told():
    values = [*pd.to_datetime(["2020-01-01", "9999-12-31", "9999-12-31"]).astype("datetime64[us]")]
    assert told(values)[0].startswith("9999-12-31 in 2 rows, first in row 2, is far from today")
    assert "9999" not in told(values, hidden=True)[0]
    assert told(values)[0].endswith("if it means no date, leave the cell empty")
    as_time = list(odd_values(pd.Series(values), hidden=False, is_target=False, is_time=True))
    assert as_time[0].endswith("if it means no date, leave such rows out of the file")


@pytest.mark.parametrize("day", ["1900-01-01", "1970-01-01", "2099-12-31"])
def test_a_date_that_programs_write_for_no_date_is_told(day: str):
    values = [*pd.to_datetime(["2020-01-01", day, day]).astype("datetime64[us]")]
    told_of = f"{day} in 2 rows, first in row 2, is more than a year from all others; if it means no date"
    assert told(values)[0].startswith(told_of)
    assert day not in told(values, hidden=True)[0]
    near = pd.Timestamp(day) - pd.Timedelta(days=9)
    assert told([near, *values[1:]]) == []


PLACES = pd.DataFrame({"place": ["a", "b", "c", "d"], "rooms": [1, 2, 3, 4], "price": [1.5, 2.5, 3.5, 5.5]})


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], []),
        ([("Total", 10, 13.0)], ["row 5 looks like a total of other rows: --skip-footer 1 leaves it out"]),
        ([("grand total", None, 1.0)], ["row 5 looks like a total of other rows: --skip-footer 1 leaves it out"]),
        ([(None, 10, 13.0)], ["row 5 looks like a total of other rows: --skip-footer 1 leaves it out"]),
        ([("Summe", 10, 13.0)], ["row 5 looks like a total of other rows: --skip-footer 1 leaves it out"]),
        (
            [("Total", 10, 13.0), ("Mean", 2.5, 3.25)],
            ["row 5 looks like a total of other rows (2 rows do): --skip-footer 2"],
        ),
        ([("Total a", 10, 13.0), ("e", 1, 1.5)], ["row 5 looks like a total of other rows: leave such rows out"]),
        ([("Totalling", 1, 1.5)], []),
    ],
)
def test_a_total_of_other_rows_is_told(rows: list[tuple[Any, ...]], told: list[str]):
    table = pd.concat([PLACES, pd.DataFrame(rows, columns=PLACES.columns)], ignore_index=True)
    places = total_rows(table)
    found = [told_totals(places, len(table), 0)] if places else []
    assert len(found) == len(told)
    assert all(line.startswith(start) for line, start in zip(found, told, strict=True))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["Poor", "Good", "Average"] * 20, []),
        (["Shell", "Total", "Aral", "Jet", "Esso"] * 12, []),
        (["Good", "Poor"] * 29 + ["Good", "Average"], [59]),
        (["a", "b", "c", "d", "Subtotal"] * 12, [*range(4, 60, 5)]),
    ],
)
def test_a_word_in_many_rows_is_a_total_only_if_their_numbers_are_larger(names: list[str], found: list[int]):
    rooms = np.random.default_rng(1).integers(1, 6, len(names))
    larger = [name == "Subtotal" for name in names]
    assert total_rows(pd.DataFrame({"name": names, "rooms": np.where(larger, 4 * rooms, rooms)})) == found


@pytest.mark.parametrize(
    ("skipped", "advice"), [(0, "--skip-footer 1 leaves it out"), (2, "--skip-footer 3"), (None, "leave such rows out")]
)
def test_a_last_row_is_left_out_by_the_option_if_the_file_is_text(skipped: int | None, advice: str):
    table = pd.concat([PLACES, pd.DataFrame([("Total", 10, 13.0)], columns=PLACES.columns)], ignore_index=True)
    told_of = told_totals(total_rows(table), len(table), skipped)
    assert told_of.startswith(f"row 5 looks like a total of other rows: {advice}")


@pytest.mark.parametrize("rows_at_once", [2, 100])
@pytest.mark.parametrize(
    ("pieces", "names"),
    [
        ([["a", "b", "c"], ["d"]], True),
        ([["a", "b", "c"], ["a"]], False),
        ([["a", "b"], [None, "c"]], False),
        ([[5, 7], [8, 20]], True),
        ([[5, 7], [20, 8]], False),
        ([[8, 20], [5, 7]], False),
        ([[1, 4], [3, 2]], True),
        ([[0, 4], [3, 2]], False),
        ([[5, 7], [7, 20]], False),
        ([[0.5], [0.7]], False),
    ],
)
def test_a_column_names_rows_if_it_does_over_all_chunks(
    rows_at_once: int, pieces: list[list[Any]], names: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(columns, "ROWS_AT_ONCE", rows_at_once)
    found = [pd.Series(piece, dtype="str" if isinstance(piece[0], str | None) else None) for piece in pieces]
    assert columns.names_rows(found) == columns.names_rows([pd.concat(found)]) == names
