"""The project with one month of data, run and pushed once, and copies of it on a GitHub of their own."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import boosting, change_params, check, commit, copy_project, made_once
from tests.workflows.github import GitHub
from tests.workflows.project import Host, Project, publish


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An author's clone, the origin, and what a run on main would have put in its cache."""
    return made_once(tmp_path_factory, "published", make_published)


def make_published(folder: Path) -> None:
    folder.mkdir()
    author = copy_project(folder / "author")
    change_params(
        author,
        data={"read": {"first_month": 10, "last_month": 10}, "group": None},
        split={"by": "random", "valid": 0.25, "test": 0.1, "seed": 1},
        train=boosting(max_iter=20, max_leaf_nodes=31, min_samples_leaf=20, refits=5),
        evaluate={"resamples": 100, "slices": []},
        gate={"floor": 0.6, "slice_floor": None, "baselines": ["prior"]},
    )
    shutil.rmtree(author / "metrics")
    (author / "dvc.lock").unlink()
    check("dvc", "repro", cwd=author)
    check(sys.executable, "-m", "retrace", "problem", cwd=author)
    commit(author)
    publish(folder)
    caches = folder / "caches/refs/heads/main"
    caches.mkdir(parents=True)
    check("tar", "-cf", str(caches / "dvc-Linux-main"), ".dvc/cache", cwd=author)


@pytest.fixture(scope="module")
def host(published: Path) -> Iterator[Host]:
    """Makes a copy of the published project, to be changed and pushed."""
    with ExitStack() as stack:

        def copy(folder: Path) -> Project:
            shutil.copytree(published, folder, symlinks=True, dirs_exist_ok=True)
            return Project(folder, stack.enter_context(GitHub(folder / "git")))

        yield copy


@pytest.fixture
def project(host: Host, tmp_path: Path) -> Project:
    return host(tmp_path)
