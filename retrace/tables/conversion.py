"""The columns that `data.read.types` names, converted to the types that it gives them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from retrace.errors import PARAMETER, ParameterError
from retrace.tables.columns import is_text, with_column
from retrace.tables.dates import dates_of, excel_dates, iso_dates
from retrace.tables.numbers import numbers_of
from retrace.tables.options import ReadOptions


class _WrongCellError(Exception):
    """The place of a cell that is not of its column's type, counted from 0, and what is wrong with it."""


def with_types(
    table: pa.Table, options: ReadOptions, file: Path, units: dict[str, str], rows_before: int = 0
) -> pa.Table:
    """The table with the columns of `types` converted.

    Args:
        table: a file's table, or a chunk of it; these columns are text in it, if the file is.
        options: how files are read.
        file: the file.
        units: the units of the numbers before, by column; those of this table are added.
        rows_before: how many rows the file has before this chunk.

    Raises:
        UserError: a cell is not of its column's type; the line names its row and does not show its value.
    """
    for name, type_ in options.types.items():
        try:
            column, unit = _converted(table.column(name), type_, options)
        except _WrongCellError as error:
            place, what = error.args
            line = f"{file}: column {name}, row {rows_before + place + 1} of the data: {what} ({PARAMETER})"
            raise ParameterError(line, "data.read.types") from None
        except (pa.ArrowException, ValueError):
            line = f"{file}: column {name} holds values that are not {type_} ({PARAMETER})"
            raise ParameterError(line, "data.read.types") from None
        if unit is not None and units.setdefault(name, unit) != unit:
            what = "numbers of another unit than in the rows or files before, or only some have a unit"
            raise ParameterError(f"{file}: column {name}: {what} ({PARAMETER})", "data.read.types")
        table = with_column(table, name, column)
    return table


def _converted(column: pa.ChunkedArray, type_: str, options: ReadOptions) -> tuple[pa.ChunkedArray, str | None]:
    """A column as its type, and the unit of its numbers: empty if they have none, None if it is not known."""
    if type_ == "text":
        return column.cast(pa.string()), None
    if not is_text(column.type):
        if type_ == "number":
            return column.cast(pa.float64()), _unit_of_bare(column.cast(pa.float64()))
        if type_ == "date":
            return column.cast(pa.timestamp("us")), None
    if type_ in ("number", "excel-date"):
        values, unit = _numbers_and_unit(column, options)
        return excel_dates(values) if type_ == "excel-date" else values, unit
    dates = iso_dates(column) if type_ == "date" else dates_of(column.cast(pa.string()), type_)
    _require_all(column, dates, f"not a date as {type_}" if "%" in type_ else "not a date")
    return dates, None


def _numbers_and_unit(column: pa.ChunkedArray, options: ReadOptions) -> tuple[pa.ChunkedArray, str | None]:
    """A column as numbers, and the unit that all but zeros have.

    Raises:
        _WrongCellError: a cell is not a number, or has another unit than others.
    """
    found = numbers_of(column.cast(pa.string()), options.decimal, options.thousands)
    _require_all(column, found.values, "not a number")
    units = pc.unique(found.units.drop_null()).to_pylist()
    if not units:
        return found.values, _unit_of_bare(found.values)
    if len(units) > 1:
        place = pc.index(found.units, units[1]).as_py()
        raise _WrongCellError(place, "a number with another unit than those before it")
    is_bare = pc.and_(pc.is_null(found.units), pc.not_equal(found.values, 0))
    if (place := pc.index(is_bare, True).as_py()) >= 0:
        raise _WrongCellError(place, "a number without the unit that others have")
    return found.values, units[0]


def _unit_of_bare(values: pa.ChunkedArray) -> str | None:
    """The unit of numbers without one: none; but not known if all are 0, which needs no unit."""
    return "" if pc.any(pc.not_equal(values, 0)).as_py() else None


def _require_all(column: pa.ChunkedArray, converted: pa.ChunkedArray, what: str) -> None:
    """Check that every cell with a value has one after its conversion, too."""
    is_lost = pc.and_(pc.is_valid(column), pc.is_null(converted))
    if (place := pc.index(is_lost, True).as_py()) >= 0:
        raise _WrongCellError(place, what)
