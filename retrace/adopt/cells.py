"""The cells of a table as adopt looks at them, and which columns of text look like numbers."""

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from retrace.adopt.shown import Shown, whole
from retrace.tables.columns import is_text
from retrace.tables.numbers import GROUPING, figure_pattern, number_pattern

HEAD = 1000  # cells that tell whether a column may hold numbers
MOSTLY = 0.9
FEWEST_NUMBERS = 10  # different ones, beside which FEW_TEXTS different texts are exceptions
FEW_TEXTS = 5
OTHER = {",": ".", ".": ","}  # of the signs that may be the decimal one, the other
SIGNS = [(".", ","), (",", "."), *((point, group) for point in OTHER for group in GROUPING)]
ANY_FIGURE = "|".join(figure_pattern(point, group) for point, group in SIGNS)
NOT_NUMBERS = r"^\s*(?:\d{1,3}(?:\.\d{1,3}){3}|\d{1,2}\.\d{1,2}\.)\s*$"  # 192.168.100.100, 31.12.


class Cells(NamedTuple):
    """The cells of a table, or of a sample of its rows.

    Attributes:
        table: as they are read with no types named.
        written: the text of each cell, for text files; None for other kinds.
        shown: what of them may be shown.
    """

    table: pa.Table
    written: pa.Table | None
    shown: Shown


class NumberText(NamedTuple):
    """A text column that looks like numbers.

    Attributes:
        column: its cells.
        values: its different values.
        figures: the figure in each of these, without sign, unit and exponent; null where there is none.
        counts: in how many rows each of them is.
    """

    column: pa.ChunkedArray
    values: pa.Array
    figures: pa.Array
    counts: pa.Array


def figures_of(values: pa.Array) -> pa.Array:
    """The figure in each value, without sign, unit and exponent; null where there is none."""
    return pc.struct_field(pc.extract_regex(values, number_pattern(ANY_FIGURE)), "figure")


def has_match(texts: pa.Array, pattern: str) -> bool:
    """Whether any of some texts matches a pattern."""
    return bool(pc.any(pc.match_substring_regex(texts, pattern)).as_py())


def number_text(column: pa.ChunkedArray) -> NumberText | None:
    """A text column if its cells are mostly numbers with units, groups or signs, except for a few texts; else None."""
    if not is_text(column.type) or not _may_hold_numbers(column):
        return None
    text = _number_text(column)
    return text if _holds_numbers(text) else None


def _may_hold_numbers(column: pa.ChunkedArray) -> bool:
    """Whether half of the first cells, or half of their different values, hold figures."""
    head = whole(column.slice(0, HEAD)).drop_null()
    if not len(head):
        return False
    return any(figures_of(cells).null_count / len(cells) <= 0.5 for cells in (head, pc.unique(head)))


def _number_text(column: pa.ChunkedArray) -> NumberText:
    counted = pc.value_counts(column.cast(pa.string()).drop_null())
    values = counted.field("values")
    return NumberText(column, values, figures_of(values), counted.field("counts"))


def _holds_numbers(text: NumberText) -> bool:
    """Whether nearly all cells hold figures, or all but a few different texts."""
    if pc.all(pc.match_substring_regex(text.values, NOT_NUMBERS)).as_py():
        return False
    rows_with_figures = pc.sum(pc.if_else(pc.is_valid(text.figures), text.counts, 0)).as_py()
    if rows_with_figures / pc.sum(text.counts).as_py() > MOSTLY:
        return True
    others = text.figures.null_count
    return bool(others <= FEW_TEXTS and len(text.values) - others >= FEWEST_NUMBERS)
