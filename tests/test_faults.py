"""What happens around the commands: a full disk, a read-only disk, two runs at once, a lock of Git left behind.

Each ends in one line of ours or goes on, and loses nothing. tests/test_pipeline.py kills a run in each stage.
"""

import shutil
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
