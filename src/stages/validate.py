"""Check the raw tables against data/schema.yaml.

    python -m src.stages.validate

If a table breaks the schema, the stage prints one line for each breach and fails. A line counts values and shows none.
`python -m retrace freeze` writes a schema from the data.

The tables are read in chunks, unless data/schema.yaml has a check that needs all rows at once, such as `unique`.
"""

from pathlib import Path

from retrace.errors import UserError, one_line
from retrace.files import write_json
from retrace.schema import FILE, RAW, breaches, needs_all_rows, read_schema
from retrace.table_files import read_chunks, read_table, row_count, table_paths


def main() -> None:
    paths = table_paths(RAW)
    schemas = read_schema()
    found, report = [], {}
    for name in sorted(paths.keys() | schemas.keys()):
        if name not in paths or name not in schemas:
            found.append(f"{RAW / name}.parquet: only in {RAW if name in paths else FILE}")
            continue
        schema = schemas[name]
        chunks = [read_table(paths[name])] if needs_all_rows(schema) else read_chunks(paths[name])
        found += [f"{paths[name]}: {breach}" for breach in breaches(chunks, schema)]
        report[name] = {
            "rows": row_count(paths[name]),
            "columns": len(schema.columns),
            "checks": sum(len(column.checks) for column in schema.columns.values()),
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
