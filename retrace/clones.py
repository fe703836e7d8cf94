"""Clones of this repository in which the pipeline can be run from nothing."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from retrace.errors import UserError
from retrace.git import git, git_names

DVC = [sys.executable, "-m", "dvc"]
# By its path, because a clone may have an older version of it. -P: the modules beside it aren't to be imported.
DVC_WITHOUT_HINTS = [sys.executable, "-P", str(Path(__file__).with_name("dvc_without_hints.py"))]


def with_this_python() -> dict[str, str]:
    """The environment, in which `python`, which stages run by, is this one."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def path_with(folder: Path) -> str:
    """PYTHONPATH with a folder before what it has now."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@contextmanager
def clean_clone(commit: str, kept: Sequence[str] = ()) -> Iterator[Path]:
    """A clone at a commit, in a temporary folder, with an empty cache.

    Args:
        commit: the commit, or a tag.
        kept: what no stage makes, besides tables that are under DVC by themselves: it comes from this folder's cache.

    Raises:
        UserError: Git or DVC fails.
    """
    with clone_without_data(commit) as clone:
        pull_sources(clone, kept)
        yield clone


@contextmanager
def clone_without_data(commit: str) -> Iterator[Path]:
    """A clone at a commit, in a temporary folder, with an empty cache and nothing that only DVC has.

    Raises:
        UserError: Git or DVC fails.
    """
    with tempfile.TemporaryDirectory(prefix="clone-") as folder:
        clone = Path(folder) / "elsewhere"
        git("clone", "--quiet", "--no-checkout", "--template=", "--no-reject-shallow", str(Path.cwd()), str(clone))
        git("checkout", "--quiet", "--detach", commit, folder=clone)
        # Whatever cache the settings name, the clone's own is empty.
        _dvc("cache", "dir", "--quiet", "--local", str(clone / ".dvc" / "cache"), folder=clone)
        yield clone


def pull_sources(clone: Path, kept: Sequence[str] = ()) -> None:
    """Bring into a clone what no stage makes, from this folder's cache; the arguments are those of `clean_clone`.

    Raises:
        UserError: this cache doesn't have it.
    """
    files = [name for name in git_names("ls-files", "-z", folder=clone) if name.endswith(".dvc")]
    if files or kept:
        cache = _dvc("cache", "dir", folder=Path.cwd()).strip()
        _dvc("remote", "add", "--quiet", "--local", "here", cache, folder=clone)
        _dvc("pull", "--quiet", "--remote", "here", *files, *kept, folder=clone)


def _dvc(*arguments: str, folder: Path) -> str:
    """What a DVC command prints.

    Raises:
        UserError: it fails.
    """
    done = subprocess.run([*DVC, *arguments], cwd=folder, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise UserError(f"`dvc {arguments[0]}` fails: {' '.join(done.stderr.split())[-300:]}")
    return done.stdout
