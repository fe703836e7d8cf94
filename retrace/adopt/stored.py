"""Tables that are too large for adopt to hold: they are in temporary files, and one column at a time is in memory.

StoredCells has what adopt uses of Arrow's tables, and StoredTable what it uses of pandas' ones. A table that fits into
a chunk stays in memory, and so does one with few rows for its many columns, which would be slow to read one by one.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Self, TypeAlias, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from retrace.adopt.snapshot import TEMPORARY
from retrace.large_tables import LargeTable, unsorted_chunks
from retrace.params import Data
from retrace.table_files import (
    TableWriter,
    common_schema,
    read_chunks,
    read_column,
    read_table,
    row_count,
    rows_in_chunk,
    schema_of,
    without_rows,
    write_table,
)
from retrace.tables.files import is_text_source
from retrace.tables.options import ReadOptions
from retrace.tables.pandas_types import chunk_to_pandas, facts_of, plain_types, to_pandas
from retrace.tables.reading import common_schema as common_types
from retrace.tables.reading import joined, read_as_written, read_files

FOLDER = TEMPORARY / "adopt"
ROWS_PER_COLUMN = 10  # a table with fewer rows for each of its columns stays in memory


@contextmanager
def temporary_files() -> Iterator[None]:
    """The time in which tables may be stored. Then their files are deleted."""
    shutil.rmtree(FOLDER, ignore_errors=True)  # of a run that was killed
    try:
        yield
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


def _new_folder() -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=FOLDER))


class StoredCells:
    """A table of Arrow's types whose chunks are in files.

    Attributes:
        files: of the chunks, in their order.
        schema: the types of the columns in the whole table.
        num_rows: how many rows it has.
    """

    def __init__(self, files: Sequence[Path], schema: pa.Schema, num_rows: int, source: Path) -> None:
        self.files, self.schema, self.num_rows, self._source = files, schema, num_rows, source

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        return list(self.schema.names)

    def column(self, name: str) -> pa.ChunkedArray:
        """The cells of a column.

        Raises:
            DifferingTypesError: some aren't of the type that the column has in the whole table.
        """
        schema = pa.schema([self.schema.field(name)])
        return joined([_read_arrow(file, name) for file in self.files], schema, self._source).column(name)

    def select(self, names: Sequence[str]) -> Self:
        """The same table with some of the columns."""
        return type(self)(self.files, pa.schema(map(self.schema.field, names)), self.num_rows, self._source)

    def chunks(self) -> Iterator[pa.Table]:
        """All columns in chunks of rows."""
        for file in self.files:
            yield joined([_read_arrow(file)], self.schema, self._source)


AnyCells: TypeAlias = pa.Table | StoredCells


def _write_arrow(chunk: pa.Table, file: Path) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4", unify_dictionaries=True)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, chunk.schema, options=options) as writer:
        writer.write_table(chunk)


def _read_arrow(file: Path, name: str | None = None) -> pa.Table:
    """The rows in a file, or one column of them."""
    with pa.OSFile(str(file)) as source:
        if name is None:
            return pa.ipc.open_file(source).read_all()
        place = pa.ipc.open_file(source).schema.get_field_index(name)
        return pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=[place])).read_all()


def is_large(rows: int, columns: int) -> bool:
    """Whether a table is too large to be held."""
    return rows > max(rows_in_chunk(columns), ROWS_PER_COLUMN * columns)


def load(source: Path, options: ReadOptions) -> AnyCells:
    """The files of a source as one table of Arrow's types.

    Raises:
        DifferingTypesError: a column has other types in other files.
        UserError: a file cannot be read, or is not such a table.
    """
    return _gathered(read_files(source, options), source)


def cells_as_written(source: Path, options: ReadOptions) -> AnyCells | None:
    """Each cell of text files as its text, even where it means no value; None for other kinds of files."""
    return _gathered(read_as_written(source, options), source) if is_text_source(source) else None


def _gathered(chunks: Iterator[pa.Table], source: Path) -> AnyCells:
    """The chunks of a source as one table, in memory if it's small."""
    kept, files, schemas, rows = list[pa.Table](), list[Path](), list[pa.Schema](), 0
    for chunk in chunks:
        schemas.append(chunk.schema)
        rows += len(chunk)
        kept.append(chunk)
        if is_large(rows, len(chunk.schema)):
            folder = files[0].parent if files else _new_folder()
            for table in kept:
                files.append(folder / f"{len(files)}.arrow")
                _write_arrow(table, files[-1])
            kept = []
    schema = common_types(schemas, source)
    if not files:
        return joined(kept, schema, source)
    stored = StoredCells(files, schema, rows, source)
    if any(other != schema for other in schemas):
        for name in schema.names:
            stored.column(name)  # which raises an error if a value can't have the common type
    return stored


