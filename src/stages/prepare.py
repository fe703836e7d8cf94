"""One row per example: cleaned, labelled, with features.

    python -m src.stages.prepare

The data set's module does the work, in its function `prepare`. This stage checks what every later stage relies on:
each row has an id of its own, the target can be learned, and no feature gives it away.

If the module has a constant LARGE_TABLE (retrace/large_tables.py), that raw table is given to `prepare` in chunks, and
may be larger than the memory.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow as pa

from retrace.errors import UserError, one_line
from retrace.large_tables import LargeTable, chunks_of, sorted_chunks
from retrace.params import Data, read_params
from retrace.prepared import PreparedCheck
from retrace.table_files import (
    TableWriter,
    common_schema,
    read_chunks,
    read_table,
    read_tables,
    schema_of,
    table_paths,
    write_table,
)

RAW, PREPARED = Path("data/raw"), Path("data/prepared.parquet")
TEMPORARY = Path("data/prepared.parquet.parts")


def prepared_chunks(module: ModuleType, large: LargeTable | None, data: Data) -> Iterator[pd.DataFrame]:
    """What the data set's module makes of the raw tables: all at once, or in chunks if it declares a large table.

    Args:
        module: of src/datasets/.
        large: which table is large; None if the module declares none.
        data: the section `data` of params.yaml.

    Raises:
        UserError: there is no such table, or it can't be cut as declared.
    """
    if large is None:
        yield module.prepare(read_tables(RAW), data)
        return
    paths = table_paths(RAW)
    if large.name not in paths:
        raise UserError(
            f"src/datasets/{data.set}.py: LARGE_TABLE: {RAW} has no table {large.name}; name one that it has"
        )
    path = paths.pop(large.name)
    others = {name: read_table(other) for name, other in paths.items()}
    for tables in chunks_of(large, path, data, TEMPORARY / "raw"):
        yield module.prepare(others | tables, data)


def write_prepared(chunks: Iterator[pd.DataFrame], sort_by: tuple[str, ...], data: Data) -> None:
    """Check the prepared table, and write it; then print its size, and how many rows were dropped.

    Args:
        chunks: of the table.
        sort_by: the columns by which its rows are sorted; if there are none, the rows stay in their order.
        data: the section `data` of params.yaml.

    Raises:
        UserError: the table isn't what later stages rely on.
    """
    check, dropped = PreparedCheck(data), Counter[str]()
    schemas: list[pa.Schema] = []
    files: list[Path] = []
    last: pd.DataFrame | None = None
    attrs: dict[Any, Any] = {}
    for chunk in chunks:
        if last is not None:
            files.append(TEMPORARY / f"{len(files)}.parquet")
            write_table(last, files[-1])
        check.add(chunk)
        attrs |= chunk.attrs
        dropped.update({reason: int(rows) for reason, rows in chunk.attrs.pop("dropped", {}).items()})
        schemas.append(schema_of(chunk))
        last = chunk

    def read() -> Iterator[pd.DataFrame]:
        for file in files:
            yield from read_chunks(file)
        if last is not None:
            yield last

    schema = common_schema(schemas)
    check.finish()
    if absent := [name for name in sort_by if name not in schema.names]:
        raise UserError(f"LARGE_TABLE: sort_by: the prepared table has no column {absent[0]}; name one that it has")
    ordered = sorted_chunks(read, schema, sort_by[0], TEMPORARY / "sorted") if sort_by else read()
    if dropped:
        attrs["dropped"] = dict(dropped)
    with TableWriter(PREPARED, schema, attrs) as writer:
        for chunk in ordered:
            writer.write(chunk.sort_values(list(sort_by), kind="stable") if sort_by else chunk)
    print(f"{writer.rows:,} rows, {len(check.features)} features")
    for reason, rows in dropped.items():
        if rows:
            print(one_line(f"dropped {rows:,} rows: {reason}"))


def main() -> None:
    data = read_params().data
    module = import_module(f"src.datasets.{data.set}")
    large: LargeTable | None = getattr(module, "LARGE_TABLE", None)
    shutil.rmtree(TEMPORARY, ignore_errors=True)  # of a run that was killed
    try:
        write_prepared(prepared_chunks(module, large, data), large.sort_by if large else (), data)
    finally:
        shutil.rmtree(TEMPORARY, ignore_errors=True)


if __name__ == "__main__":
    main()
