"""Values that may mean something else: codes for no value, totals of other rows, texts that differ only in blanks."""

import re
import unicodedata
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from retrace.adopt.shown import option, rows, shorten
from retrace.examples import is_number
from retrace.files import shortest_decimal

MOST_ROWS = 50_000  # of a column, in which codes are searched for
MOST_CODES = 3  # at one end of a column's values
LAST_ROWS = 3  # of a table, in which words such as Sum or Mean name a total
END_OF_WORD = r"(?:[^\p{L}\p{N}_]|$)"
TOTALS = rf"^\s*(?:grand |sub-?)?totals?{END_OF_WORD}"
SUM_WORDS = "gesamt|gesamtsumme|summe|insgesamt|somme|suma|totale|totaal|итого|всего|sum|average|mean"
SUMS = rf"^\s*(?:{SUM_WORDS}){END_OF_WORD}"
YEARS = range(1800, 2100)
NO_DATES = ["1900-01-01", "1970-01-01", "2099-12-31"]  # that programs write for no date
A_YEAR = pd.Timedelta(days=366)
MUCH_LARGER = 5  # times the largest other value
COMMON = 0.2  # the share of the rows from which on a 0 is an ordinary value


def odd_values(
    values: pd.Series, hidden: bool, is_target: bool, is_time: bool = False, of_sample: bool = False
) -> Iterator[str]:
    """What is odd about a column's values.

    Args:
        values: the raw column; its index has the places of the rows in the table.
        hidden: whether no value of it may be shown.
        is_target: whether it is the target.
        is_time: whether the table is split by it.
        of_sample: whether these are only some of the table's rows.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        yield from _odd_dates(values, hidden, is_time, of_sample)
    elif pd.api.types.is_string_dtype(values):
        yield from _nearly_equal_texts(values, hidden, is_target)
    elif is_number(values) and not pd.api.types.is_bool_dtype(values):
        for code in codes(values.to_numpy(float)):
            places = values.index[values == code]
            value = "VALUE" if hidden else shortest_decimal(code)
            what = f"{'a value' if hidden else value} in {rows(len(places), of_sample)}"
            where = f"{what}, first in row {places[0] + 1:,}"
            yield f"{where}, is far from all others; if it means no value: {option('--missing', value)}"


def _odd_dates(values: pd.Series, hidden: bool, is_time: bool, of_sample: bool) -> Iterator[str]:
    """Dates that may mean no date: far from today, or one of NO_DATES and far from the others."""
    advice = "leave such rows out of the file" if is_time else "leave the cell empty"
    odd = values.notna() & ~values.dt.year.isin(YEARS)
    found = [(values[odd], "is far from today")] if odd.any() else []
    days = values.dt.normalize()
    for day in pd.to_datetime(NO_DATES):
        same = values[days == day]
        if len(same) < 2:
            continue
        others = values[(days != day) & ~odd].dropna()
        if len(others) and not others.between(day - A_YEAR, day + A_YEAR).any():
            found.append((same, "is more than a year from all others"))
    for dates, why in found:
        what = "a date" if hidden else dates.iloc[0].date().isoformat()
        where = f"{rows(len(dates), of_sample)}, first in row {dates.index[0] + 1:,}"
        yield f"{what} in {where}, {why}; if it means no date, {advice}"


def codes(values: NDArray[np.float64]) -> list[float]:
    """The numbers that may mean no value: they repeat, and are farther from the others than those are apart.

    Args:
        values: a column's numbers, shape (rows,).
    """
    if len(values) > MOST_ROWS:
        values = np.random.default_rng(1).choice(values, MOST_ROWS, replace=False)
    distinct, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    found: list[float] = []
    while True:
        lowest, highest = _codes_at_an_end(distinct, counts)
        if not lowest and not highest:
            return found
        end = len(distinct) - highest
        found += distinct[:lowest].tolist() + distinct[end:].tolist()
        distinct, counts = distinct[lowest:end], counts[lowest:end]


def _codes_at_an_end(distinct: NDArray[np.float64], counts: NDArray[np.intp]) -> tuple[int, int]:
    """How many of the lowest values are codes, and how many of the highest; only one of the two is not 0.

    Args:
        distinct: the different values in ascending order, shape (values,).
        counts: how many rows have each, shape (values,).
    """
    if 2 <= len(distinct) <= 3:
        return _nines_at_an_end(distinct, counts)
    for size in range(1, min(MOST_CODES, len(distinct) - 3) + 1):
        without_lowest, without_highest = distinct[size:], distinct[:-size]
        are_nines = size == 1 and without_lowest[0] >= 0 and re.fullmatch(r"-99+", f"{distinct[0]:.15g}")
        gap, rest = without_lowest[0] - distinct[size - 1], without_lowest[-1] - without_lowest[0]
        are_far = gap > rest and not _is_common_zero(distinct, counts)
        if counts[:size].min() > 1 and (are_nines or are_far):
            return size, 0
        gap, rest = distinct[-size] - without_highest[-1], without_highest[-1] - without_highest[0]
        are_far = gap > rest and not _is_next_magnitude(distinct, size)
        if counts[-size:].min() > 1 and are_far:
            return 0, size
    return 0, 0


def _is_common_zero(distinct: NDArray[np.float64], counts: NDArray[np.intp]) -> bool:
    """Whether the lowest value is a 0 in many rows, as in a column of bonuses."""
    return bool(distinct[0] == 0 and counts[0] > COMMON * counts.sum())


def _is_next_magnitude(distinct: NDArray[np.float64], size: int) -> bool:
    """Whether the highest values go on with magnitudes such as 1, 10, 100: by no larger a factor than the others."""
    high = distinct[distinct > 0]
    repeats_a_digit = re.fullmatch(r"(\d)\1+", f"{distinct[-size]:.15g}")  # as 999 or 8888
    if repeats_a_digit or len(high) < size + 2:
        return False
    return bool(high[-size] / high[-size - 1] <= high[-size - 1] / high[0])


def _nines_at_an_end(distinct: NDArray[np.float64], counts: NDArray[np.intp]) -> tuple[int, int]:
    """The same for two or three values, too few to say what is far: only repeated nines that are much larger."""
    for end, others in ((-1, distinct[:-1]), (0, distinct[1:])):
        nines = re.fullmatch(r"-99+|99{2,}", f"{distinct[end]:.15g}")
        if nines and counts[end] > 1 and abs(distinct[end]) > MUCH_LARGER * max(1, np.abs(others).max()):
            return (0, 1) if end else (1, 0)
    return 0, 0


def _nearly_equal_texts(values: pd.Series, hidden: bool, is_target: bool) -> Iterator[str]:
    """Texts that differ only in the blanks around them, in characters that cannot be seen, or in case."""
    if not is_target and values.nunique() > len(values) / 2:
        return
    distinct = [str(text) for text in values.dropna().unique()]
    stripped: dict[str, str] = {}
    visible: dict[str, str] = {}
    folded: dict[str, str] = {}
    pairs: dict[str, tuple[str, str]] = {}
    for text in distinct:
        plain = text.strip()
        if (other := stripped.setdefault(plain, text)) != text:
            pairs.setdefault("in the blanks around them: --strip removes these", (other, text))
        seen = _visible(plain)
        if (same := visible.setdefault(seen, plain)) != plain:
            pairs.setdefault("in what cannot be seen: write them alike in the file", (stripped[same], text))
        elif (same := folded.setdefault(seen.casefold(), plain)) != plain:
            pairs.setdefault("in case: write them alike in the file", (stripped[same], text))
    for what, pair in pairs.items():
        first, second = (
            f"{'a text' if hidden else shorten(text)} in row {values.index[values == text][0] + 1:,}" for text in pair
        )
        yield f"{first} and {second} differ only {what}"


def _visible(text: str) -> str:
    """A text as it looks: one blank for any blanks, composed accents, no characters without width."""
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(char for char in composed if unicodedata.category(char) != "Cf").split())


def total_rows(table: pd.DataFrame, of_sample: bool = False) -> list[int]:
    """The places of rows that are totals of others, counted from 0.

    A total has a word such as Total, or is the last row and the sum of those above. A text in many rows, such as the
    brand Total, does not count unless the numbers of these rows are much larger than the others'. Words such as Mean
    count in the last rows alone, and only if no other row has them.

    Args:
        table: its index has the places of the rows.
        of_sample: whether it is a sample. Then a text in one row may be in many, and sums of all rows aren't known.
    """
    totals = np.zeros(len(table), dtype=bool)
    named_rows: list[NDArray[np.bool_]] = []  # of the text columns with several such rows
    ends_with_sum: dict[str, bool] = {}  # of the columns of numbers
    for name in map(str, table):
        values = table[name]
        if pd.api.types.is_string_dtype(values):
            texts = pa.array(values)
            named = _matching(texts, TOTALS)
            if named.sum() == 1 and not of_sample:
                totals |= named
            elif 1 <= named.sum() <= len(table) / 4:
                named_rows.append(named)
            summed = _matching(texts, SUMS)
            if not summed[:-LAST_ROWS].any():
                totals |= summed
        elif is_number(values) and not pd.api.types.is_bool_dtype(values):
            ends_with_sum[name] = not of_sample and _ends_with_sum(values.to_numpy(float))
    if len(ends_with_sum) > 1 and sum(ends_with_sum.values()) > len(ends_with_sum) / 2:
        totals[-1] = True
    for named in named_rows:
        if any(_are_larger(table[name].to_numpy(float), named) for name in ends_with_sum):
            totals |= named
    return [int(place) for place in table.index[totals]]


def _ends_with_sum(figures: NDArray[np.float64]) -> bool:
    """Whether the last of a column's numbers is the sum of the others, and isn't 0."""
    with np.errstate(all="ignore"):  # sums of the largest numbers are infinite
        total = np.nansum(figures[:-1])
        return bool(np.isclose(figures[-1], total, rtol=1e-6) and total != 0)


def _matching(texts: pa.Array | pa.ChunkedArray, pattern: str) -> NDArray[np.bool_]:
    """Which texts match a pattern in any case; missing ones do not."""
    found = pc.fill_null(pc.match_substring_regex(texts, pattern, ignore_case=True), False)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)


def _are_larger(figures: NDArray[np.float64], named: NDArray[np.bool_]) -> bool:
    """Whether the median of some of a column's numbers is larger than nine tenths of the others.

    Args:
        figures: the numbers, shape (rows,).
        named: which of them are compared with the others, shape (rows,).
    """
    inside, others = (figures[rows & np.isfinite(figures)] for rows in (named, ~named))
    return bool(len(inside) and len(others) and np.median(inside) > np.quantile(others, 0.9))


def told_totals(places: list[int], count: int, skipped: int | None, of_sample: bool = False) -> str:
    """What to do about rows that look like totals.

    Args:
        places: where they are, counted from 0.
        count: how many rows the table has.
        skipped: how many lines are left out at the end of the file already; None if lines cannot be left out.
        of_sample: whether only a sample of the rows was looked at.
    """
    advice = "leave such rows out of the file"
    if places[0] == count - len(places) and skipped is not None:
        advice = f"--skip-footer {skipped + len(places)} leaves it out"
    more = f" ({rows(len(places), of_sample)} do)" if len(places) > 1 else ""
    return f"row {places[0] + 1:,} looks like a total of other rows{more}: {advice}"
