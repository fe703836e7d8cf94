"""The rows of a large table that choices and warnings come from.

A table of up to 50,000 rows is looked at whole, and so is one of up to a million rows and ten million values. Of a
larger one, a row is drawn at random from each of as many stretches of about the same length as rows fit. Which ones
depends on the number of rows and columns alone. The first and the last thousand rows are in the sample too, since adopt
looks at the head of a column, and for totals at the end.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.adopt.stored import AnyTable, chunks_of, pieces_of, row_count_of
from retrace.pieces import Pieces

MOST_ROWS = 1_000_000
MOST_VALUES = 10_000_000  # 500,000 rows of 20 columns
FEWEST_ROWS = 50_000  # of a table with many columns
ENDS = 1_000  # rows at the start and at the end

Places = NDArray[np.intp]  # of rows, counted from 0


def most_rows(columns: int) -> int:
    """How many rows a table with so many columns may have to be looked at whole."""
    return max(FEWEST_ROWS, min(MOST_ROWS, MOST_VALUES // max(1, columns)))


def sample_places(rows: int, most: int) -> Places:
    """The places of the rows that are looked at, in ascending order; all of them if there are at most `most`."""
    if rows <= most:
        return np.arange(rows)
    starts = np.arange(most + 1) * rows // most
    drawn = starts[:-1] + (np.random.default_rng(1).random(most) * np.diff(starts)).astype(np.intp)
    return np.unique(np.concatenate([np.arange(ENDS), drawn, np.arange(rows - ENDS, rows)]))


@dataclass(frozen=True)
class Sampled:
    """A table, and the rows of it that choices and warnings come from.

    Attributes:
        table: all rows.
        rows: those that are looked at; their index has their places in the table.
        count: how many rows the table has.
    """

    table: AnyTable
    rows: pd.DataFrame
    count: int

    @classmethod
    def of(cls, table: AnyTable, most: int) -> Self:
        """A table, which is looked at whole if it has at most `most` rows."""
        count = row_count_of(table)
        if isinstance(table, pd.DataFrame) and count <= most:
            return cls(table, table, count)
        places, found, start = sample_places(count, most), [], 0
        for chunk in chunks_of(table):
            inside = places[np.searchsorted(places, start) : np.searchsorted(places, start + len(chunk))]
            found.append(chunk.iloc[inside - start])
            start += len(chunk)
        return cls(table, pd.concat(found).set_axis(places), count)

    @property
    def is_whole(self) -> bool:
        """Whether all rows are looked at."""
        return len(self.rows) == self.count

    def column(self, name: str) -> Pieces:
        """A column of all rows, in pieces that can be read several times."""
        return pieces_of(self.table, name)


def is_same_in_each_row(pieces: Pieces) -> bool:
    """Whether all rows have the same value, or none has one."""
    found: pd.Series | None = None
    for values in pieces:
        different = values.drop_duplicates()
        found = different if found is None else pd.concat([found, different]).drop_duplicates()
        if len(found) > 1:
            return False
    return True
