"""Tables that are too large for adopt to hold: they are in temporary files, and are read in chunks.

A table that fits into a chunk stays in memory, and so does one with few rows for its many columns, which would be slow
to read in chunks.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TypeAlias, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from retrace.adopt.snapshot import TEMPORARY
from retrace.large_tables import LargeTable, unsorted_chunks
from retrace.params import Data
from retrace.pieces import Pieces, read_pieces
from retrace.table_files import (
    TableWriter,
    common_schema,
    read_chunks,
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

    def chunks(self) -> Iterator[pa.Table]:
        """All columns in chunks of rows."""
        for file in self.files:
            yield joined([_read_arrow(file)], self.schema, self._source)


AnyCells: TypeAlias = pa.Table | StoredCells


def _write_arrow(chunk: pa.Table, file: Path) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4", unify_dictionaries=True)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, chunk.schema, options=options) as writer:
        writer.write_table(chunk)


def _read_arrow(file: Path) -> pa.Table:
    with pa.OSFile(str(file)) as source:
        return pa.ipc.open_file(source).read_all()


def cell_chunks(cells: AnyCells) -> Iterator[pa.Table]:
    """The rows of a table: in chunks if it's stored."""
    return cells.chunks() if isinstance(cells, StoredCells) else iter([cells])


def cells_at(cells: AnyCells, places: NDArray[np.intp]) -> pa.Table:
    """Rows of a table, by their places from 0 in ascending order."""
    if len(places) == cells.num_rows and not isinstance(cells, StoredCells):
        return cells
    found, start = [], 0
    for chunk in cell_chunks(cells):
        inside = places[np.searchsorted(places, start) : np.searchsorted(places, start + len(chunk))]
        found.append(chunk.take(inside - start))
        start += len(chunk)
    return pa.concat_tables(found)


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
        for _ in stored.chunks():  # which raises an error if a value can't have the common type
            pass
    return stored


AnyTable: TypeAlias = pd.DataFrame | Path  # a table in memory, or the Parquet file in which it's stored


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
    return path


def chunks_of(table: AnyTable, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
    """The rows of a table, or some columns of them: in chunks if it's stored.

    A chunk has as many rows with some columns as with all.
    """
    if isinstance(table, pd.DataFrame):
        return iter([table if columns is None else table[list(columns)]])
    return read_chunks(table, columns, rows_in_chunk(len(without_rows(table).columns)))


def pieces_of(table: AnyTable, name: str) -> Pieces:
    """A column in pieces that can be read several times."""
    return [table[name]] if isinstance(table, pd.DataFrame) else read_pieces([table], name)


def row_count_of(table: AnyTable) -> int:
    """How many rows a table has."""
    return row_count(table) if isinstance(table, Path) else len(table)


def whole(table: AnyTable) -> pd.DataFrame:
    """A table in memory."""
    return read_table(table) if isinstance(table, Path) else table


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
    if isinstance(raw, pd.DataFrame) or large != LargeTable("table"):
        return cast(pd.DataFrame, module.prepare({"table": whole(raw)}, data))
    folder = _new_folder()
    files, schemas = list[Path](), list[pa.Schema]()
    for tables in unsorted_chunks(large, raw, data):
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
    return path
