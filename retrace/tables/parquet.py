"""Parquet files."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from retrace.errors import UserError
from retrace.limits import check_parquet
from retrace.table_files import rows_in_chunk
from retrace.tables.columns import check_names
from retrace.tables.messages import unusable_type


def read_parquet(file: Path) -> Iterator[pa.Table]:
    """The rows of a Parquet file in chunks, with types that Arrow can compute with; a file without rows has one chunk.

    Raises:
        UserError: it is far larger in memory than as a file, or a column's name is duplicated or its values nested.
    """
    with pa.parquet.ParquetFile(file, pre_buffer=False) as parquet:
        schema = parquet.schema_arrow
        check_names(file, schema.names, schema.names, {})
        for field in schema:
            if pa.types.is_nested(field.type):
                raise UserError(unusable_type(file, field.name, field.type))
        check_parquet(file)
        if not parquet.metadata.num_rows:
            yield _with_computable_types(schema.empty_table())
        for batch in parquet.iter_batches(rows_in_chunk(len(schema))):
            yield _with_computable_types(pa.Table.from_batches([batch]))


def _with_computable_types(table: pa.Table) -> pa.Table:
    for number, field in enumerate(table.schema):
        type_ = _computable(field.type)
        if type_ != field.type:
            table = table.set_column(number, field.name, table.column(number).cast(type_))
    return table


def _computable(type_: pa.DataType) -> pa.DataType:
    """The type of values in place of their dictionary; 32 bits in place of 16 for floats; plain text for views."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_float16(type_):
        return pa.float32()
    return pa.string() if pa.types.is_string_view(type_) else type_
