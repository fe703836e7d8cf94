"""make tells what it can do, and what it needs, in a line each."""

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, check, commit, copy_project, run
from tests.retrace.review.small import new_project

AS = ("-c", "user.name=A", "-c", "user.email=a@b")
TARGETS = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.M)


def test_make_lists_every_target_in_a_terminals_width():
    lines = check("make", cwd=ROOT).splitlines()
    assert [re.match(r"  make ([a-z-]+)  +\w", line)[1] for line in lines] == TARGETS
    assert max(len(line) for line in lines) <= 80


@pytest.mark.parametrize(
    ("pretence", "line"),
    [
        ("sys.version_info = (3, 10)", "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12"),
        ("sys.version_info = (3, 14)", "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12"),
        ("sys.modules['ensurepip'] = None", "Python lacks its venv module: on Debian, apt install python3-venv"),
    ],
)
def test_a_python_that_cannot_be_used_is_one_line(tmp_path: Path, pretence: str, line: str):
    project = copy_project(tmp_path / "project")
    python = tmp_path / "python3"
    python.write_text(f"""#!/bin/sh\nexec {sys.executable} -c "import sys; {pretence}; exec(sys.argv[2])" "$@"\n""")
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "repro"],
        cwd=project,
        env={"PATH": f"{tmp_path}{os.pathsep}/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == line
    assert not (project / ".venv").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "python",
    ["import sys; sys.version_info = (3, 10)", "import sysconfig; sysconfig.get_path = lambda name: '/nowhere'", None],
    ids=["too old", "another since", "gone"],
)
def test_an_environment_of_a_python_that_cannot_be_used_is_made_anew(tmp_path: Path, python: str | None):
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/old").write_text("")
    old = tmp_path / ".venv/bin/python"
    if python:
        old.write_text(f"""#!/bin/sh\nexec {sys.executable} -c "{python}; import sys; exec(sys.argv[2])" "$@"\n""")
        old.chmod(0o755)
    else:
        old.symlink_to("/nowhere")
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("requirements.txt", "requirements-dev.txt", ".venv/installed"):
        (tmp_path / name).write_text("")
    environment = {"PATH": "/usr/bin:/bin"}
    command = ["make", "install", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Making .venv anew: its Python is not 3.11 to 3.13 or is gone\n")
    assert not (tmp_path / ".venv/old").exists()
    assert run(str(old), "-c", "import pip", cwd=tmp_path).returncode == 0
    assert "is up to date" in check("make", "install", cwd=tmp_path)


SERVER = """#!/bin/sh
[ "$1" = -c ] && exit  # make looks at the version of Python
trap 'echo stopped; exit 0' INT
echo ready
while true; do sleep 0.1; done
"""


@pytest.mark.parametrize("words", [[], ["PORT=8001"]])  # make runs a command with quotes in it by a shell
def test_ctrl_c_in_make_serve_shows_no_error(tmp_path: Path, words: list[str]):
    """The variables that `make test` gives to its tests are removed: with them, make says where it works."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").write_text(SERVER)
    (tmp_path / ".venv/bin/python").chmod(0o755)
    process, terminal = pty.fork()
    if process == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # it's ignored where the tests run in the background
        os.chdir(tmp_path)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        os.execvpe("make", ["make", "--old-file=.venv/installed", "serve", *words], environment)
    with os.fdopen(terminal, "r+b", buffering=0) as typed_and_shown:
        assert typed_and_shown.readline() == b"ready\r\n"
        typed_and_shown.write(b"\x03")  # Ctrl-C
        shown = b""
        with contextlib.suppress(OSError):  # the terminal is closed
            while select.select([terminal], [], [], 60)[0] and (more := typed_and_shown.read(1000)):
                shown += more
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)  # if it goes on after Ctrl-C
    os.waitpid(process, 0)
    assert shown == b"^Cstopped\r\n"


def test_make_clean_leaves_what_cannot_be_made_again(copy_of, wine: Path):
    project = copy_of(wine)
    check("make", "clean", cwd=project)
    assert not (project / "models").exists()
    assert not (project / "data/prepared.parquet").exists()
    assert check("git", "status", "--porcelain", cwd=project) == ""
    check("dvc", "checkout", cwd=project)
    assert (project / "models/model.skops").exists()


@pytest.mark.parametrize("commits", ["none", "without results", "with results", "broken by a merge"])
def test_make_undo_gives_back_what_is_committed(tmp_path: Path, commits: str):
    # A stage that keeps its result in Git, in a file that the user's Git ignores everywhere.
    stage = {"cmd": "mkdir -p metrics && cp a.in metrics/a.csv && cp a.in b.out", "deps": ["a.in"], "outs": ["b.out"]}
    stages = {"a": stage | {"plots": [{"metrics/a.csv": {"cache": False}}]}}
    project = new_project(tmp_path / "project", stages, **{"a.in": "1", ".git/info/exclude": "*.csv\n"})
    check("git", "add", "--force", "metrics", cwd=project)
    commit(project)
    if commits == "none":
        shutil.rmtree(project / ".git")
        check("git", "init", "--quiet", cwd=project)
    elif commits == "without results":
        check("git", "rm", "--quiet", "-r", "--cached", "dvc.lock", "metrics", cwd=project)
        check("git", *AS, "commit", "--quiet", "--message", "x", cwd=project)
    elif commits == "broken by a merge":
        (project / "dvc.lock").write_text("<<<<<<< HEAD\n")
        (project / "metrics/a.csv").unlink()
    else:
        (project / "metrics/more.csv").write_text("2")
    done = run("make", "--old-file", ".venv/installed", "--file", str(ROOT / "Makefile"), "undo", cwd=project)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    if commits in ("none", "without results"):
        assert not (project / "dvc.lock").exists()
        assert not (project / "metrics").exists()
    else:
        assert check("git", "status", "--porcelain", "--ignored", "metrics", "dvc.lock", cwd=project) == ""
        assert (project / "metrics/a.csv").read_text() == (project / "b.out").read_text() == "1"
        assert "up to date" in check("dvc", "repro", "dvc.yaml", cwd=project)
