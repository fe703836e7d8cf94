"""Read the source into raw tables with explicit column types.

    python -m src.stages.ingest

Reads the data set's source and writes each raw table, unchanged and with explicit types, to `data/raw/`. It writes to
`metrics/source.json` which source was read, and the size of each table. dvc.lock has the hash of the source.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError, validate_call

from retrace.errors import UserError, one_line
from retrace.files import write_json, write_table
from retrace.params import FILE, params_error, read_params

RAW = Path("data/raw")


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
        if table.empty:
            raise UserError(f"{source}: the table {name} has no rows; see data.read in {FILE}")
        write_table(table, RAW / f"{name}.parquet")
        content["tables"][name] = {"rows": len(table), "columns": len(table.columns)}
        print(one_line(f"{name}: {len(table):,} rows, {len(table.columns)} columns"))
    write_json(content, Path("metrics/source.json"))


if __name__ == "__main__":
    main()
