"""List the files of a folder in reverse order.

A file system lists files in an order of its own, and code that doesn't sort them may depend on it. `make reproduce`
puts this folder on PYTHONPATH, so that every Python process imports this module when it starts. Compiled code that
lists files, such as pyarrow, isn't affected.
"""

import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any

list_folder = os.listdir
scan_folder = os.scandir


class ReversedScan:
    """What os.scandir gives, in reverse order."""

    def __init__(self, *arguments: Any) -> None:
        with scan_folder(*arguments) as entries:
            self.entries = iter(sorted(entries, key=lambda entry: entry.name, reverse=True))

    def __iter__(self) -> Iterator[Any]:
        return self.entries

    def __next__(self) -> Any:
        return next(self.entries)

    def __enter__(self) -> "ReversedScan":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open any more."""


def list_reversed(*arguments: Any) -> list[Any]:
    """What os.listdir gives, in reverse order."""
    return sorted(list_folder(*arguments), reverse=True)


os.listdir = list_reversed  # type: ignore[assignment]  # typeshed has an overload for each type of path
os.scandir = ReversedScan  # type: ignore[assignment]  # what it returns has the same methods
