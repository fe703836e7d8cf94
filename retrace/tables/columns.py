"""The columns of a table as its file has them: their names, blanks around texts, values that mean none."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from retrace.errors import PARAMETER, ParameterError, UserError
from retrace.tables.options import MISSING, ReadOptions

MOST_COLUMNS = 100_000  # a table of more has its rows and columns exchanged, or another separator


def is_text(type_: pa.DataType) -> bool:
    """Whether a column of this type holds text."""
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def with_column(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    """The table with other values in the column of this name."""
    return table.set_column(table.column_names.index(name), name, column)


def check_names(file: Path, names: list[str], first: list[str], types: dict[str, str]) -> None:
    """Check the names of a file's columns.

    Args:
        file: where they are from.
        names: the names.
        first: the names of the first file's columns, which all files must have.
        types: `data.read.types`, whose columns must exist.

    Raises:
        UserError: there are too many, one is duplicated, the files differ, or a column of `types` does not exist.
    """
    if len(names) > MOST_COLUMNS:
        line = f"{file}: has {len(names):,} columns, and {MOST_COLUMNS:,} are the most; see {PARAMETER}"
        raise ParameterError(line, "data.read.separator")
    if duplicates := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(
            f"{file}: the column {duplicates[0]} is duplicated; rename one, or put a line of names above the data"
        )
    if differing := sorted(set(names) ^ set(first)):
        raise UserError(f"{file}: the column {differing[0]} is not in every file of the folder")
    if unknown := sorted(set(types) - set(names)):
        raise ParameterError(f"{file}: no column {unknown[0]} ({PARAMETER})", "data.read.types")


def column_names(header: list[str], strip: bool) -> list[str]:
    """The names of the columns, `Unnamed: n` where one is blank.

    Args:
        header: the names as the file has them.
        strip: whether blanks around them are removed.
    """
    names = [name.strip() if strip else name for name in header]
    return [name if name.strip() else f"Unnamed: {number}" for number, name in enumerate(names)]


def with_names(table: pa.Table, strip: bool) -> pa.Table:
    """The table with a name for each column; if `strip` is true, without the blanks around names and texts."""
    table = table.rename_columns(column_names(table.column_names, strip))
    if not strip:
        return table
    for number, field in enumerate(table.schema):
        if is_text(field.type):
            table = table.set_column(number, field.name, _stripped(table.column(number)))
    return table


def _stripped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text without the blanks around it; what then means no value is missing."""
    text = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(text, pa.array(MISSING, text.type)), None, text)


def without_missing(table: pa.Table, options: ReadOptions) -> pa.Table:
    """The table without the values in `missing`, which are compared as text and as numbers."""
    if not options.missing:
        return table
    texts = pa.array([str(value) for value in options.missing])
    numbers = pa.array([number for value in options.missing if (number := _number(value)) is not None], pa.float64())
    for field in table.schema:
        column = table.column(field.name)
        if pa.types.is_floating(field.type) or pa.types.is_integer(field.type):
            is_missing = pc.is_in(column.cast(pa.float64(), safe=False), numbers)
        elif is_text(field.type):
            is_missing = pc.is_in(column, texts.cast(field.type))
        else:
            continue
        table = with_column(table, field.name, pc.if_else(is_missing, None, column))
    return table


def _number(value: str | float) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
