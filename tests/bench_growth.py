"""How the review's commands grow with a project: experiments, stages, output files, commits.

    python -m tests.bench_growth    # prints the tables of docs/performance.md; about twenty-five minutes

Each table has a command's processor time by the number of things that a project has, on copies of the demo. Unlike the
time on the clock, it hardly depends on what else the machine does. It should grow at most in proportion.
"""

import io
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from dvc.utils.serialize import modify_json, modify_yaml

from retrace.review.results import SERIES
from tests.conftest import check, commit, copy_project, run

PERSON = "committer A <a@b> 1700000000 +0000"
ROUNDS = 3
REVIEW = ("report", "verify-lock")


def fast_import(folder: Path, stream: bytes) -> None:
    """Write commits into a repository."""
    subprocess.run(["git", "fast-import", "--quiet"], input=stream, cwd=folder, check=True)


def commit_of(ref: str, parent: str, files: dict[str, bytes]) -> bytes:
    """A commit on a parent, with some files changed, as `git fast-import` reads it."""
    lines = [f"commit {ref}\n{PERSON}\ndata 1\nx\nfrom {parent}\n".encode()]
    for name, content in files.items():
        lines += [f"M 100644 inline {name}\ndata {len(content)}\n".encode(), content, b"\n"]
    return b"".join(lines)


def add_experiments(folder: Path, count: int) -> list[str]:
    """Make so many experiments, each with scores of its own; returns their names."""
    head = check("git", "rev-parse", "HEAD", cwd=folder).strip()
    tables = {
        name: pd.read_csv(folder / f"metrics/{name}.csv", dtype=dict.fromkeys(SERIES, str)).set_index(SERIES)
        for name in ("bootstrap", "refits")
    }
    stream, names = [], []
    for number in range(count):
        files = {}
        for name, table in tables.items():
            written = io.BytesIO()
            (table + number * 1e-6).to_csv(written)
            files[f"metrics/{name}.csv"] = written.getvalue()
        names.append(f"bench-{number}")
        stream.append(commit_of(f"refs/exps/{head[:2]}/{head[2:]}/{names[-1]}", head, files))
    fast_import(folder, b"".join(stream))
    return names


def add_stages(folder: Path, count: int) -> None:
    """Make the pipeline longer by so many stages, run it, and commit it."""
    with modify_yaml(folder / "dvc.yaml") as content:
        for number in range(count):
            out = f"metrics/more/{number}.txt"
            stage = {"cmd": f"echo {number} > {out}", "deps": ["README.md"], "outs": [{out: {"cache": False}}]}
            content["stages"][f"more{number}"] = stage
    (folder / "metrics/more").mkdir()
    check("dvc", "repro", "--quiet", cwd=folder)
    commit(folder)


def add_files(folder: Path, count: int) -> None:
    """Add a stage whose output is a folder of so many files, run it, and commit it."""
    write = f"mkdir data/many && cd data/many && for n in $(seq {count}); do echo $n > $n; done"
    with modify_yaml(folder / "dvc.yaml") as content:
        content["stages"]["many"] = {"cmd": write, "outs": ["data/many"]}
    check("dvc", "repro", "--quiet", cwd=folder)
    commit(folder)


def add_commits(folder: Path, count: int) -> None:
    """Commit so many times, each time another file."""
    head = check("git", "rev-parse", "HEAD", cwd=folder).strip()
    ref = "refs/heads/main"
    commits = [commit_of(ref, head if not n else f"{ref}^0", {"notes.md": b"%d\n" % n}) for n in range(count)]
    fast_import(folder, b"".join(commits))
    check("git", "reset", "--quiet", "--hard", cwd=folder)


def measure(folder: Path, name: str, *arguments: str) -> float:
    """The least processor time of some runs of a command of `python -m retrace` and its children, in seconds."""
    times = []
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(sys.executable, "-m", "retrace", name, *arguments, cwd=folder)  # a verdict may be an exit code of 1
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


def change(folder: Path) -> None:
    """Make a change that a report has something to say about: a commit on a branch of its own."""
    check("git", "checkout", "--quiet", "-b", "change", cwd=folder)
    with modify_json(folder / "metrics/scores.json") as scores:
        scores["roc_auc"] += 1e-5
    commit(folder)


def print_table(what: str, sizes: tuple[int, ...], times: dict[str, list[float]]) -> None:
    """Print the times of commands, a line for each."""
    print(f"\n| {what} |" + "".join(f" {size:,} |" for size in sizes) + "\n|---|" + "--:|" * len(sizes))
    for command, found in times.items():
        print(f"| `{command}` |" + "".join(f" {took:.1f} s |" for took in found), flush=True)


def review_by_size(demo: Path, what: str, sizes: tuple[int, ...], add: Callable[[Path, int], object]) -> None:
    """Print the times of the review's commands on copies of a project, after adding so many things to each."""
    times: dict[str, list[float]] = {name: [] for name in REVIEW}
    for size in sizes:
        folder = demo.parent / f"{what}-{size}"
        check("cp", "-r", str(demo), str(folder), cwd=demo.parent)
        add(folder, size)
        times["verify-lock"].append(measure(folder, "verify-lock"))
        change(folder)
        times["report"].append(measure(folder, "report", "--base", "main"))
        check("rm", "-rf", str(folder), cwd=demo.parent)
    print_table(what, sizes, times)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        demo = copy_project(Path(name) / "demo")
        check("dvc", "repro", "--force", "--quiet", cwd=demo)
        review_by_size(demo, "more stages", (1, 10, 100), add_stages)
        review_by_size(demo, "output files of a stage", (100, 1_000, 10_000), add_files)
        review_by_size(demo, "commits", (100, 1_000, 10_000), add_commits)
        names = add_experiments(demo, 1_000)
        sizes = (1, 10, 100, 1_000)
        times = [measure(demo, "compare", *names[:size]) for size in sizes]
        print_table("experiments that are compared", sizes, {"compare": times})


if __name__ == "__main__":
    main()
