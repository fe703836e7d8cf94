"""Tables in Parquet files, read and written whole, or in chunks if they may be larger than the memory.

The bytes of a file depend on its rows alone: its row groups have a size of their own, whatever the size of the chunks
in which it's written. No result depends on the size of the chunks that are read, either.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from retrace.errors import UserError
from retrace.files import replacing

CELLS_IN_ROW_GROUP = 5_000_000  # of a file: 263,157 rows of 19 columns
CELLS_IN_CHUNK = 8_000_000  # that are read at once: 421,052 rows of 19 columns
ROWS_COPIED_AT_ONCE = 1_000_000  # of a column
COPIED = (np.dtype("int64"), np.dtype("float64"), np.dtype("datetime64[us]"))  # types that stay if values are missing
ADVICE = "correct the data set's module in src/datasets/"
ATTRS = b"PANDAS_ATTRS"  # where pandas keeps a table's `attrs` in a file's metadata


def rows_in_chunk(columns: int) -> int:
    """How many rows of a table with so many columns are read at once."""
    return max(1, CELLS_IN_CHUNK // max(1, columns))


def schema_of(table: pd.DataFrame) -> pa.Schema:
    """The columns of a table and their types, without its `attrs`.

    Raises:
        UserError: a column has values of different kinds.
    """
    try:
        schema = pa.Schema.from_pandas(_without_categories(table), preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError):
        raise _refused(table, None) from None
    types = [pa.large_string() if pa.types.is_string(field.type) else field.type for field in schema]
    return _described(pa.schema(list(zip(schema.names, types, strict=True)), schema.metadata))


def _without_categories(table: pd.DataFrame) -> pd.DataFrame:
    """The table with text in place of categories: their codes depend on the chunk that they are in."""
    for name in table.columns[[isinstance(dtype, pd.CategoricalDtype) for dtype in table.dtypes]]:
        texts = table[name].astype(object).map(str, na_action="ignore").astype("str")
        table = table.assign(**{name: texts})
    return table


def _refused(table: pd.DataFrame, schema: pa.Schema | None) -> UserError:
    """The error about the column that can't be stored; the message of Arrow's own error may show a value.

    Args:
        table: the table, or a chunk of it.
        schema: the types that its columns must have; None if they follow from the values.
    """
    for name, values in _without_categories(table).items():
        try:
            pa.Array.from_pandas(values, type=None if schema is None else schema.field(name).type)
        except (pa.ArrowException, TypeError, ValueError):
            told = "has values of different kinds" if schema is None else "has another type than in earlier chunks"
            return UserError(f"column {name}: {told}; {ADVICE}")
    return UserError(f"the table can't be stored as Parquet; {ADVICE}")


def _described(schema: pa.Schema) -> pa.Schema:
    """A schema with pandas' description of the columns, made without rows and `attrs`, on which it must not depend."""
    empty = schema.empty_table().to_pandas()
    empty.attrs = {}
    described = pa.Schema.from_pandas(empty, preserve_index=False)
    return schema.with_metadata({b"pandas": described.metadata[b"pandas"]})


