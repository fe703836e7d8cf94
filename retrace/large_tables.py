"""A raw table that may be larger than the memory: `prepare` gets it in chunks, and the results are sorted.

A data set's module says so by a constant, LARGE_TABLE. Without it, `prepare` gets all tables whole.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.hashes import StoredHashes
from retrace.params import Data
from retrace.pieces import StoredIntegers, numbers_at, to_bits
from retrace.row_ids import RowIds, row_hashes
from retrace.table_files import ADVICE, read_chunks, read_schema, rows_in_chunk, without_rows
from retrace.tables.preparing import check_id_columns

MOST_FILES = 200  # that are open at once while a table is sorted
Read = Callable[[], Iterator[pd.DataFrame]]


@dataclass(frozen=True)
class LargeTable:
    """Which raw table is given to `prepare` in chunks, and what it needs besides the rows of a chunk.

    A row of the result must depend only on its own row, on the other raw tables, and on what is declared here. A
    statistic of all rows, such as a mean, isn't possible. It would leak test into train.

    Attributes:
        name: of the table. The other tables are always given whole.
        by: a column of numbers or times without missing values. The chunks are sorted by it, and all rows with the same
            value are in one chunk, so `prepare` can count and add up by this column. It needs `data.id`. If it's None,
            chunks are in the order of the table, and their boundaries are arbitrary.
        lookback: a Timedelta if `by` is a time, else a number. `prepare` also gets a table NAME_before: the rows of
            earlier chunks whose `by` is greater than the smallest one of the chunk less `lookback`.
        sort_by: columns of the result by which its rows are sorted. The first one must have numbers or times, none of
            them missing. If there are none, the rows stay in the order of the chunks.
    """

    name: str
    by: str | None = None
    lookback: pd.Timedelta | float | None = None
    sort_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.sort_by, str):
            raise UserError(f'LARGE_TABLE: sort_by is text; write ("{self.sort_by}",); {ADVICE}')
        if self.lookback is not None and self.by is None:
            raise UserError(f"LARGE_TABLE: lookback needs `by`, the column that it looks back in; {ADVICE}")


def chunks_of(large: LargeTable, path: Path, data: Data, folder: Path) -> Iterator[dict[str, Any]]:
    """The chunks of a raw table, each with what else `prepare` needs for it.

    Args:
        large: what the data set's module declares.
        path: the table's file.
        data: the section `data` of params.yaml.
        folder: for temporary files.

    Yields:
        The chunk by the table's name; the rows to look back to, as NAME_before; and, without `data.id`, the ids of the
        rows, as `row_ids`.

    Raises:
        UserError: the table can't be sorted as declared, or no ids can be made.
    """
    if large.by is not None and data.id is None:
        raise UserError(f"params.yaml: data.id: must name a column, since LARGE_TABLE cuts {large.name} by {large.by}")
    if large.by is None:
        yield from unsorted_chunks(large, path, data)
        return
    before: pd.DataFrame | None = None
    schema = read_schema(path)
    if large.lookback is not None and isinstance(large.lookback, pd.Timedelta) != _is_time(schema, large.by):
        kind = "a Timedelta, as the column has times" if _is_time(schema, large.by) else "a number, as the column's are"
        raise UserError(f"column {large.by}: lookback in LARGE_TABLE must be {kind}; {ADVICE}")
    for chunk in sorted_chunks(lambda: read_chunks(path), schema, large.by, folder):
        if large.lookback is None:
            yield {large.name: chunk}
            continue
        known = chunk.iloc[:0] if before is None else before
        recent = known[known[large.by] > chunk[large.by].iloc[0] - large.lookback].reset_index(drop=True)
        yield {large.name: chunk, f"{large.name}_before": recent}
        before = pd.concat([recent, chunk], ignore_index=True)


def unsorted_chunks(large: LargeTable, path: Path, data: Data) -> Iterator[dict[str, Any]]:
    """The chunks of a raw table in its own order, without `data.id` with their `row_ids`; see `chunks_of`."""
    if data.id is not None:
        for chunk in read_chunks(path):
            yield {large.name: chunk}
        return
    check_id_columns(without_rows(path), data)
    types = data.read.get("types") or {}
    hashes = StoredHashes()
    for chunk in read_chunks(path, data.id_columns):
        hashes.add(row_hashes(chunk, data.id_columns, types))
    ids = RowIds(hashes)
    start = 0
    for chunk in read_chunks(path):
        yield {large.name: chunk, "row_ids": ids.of(hashes.of_rows(start, len(chunk)))}
        start += len(chunk)


def sorted_chunks(read: Read, schema: pa.Schema, by: str, folder: Path) -> Iterator[pd.DataFrame]:
    """The rows of a table sorted by a column; rows with the same value keep their order, and are in the same chunk.

    Args:
        read: reads the table in chunks; it's called twice.
        schema: the table's columns and their types.
        by: a column of numbers or times without missing values.
        folder: for temporary files, which are as large as the table.

    Raises:
        UserError: there is no such column, or it has other or missing values.
    """
    order = StoredIntegers()
    for chunk in read():
        order.add(to_bits(_sortable(chunk, by)))
    size = max(rows_in_chunk(len(schema)), order.rows // MOST_FILES)
    starts = np.unique(numbers_at(order, range(0, order.rows, size)))  # of ranges that have about as many rows each
    if order.rows <= 2 * size or len(starts) == 1:
        yield pd.concat(list(read())).sort_values(by, kind="stable", ignore_index=True)
        return
    folder.mkdir(parents=True)
    files = [folder / f"{number}.arrow" for number in range(len(starts))]
    with ExitStack() as stack:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        writers = [stack.enter_context(pa.ipc.new_file(file, schema, options=options)) for file in files]
        for chunk in read():
            range_of_row = np.searchsorted(starts, to_bits(_sortable(chunk, by)), side="right") - 1
            for number in np.unique(range_of_row).tolist():
                in_range = chunk[range_of_row == number]
                writers[number].write_table(pa.Table.from_pandas(in_range, schema, preserve_index=False))
    for file in files:
        yield from sorted_chunks(partial(_read_arrow, file), schema, by, file.with_suffix(".sorted"))
        file.unlink()
    folder.rmdir()


def _read_arrow(file: Path) -> Iterator[pd.DataFrame]:
    """The rows of a temporary file, in the pieces in which they were written."""
    with pa.OSFile(str(file)) as source, pa.ipc.open_file(source) as reader:
        for number in range(reader.num_record_batches):
            yield pa.Table.from_batches([reader.get_batch(number)]).to_pandas()


def _is_time(schema: pa.Schema, name: str) -> bool:
    """Whether a column has times."""
    return name in schema.names and bool(pa.types.is_timestamp(schema.field(name).type))


def _sortable(chunk: pd.DataFrame, by: str) -> NDArray[np.generic]:
    """The values of a column of numbers or times; shape (rows,)."""
    if by not in chunk:
        raise UserError(f"column {by}: the table to be sorted by it has none; {ADVICE}")
    column = chunk[by]
    if count := column.isna().sum():
        raise UserError(f"column {by}: {count:,} values are missing, so rows can't be sorted by it; {ADVICE}")
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    values = column.to_numpy()
    if values.dtype.kind not in "iufM":
        raise UserError(f"column {by}: has neither numbers nor times, so rows can't be sorted by it; {ADVICE}")
    return values
