"""Hashes of 64 bits of the rows of a table, in memory that doesn't grow with the rows: which are repeated, and how many
are different.
"""

from collections.abc import Iterator

import numpy as np

from retrace.pieces import Integers, StoredIntegers

HASHES_AT_ONCE = 10_000_000  # that are compared with each other


class StoredHashes(StoredIntegers):
    """The hashes of the rows of a table, which are added chunk by chunk."""

    def different(self) -> int:
        """How many different hashes there are."""
        return sum(different for different, _ in self._ranges())

    def repeated(self) -> Integers:
        """The hashes that more than one row has, in ascending order."""
        return np.concatenate([np.empty(0, np.uint64), *(repeated for _, repeated in self._ranges())])

    def _ranges(self) -> Iterator[tuple[int, Integers]]:
        """How many hashes in a range are different, and which are repeated, one range after the other.

        All hashes are read once for each range.
        """
        ranges = -(-self.rows // HASHES_AT_ONCE)
        for number in range(ranges):
            first, last = number * 2**64 // ranges, (number + 1) * 2**64 // ranges - 1
            found, repeated = [], []
            for hashes in self:
                inside, rows = np.unique(hashes[(hashes >= first) & (hashes <= last)], return_counts=True)
                found.append(inside)
                repeated.append(inside[rows > 1])
            together = np.concatenate(found)
            together.sort()
            is_repeated = together[1:] == together[:-1]
            different = len(together) - int(is_repeated.sum())
            yield different, np.unique(np.concatenate([together[1:][is_repeated], *repeated]))
