"""What the pipeline costs, as ratios within one run: a machine's speed, and its mood, cancel out.

    python -m tests.bench    # prints the tables of docs/performance.md; about fifteen minutes on two cores

- `dvc repro` of everything against the same stages called in one process, and against nothing to do;
- the fits of `train` side by side against one after the other, with a thread for each core;
- what a pull request costs on top: the report, the gate and the lock, which take no longer for a longer pipeline;
- what it takes to adopt a table of a million rows, against reading it with pandas;
- three and ten times the rows: time in proportion, and the peak memory of each stage's process.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from retrace.table_files import read_table
from tests.conftest import ENVIRONMENT, ROLES, ROOT, change_params, check, copy_project

STAGES = list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
ONE_PROCESS = "import src; from importlib import import_module\n" + "\n".join(
    f"import_module('src.stages.{stage}').main()" for stage in STAGES
)
ROUNDS = 3
SIZES = (1, 3, 10)


def seconds(*command: str, cwd: Path) -> float:
    """How long a command takes; it must not fail."""
    start = time.perf_counter()
    subprocess.run(command, cwd=cwd, env=ENVIRONMENT, check=True, capture_output=True)
    return time.perf_counter() - start


def compare(name: str, one: tuple[str, ...], other: tuple[str, ...], cwd: Path, rounds: int) -> None:
    """Print the median ratio of two commands' times, run in turn."""
    pairs = [(seconds(*one, cwd=cwd), seconds(*other, cwd=cwd)) for _ in range(rounds)]
    ratios = sorted(a / b for a, b in pairs)
    first, second = (statistics.median(times) for times in zip(*pairs, strict=True))
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    print(f"| {name} | {first:.2f} s | {second:.2f} s | {statistics.median(ratios):.2f} | {spread} |", flush=True)


# A process counts the memory of the one that started it until it runs its own program; so a small one starts it.
MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
exit_code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
assert exit_code in (0, 3), exit_code  # with 3, watch has found an alarm
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


def peak(*arguments: str, cwd: Path, **environment: str) -> tuple[float, int]:
    """Python's time in seconds and its peak memory in MiB, as a process of its own."""
    took, memory = check(sys.executable, "-c", MEASURE, sys.executable, *arguments, cwd=cwd, **environment).split()
    return float(took), int(memory)


def adopt(folder: Path) -> None:
    """Print what it takes to adopt a table of a million rows and thirty columns, and to read it with pandas."""
    random, rows = np.random.default_rng(0), 1_000_000
    columns: dict[str, object] = {f"number {n}": random.normal(size=rows).round(4) for n in range(18)}
    columns |= {f"count {n}": random.integers(0, 10_000, rows) for n in range(4)}
    columns |= {f"kind {n}": random.choice(["red", "green", "blue", "a longer word"], rows) for n in range(5)}
    columns |= {"note": random.integers(0, rows, rows).astype(str) + np.array(" notes")}
    columns |= {"day": pd.date_range("2000-01-01", periods=rows, freq="min"), "target": random.random(rows) < 0.2}
    file = folder.parent / f"{folder.name}.csv"
    pd.DataFrame(columns).to_csv(file, index=False)
    size = file.stat().st_size / 2**20
    took, memory = peak("-m", "retrace", "adopt", str(file), "--target", "target", cwd=folder)
    plain, least = peak("-c", f"import pandas; pandas.read_csv({str(file)!r})", cwd=folder)
    file.unlink()
    print(f"\n| a table of {size:.0f} MiB | time | peak memory | times the file |\n|---|---|---|---|")
    print(f"| adopted | {took:.1f} s | {memory:,} MiB | {memory / size:.1f} |")
    print(f"| read by pandas | {plain:.1f} s | {least:,} MiB | {least / size:.1f} |", flush=True)


def enlarge(folder: Path, prepared: pd.DataFrame, times: int) -> None:
    """Make a project's table of the demo's rows, each `times` times with a little noise, under ids of their own."""
    copies = [
        prepared.assign(flight=f"{copy} " + prepared["flight"], distance=prepared["distance"] + copy / 100)
        for copy in range(times)
    ]
    pd.concat(copies).to_parquet(folder / "data/source/flights.parquet", index=False)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = copy_project(Path(name))
        check("dvc", "repro", "--force", cwd=folder)
        print("| | one | other | ratio | spread |\n|---|---|---|---|---|")
        compare(
            "`dvc repro --force` against one process",
            ("dvc", "repro", "--force"),
            (sys.executable, "-c", ONE_PROCESS),
            folder,
            ROUNDS,
        )
        compare(
            "`dvc repro`, nothing to do, against `dvc --version`", ("dvc", "repro"), ("dvc", "--version"), folder, 9
        )
        all_threads = ("env", "--unset=OMP_NUM_THREADS")
        train = (sys.executable, "-m", "src.stages.train")
        compare(
            "`train`, fits side by side, against one after the other",
            (*all_threads, *train),
            (*all_threads, "LOKY_MAX_CPU_COUNT=1", *train),
            folder,
            ROUNDS,
        )
        for what in (("report", "--base", "HEAD"), ("gate", "--base", "HEAD"), ("verify-lock",)):
            review = (sys.executable, "-m", "retrace", *what)
            compare(f"`review {what[0]}` against `dvc --version`", review, ("dvc", "--version"), folder, 9)

        adopt(copy_project(folder / "adopted"))
        prepared = read_table(folder / "data/prepared.parquet")
        change_params(
            folder,
            data=ROLES
            | {
                "source": "data/source/flights.parquet",
                "read": {},
                "target": "late",
                "task": "classification",
                "positive": True,
                "id": "flight",
                "time": "departure",
            },
        )
        figures = {}
        for times in SIZES:
            enlarge(folder, prepared, times)
            peak("-m", "src.stages.ingest", cwd=folder)
            check(sys.executable, "-m", "retrace", "freeze", cwd=folder)
            figures[times] = {stage: peak("-m", f"src.stages.{stage}", cwd=folder) for stage in STAGES}
        print("\n| stage |" + "".join(f" {times} x rows |" for times in SIZES) + "\n|---|" + "---|" * len(SIZES))
        for stage in STAGES:
            cells = []
            for times in SIZES:
                took, memory = figures[times][stage]
                cells.append(f"{took:.1f} s ({took / figures[1][stage][0]:.1f} x), {memory:,} MiB")
            print(f"| {stage} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
