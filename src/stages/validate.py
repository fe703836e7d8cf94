"""May the data be used?

    python -m src.stages.validate            # hold data/raw/ to data/schema.yaml
    python -m src.stages.validate --freeze   # write data/schema.yaml from data/raw/, to be read and corrected

Stops with a line for each breach, which counts values and shows none.
"""

import sys
from pathlib import Path

from src.core.errors import UserError, one_line
from src.core.files import read_tables, write_json
from src.core.params import read_params
from src.core.schema import FILE, breaches, infer, read_schema, write_schema

RAW = Path("data/raw")


def main() -> None:
    tables = read_tables(RAW)
    if sys.argv[1:] == ["--freeze"]:
        private = read_params().data.private
        write_schema({name: infer(table, private) for name, table in tables.items()})
        print(f"wrote {FILE}: read it, correct it, commit it")
        return
    if sys.argv[1:]:
        raise UserError(f"{sys.argv[1]}: no such option; there is --freeze")
    schemas = read_schema()
    found, report = [], {}
    for name in sorted(tables.keys() | schemas.keys()):
        if name not in tables or name not in schemas:
            found.append(f"{RAW / name}.parquet: only in {RAW if name in tables else FILE}")
            continue
        found += [f"{RAW / name}.parquet: {breach}" for breach in breaches(tables[name], schemas[name])]
        report[name] = {
            "rows": len(tables[name]),
            "columns": len(schemas[name].columns),
            "checks": sum(len(column.checks) for column in schemas[name].columns.values()),
        }
    if found:
        advice = f"mend the data or {FILE}; `python -m src.stages.validate --freeze` writes a new one"
        raise UserError(*found, f"{len(found)} breach{'es' if len(found) > 1 else ''}: {advice}")
    write_json(report, Path("metrics/validation.json"))
    for name, counts in report.items():
        told = f"{name}: {counts['rows']:,} rows meet {counts['checks']} checks on {counts['columns']} columns"
        print(one_line(told))


if __name__ == "__main__":
    main()
