"""A project in which nothing was adopted yet."""

from pathlib import Path

import pytest

from tests.conftest import copy_project


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project in which nothing was adopted or run."""
    return copy_project(tmp_path_factory.mktemp("started") / "project")
