"""What happens around the commands: a full disk, a read-only disk, a killed process, two runs at once and the like.

Each ends in one line of ours or goes on, and loses nothing. tests/test_pipeline.py kills a run in each stage.
"""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT, change_params, check, run

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
may_mount = pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode != 0,
    reason="this system allows no user namespaces, in which a test can mount something",
)


def contents(project: Path) -> dict[str, bytes]:
    """The files that the pipeline wrote, by their path."""
    return {
        str(file.relative_to(project)): file.read_bytes()
        for folder in ("data", "models", "metrics", "dvc.lock")
        for file in [project / folder, *(project / folder).rglob("*")]
        if file.is_file()
    }


@may_mount
@pytest.mark.parametrize(
    ("stage", "file"),
    [
        ("ingest", "data/raw/table.parquet"),
        ("split", "data/split/train.parquet"),
        ("train", "models/model.skops"),
        ("evaluate", "metrics/scores.json"),
    ],
)
def test_a_full_disk_is_a_line_that_names_the_file(copy_of, wine: Path, stage: str, file: str):
    """The folder is on a disk of one page, which the file doesn't fit on."""
    project = copy_of(wine)
    folder = str(Path(file).parent)
    fill = f"mount -t tmpfs -o size=4k tmpfs {folder} && head -c 4096 /dev/zero > {folder}/full"
    command = f"{fill}; {sys.executable} -m src.stages.{stage}; code=$?; ls {folder} >&2; exit $code"
    done = run(*NAMESPACE, "sh", "-c", command, cwd=project)
    assert done.returncode == 1
    line, *listed = done.stderr.splitlines()
    assert line == f"{file}: cannot be written: No space left on device"
    assert listed == ["full"], "nothing is half-written"


@may_mount
@pytest.mark.parametrize(
    "command", [("-m", "src.stages.split"), ("-m", "src.stages.evaluate"), ("-m", "retrace", "problem")], ids=" ".join
)
def test_a_folder_that_can_only_be_read_is_a_line(copy_of, wine: Path, command: tuple[str, ...]):
    project = copy_of(wine)
    (project / "docs/problem.md").write_text((project / "docs/problem.md").read_text().replace("log_loss", "x"))
    before = contents(project)
    mount = 'mount --bind . . && mount -o remount,bind,ro . && cd "$PWD" && exec "$@"'
    done = run(*NAMESPACE, "sh", "-c", mount, "sh", sys.executable, *command, cwd=project)
    assert done.returncode == 1
    assert done.stderr.endswith(": cannot be written: Read-only file system\n")
    assert done.stderr.count("\n") == 1
    assert contents(project) == before


# Tables are written in chunks of 30 rows, and the process ends at once when it writes the chunk with this number.
KILLED = """
import os, signal, sys
from importlib import import_module
from retrace import table_files

def write(writer, chunk):
    global chunks
    chunks += 1
    if chunks == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    write_chunk(writer, chunk)

chunks, write_chunk = 0, table_files.TableWriter.write
table_files.CELLS_IN_CHUNK = table_files.CELLS_IN_ROW_GROUP = 30 * 15
table_files.TableWriter.write = write
import_module(f"src.stages.{sys.argv[1]}").main()
"""


@pytest.mark.parametrize(("stage", "chunk"), [("ingest", 1), ("prepare", 2), ("split", 7)])
def test_a_stage_killed_while_it_writes_a_table_leaves_the_one_before_and_runs_again(
    copy_of, wine: Path, stage: str, chunk: int
):
    project = copy_of(wine)
    tables = {name: content for name, content in contents(project).items() if name.endswith(".parquet")}
    done = run(sys.executable, "-c", KILLED, stage, str(chunk), cwd=project)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert {name: content for name, content in contents(project).items() if name in tables} == tables
    check("dvc", "repro", "--force", "--single-item", stage, cwd=project)
    check("dvc", "status", "--quiet", cwd=project)
    assert contents(project).keys() - tables.keys() == contents(wine).keys() - tables.keys(), "nothing is left over"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("faketime") is None, reason="`faketime` isn't installed")
def test_a_clock_that_jumps_back_changes_no_byte(copy_of, wine: Path, tmp_path: Path):
    """The clock says 2040 when the run begins, and 1999 from `train` on."""
    project = copy_of(wine)
    before = contents(project)
    clock = tmp_path / "clock"
    clock.write_text("@2040-01-01 00:00:00")
    variables = {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    with_clock = ["faketime", "-f", "+0d", "env", "-u", "FAKETIME"]
    assert check(*with_clock, "date", "+%Y", cwd=project, **variables) == "2040\n"
    command = [*with_clock, "dvc", "repro", "--force"]
    environment = ENVIRONMENT | variables
    with subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert any("Running stage 'train'" in line for line in process.stdout)
        clock.write_text("@1999-01-01 00:00:00")
        process.stdout.read()
        assert process.wait() == 0
    assert contents(project) == before
    check("dvc", "status", "--quiet", cwd=project)


def test_of_two_runs_at_once_the_second_ends_and_the_first_finishes(copy_of, wine: Path):
    project = copy_of(wine)
    change_params(project, problem={"costs": None}, evaluate={"resamples": 150})
    command = [sys.executable, "-m", "retrace", "repro"]
    with subprocess.Popen(command, cwd=project, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout
        assert any("Running stage" in line for line in first.stdout)
        second = run(*command, cwd=project)
        assert first.wait() == 0
    assert second.returncode == 1
    assert "is busy, it is being blocked by" in second.stderr + second.stdout
    check("dvc", "status", "--quiet", cwd=project)
    assert check("git", "diff", "--name-only", cwd=project).split()[0] == "dvc.lock"


def test_gits_lock_left_behind_does_not_stop_the_pipeline_or_the_report(copy_of, wine: Path):
    project = copy_of(wine)
    (project / ".git/index.lock").touch()
    check("dvc", "repro", "--force", "--single-item", "validate", cwd=project)
    check(sys.executable, "-m", "retrace", "report", cwd=project)
    assert (project / "report.md").exists()
