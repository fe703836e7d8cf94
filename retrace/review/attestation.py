"""Statements about how each stage's results were made, in the form of in-toto (https://in-toto.io/Statement/v1).

A statement has the predicate type link v0.3: the stage's command, the hash of each file that it was given (materials)
and made (subject), the commit, the parameters, and the environment. Tools for in-toto can sign and verify it.
"""

import hashlib
import json
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from retrace.files import write_bytes
from retrace.review.dvc_project import Stage

STATEMENT = "https://in-toto.io/Statement/v1"
LINK = "https://in-toto.io/attestation/link/v0.3"


def write_statements(
    stages: dict[str, Stage], project: Path, commit: str, environment: dict[str, str], folder: Path
) -> None:
    """Write a statement about each stage to a folder, as NAME.link.json.

    Args:
        stages: What dvc.lock records of each stage.
        project: The folder in which the stages ran.
        commit: The commit that it is a clone of.
        environment: The variables of the environment under which they ran, besides those of this process.
        folder: Where the statements go; it's made if it's missing.
    """
    for name, stage in stages.items():
        content = {
            "_type": STATEMENT,
            "subject": list(resources(project, stage.outs)),
            "predicateType": LINK,
            "predicate": {
                "name": name,
                "command": [stage.cmd] if isinstance(stage.cmd, str) else stage.cmd,
                "materials": [
                    {"name": "commit", "digest": {"gitCommit": commit}},
                    *resources(project, stage.inputs),
                ],
                "byproducts": {},
                "environment": {
                    "python": platform.python_version(),
                    "platform": platform.platform(),
                    "variables": environment,
                    "parameters": {key: value for key, value in stage.inputs.items() if not (project / key).exists()},
                },
            },
        }
        write_bytes((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode(), folder / f"{name}.link.json")


def resources(project: Path, names: Iterable[str]) -> Iterable[dict[str, Any]]:
    """The path and hash of each file among names of files, folders and parameters."""
    for name in names:
        path = project / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                with file.open("rb") as opened:
                    digest = hashlib.file_digest(opened, "sha256").hexdigest()
                yield {"name": file.relative_to(project).as_posix(), "digest": {"sha256": digest}}