def common_schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The columns of a table and their types, from those of its chunks, as `schema_of` gives them.

    Where types differ, it's the one that pandas' `concat` gives: a column of integers in one chunk and of decimals in
    another has decimals.

    Raises:
        UserError: the chunks have other columns, or types that have nothing in common.
    """
    names = schemas[0].names
    for schema in schemas:
        if schema.names != names:
            differing = [*sorted(set(schema.names) ^ set(names)), "their order"][0]
            raise UserError(f"the columns differ between chunks of the table ({differing}); {ADVICE}")
    joined = schema_of(pd.concat([schema.empty_table().to_pandas() for schema in schemas]))
    try:
        types = pa.unify_schemas([schema.remove_metadata() for schema in schemas], promote_options="permissive")
    except pa.ArrowException as error:
        raise UserError(f"the types differ between chunks of the table: {error}; {ADVICE}") from None
    # Without rows, a column of Python's objects has no type of its own.
    fields = [types.field(field.name) if pa.types.is_null(field.type) else field for field in joined]
    return _described(pa.schema(fields, joined.metadata))


class TableWriter:
    """A context manager that writes a table to a file in chunks. The file appears at the end, if there was no error.

    Attributes:
        rows: how many rows were written so far.
    """

    def __init__(self, path: Path, schema: pa.Schema, attrs: Mapping[Any, Any] | None = None) -> None:
        """Write to `path` a table with this schema, which `schema_of` returns, and these `attrs`."""
        self.path, self.schema, self.rows = path, schema, 0
        if attrs:
            self.schema = schema.with_metadata({**schema.metadata, ATTRS: json.dumps(attrs)})
        self._size = max(1, CELLS_IN_ROW_GROUP // max(1, len(schema)))
        self._waiting = self.schema.empty_table()
        self._types = self._waiting.to_pandas().dtypes

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            part = stack.enter_context(replacing(self.path))
            options = {"compression": "zstd", "coerce_timestamps": "us", "version": "2.6"}
            self._writer = stack.enter_context(pq.ParquetWriter(part, self.schema, **options))
            self._stack = stack.pop_all()
        return self

    def write(self, chunk: pd.DataFrame) -> None:
        """Add rows at the end of the table; the types of their columns become those of the table.

        Raises:
            UserError: they have other columns, or values that aren't of these types.
        """
        self.rows += len(chunk)
        if list(chunk.columns) != self.schema.names:
            raise UserError(f"{self.path}: the columns differ between chunks of the table; {ADVICE}")
        try:
            rows = pa.Table.from_pandas(_without_categories(chunk), self.schema, preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError):
            raise _refused(chunk, self.schema) from None
        for name in rows.column_names:
            if rows.column(name).null_count and self._types[name] == np.int64:
                raise UserError(f"column {name}: has whole numbers, and some are missing; store decimals; {ADVICE}")
        self._waiting = pa.concat_tables([self._waiting, rows])
        while len(self._waiting) >= self._size:
            self._write_row_group()

    def _write_row_group(self) -> None:
        rows = self._waiting.slice(0, self._size)
        self._waiting = self._waiting.slice(self._size)
        # The pages of a file end where the pieces of a column do, so a column is made one piece.
        try:
            self._writer.write_table(rows.combine_chunks(), row_group_size=self._size)
        except pa.ArrowInvalid:
            raise UserError(f"{self.path}: a time has nanoseconds; round it to microseconds; {ADVICE}") from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        with self._stack.pop_all() as stack:
            if error is not None:
                return stack.__exit__(kind, error, trace)
            if len(self._waiting):
                self._write_row_group()
        return None


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write Parquet with the columns in their order, no index, times in microseconds, and `attrs` as metadata."""
    with TableWriter(path, schema_of(table), table.attrs) as writer:
        writer.write(table)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A table's file. It's read without a buffer, which would keep in memory all that has been read of the file.

    Raises:
        UserError: the file is missing, cut short or not Parquet.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            yield file
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro` makes it") from None
    except (OSError, ValueError):  # pyarrow's errors are of both kinds
        raise UserError(f"{path}: not a whole Parquet file; delete it and run `dvc repro`") from None


def _to_pandas(rows: pa.Table) -> pd.DataFrame:
    table: pd.DataFrame = rows.to_pandas()
    table.attrs = json.loads((rows.schema.metadata or {}).get(ATTRS, b"{}"))
    return table


def read_table(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table that `write_table` or a TableWriter wrote.

    Args:
        path: of its file.
        columns: the ones to read; all of them by default.

    Raises:
        UserError: the file is missing, cut short or not Parquet.
    """
    with _opened(path) as file:
        return _to_pandas(file.read(columns))


def read_chunks(path: Path, columns: Sequence[str] | None = None, rows: int | None = None) -> Iterator[pd.DataFrame]:
    """Read a table in chunks, in the order of its rows. A table without rows has no chunk.

    Args:
        path: of its file.
        columns: the ones to read; all of them by default.
        rows: how many rows a chunk has; by default as many as have CELLS_IN_CHUNK cells.

    Yields:
        Some of the rows, numbered from 0, with the `attrs` of the table.

    Raises:
        UserError: the file is missing, cut short or not Parquet.
    """
    with _opened(path) as file:
        names = file.schema_arrow.names if columns is None else list(columns)
        booleans = [name for name in names if _has_missing_booleans(file, name)]
        for batch in file.iter_batches(rows or rows_in_chunk(len(names)), columns=names):
            chunk = _to_pandas(pa.Table.from_batches([batch]))
            yield chunk.astype(dict.fromkeys(booleans, object)) if booleans else chunk


def _has_missing_booleans(file: pq.ParquetFile, name: str) -> bool:
    """Whether a column has booleans, and some are missing: pandas then gives it Python's objects, in each chunk."""
    place = file.schema_arrow.names.index(name)
    if not pa.types.is_boolean(file.schema_arrow.field(name).type):
        return False
    groups = range(file.metadata.num_row_groups)
    return any(file.metadata.row_group(group).column(place).statistics.null_count for group in groups)


def read_column(paths: Sequence[Path], name: str) -> pd.Series:
    """Read a column of tables that have the same columns, one table after the other.

    Numbers and times of 64 bits are copied into one array while they are read, and texts stay in chunks, so that they
    are in memory once.

    Raises:
        UserError: a file is missing, cut short or not Parquet.
    """
    no_rows = without_rows(paths[0])[name]
    dtype = no_rows.dtype
    if dtype == "str":
        chunks = (chunk[name] for path in paths for chunk in read_chunks(path, [name], ROWS_COPIED_AT_ONCE))
        return pd.concat([no_rows, *chunks], ignore_index=True)
    if dtype not in COPIED:
        return pd.concat([read_table(path, [name])[name] for path in paths], ignore_index=True)
    values, start = np.empty(sum(map(row_count, paths)), str(dtype)), 0
    for path in paths:
        for chunk in read_chunks(path, [name], ROWS_COPIED_AT_ONCE):
            values[start : start + len(chunk)] = chunk[name].to_numpy()
            start += len(chunk)
    return pd.Series(values, name=name)


def without_rows(path: Path) -> pd.DataFrame:
    """A table without its rows: its columns, their types, and its `attrs`.

    Raises:
        UserError: the file is missing, cut short or not Parquet.
    """
    with _opened(path) as file:
        return _to_pandas(file.schema_arrow.empty_table())


def read_schema(path: Path) -> pa.Schema:
    """The columns of a table and their types, as `schema_of` gives them, but from its file.

    Those of `without_rows` may differ: a column of Python's objects, such as dates, has no type there.

    Raises:
        UserError: the file is missing, cut short or not Parquet.
    """
    with _opened(path) as file:
        schema = file.schema_arrow
    return schema.with_metadata({b"pandas": schema.metadata[b"pandas"]})


def row_count(path: Path) -> int:
    """How many rows a table has.

    Raises:
        UserError: the file is missing, cut short or not Parquet.
    """
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def table_paths(folder: Path) -> dict[str, Path]:
    """The files of the tables in a folder, by the names of the tables.

    Raises:
        UserError: there is none.
    """
    files = {file.stem: file for file in sorted(folder.glob("*.parquet"))}
    if not files:
        raise UserError(f"{folder}: no tables yet; `dvc repro` makes them")
    return files


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Read the tables of a folder, by their names.

    Raises:
        UserError: there are no tables, or one can't be read.
    """
    return {name: read_table(path) for name, path in table_paths(folder).items()}
