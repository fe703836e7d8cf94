"""Columns that may be larger than the memory: their values in pieces, and the numbers at given ranks.

The pieces of a column are iterated over several times, and read anew from a file each time. A column that fits into one
piece is read once and stays in memory, in a list. The size of a piece doesn't depend on the machine, so neither do the
last digits of a sum over pieces.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import SpooledTemporaryFile, gettempdir
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.table_files import COPIED, read_chunks, row_count, without_rows

ROWS_IN_PIECE = 1_000_000
INTEGERS_IN_MEMORY = 10_000_000  # of 8 bytes each
DIGIT = 16  # bits of a number that are looked at in one pass
SIGN = np.uint64(1 << 63)

T = TypeVar("T")
S = TypeVar("S")
Pieces = Iterable[pd.Series]
Integers = NDArray[np.uint64]


class Repeatable(Generic[T]):
    """Items that are made anew each time they're iterated over."""

    def __init__(self, make: Callable[[], Iterator[T]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[T]:
        return self._make()


class StoredIntegers:
    """Whole numbers from 0 to 2^64 - 1, one for each row of a table, in a temporary file if they're many.

    They're iterated over in pieces.

    Attributes:
        rows: how many there are so far.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._file = SpooledTemporaryFile(max_size=8 * INTEGERS_IN_MEMORY)  # noqa: SIM115  # closed with this object

    def add(self, integers: Integers) -> None:
        """Add those of the next rows, shape (rows,).

        Raises:
            OSError: the folder for temporary files, which the error names, is full or can't be written to.
        """
        try:
            self._file.seek(8 * self.rows)
            self._file.write(integers.tobytes())
            self._file.flush()  # else a full disk may be noticed later
        except OSError as error:  # the file has no name
            raise OSError(error.errno, error.strerror, gettempdir()) from None
        self.rows += len(integers)

    def of_rows(self, start: int, count: int) -> Integers:
        """Those of some rows, from the row `start` on, which is counted from 0; shape (rows,), shorter at the end."""
        self._file.seek(8 * start)
        return np.frombuffer(self._file.read(8 * count), np.uint64)

    def __iter__(self) -> Iterator[Integers]:
        return (self.of_rows(start, ROWS_IN_PIECE) for start in range(0, self.rows, ROWS_IN_PIECE))


def read_pieces(paths: Sequence[Path], name: str) -> Pieces:
    """A column of tables that have the same columns, one table after the other.

    The pieces of all columns have the same rows. Numbers and times of 64 bits are copied to a temporary file, which is
    read faster than Parquet.

    Raises:
        UserError: a file is missing, cut short or not Parquet, now or when the pieces are iterated over.
    """
    no_rows = without_rows(paths[0])[name]

    def read() -> Iterator[pd.Series]:
        return (chunk[name] for path in paths for chunk in read_chunks(path, [name], ROWS_IN_PIECE))

    if sum(map(row_count, paths)) <= ROWS_IN_PIECE:
        return [pd.concat([no_rows, *read()], ignore_index=True)]
    if no_rows.dtype not in COPIED:
        return Repeatable(read)
    copied, starts = StoredIntegers(), [0]
    for piece in read():
        copied.add(piece.to_numpy().view(np.uint64))
        starts.append(copied.rows)

    def read_copy() -> Iterator[pd.Series]:
        for start, end in pairwise(starts):
            yield pd.Series(copied.of_rows(start, end - start).view(str(no_rows.dtype)), name=name)

    return Repeatable(read_copy)


def columns_in_pieces(table: pd.DataFrame | Path) -> Iterator[tuple[Any, Pieces]]:
    """The columns of a table, one after the other, with their names.

    Args:
        table: in memory, or its file.

    Raises:
        UserError: the file is missing, cut short or not Parquet.
    """
    if isinstance(table, pd.DataFrame):
        yield from ((name, [values]) for name, values in table.items())
    else:
        yield from ((name, read_pieces([table], name)) for name in without_rows(table).columns)


def each(function: Callable[[T], S], pieces: Iterable[T]) -> Iterable[S]:
    """What a function returns for each piece, as pieces that can be iterated over several times."""
    if isinstance(pieces, list):
        return [function(piece) for piece in pieces]
    return Repeatable(lambda: map(function, pieces))


def present_numbers(values: pd.Series) -> NDArray[np.float64]:
    """The numbers of a column, or of a piece of it, that aren't missing; shape (rows,)."""
    return values.dropna().to_numpy(float)


def count_values(pieces: Pieces, most: float = math.inf) -> pd.Series:
    """How many rows have each value that isn't missing, by the value.

    If more than `most` different values are found, the rest of the rows isn't counted.
    """
    counts: pd.Series = pd.Series(dtype="int64")
    for number, piece in enumerate(pieces):
        found = piece.value_counts()
        counts = pd.concat([counts, found]).groupby(level=0, sort=False).sum() if number else found
        if len(counts) > most:
            break
    return counts


def numbers_at(pieces: Iterable[NDArray[Any]], ranks: Sequence[int]) -> NDArray[Any]:
    """The numbers that have some ranks in ascending order; 0 is the rank of the lowest.

    Each pass over the pieces finds the next 16 bits of these numbers, from the highest bits on: it counts which 16 bits
    follow those that are known. So the memory doesn't grow with the rows.

    Args:
        pieces: finite numbers or times of one type of at most 64 bits, each piece of shape (rows,).
        ranks: from 0 to the number of rows less 1.

    Returns:
        Shape (ranks,), of the same type.
    """
    if isinstance(pieces, list):
        values = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return np.partition(values, sorted(set(ranks)))[np.asarray(ranks, np.intp)]
    dtype = next(iter(pieces)).dtype
    found = np.zeros(len(ranks), np.uint64)  # the bits that are known
    rows_below = np.zeros(len(ranks), np.int64)  # whose bits are lower than those
    for shift in range(64 - DIGIT, -1, -DIGIT):
        known, place = np.unique(found, return_inverse=True)
        rows = np.zeros((len(known), 1 << DIGIT), np.int64)
        for values in pieces:
            rows += _count_digits(to_bits(values), known, shift)
        rows_up_to = rows.cumsum(axis=1)
        for number, rank in enumerate(ranks):
            of_known = rows_up_to[place[number]]
            digit = int(np.searchsorted(of_known, rank - rows_below[number], side="right"))
            rows_below[number] += of_known[digit - 1] if digit else 0
            found[number] = found[number] << np.uint64(DIGIT) | np.uint64(digit)
    return _from_bits(found, dtype)


def _count_digits(bits: Integers, known: Integers, shift: int) -> NDArray[np.intp]:
    """How many numbers have each value of the next 16 bits, by the bits before these, shape (known, 65536)."""
    digits = (bits >> np.uint64(shift) & np.uint64((1 << DIGIT) - 1)).astype(np.intp)
    if shift + DIGIT < 64:
        before = bits >> np.uint64(shift + DIGIT)
        place = np.minimum(np.searchsorted(known, before), len(known) - 1)
        is_known = known[place] == before
        digits = (place[is_known] << DIGIT) + digits[is_known]
    return np.bincount(digits, minlength=len(known) << DIGIT).reshape(len(known), -1)


def to_bits(values: NDArray[Any]) -> Integers:
    """Whole numbers of 64 bits that have the same order as some finite numbers or times, shape (rows,)."""
    if values.dtype.kind == "f":
        bits = (values.astype(np.float64) + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0
        return np.where(bits & SIGN, ~bits, bits | SIGN)
    if values.dtype.kind == "u":
        return values.astype(np.uint64)
    return values.astype(np.int64).view(np.uint64) ^ SIGN


def _from_bits(bits: Integers, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The numbers of which `to_bits` made these whole numbers."""
    if dtype.kind == "f":
        return np.where(bits & SIGN, bits ^ SIGN, ~bits).view(np.float64).astype(dtype)
    return bits.astype(dtype) if dtype.kind == "u" else (bits ^ SIGN).view(np.int64).astype(dtype)


def quantiles_of(pieces: Iterable[NDArray[np.float64]], shares: Sequence[float]) -> NDArray[np.float64]:
    """Quantiles, interpolated linearly as by `np.quantile`; shape (shares,).

    Args:
        pieces: finite numbers, at least one.
        shares: from 0 to 1.
    """
    places = np.asarray(shares) * (sum(map(len, pieces)) - 1)
    low = np.floor(places).astype(int)
    ends = numbers_at(pieces, [*low, *np.ceil(places).astype(int)]).reshape(2, -1)
    return np.asarray(ends[0] + (ends[1] - ends[0]) * (places - low), dtype=float)
