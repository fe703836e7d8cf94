"""Small DVC projects: pipelines of shell commands, which run in no time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo

from tests.conftest import check, commit


def new_project(folder: Path, pipeline: dict[str, Any], **files: str) -> Path:
    """A small project with a pipeline, run and committed."""
    folder.mkdir(parents=True)
    check("git", "init", "--quiet", "--initial-branch", "main", cwd=folder)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    (folder / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())
    (folder / "link").symlink_to("a.in")
    write(folder, pipeline)
    with inside(folder), Repo() as repo:
        repo.reproduce(targets=["dvc.yaml"])
    commit(folder)
    return folder


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in another folder for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def write(folder: Path, stages: dict[str, Any]) -> None:
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def copied(name: str, **more: Any) -> dict[str, Any]:
    """A stage that copies a file to another."""
    return {"cmd": f"cp {name}.in {name}.out", "deps": [f"{name}.in"], "outs": [f"{name}.out"]} | more


TWO = {"a": copied("a"), "b": {"cmd": "cp a.out b.out", "deps": ["a.out"], "outs": ["b.out"]}}
