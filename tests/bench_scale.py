"""What tables of many rows cost: time and peak memory of adopt and each stage, beside the same job by other tools.

    python -m tests.bench_scale          # 10 and 100 times the demo's rows; prints the tables of docs/performance.md
    python -m tests.bench_scale 10 400   # other sizes, in copies of the demo's rows (273,355 each)

The table has the demo's columns. Its rows are copies of the demo's, each with an id of its own and some noise, in
Parquet files of ten copies. The models are fitted on a sample (`train.memory`).

The job that is compared is what `ingest`, `prepare` and `split` do besides their checks: read the files, keep the rows
with a label, make features of the date, and write train, valid and test by time. Dask and DuckDB are compared if they
are installed; they aren't packages of this project. Each runs twice, with two threads and with one. Whether the two
runs wrote the same bytes is shown, too.
"""

import hashlib
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench import STAGES, peak
from tests.conftest import ROLES, ROOT, change_params, copy_project

COPIES_IN_FILE = 10
MEMORY = 0.5  # GB, as `train.memory`
COLUMNS = ("--target", "late", "--id", "flight", "--time", "departure")  # for `python -m retrace adopt`
SPLIT = {
    "train": ("0001-01-01", "2013-09-01"),
    "valid": ("2013-09-01", "2013-10-01"),
    "test": ("2013-10-01", "9999-01-01"),
}

PANDAS = """
import sys, pandas as pd
table = pd.read_parquet("data/source/flights")
table = table[table["late"].notna()].reset_index(drop=True)
date = table["departure"].dt
for feature in ("month", "day_of_week", "hour"):
    table["departure " + feature] = getattr(date, feature).astype("float64")
for name, (start, end) in {split}.items():
    part = table[(table["departure"] >= start) & (table["departure"] < end)]
    part.to_parquet(f"{{sys.argv[1]}}/{{name}}.parquet", index=False)
"""
DASK = """
import sys, dask, dask.dataframe as dd
dask.config.set(scheduler="threads", num_workers=int(sys.argv[2]))
table = dd.read_parquet("data/source/flights", split_row_groups=True)
table = table[table["late"].notnull()]
date = table["departure"].dt
for feature in ("month", "dayofweek", "hour"):
    table["departure " + feature] = getattr(date, feature).astype("float64")
parts = []
for name, (start, end) in {split}.items():
    part = table[(table["departure"] >= start) & (table["departure"] < end)]
    parts.append(part.to_parquet(f"{{sys.argv[1]}}/{{name}}", write_index=False, compute=False))
dask.compute(*parts)
"""
DUCKDB = """
import sys, duckdb
duckdb.sql(f"set threads = {{sys.argv[2]}}; set memory_limit = '1.5GB'")
for name, (start, end) in {split}.items():
    duckdb.sql(f\"\"\"copy (
        select *, month(departure)::double as month, (isodow(departure) - 1)::double as weekday,
               hour(departure)::double as hour
        from 'data/source/flights/*.parquet'
        where late is not null and departure >= '{{start}}' and departure < '{{end}}'
    ) to '{{sys.argv[1]}}/{{name}}.parquet' (compression zstd)\"\"\")
"""


def write_source(prepared: pa.Table, folder: Path, copies: int) -> None:
    """Write the table: copies of the demo's rows in files of ten copies each.

    Args:
        prepared: the demo's prepared table.
        folder: where the files are written.
        copies: how many.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    frame = prepared.to_pandas()
    for first in range(0, copies, COPIES_IN_FILE):
        with pq.ParquetWriter(folder / f"{first:06}.parquet", prepared.schema, compression="zstd") as writer:
            for copy in range(first, min(first + COPIES_IN_FILE, copies)):
                rows = frame.assign(flight=f"{copy} " + frame["flight"], temp=frame["temp"] + copy / 1000)
                writer.write_table(pa.Table.from_pandas(rows, prepared.schema, preserve_index=False))


def measure(name: str, copies: int, module: str, *arguments: str, project: Path) -> None:
    """Run a module in a project, and print a line with its time and peak memory."""
    took, memory = peak("-m", module, *arguments, cwd=project)
    print(f"| {name} | {copies} | {took:.0f} s | {memory:,} MiB |", flush=True)


def hash_of(folder: Path) -> str:
    """A hash of the content of all files in a folder, in the order of their names."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.parquet")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def other_tools(project: Path, copies: int) -> None:
    """Print a line for each tool that does the same job."""
    programs = {"pandas": PANDAS} | ({"dask": DASK} if find_spec("dask") else {})
    programs |= {"duckdb": DUCKDB} if find_spec("duckdb") else {}
    for tool, program in programs.items():
        hashes = []
        for threads in ("2", "1"):
            out = project / "other"
            out.mkdir()
            took, memory = peak("-c", program.format(split=SPLIT), str(out), threads, cwd=project)
            hashes.append(hash_of(out))
            shutil.rmtree(out)
            same = "" if len(hashes) == 1 else "yes" if hashes[0] == hashes[1] else "no"
            print(f"| {tool}, {threads} threads | {copies} | {took:.0f} s | {memory:,} MiB | {same} |", flush=True)


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] or [10, 100]
    prepared = pq.read_table(ROOT / "data/prepared.parquet").drop_columns(["weekday"])
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        project = copy_project(Path(name) / "project")
        source = project / "data/source/flights"
        roles = {"source": "data/source/flights", "read": {}, "target": "late", "task": "classification"}
        change_params(project, data=ROLES | roles | {"positive": True, "id": "flight", "time": "departure"})
        params = project / "params.yaml"
        params.write_text(params.read_text().replace("memory: 16", f"memory: {MEMORY}"))
        print("| stage | copies | time | peak memory |\n|---|---|---|---|")
        for copies in sizes:
            write_source(prepared, source, copies)
            adopted = copy_project(Path(name) / "adopted")
            measure("adopt", copies, "retrace", "adopt", str(source), *COLUMNS, project=adopted)
            shutil.rmtree(adopted)
            for stage in STAGES:
                if stage == "validate":
                    measure("freeze", copies, "retrace", "freeze", project=project)
                measure(stage, copies, f"src.stages.{stage}", project=project)
            other_tools(project, copies)


if __name__ == "__main__":
    main()
