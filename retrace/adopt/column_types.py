"""The columns whose type must be named in params.yaml, since their cells alone would be read as something else."""

import re
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from retrace.adopt.cells import Cells, NumberText, figures_of, has_match, number_text
from retrace.adopt.dates import date_in_numbers, date_type
from retrace.adopt.doubts import codes_in_numbers, odd_cells, unread_texts
from retrace.adopt.shown import Shown, option, typed, whole
from retrace.adopt.signs import ANY_GROUP
from retrace.tables.columns import is_text
from retrace.tables.numbers import figure_pattern, numbers_of

MOST_UNITS = 3  # of one column; with more, cells such as 12A and 14C are names
NAMES = r"^\s*(?:[+-]?(?:0\d+|\d{17,}|0[xX][0-9a-fA-F]+)|\+\d{8,})\s*$"  # 00042, 0x1F, too many digits, +41781234567
ORDINALS = {"st", "nd", "rd", "th"}
LETTERS_OF_UNITS = "kmbtgdhswyl"  # thousand, million, …; day, hour, …; metre, gram, litre

TypeAndDoubt = tuple[str | None, str | None]  # the type to be named, and what the user is told


class Types(NamedTuple):
    """The types of the columns that need one named, and by column what the user is told about the cells."""

    types: dict[str, str]
    doubts: dict[str, list[str]]


def types_of(cells: Cells, decimal: str, thousands: str | None, day_first: bool | None) -> Types:
    """The types that must be named, and what is doubtful about the cells.

    Args:
        cells: the columns whose type is to be found, read with the right decimal sign.
        decimal: the decimal sign.
        thousands: the thousands separator, if there is one.
        day_first: whether the day comes first in dates (true) or the month (false), if the user names it.

    Raises:
        UserError: two readings fit.
    """
    types: dict[str, str] = {}
    doubts: dict[str, list[str]] = {}
    for name in cells.table.column_names:
        column = cells.table.column(name)
        written = cells.written.column(name) if cells.written is not None else None
        if text := number_text(column):
            type_, doubt = _type_of_number_text(name, text, decimal, thousands, cells.shown)
        elif is_text(column.type):
            type_, doubt = date_type(name, column, day_first, cells.shown)
        else:
            type_, doubt = _type_of_numbers(name, column, written)
        if written is not None and pa.types.is_floating(column.type) and not type_:
            doubt = codes_in_numbers(name, written, cells.shown) or doubt
        if not type_ and not doubt and is_text(column.type):
            doubt = unread_texts(name, column, cells.shown)
        lines = [doubt] if doubt else []
        lines += odd_cells(name, column, column if written is None else written, type_, cells.shown)
        if type_:
            types[name] = type_
        if lines:
            doubts[name] = lines
    return Types(types, doubts)


def is_number(type_: pa.DataType) -> bool:
    """Whether cells of this type are numbers."""
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


def _type_of_numbers(name: str, column: pa.ChunkedArray, written: pa.ChunkedArray | None) -> TypeAndDoubt:
    """Text for a column of numbers such as 00042, 0x1F or with too many digits, which are names."""
    if written is not None and is_number(column.type):
        are_names = pc.match_substring_regex(written, NAMES)
        if pc.any(are_names).as_py():
            if has_match(written.filter(are_names), r"\d{17,}"):
                return "text", "has more digits than a number holds exactly, so the column is read as text"
            return "text", None
    return None, date_in_numbers(name, column)


def _type_of_number_text(
    name: str, text: NumberText, decimal: str, thousands: str | None, shown: Shown
) -> TypeAndDoubt:
    """`number` if all cells are plain except for thousands separators; else what is doubtful, with the option."""
    if has_match(text.values, NAMES):
        return None, None
    if thousands and _are_plain(text.values, decimal, thousands):
        return "number", None
    found = numbers_of(pa.chunked_array([text.values]), decimal, thousands)
    values, units = whole(found.values), whole(found.units)
    if values.null_count:
        return None, _not_numbers(name, text, values, shown)
    different = set(pc.unique(units.drop_null()).to_pylist())
    if len(different) > MOST_UNITS or (len(different) > 1 and (different <= ORDINALS or _are_letters(different))):
        return None, None
    some_are_bare = pc.any(pc.and_(pc.is_null(units), pc.not_equal(values, 0))).as_py()
    if len(different) > 1 or (different and some_are_bare):
        first = shown.cell(name, text.values.filter(pc.is_valid(units))[0].as_py(), text.column)
        return None, f"numbers with different units, or without one, such as {first}: write them alike in the file"
    first = shown.cell(name, text.values[0].as_py(), text.column)
    return None, f"numbers written as text, such as {first}: {typed(name, 'number')} reads them"


def _are_plain(values: pa.Array, decimal: str, thousands: str) -> bool:
    """Whether all values are numbers with nothing but a sign and an exponent."""
    figure = figure_pattern(decimal, thousands)
    return bool(pc.all(pc.match_substring_regex(values, rf"^\s*[+-]?(?:{figure})(?:[eE][+-]?\d+)?\s*$")).as_py())


def _are_letters(units: set[str]) -> bool:
    """Whether what follows numbers are letters, as of seats 1A and 1B, one of which is not a unit or a magnitude."""
    return all(len(unit) == 1 for unit in units) and not units <= set(LETTERS_OF_UNITS)


def _not_numbers(name: str, text: NumberText, values: pa.Array, shown: Shown) -> str:
    """Which cells of a column of numbers are not numbers, and what to do about them."""
    is_other = pc.is_null(values)
    others = text.values.filter(is_other)
    count, value = pc.sum(text.counts.filter(is_other)).as_py(), others[0].as_py()
    first = shown.cell(name, value, text.column)
    if not figures_of(others).null_count:
        if re.search(ANY_GROUP, value.strip()):
            return f"digits in groups, such as {first}; if they are numbers: --thousands ' '"
        return f"numbers with different decimal signs or groups, such as {first}: write them alike in the file"
    missing = option("--missing", "VALUE" if name in shown.private else value)
    told = f"numbers but for {shown.rows(count)}, such as {first}, so the column is read as text"
    return f"{told}: {missing} if that means no value, else correct it"
