"""Read the source into raw tables with explicit column types.

    python -m src.stages.ingest

Reads the data set's source and writes each raw table, unchanged and with explicit types, to `data/raw/`. It writes to
`metrics/source.json` which source was read, and the size of each table. dvc.lock has the hash of the source.

The data set's function `read` returns the tables. A table that may be larger than the memory is an iterator of its
chunks instead, each a DataFrame.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError, validate_call

from retrace.errors import UserError, one_line
from retrace.files import write_json
from retrace.params import FILE, params_error, read_params
from retrace.table_files import TableWriter, schema_of

RAW = Path("data/raw")


def write_chunks(chunks: Iterable[pd.DataFrame], path: Path) -> tuple[int, int]:
    """Write a table that comes in chunks; the first one says which types its columns have.

    Returns:
        How many rows and columns it has. A table without rows isn't written.

    Raises:
        UserError: a chunk has other columns, or values that aren't of these types.
    """
    with ExitStack() as stack:
        writer = None
        for chunk in chunks:
            if chunk.empty:
                continue
            if writer is None:
                writer = stack.enter_context(TableWriter(path, schema_of(chunk)))
            writer.write(chunk)
    return (writer.rows, len(writer.schema)) if writer else (0, 0)


def main() -> None:
    data = read_params().data
    source = Path(data.source)
    if not source.exists():
        raise UserError(f"{source}: no such file (data.source in {FILE}); `dvc checkout` or `dvc pull` may bring it")
    content: dict[str, Any] = {"source": data.source, "tables": {}}
    read = validate_call(import_module(f"src.datasets.{data.set}").read)
    try:
        tables = read(source, **data.read)
    except ValidationError as error:
        raise params_error(error, data.read, FILE, "data", "read") from None
    for name, table in tables.items():
        chunks = [table] if isinstance(table, pd.DataFrame) else table
        rows, columns = write_chunks(chunks, RAW / f"{name}.parquet")
        if not rows:
            raise UserError(f"{source}: the table {name} has no rows; see data.read in {FILE}")
        content["tables"][name] = {"rows": rows, "columns": columns}
        print(one_line(f"{name}: {rows:,} rows, {columns} columns"))
    write_json(content, Path("metrics/source.json"))


if __name__ == "__main__":
    main()
