"""One row per example: cleaned, labelled, with features.

    python -m src.stages.prepare

The data set's module does the work, in its function `prepare`. This stage checks what every later stage relies on:
each row has an id of its own, the target can be learned, and no feature gives it away.
"""

from importlib import import_module
from pathlib import Path

from retrace.errors import one_line
from retrace.examples import features
from retrace.files import read_tables, write_table
from retrace.params import read_params
from retrace.prepared import check_prepared


def main() -> None:
    data = read_params().data
    tables = read_tables(Path("data/raw"))
    table = import_module(f"src.datasets.{data.set}").prepare(tables, data)
    check_prepared(table, data)
    write_table(table, Path("data/prepared.parquet"))
    print(f"{len(table):,} rows, {len(features(table, data))} features")
    for reason, rows in table.attrs.get("dropped", {}).items():
        if rows:
            print(one_line(f"dropped {rows:,} rows: {reason}"))


if __name__ == "__main__":
    main()
