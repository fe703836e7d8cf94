"""Check the raw tables against data/schema.yaml.

    python -m src.stages.validate

If a table breaks the schema, the stage prints one line for each breach and fails. A line counts values and shows none.
`python -m retrace freeze` writes a schema from the data.
"""

from pathlib import Path

from retrace.errors import UserError, one_line
from retrace.files import read_tables, write_json
from retrace.schema import FILE, RAW, breaches, read_schema


def main() -> None:
    tables = read_tables(RAW)
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
        advice = f"fix the data or {FILE}; `python -m retrace freeze` writes a new one"
        raise UserError(*found, f"{len(found)} breach{'es' if len(found) > 1 else ''}: {advice}")
    write_json(report, Path("metrics/validation.json"))
    for name, counts in report.items():
        told = f"{name}: {counts['rows']:,} rows meet {counts['checks']} checks on {counts['columns']} columns"
        print(one_line(told))


if __name__ == "__main__":
    main()
