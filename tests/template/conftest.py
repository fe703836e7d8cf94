"""Projects made from this one as it stands, and a way to begin in one without new packages."""

import sys
from pathlib import Path
from typing import Any

import copier
import pytest

from tests.conftest import IDENTITY, check, copy_project


def make(template: Path, folder: Path, **answers: Any) -> Path:
    copier.run_copy(str(template), folder, data=answers, defaults=True, quiet=True)
    return folder


def install(project: Path) -> None:
    """Put the tests' packages in the place of new ones."""
    (project / ".venv").mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != "installed":
            (project / ".venv" / part.name).symlink_to(part)
    (project / ".venv/installed").touch()


def begin(project: Path) -> Path:
    """`make start` with the tests' packages."""
    install(project)
    check("make", "start", cwd=project, **IDENTITY)
    return project


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project's files, as they are, as the template's first version."""
    folder = copy_project(tmp_path_factory.mktemp("template") / "template")
    check("git", "tag", "v1.0.0", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def bare(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project to which its table has yet to come."""
    return make(template, tmp_path_factory.mktemp("bare") / "wines", demo=False, project_name="wines", author="Ada")
