"""Checks of the files that DVC is about to parse, since they may come from a stranger's commit."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from retrace.errors import UserError
from retrace.limits import MOST_BYTES, check_yaml
from retrace.params import local_path
from retrace.yaml_files import read_yaml_text

DVC_YAML = "dvc.yaml"


def require_local_source(params: dict[str, Any], name: str) -> None:
    """Check that `data.source` lies in the project, since DVC would fetch it from elsewhere to compare it.

    Args:
        params: the content of params.yaml.
        name: the file, as an error names it.

    Raises:
        UserError: it lies elsewhere.
    """
    data = params.get("data")
    try:
        local_path(str(data.get("source") if isinstance(data, dict) else None))
    except ValueError as error:
        raise UserError(f"{name}: data.source: {error}") from None


def check_files(folder: Path, where: str = "") -> None:
    """Check the files that DVC is about to parse, because some YAML crashes its parser or keeps it busy without end.

    These are each dvc.yaml with its dvc.lock, .dvc files, and what a dvc.yaml names as variables or parameters.

    Raises:
        UserError: one is too large or deep, or holds a tag; `where` comes before its name.
    """
    files: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in (".git", ".dvc", ".venv")]
        files += [file for file in (Path(parent) / name for name in names) if file.is_file()]
    parsed = {"dvc.lock", "params.yaml"}
    for file in files:
        if file.name == DVC_YAML:
            parsed |= _named_files(_read_checked(file, where, folder))
    for file in files:
        if file.name in parsed or file.suffix == ".dvc":
            _read_checked(file, where, folder)


def _read_checked(file: Path, where: str, folder: Path) -> str:
    """The text of a YAML file, which is neither too large nor too deep."""
    name = f"{where}{file.relative_to(folder)}"
    if file.stat().st_size > MOST_BYTES:
        raise UserError(f"{name}: larger than {MOST_BYTES:,} bytes; no file of this project is")
    text = file.read_text(encoding="utf-8", errors="replace")
    with suppress(yaml.YAMLError):  # DVC says where
        check_yaml(text, name)
    return text


def _named_files(pipeline: str) -> set[str]:
    """The names, without their folders, of the files that a dvc.yaml takes variables and parameters from."""
    names: set[str] = set()
    pending: list[Any] = []
    with suppress(UserError):  # DVC says where
        pending.append(read_yaml_text(pipeline, DVC_YAML))
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending += item
        elif isinstance(item, dict):
            pending += item.values()
            for section in (item.get("vars"), item.get("params")):
                names |= _files_of_section(section)
    return names


def _files_of_section(section: Any) -> set[str]:
    """The names of the files in a list under `vars` or `params`.

    Its entries look like `a.yaml`, `a.yaml:key` or `{a.yaml: [key]}`. A key of params.yaml is taken for a name as well,
    which does no harm.
    """
    paths: list[Any] = []
    for entry in section if isinstance(section, list) else []:
        if isinstance(entry, dict):
            paths += entry
        else:
            paths.append(entry)
    return {Path(str(path).partition(":")[0]).name for path in paths}
