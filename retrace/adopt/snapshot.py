"""A snapshot of a query's result: a Parquet file in data/source/, and beside it the query and the database's address.

For data/source/visits.parquet these are data/source/visits.sql and data/source/visits.yaml. Only `adopt` and `refresh`
read them.

The rows are sorted by the columns that identify a row, or by all columns if none do: numbers and times by their value,
text by its code points, whatever the database's collation. So the same rows give the same bytes. They are sorted in a
temporary file, which is as large as the rows in memory would be. Only the columns by which they are sorted are in
memory together.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from retrace.adopt.databases import ADDRESSES, read_batches
from retrace.errors import UserError
from retrace.files import replacing, write_bytes
from retrace.table_files import CELLS_IN_ROW_GROUP
from retrace.yaml_files import Dumper, read_yaml

TEMPORARY = Path(".dvc/tmp")  # Git and DVC ignore it
HEADER = """\
# Where {source} comes from; the query is in {query}. `make refresh` takes a new snapshot.
# address: the database, without a password. key: the columns that identify a row; [] if none do.
"""


class Origin(NamedTuple):
    """Where a snapshot comes from.

    Attributes:
        address: the database's, without a password.
        key: the columns that identify a row; there may be none.
    """

    address: str
    key: list[str]

    @classmethod
    def of(cls, source: Path) -> Self:
        """What the file beside a snapshot says.

        Raises:
            UserError: there is no such file, or it isn't valid.
        """
        file = origin_file(source)
        if not file.is_file():
            raise UserError(f"{source}: not a snapshot of a database: there is no {file}, which `adopt --sql` writes")
        content = read_yaml(file)
        if not isinstance(content, dict) or content.keys() != {"address", "key"}:
            raise UserError(f"{file}: must have the keys address and key, and no others")
        address, key = content["address"], content["key"]
        if not isinstance(address, str):
            raise UserError(f"{file}: address must be text, such as {ADDRESSES}")
        if not isinstance(key, list) or not all(isinstance(name, str) for name in key):
            raise UserError(f"{file}: key must be a list of columns, such as [id], or [] if none identify a row")
        return cls(address, key)


def origin_file(source: Path) -> Path:
    """The file with the address of a snapshot's database."""
    return source.with_suffix(".yaml")


def query_file(source: Path) -> Path:
    """The file with the query of a snapshot."""
    return source.with_suffix(".sql")


def write_origin(source: Path, origin: Origin, query: Path) -> None:
    """Write the address and the query beside a snapshot.

    Args:
        source: the snapshot.
        origin: where it comes from.
        query: the file with the query, which is copied.
    """
    header = HEADER.format(source=source.name, query=query_file(source).name)
    text = yaml.dump(origin._asdict(), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000)
    write_bytes(query.read_bytes(), query_file(source))
    write_bytes(f"{header}{text}".encode(), origin_file(source))


def forget_origin(source: Path) -> list[Path]:
    """Delete the files beside a snapshot, since its table now comes from a file; returns those that there were."""
    files = [file for file in (origin_file(source), query_file(source)) if file.is_file()]
    for file in files:
        file.unlink()
    return files


@contextmanager
def taken(name: str, origin: Origin, query: Path) -> Iterator[Path]:
    """A new snapshot, in a temporary file.

    Args:
        name: of the file.
        origin: the database, and the columns that identify a row.
        query: the file with the query.

    Raises:
        UserError: there is no connection, the query can't be read or has no rows, or rows can't be told apart.
    """
    snapshot, unsorted = TEMPORARY / name, TEMPORARY / f"{name}.arrow"
    TEMPORARY.mkdir(parents=True, exist_ok=True)
    try:
        try:
            with closing(read_batches(origin.address, query)) as batches:
                _write_arrow(batches, unsorted)
            _write_sorted(unsorted, origin.key, snapshot, query)
        finally:
            unsorted.unlink(missing_ok=True)
        yield snapshot
    finally:
        snapshot.unlink(missing_ok=True)


def _write_arrow(batches: Iterator[pa.RecordBatch], file: Path) -> None:
    """Write batches as they come."""
    first = next(batches)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, first.schema) as writer:
        writer.write_batch(first)
        for batch in batches:
            writer.write_batch(batch)


def _write_sorted(file: Path, key: Sequence[str], snapshot: Path, query: Path) -> None:
    """Write the rows of a file of Arrow's to Parquet, sorted by the key, or by all columns if it's empty."""
    with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as reader:
        batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        table = pa.Table.from_batches(batches)
        if not table.num_rows:
            raise UserError(f"{query}: the result has no rows; a table needs rows")
        for name in key:
            if name not in table.column_names:
                raise UserError(f"{query}: the result has no column {name}, which is to identify a row")
            if count := pc.sum(table.column(name).is_null(nan_is_null=True)).as_py():
                raise UserError(f"{query}: column {name} is to identify a row, but {count:,} values are missing")
        order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in key or table.column_names]).to_numpy()
        size = max(1, CELLS_IN_ROW_GROUP // table.num_columns)
        starts = np.cumsum([0, *map(len, batches)])
        last: pa.Table | None = None
        options = {"compression": "zstd", "version": "2.6"}
        with replacing(snapshot) as part, pq.ParquetWriter(part, table.schema, **options) as writer:
            for start in range(0, len(order), size):
                rows = _take(batches, starts, order[start : start + size])
                if key:
                    _check_unique(rows.select(key), last, query)
                    last = rows.select(key).slice(len(rows) - 1)
                writer.write_table(rows, row_group_size=size)


def _take(batches: Sequence[pa.RecordBatch], starts: NDArray[np.int64], places: NDArray[np.uint64]) -> pa.Table:
    """Rows of several batches, by their places; `Table.take` would join all batches in memory."""
    ascending = np.sort(places)
    bounds = np.searchsorted(ascending, starts)
    parts = []
    for number, batch in enumerate(batches):
        inside = ascending[bounds[number] : bounds[number + 1]]
        parts.append(batch.take(pa.array(inside - np.uint64(starts[number]))))
    return pa.Table.from_batches(parts).combine_chunks().take(np.searchsorted(ascending, places))


def _check_unique(keys: pa.Table, last: pa.Table | None, query: Path) -> None:
    """Check that no two rows have the same key.

    Args:
        keys: the columns of the key, sorted.
        last: the last row of the rows before these, if there are any.
        query: the file with the query.
    """
    keys = keys if last is None else pa.concat_tables([last, keys]).combine_chunks()
    same = None
    for column in keys.columns:
        equal = pc.equal(column.slice(1), column.slice(0, len(keys) - 1))
        same = equal if same is None else pc.and_(same, equal)
    if pc.any(same, min_count=0).as_py():
        told = f"several rows have the same {', '.join(keys.column_names)}, which is to identify a row"
        raise UserError(f"{query}: {told}; name another column, or change the query")
