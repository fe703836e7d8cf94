"""Hashes of 64 bits of the rows of a table, in memory that doesn't grow with the rows: which are repeated, and how many
are different.
"""

from collections.abc import Iterator
from tempfile import SpooledTemporaryFile

import numpy as np
from numpy.typing import NDArray

HASHES_IN_MEMORY = 10_000_000  # of 8 bytes each; if there are more, they are in a temporary file
HASHES_AT_ONCE = 1_000_000  # that are read from it together

Hashes = NDArray[np.uint64]


class StoredHashes:
    """The hashes of the rows of a table, which are added chunk by chunk.

    Attributes:
        rows: how many there are so far.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._file = SpooledTemporaryFile(max_size=8 * HASHES_IN_MEMORY)  # noqa: SIM115  # closed with this object

    def add(self, hashes: Hashes) -> None:
        """Add the hashes of the next rows, shape (rows,)."""
        self._file.seek(8 * self.rows)
        self._file.write(hashes.tobytes())
        self.rows += len(hashes)

    def of_rows(self, start: int, count: int) -> Hashes:
        """The hashes of some rows, from the row `start` on, which is counted from 0; shape (rows,).

        There are fewer than `count` at the end of the table.
        """
        self._file.seek(8 * start)
        return np.frombuffer(self._file.read(8 * count), np.uint64)

    def different(self) -> int:
        """How many different hashes there are."""
        return sum(different for different, _ in self._ranges())

    def repeated(self) -> Hashes:
        """The hashes that more than one row has, in ascending order."""
        return np.concatenate([np.empty(0, np.uint64), *(repeated for _, repeated in self._ranges())])

    def _ranges(self) -> Iterator[tuple[int, Hashes]]:
        """How many hashes in a range are different, and which are repeated, one range after the other.

        All hashes are read once for each range.
        """
        ranges = -(-self.rows // HASHES_IN_MEMORY)
        for number in range(ranges):
            first, last = number * 2**64 // ranges, (number + 1) * 2**64 // ranges - 1
            found, repeated = [], []
            for start in range(0, self.rows, HASHES_AT_ONCE):
                hashes = self.of_rows(start, HASHES_AT_ONCE)
                inside, rows = np.unique(hashes[(hashes >= first) & (hashes <= last)], return_counts=True)
                found.append(inside)
                repeated.append(inside[rows > 1])
            together = np.concatenate(found)
            together.sort()
            is_repeated = together[1:] == together[:-1]
            different = len(together) - int(is_repeated.sum())
            yield different, np.unique(np.concatenate([together[1:][is_repeated], *repeated]))
