"""How the cells of a table are written: which sign is the decimal one, which columns need a type, what is doubtful.

What the cells prove is decided here. Where they allow two readings, adopt refuses and names the options that decide.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from retrace.adopt.dates import date_in_numbers, date_type
from retrace.adopt.shown import Shown, option, rows, typed, whole
from retrace.errors import UserError
from retrace.row_ids import EXCEL_ERRORS
from src.datasets.table import GROUPING, OFFSET, figure_pattern, number_pattern, numbers

HEAD = 1000  # cells that tell whether a column may hold numbers
MOSTLY = 0.9
FEWEST_NUMBERS = 10  # different ones, beside which FEW_TEXTS different texts are exceptions
FEW_TEXTS = 5
MOST_UNITS = 3  # of one column; with more, cells such as 12A and 14C name something
OTHER = {",": ".", ".": ","}
GROUP = "[ '\u00a0\u2009\u202f\u2019]"
SIGNS = [(".", ","), (",", "."), *((point, group) for point in OTHER for group in GROUPING)]
ANY_FIGURE = "|".join(figure_pattern(point, group) for point, group in SIGNS)
NAMES = r"^\s*(?:[+-]?(?:0\d+|\d{17,}|0[xX][0-9a-fA-F]+)|\+\d{8,})\s*$"  # 00042, 0x1F, too many digits, +41781234567
UNREAD = {  # text that means something else to a person, and what to do about it
    r"^=.*$": "formulas of a spreadsheet, such as {}: save their values in place of them",
    r"^[+-]?\d{1,3}(?:_\d{3})+(?:\.\d+)?$": "digits in groups, such as {}: leave out the _ in the file",
    r"^[+-]?(?:\d+ )?\d{1,3}/\d{1,3}$": "two numbers with a slash, such as {}: write decimals, or two columns",
    r"^\s*[+-]?[\p{Nd}.,]*[^\P{Nd}0-9][\p{Nd}.,]*\s*$": "digits of another script, such as {}: write them as 0 to 9",
}
CODES_IN_CAPITALS = r"^[A-Z][A-Z0-9.-]{0,5}$"  # of countries, regions or shares, among which NA is one, and NULL
ORDINALS = {"st", "nd", "rd", "th"}
LETTERS_OF_UNITS = "kmbtgdhswyl"  # thousand, million, …; day, hour, …; metre, gram, litre
FEWEST_LINES = 10  # of one cell, that may be rows
VERSION = r"^\d+\.\d*[1-9]0+$"  # 1.10, which a program would write as 1.1, unless it writes 1.10 in each row
CODES = r"^\s*\d+[eE]\d+\s*$"  # 12E3, which a program would write as 12000 or 1.2E+04
NOT_NUMBERS = r"^\s*(?:\d{1,3}(?:\.\d{1,3}){3}|\d{1,2}\.\d{1,2}\.)\s*$"  # 192.168.100.100, 31.12.


class Signs(NamedTuple):
    """The decimal sign, the thousands separator, and the columns that alone would allow another reading."""

    decimal: str
    thousands: str | None
    doubts: dict[str, list[str]]


class Types(NamedTuple):
    """The columns whose type must be named, with it, and what is doubtful about columns."""

    types: dict[str, str]
    doubts: dict[str, list[str]]


class Cells(NamedTuple):
    """A table as it is read with no types named, its cells as they are written (text files), what may be shown."""

    table: pa.Table
    written: pa.Table | None
    shown: Shown


def signs_of(cells: Cells, separator: str, decimal: str | None, kept: str | None) -> Signs:
    """The signs that the figures of a table prove.

    Args:
        cells: read with `decimal`, or a point, as the decimal sign.
        separator: the delimiter between cells.
        decimal: the decimal sign, where the user says it.
        kept: the one in params.yaml, which decides where the cells allow two readings.

    Raises:
        UserError: two readings fit.
    """
    table, written, shown = cells
    figures = {name: pc.unique(found.figures.drop_null()) for name, found in _number_texts(table).items()}
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)] if written is not None else []
    proof = _proves_a_point(written, floats) if decimal is None else False
    if written is not None and decimal is None and not proof:
        figures |= {name: pc.unique(_figures(whole(written.column(name))).drop_null()) for name in floats}
    either = {
        sign: [name for name, found in figures.items() if _has(found, rf"^[1-9]\d{{0,2}}{re.escape(sign)}\d{{3}}$")]
        for sign in OTHER
    }
    decimals = {sign: [name for name, found in figures.items() if _has(found, _decimal(sign))] for sign in OTHER}
    groups = {sign: [name for name, found in figures.items() if _has(found, _thousands(sign))] for sign in OTHER}
    points, commas = len(decimals["."]) + len(floats) * proof, len(decimals[","])
    sure = decimal is not None
    if decimal is None and (points or commas):
        decimal = "," if commas > points or (commas == points and separator == ";") else "."
    elif decimal is None and (groups[","] or groups["."]):
        decimal = "." if groups[","] else ","
    decimal = decimal or kept
    for sign, names in either.items():
        if decimal is None and names and all(_thousands_from_1000(figures[name], sign) for name in names):
            decimal = OTHER[sign]
    if decimal is None and (unsure := either[","] + either["."]):
        raise UserError(_question(unsure[0], figures[unsure[0]], shown))
    decimal = decimal or "."
    other = OTHER.get(decimal, ",")
    thousands = other if groups[other] or either[other] else None
    for sign, group in GROUPING.items():
        if thousands is None and _groups(figures, group, sign):
            thousands = sign
    doubts = {}
    for name in either[other]:
        if not sure and name not in groups[other]:
            doubts[name] = [_reading(name, figures[name], other, shown)]
    return Signs(decimal, thousands, doubts)


def types_of(cells: Cells, decimal: str, thousands: str | None, day_first: bool | None) -> Types:
    """The types that must be named, and what is doubtful about the cells.

    Args:
        cells: the columns whose type is to be found, read with the right decimal sign.
        decimal: the decimal sign.
        thousands: the thousands separator, if there is one.
        day_first: whether the day or the month comes first in dates, where the user says it.

    Raises:
        UserError: two readings fit.
    """
    table, written, shown = cells
    types: dict[str, str] = {}
    doubts: dict[str, list[str]] = {}
    texts = _number_texts(table)
    for name in table.column_names:
        column, type_, doubt = table.column(name), None, None
        if name in texts:
            type_, doubt = _number_type(name, texts[name], decimal, thousands, shown)
        elif _is_text(column):
            type_, doubt = date_type(name, column, day_first, shown)
        elif written is not None and _is_number(column) and (what := _names_something(written.column(name))):
            type_, doubt = "text", what.removeprefix("zeros")
        else:
            doubt = date_in_numbers(name, column)
        if written is not None and pa.types.is_floating(column.type) and not type_:
            doubt = _codes_in_numbers(name, written.column(name), shown) or doubt
        if not type_ and not doubt and _is_text(column):
            doubt = _unread(name, column, shown)
        found = [doubt] if doubt else []
        found += _odd_cells(name, column, written.column(name) if written is not None else column, type_, shown)
        types |= {name: type_} if type_ else {}
        doubts |= {name: found} if found else {}
    return Types(types, doubts)


class _Text(NamedTuple):
    """A text column that looks like numbers: its different values, the figure in each, in how many rows each is."""

    column: pa.ChunkedArray
    values: pa.Array
    figures: pa.Array
    counts: pa.Array


def swallowed_rows(table: pa.Table, written: pa.Table | None, separator: str) -> dict[str, list[str]]:
    """The columns of which a cell may have swallowed rows, since a quote before it is one too many; and what to do."""
    doubts = {}
    for name in table.column_names if written is not None else []:
        if not _is_text(table.column(name)):
            continue
        lines = pc.count_substring(table.column(name), "\n")
        separators = pc.count_substring(table.column(name), separator)
        like_rows = pc.greater_equal(separators, pc.multiply(lines, len(table.column_names) - 1))
        found = pc.and_(pc.greater_equal(lines, FEWEST_LINES), like_rows)
        if (row := pc.index(found, True).as_py()) >= 0:
            told = f"the cell in row {row + 1:,} holds {lines[row].as_py():,} line breaks, and may be rows in one"
            doubts[name] = [f"{told}: correct the quote before it"]
    return doubts


def _is_text(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _is_number(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_integer(column.type) or pa.types.is_floating(column.type))


def _figures(values: pa.Array) -> pa.Array:
    """The figure in each value, without sign, unit and exponent; null where there is none."""
    return pc.struct_field(pc.extract_regex(values, number_pattern(ANY_FIGURE)), "figure")


def _has(figures: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(figures, pattern)).as_py())


def _number_texts(table: pa.Table) -> dict[str, _Text]:
    """The text columns whose cells are mostly numbers with units, groups or signs, but for a few texts."""
    found = {}
    for name in table.column_names:
        column = table.column(name)
        if not _is_text(column):
            continue
        head = whole(column.slice(0, HEAD)).drop_null()
        shares = [_figures(cells).null_count / len(cells) for cells in (head, pc.unique(head)) if len(cells)]
        if not shares or min(shares) > 0.5:
            continue
        counted = pc.value_counts(whole(column.cast(pa.string())).drop_null())
        values, counts = counted.field("values"), counted.field("counts")
        figures = _figures(values)
        share = pc.sum(pc.if_else(pc.is_valid(figures), counts, 0)).as_py() / pc.sum(counts).as_py()
        if pc.all(pc.match_substring_regex(values, NOT_NUMBERS)).as_py():
            continue
        exceptions = figures.null_count <= FEW_TEXTS and len(values) - figures.null_count >= FEWEST_NUMBERS
        if share > MOSTLY or exceptions:
            found[name] = _Text(column, values, figures, counts)
    return found


def _proves_a_point(written: pa.Table | None, floats: list[str]) -> bool:
    """Whether a column that was read as numbers with a point proves that the point is the decimal sign."""
    if written is None:
        return True
    heads = (whole(written.column(name).slice(0, HEAD)) for name in floats)
    wholes = (whole(written.column(name)) for name in floats)
    return any(_has(_figures(cells), _decimal(".")) for part in (heads, wholes) for cells in part)


def _decimal(sign: str) -> str:
    """The pattern of figures in which a sign can only be the decimal sign."""
    point, other = re.escape(sign), re.escape(OTHER[sign])
    after_groups = rf"(?:{other}|{GROUP})\d{{3}}{point}\d+$"
    not_three = rf"^\d*{point}(?:\d{{1,2}}|\d{{4,}})$"
    return rf"{not_three}|^0\d*{point}\d+$|^{point}\d+$|^\d{{4,}}{point}\d+$|{after_groups}"


def _thousands(sign: str) -> str:
    """The pattern of figures in which a sign can only separate thousands."""
    group, other = re.escape(sign), re.escape(OTHER[sign])
    return rf"^\d{{1,3}}(?:{group}\d{{2,3}})+{group}\d{{3}}(?:{other}\d+)?$|^\d{{1,3}}{group}\d{{3}}{other}\d+$"


def _thousands_from_1000(figures: pa.Array, sign: str) -> bool:
    """Whether figures without the sign end at 999, and one with it ends in 0, which no decimal fraction would keep."""
    plain = figures.filter(pc.match_substring_regex(figures, r"^\d+$"))
    ends_in_zero = _has(figures, rf"^[1-9]\d{{0,2}}{re.escape(sign)}\d\d0$")
    return len(plain) > 0 and not _has(plain, r"\d{4}") and ends_in_zero


def _groups(figures: dict[str, pa.Array], group: str, sign: str) -> bool:
    """Whether a blank or an apostrophe separates thousands; blanks in figures of one length may be phone numbers."""
    for found in figures.values():
        grouped = _has(found, rf"^\d{{1,3}}(?:{group}\d{{3}})+(?:[.,]\d+)?$")
        if grouped and (sign == "'" or len(pc.unique(pc.utf8_length(found))) > 1):
            return True
    return False


def _example(figures: pa.Array, sign: str) -> str:
    grouped = figures.filter(pc.match_substring_regex(figures, rf"^[1-9]\d{{0,2}}{re.escape(sign)}\d{{3}}$"))
    return str(grouped[0])


def _question(name: str, figures: pa.Array, shown: Shown) -> str:
    sign = "," if _has(figures, ",") else "."
    decides = f"{option('--thousands', sign)} or {option('--decimal', sign)} decides"
    if name in shown.private:
        return f"column {name}: {sign} may separate thousands or be the decimal sign; {decides}"
    value = _example(figures, sign)
    return f"column {name}: {value} may be {value.replace(sign, '')} or {value.replace(sign, '.')}; {decides}"


def _reading(name: str, figures: pa.Array, sign: str, shown: Shown) -> str:
    other = f"if {sign} is the decimal sign: {option('--decimal', sign)}"
    if name in shown.private:
        return f"{sign} is read as a thousands separator; {other}"
    value = _example(figures, sign)
    return f"{value} is read as {value.replace(sign, '')}; {other}"


def _number_type(
    name: str, text: _Text, decimal: str, thousands: str | None, shown: Shown
) -> tuple[str | None, str | None]:
    """`number` where all cells are plain but for thousands separators; else what is doubtful, with the option."""
    if _has(text.values, NAMES):
        return None, None
    figure = figure_pattern(decimal, thousands)
    if (
        thousands
        and pc.all(pc.match_substring_regex(text.values, rf"^\s*[+-]?(?:{figure})(?:[eE][+-]?\d+)?\s*$")).as_py()
    ):
        return "number", None
    found = numbers(pa.chunked_array([text.values]), decimal, thousands)
    values, units = whole(found.values), whole(found.units)
    if values.null_count:
        return None, _not_numbers(name, text, values, shown)
    different = set(pc.unique(units.drop_null()).to_pylist())
    kinds = len(different)
    if kinds > MOST_UNITS or (kinds > 1 and (different <= ORDINALS or _are_letters(different))):
        return None, None
    if kinds > 1 or (kinds and pc.any(pc.and_(pc.is_null(units), pc.not_equal(values, 0))).as_py()):
        first = shown.cell(name, text.values.filter(pc.is_valid(units))[0].as_py(), text.column)
        return None, f"numbers with different units, or without one, such as {first}: write them alike in the file"
    first = shown.cell(name, text.values[0].as_py(), text.column)
    return None, f"numbers written as text, such as {first}: {typed(name, 'number')} reads them"


def _are_letters(units: set[str]) -> bool:
    """Whether what follows numbers are letters as of seats, 1A and 1B, among which one is no unit and no magnitude."""
    return all(len(unit) == 1 for unit in units) and not units <= set(LETTERS_OF_UNITS)


def _not_numbers(name: str, text: _Text, values: pa.Array, shown: Shown) -> str:
    """Which cells of a column of numbers are none, and what to do about them."""
    others = text.values.filter(pc.is_null(values))
    count, value = pc.sum(text.counts.filter(pc.is_null(values))).as_py(), others[0].as_py()
    first = shown.cell(name, value, text.column)
    if not _figures(others).null_count:
        if re.search(GROUP, value.strip()):
            return f"digits in groups, such as {first}; if they are numbers: --thousands ' '"
        return f"numbers with different decimal signs or groups, such as {first}: write them alike in the file"
    missing = option("--missing", "VALUE" if name in shown.private else value)
    told = f"numbers but for {rows(count)}, such as {first}, so the column is read as text"
    return f"{told}: {missing} if that stands for no value, else correct it"


def _names_something(written: pa.ChunkedArray) -> str | None:
    """Whether a column of numbers is rather one of names, such as 00042, 0x1F or too many digits, and why."""
    named = pc.match_substring_regex(written, NAMES)
    if not pc.any(named).as_py():
        return None
    if pc.any(pc.match_substring_regex(written.filter(named), r"\d{17,}")).as_py():
        return "has more digits than a number holds exactly, so the column is read as text"
    return "zeros"


def _codes_in_numbers(name: str, written: pa.ChunkedArray, shown: Shown) -> str | None:
    """What is doubtful about numbers such as 12E3, or 1.10 beside 1.1, which may be codes or versions."""
    found = pc.match_substring_regex(written, CODES)
    if pc.any(found).as_py():
        first = shown.cell(name, written.filter(found)[0].as_py(), written)
        return f"{first} is read as a number with an exponent; if it is a code: {typed(name, 'text')}"
    padded = whole(written.filter(pc.match_substring_regex(written, VERSION)))
    if not len(padded):
        return None
    same = pc.is_in(pc.utf8_rtrim(padded, "0"), whole(written))
    if not pc.any(same).as_py():
        return None
    example = padded.filter(same)[0].as_py()
    first = shown.cell(name, example, written)
    number = "a shorter number" if name in shown.private else example.rstrip("0")
    return f"{first} is read as {number}, which other rows hold; if it is a version or a code: {typed(name, 'text')}"


def _unread(name: str, column: pa.ChunkedArray, shown: Shown) -> str | None:
    """What texts mean that are mostly of one form, but are not read as what they mean."""
    head = pc.unique(column.slice(0, HEAD).drop_null())
    for pattern, told in UNREAD.items():
        found = pc.match_substring_regex(head, pattern)
        if len(head) and pc.sum(found).as_py() >= MOSTLY * len(head):
            return told.format(shown.cell(name, head.filter(found)[0].as_py(), column))
    return None


def _odd_cells(
    name: str, column: pa.ChunkedArray, written: pa.ChunkedArray, type_: str | None, shown: Shown
) -> Iterator[str]:
    """What is read in a way that should be known: words as missing, times of day as hours, offsets by the clock."""
    if _is_text(column) and _is_text(written) and column.null_count:
        missing = pc.is_in(written, pa.array(["NA", "NULL"], written.type))
        others = pc.match_substring_regex(column.slice(0, HEAD).drop_null(), CODES_IN_CAPITALS)
        if (count := pc.sum(missing).as_py()) and len(others) and pc.all(others).as_py():
            first = pc.index(missing, True).as_py()
            told = f"{written[first]} in {rows(count)}, first in row {first + 1:,}, is read as missing"
            yield f"{told}; if it is a code, write another"
    if _is_text(column) and column is not written and (count := pc.sum(pc.match_substring(written, '\\"')).as_py()):
        yield f'quotes written as \\" in {rows(count)} are not read as quotes: write them as ""'
    if pa.types.is_time(column.type) and (place := pc.index(pc.is_valid(column), True).as_py()) >= 0:
        example = f", such as {shown.cell(name, written[place].as_py(), written)}," if _is_text(written) else ""
        yield f"times of day{example} are read as hours; if they are none: {typed(name, 'text')}"
    if column.null_count and _is_text(written):
        errors = pc.is_in(written, pa.array(EXCEL_ERRORS, written.type))
        if count := pc.sum(errors).as_py():
            first = pc.index(errors, True).as_py()
            yield f"{written[first]} in {rows(count)}, first in row {first + 1:,}, is read as missing"
    zoned = (type_ or "").endswith("%z") or pa.types.is_timestamp(column.type)
    if zoned and _is_text(written):
        found = pc.extract_regex(whole(written), OFFSET)
        if len(pc.unique(pc.struct_field(found, "offset").drop_null())) > 1:
            yield "its offsets from UTC differ; each time is read as the clock showed it"
