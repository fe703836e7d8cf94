"""Get the project's new data: `make retrain` and retrain.yml call `get_new_data`.

This module is yours to edit. `get_new_data` may download a file to `data.source`. It may return other arguments for
`read` in the data set's module, so that more of the source is read. It may also do nothing, if people replace the file
themselves.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from retrace.errors import UserError
from retrace.params import Data
from retrace.yaml_files import read_yaml

LAST_MONTH = 12  # the last month of the demo's data


def get_new_data(data: Data) -> dict[str, Any]:
    """Bring new data into the project, if there is any.

    Args:
        data: the section `data` of params.yaml.

    Returns:
        The arguments of `read` (data.read) that change, with their new values; empty if none changes.

    Raises:
        UserError: there may be new data, but it can't be read.
    """
    if data.set == "flights":
        return next_month(data.read)
    update_import(Path(data.source))
    return {}


def next_month(read: dict[str, Any]) -> dict[str, Any]:
    """One more month of the demo's flights, as if they were new."""
    return {"last_month": min(read["last_month"] + 1, LAST_MONTH)}


def update_import(source: Path) -> None:
    """Get the newest version of a source that `dvc import` or `dvc import-url` has brought; leave any other as it is.

    Raises:
        UserError: DVC fails.
    """
    pointer = source.with_name(f"{source.name}.dvc")
    if not pointer.is_file() or not read_yaml(pointer).get("deps"):
        return
    done = subprocess.run([sys.executable, "-m", "dvc", "update", str(pointer)], capture_output=True, encoding="utf-8")
    if done.returncode:
        raise UserError(f"{source}: `dvc update` fails: {' '.join(done.stderr.split())[-300:]}")
