"""Every command ends well: with any encoding, with a reader that has had enough, and when it's interrupted."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT, check, run

COMMANDS = [["retrace", "scores"], ["retrace", "report", "--base", "HEAD"], ["retrace", "adopt", "--help"]]
CLOSED = "import os, subprocess, sys; reader, writer = os.pipe(); os.close(reader); "
CLOSED += "sys.exit(subprocess.run(sys.argv[1:], stdout=writer).returncode)"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    "encoding",
    [
        "PYTHONIOENCODING=ascii",
        pytest.param("PYTHONIOENCODING=latin-1:strict", marks=pytest.mark.slow),
        pytest.param("LC_ALL=C", marks=pytest.mark.slow),
    ],
)
def test_any_encoding_will_do(wine: Path, command: list[str], encoding: str):
    name, value = encoding.split("=")
    environment = ENVIRONMENT | {name: value}
    done = subprocess.run([sys.executable, "-m", *command], cwd=wine, env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    if command[1] == "report":
        assert (b"\\u2192" in done.stdout) == (name == "PYTHONIOENCODING")  # the arrow between two scores


def test_a_stage_prints_names_in_any_encoding(copy_of, wine: Path):
    project = copy_of(wine)
    module = project / "src/datasets/table.py"
    module.write_text(module.read_text() + "\n\n_prepare = prepare\n\n\ndef prepare(*given):\n"
                      '    return _prepare(*given).rename(columns={"hue": "größe"})\n')  # fmt: skip
    for stage in ("prepare", "split", "describe"):
        check(sys.executable, "-m", f"src.stages.{stage}", cwd=project, PYTHONIOENCODING="ascii")
    assert "größe" in (project / "metrics/data.json").read_text()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", pytest.param("1", marks=pytest.mark.slow)])
def test_a_reader_may_have_had_enough(wine: Path, command: list[str], unbuffered: str):
    done = run(sys.executable, "-c", CLOSED, sys.executable, "-m", *command, cwd=wine, PYTHONUNBUFFERED=unbuffered)
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only some systems have a device that is always full")
@pytest.mark.parametrize("command", COMMANDS[:2], ids=" ".join)  # argparse ignores it
@pytest.mark.parametrize("unbuffered", ["", pytest.param("1", marks=pytest.mark.slow)])
def test_a_full_disk_is_a_line(wine: Path, command: list[str], unbuffered: str):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=wine,
            env=ENVIRONMENT | {"PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr == "the output: cannot be written: No space left on device\n"


def test_a_rerun_that_nobody_reads_ends_and_leaves_nothing_running(copy_of, wine: Path):
    project = copy_of(wine)
    command = f"{sys.executable} -m retrace rerun | head -n 1"
    check("sh", "-c", command, cwd=project)
    check("dvc", "status", cwd=project)  # DVC's lock is free again


def test_a_missing_package_is_a_line(wine: Path):
    code = "import sys; sys.modules['altair'] = None; sys.argv = ['retrace', 'watch', '--help']; main()"
    done = run(sys.executable, "-c", f"from retrace.__main__ import main; {code}", cwd=wine)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "the package altair isn't installed; `make install` installs the locked ones\n"


def test_our_own_mistakes_keep_their_traceback(copy_of, wine: Path):
    project = copy_of(wine)
    module = project / "retrace/review/gate.py"
    module.write_text(module.read_text() + "\n\n1 / 0\n")
    done = run(sys.executable, "-m", "retrace", "scores", cwd=project)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
