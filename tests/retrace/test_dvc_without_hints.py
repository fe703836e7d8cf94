"""DVC's progress and errors are shown, but not what it suggests to do next."""

from pathlib import Path

import pytest

from retrace.clones import DVC, DVC_WITHOUT_HINTS
from tests.conftest import check, run
from tests.retrace.review.small import TWO, new_project, write


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with an input that has changed since its pipeline ran."""
    folder = new_project(tmp_path / "project", TWO, **{"a.in": "1"})
    (folder / "a.in").write_text("2")
    return folder


def test_progress_is_shown_without_hints(project: Path):
    printed = check(*DVC_WITHOUT_HINTS, "repro", "dvc.yaml", cwd=project)
    assert "Running stage 'a':\n> cp a.in a.out\n" in printed
    assert printed.rstrip().endswith("Updating lock file 'dvc.lock'")
    assert check(*DVC_WITHOUT_HINTS, "repro", "dvc.yaml", cwd=project).endswith("Data and pipelines are up to date.\n")


def test_dvc_itself_prints_those_hints(project: Path):
    """If it doesn't any more, the module isn't needed."""
    printed = check(*DVC, "repro", "dvc.yaml", cwd=project)
    assert "To track the changes with git, run:" in printed
    assert "Use `dvc push`" in printed


def test_errors_are_shown(project: Path):
    write(project, TWO | {"b": {"cmd": "false", "deps": ["a.out"]}})
    done = run(*DVC_WITHOUT_HINTS, "repro", "dvc.yaml", cwd=project)
    assert done.returncode != 0
    assert "ERROR: failed to reproduce 'b': failed to run: false, exited with 1" in done.stderr
