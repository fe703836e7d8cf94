"""Functions that the tests call on other processes, which import them by name."""

import os
import time
from pathlib import Path
from typing import Any

import pandas as pd

from retrace.errors import UserError


def tell(folder: Path, number: int, seconds: float = 0.0, _table: pd.DataFrame | None = None) -> tuple[int, int]:
    """Write the number of this process to a file, wait, and return the call's number and this process's."""
    (folder / f"{number}-{os.getpid()}").touch()
    time.sleep(seconds)
    return number, os.getpid()


def refuse(number: int) -> None:
    raise UserError(f"data.csv: row {number} is wrong")


def count_transitions(dask_scheduler: Any) -> int:
    """How often the state of a task has changed on a Dask scheduler, which calls this."""
    return int(dask_scheduler.transition_counter)
