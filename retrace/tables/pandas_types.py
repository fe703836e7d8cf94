"""Tables of Arrow's types in pandas' plain ones: int64, float64, bool, str and datetime64[us]."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from retrace.errors import PARAMETER, ParameterError, UserError
from retrace.tables.columns import is_text
from retrace.tables.messages import unusable_type


def to_pandas(table: pa.Table, source: Path) -> pd.DataFrame:
    """The table in pandas' plain types; a time of day becomes a number of hours.

    Raises:
        UserError: a column holds something else, such as lists or bytes.
    """
    columns = [_plain(table.column(name), name, source) for name in table.column_names]
    frame: pd.DataFrame = pa.table(columns, names=table.column_names).to_pandas()
    return frame


def _plain(column: pa.ChunkedArray, name: str, source: Path) -> pa.ChunkedArray:
    """A column as one of five types: 64-bit integers and floats, booleans, text, microseconds."""
    given = column.type
    column = _decoded(column)
    target = _plain_type(column)
    if target is None and given == pa.binary():
        line = f"{source}: column {name} is not text in the encoding that {PARAMETER} names"
        raise ParameterError(line, "data.read.encoding")
    if target is None:
        raise UserError(unusable_type(source, name, given))
    if column.type == target:
        return column
    is_decimal = pa.types.is_decimal(column.type)
    try:
        if is_decimal and column.type.scale <= 0:  # a cast from decimals to floats would not say that digits are lost
            column = column.cast(pa.int64())
        elif is_decimal:  # nor give the nearest float: it makes 1.1300000000000001 of 1.13
            column = column.cast(pa.string())
        return column.cast(target, safe=not pa.types.is_timestamp(target))
    except pa.ArrowException:  # an integer with more digits than a float keeps is a name, and becomes text
        return column.cast(pa.string())


def _plain_type(column: pa.ChunkedArray) -> pa.DataType | None:
    """The plain type of a column; None if there is none."""
    type_ = column.type
    if pa.types.is_boolean(type_):
        return pa.string() if column.null_count else type_
    if pa.types.is_integer(type_) or (pa.types.is_decimal(type_) and type_.scale <= 0):
        return pa.float64() if column.null_count else pa.int64()
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_) or pa.types.is_null(type_):
        return pa.float64()
    if pa.types.is_date(type_) or pa.types.is_timestamp(type_):
        return pa.timestamp("us")
    return pa.string() if is_text(type_) else None


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values themselves, where Arrow wraps them: extensions, run lengths, dictionaries, zones, times of day."""
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if pa.types.is_run_end_encoded(column.type):
        column = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], column.type.value_type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type) and column.type.tz:
        column = pc.local_timestamp(column)
    if pa.types.is_time(column.type):
        microseconds = column.cast(pa.time64("us"), safe=False).cast(pa.int64())
        column = pc.divide(microseconds.cast(pa.float64()), 3.6e9)
    return column