class StoredTable:
    """A table in a Parquet file.

    Attributes:
        path: of the file.
        columns: the names of the columns.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.columns = path, without_rows(path).columns

    def __len__(self) -> int:
        return row_count(self.path)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> pd.Series:
        return read_column([self.path], name)

    def items(self) -> Iterator[tuple[str, pd.Series]]:
        """The names and the values of the columns."""
        return ((name, self[name]) for name in self)


AnyTable: TypeAlias = pd.DataFrame | StoredTable


def as_pandas(cells: AnyCells, source: Path) -> AnyTable:
    """A table in pandas' plain types.

    Raises:
        UserError: a column holds something else, such as lists or bytes.
    """
    if not isinstance(cells, StoredCells):
        return to_pandas(cells, source)
    types = plain_types(cells.schema, map(facts_of, cells.chunks()), source)
    path = _new_folder() / "raw.parquet"
    chunks = (chunk_to_pandas(chunk, types) for chunk in cells.chunks() if len(chunk))
    first = next(chunks)
    with TableWriter(path, schema_of(first)) as writer:
        for chunk in chain([first], chunks):
            writer.write(chunk)
    return StoredTable(path)


def chunks_of(table: AnyTable) -> Iterator[pd.DataFrame]:
    """The rows of a table: in chunks if it's stored."""
    return read_chunks(table.path) if isinstance(table, StoredTable) else iter([table])


def whole(table: AnyTable) -> pd.DataFrame:
    """A table in memory."""
    return read_table(table.path) if isinstance(table, StoredTable) else table


def rows_at(table: AnyTable, places: NDArray[np.intp]) -> pd.DataFrame:
    """Rows of a table, by their places from 0."""
    if not isinstance(table, StoredTable):
        return table.iloc[places]
    found, start, ascending = [], 0, np.sort(places)
    for chunk in read_chunks(table.path):
        inside = ascending[(ascending >= start) & (ascending < start + len(chunk))]
        found.append(chunk.iloc[inside - start])
        start += len(chunk)
    return pd.concat(found, ignore_index=True).iloc[np.searchsorted(ascending, places)]


def prepare(raw: AnyTable, data: Data, module: ModuleType) -> AnyTable:
    """The prepared table: stored if the raw one is, and the module takes it in chunks that are cut anywhere.

    Args:
        raw: the raw table.
        data: the columns' roles.
        module: src/datasets/table.py.

    Raises:
        UserError: the module can't prepare it.
    """
    large = getattr(module, "LARGE_TABLE", None)
    if not isinstance(raw, StoredTable) or large != LargeTable("table"):
        return cast(pd.DataFrame, module.prepare({"table": whole(raw)}, data))
    folder = _new_folder()
    files, schemas = list[Path](), list[pa.Schema]()
    for tables in unsorted_chunks(large, raw.path, data):
        chunk = module.prepare(tables, data)
        schemas.append(schema_of(chunk))
        files.append(folder / f"{len(files)}.parquet")
        write_table(chunk, files[-1])
    path = folder / "prepared.parquet"
    with TableWriter(path, common_schema(schemas)) as writer:
        for file in files:
            for chunk in read_chunks(file):
                writer.write(chunk)
            file.unlink()
    return StoredTable(path)
