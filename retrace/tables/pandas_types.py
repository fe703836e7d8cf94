"""Tables of Arrow's types in pandas' plain ones: int64, float64, bool, str and datetime64[us]."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from retrace.errors import PARAMETER, ParameterError, UserError
from retrace.tables.columns import is_text
from retrace.tables.messages import unusable_type


class Facts(NamedTuple):
    """What the plain type of a column depends on, besides its type.

    Attributes:
        missing: whether a value is missing.
        as_integer: whether all values are whole numbers of 64 bits.
        as_float: whether a float keeps all digits of the values.
    """

    missing: bool = False
    as_integer: bool = True
    as_float: bool = True

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Self:
        """The facts about a column."""
        column = _decoded(column)
        if not _is_whole(column.type):
            return cls(missing=column.null_count > 0)
        return cls(column.null_count > 0, _can_be(column, pa.int64()), _can_be(column, pa.float64()))

    def and_those(self, other: Self) -> Self:
        """The facts about a column that is in two tables."""
        return self._replace(
            missing=self.missing or other.missing,
            as_integer=self.as_integer and other.as_integer,
            as_float=self.as_float and other.as_float,
        )


def to_pandas(table: pa.Table, source: Path) -> pd.DataFrame:
    """The table in pandas' plain types; a time of day becomes a number of hours.

    Raises:
        UserError: a column holds something else, such as lists or bytes.
    """
    types = plain_types(table.schema, [facts_of(table)], source)
    return chunk_to_pandas(table, types)


def facts_of(table: pa.Table) -> dict[str, Facts]:
    """The facts about each column of a table, or of a chunk of it."""
    return {name: Facts.of(table.column(name)) for name in table.column_names}


def plain_types(schema: pa.Schema, chunks: Iterable[dict[str, Facts]], source: Path) -> dict[str, pa.DataType]:
    """The plain type of each column.

    Args:
        schema: the types that the columns have, in all chunks.
        chunks: the facts about the columns of each chunk.
        source: where the table is from.

    Raises:
        UserError: a column holds something that has no plain type, such as lists or bytes.
    """
    together = dict.fromkeys(schema.names, Facts())
    for facts in chunks:
        together = {name: known.and_those(facts[name]) for name, known in together.items()}
    return {field.name: _plain_type(field, together[field.name], source) for field in schema}


def chunk_to_pandas(table: pa.Table, types: dict[str, pa.DataType]) -> pd.DataFrame:
    """A table, or a chunk of it, with these types."""
    columns = [_as_plain(_decoded(table.column(name)), type_) for name, type_ in types.items()]
    frame: pd.DataFrame = pa.table(columns, names=list(types)).to_pandas()
    return frame


def _is_whole(type_: pa.DataType) -> bool:
    """Whether values of this type are whole numbers."""
    return bool(pa.types.is_integer(type_) or (pa.types.is_decimal(type_) and type_.scale <= 0))


def _can_be(column: pa.ChunkedArray, type_: pa.DataType) -> bool:
    """Whether whole numbers keep all their digits as this type."""
    try:
        # A cast from decimals to floats would not say that digits are lost.
        (column.cast(pa.int64()) if pa.types.is_decimal(column.type) else column).cast(type_)
    except pa.ArrowException:
        return False
    return True


def _plain_type(field: pa.Field, facts: Facts, source: Path) -> pa.DataType:
    """The plain type of a column: 64-bit integers and floats, booleans, text, microseconds."""
    type_ = _decoded(pa.chunked_array([], field.type)).type
    if pa.types.is_boolean(type_):
        return pa.string() if facts.missing else type_
    if _is_whole(type_):  # an integer with more digits than its type keeps is a name, and becomes text
        if facts.missing:
            return pa.float64() if facts.as_float else pa.string()
        return pa.int64() if facts.as_integer else pa.string()
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_) or pa.types.is_null(type_):
        return pa.float64()
    if pa.types.is_date(type_) or pa.types.is_timestamp(type_):
        return pa.timestamp("us")
    if is_text(type_):
        return pa.string()
    if field.type == pa.binary():
        line = f"{source}: column {field.name} is not text in the encoding that {PARAMETER} names"
        raise ParameterError(line, "data.read.encoding")
    raise UserError(unusable_type(source, field.name, field.type))


def _as_plain(column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """A decoded column as its plain type."""
    if column.type == target:
        return column
    if pa.types.is_decimal(column.type) and target != pa.string():
        # A cast from decimals to floats would not give the nearest float: it makes 1.1300000000000001 of 1.13.
        column = column.cast(pa.int64() if column.type.scale <= 0 else pa.string())
    return column.cast(target, safe=not pa.types.is_timestamp(target))


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
