"""make tells what it can do, and what it needs, in a line each."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, check, copy_project, run

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
    assert "Nothing to be done" in check("make", "install", cwd=tmp_path)


def test_make_clean_leaves_what_cannot_be_made_again(copy_of, wine: Path):
    project = copy_of(wine)
    check("make", "clean", cwd=project)
    assert not (project / "models").exists()
    assert not (project / "data/prepared.parquet").exists()
    assert check("git", "status", "--porcelain", cwd=project) == ""
    check("dvc", "checkout", cwd=project)
    assert (project / "models/model.skops").exists()
