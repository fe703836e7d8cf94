"""Rerun both pipelines of a release in a clean folder, and compare every file."""

import shutil
import subprocess
from pathlib import Path

from retrace.clones import DVC_WITHOUT_HINTS, clean_clone, with_this_python
from retrace.errors import UserError
from retrace.git import git_status

KEPT = ("release/model.zip", "release/MODEL_CARD.md", "release/DATA_CARD.md")  # what is published of a release


def rerun_release(tag: str, keep: Path | None = None) -> list[str]:
    """The files of a release that its commit doesn't give again.

    The hash of each file that isn't in Git is in dvc.lock or release/dvc.lock, which are in Git. So a file that differs
    shows as a change in the clone. The look at test isn't recorded, because it brings no new choice.

    Args:
        tag: the tag of the release.
        keep: a folder, to which the package and the cards are copied if no file differs.

    Raises:
        UserError: there is no such tag, or a pipeline fails.
    """
    with clean_clone(f"refs/tags/{tag}") as clone:
        for command in (["repro", "--force", "dvc.yaml"], ["repro", "--force", "--single-item", "release/dvc.yaml"]):
            if subprocess.run([*DVC_WITHOUT_HINTS, *command], cwd=clone, env=with_this_python()).returncode:
                raise UserError(f"`dvc repro {command[-1]}` fails in a clone of {tag}; what it printed is above")
        differences = sorted(git_status(folder=clone))
        if keep and not differences:
            keep.mkdir(parents=True, exist_ok=True)
            for name in KEPT:
                shutil.copy(clone / name, keep)
        return differences
