"""Cells that may not be read as they are meant, and what the user can do about them."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from retrace.adopt.cells import HEAD, MOSTLY, Cells
from retrace.adopt.shown import Shown, typed, whole
from retrace.row_ids import EXCEL_ERRORS
from retrace.tables.columns import is_text
from retrace.tables.dates import OFFSET

UNREAD = {  # text that means something else to a person, and what to do about it
    r"^=.*$": "formulas of a spreadsheet, such as {}: save their values in place of them",
    r"^[+-]?\d{1,3}(?:_\d{3})+(?:\.\d+)?$": "digits in groups, such as {}: leave out the _ in the file",
    r"^[+-]?(?:\d+ )?\d{1,3}/\d{1,3}$": "two numbers with a slash, such as {}: write decimals, or two columns",
    r"^\s*[+-]?[\p{Nd}.,]*[^\P{Nd}0-9][\p{Nd}.,]*\s*$": "digits of another script, such as {}: write them as 0 to 9",
}
CODES_IN_CAPITALS = r"^[A-Z][A-Z0-9.-]{0,5}$"  # of countries, regions or shares, which may be NA or NULL
FEWEST_LINES = 10  # of one cell, from which on it may be several rows
VERSION = r"^\d+\.\d*[1-9]0+$"  # 1.10, which a program would write as 1.1, unless it writes 1.10 in each row
CODES = r"^\s*\d+[eE]\d+\s*$"  # 12E3, which a program would write as 12000 or 1.2E+04


def swallowed_rows(cells: Cells, separator: str) -> dict[str, list[str]]:
    """The columns of which a cell may hold several rows, because of a wrong quote before it; and what to do.

    Args:
        cells: of text files, as they are read.
        separator: the delimiter between cells.
    """
    doubts = {}
    table = cells.table
    for name in table.column_names:
        column = table.column(name)
        if not is_text(column.type):
            continue
        lines = pc.count_substring(column, "\n")
        separators = pc.count_substring(column, separator)
        like_rows = pc.greater_equal(separators, pc.multiply(lines, len(table.column_names) - 1))
        found = pc.and_(pc.greater_equal(lines, FEWEST_LINES), like_rows)
        if (row := pc.index(found, True).as_py()) >= 0:
            told = (
                f"the cell in {cells.shown.row(row)} holds {lines[row].as_py():,} line breaks, and may be rows in one"
            )
            doubts[name] = [f"{told}: correct the quote before it"]
    return doubts


def codes_in_numbers(name: str, written: pa.ChunkedArray, shown: Shown) -> str | None:
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


def unread_texts(name: str, column: pa.ChunkedArray, shown: Shown) -> str | None:
    """What texts mean that are mostly of one form, but are not read as what they mean."""
    head = pc.unique(column.slice(0, HEAD).drop_null())
    for pattern, told in UNREAD.items():
        found = pc.match_substring_regex(head, pattern)
        if len(head) and pc.sum(found).as_py() >= MOSTLY * len(head):
            return told.format(shown.cell(name, head.filter(found)[0].as_py(), column))
    return None


def odd_cells(
    name: str, column: pa.ChunkedArray, written: pa.ChunkedArray, type_: str | None, shown: Shown
) -> Iterator[str]:
    """What is read in a way that the user should know: words as missing, times of day as hours, offsets by the clock.

    Args:
        name: the column's name.
        column: the column as it is read.
        written: its cells' text; the same column, where the file is not text.
        type_: the type that is named for it, if there is one.
        shown: what of it may be shown.
    """
    if is_text(column.type) and is_text(written.type):
        yield from _codes_read_as_missing(column, written, shown)
    if is_text(column.type) and column is not written:
        count = pc.sum(pc.match_substring(written, '\\"')).as_py()
        if count:
            yield f'quotes written as \\" in {shown.rows(count)} are not read as quotes: write them as ""'
    if pa.types.is_time(column.type) and (place := pc.index(pc.is_valid(column), True).as_py()) >= 0:
        example = f", such as {shown.cell(name, written[place].as_py(), written)}," if is_text(written.type) else ""
        yield f"times of day{example} are read as hours; if they are none: {typed(name, 'text')}"
    if column.null_count and is_text(written.type):
        errors = pc.is_in(written, pa.array(EXCEL_ERRORS, written.type))
        if count := pc.sum(errors).as_py():
            yield _read_as_missing(written, errors, count, shown)
    has_offsets = (type_ or "").endswith("%z") or pa.types.is_timestamp(column.type)
    if has_offsets and is_text(written.type):
        found = pc.extract_regex(whole(written), OFFSET)
        if len(pc.unique(pc.struct_field(found, "offset").drop_null())) > 1:
            yield "its offsets from UTC differ; each time is read as the clock showed it"


def _codes_read_as_missing(column: pa.ChunkedArray, written: pa.ChunkedArray, shown: Shown) -> Iterator[str]:
    """That NA or NULL is read as missing, where all other cells are codes in capitals."""
    if not column.null_count:
        return
    words = pc.is_in(written, pa.array(["NA", "NULL"], written.type))
    are_codes = pc.match_substring_regex(column.slice(0, HEAD).drop_null(), CODES_IN_CAPITALS)
    if (count := pc.sum(words).as_py()) and len(are_codes) and pc.all(are_codes).as_py():
        yield f"{_read_as_missing(written, words, count, shown)}; if it is a code, write another"


def _read_as_missing(written: pa.ChunkedArray, found: pa.ChunkedArray, count: int, shown: Shown) -> str:
    first = pc.index(found, True).as_py()
    return f"{written[first]} in {shown.rows(count)}, first in {shown.row(first)}, is read as missing"
