"""What each column of a table is, and what it is used for."""

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.adopt.sample import Sampled, is_same_in_each_row
from retrace.examples import is_number
from retrace.hashes import StoredHashes
from retrace.params import Data
from retrace.pieces import count_values
from retrace.row_ids import ROWS_AT_ONCE
from src.model import MOST_CATEGORIES

Task = Literal["classification", "regression"]
MOST_CLASSES = 10  # different whole numbers that are taken for classes; more are taken for quantities
NEARLY_ALWAYS = 0.95  # the share of rows in one class from which on accuracy says nothing
SAVED_INDEX = ("Unnamed: 0", "__index_level_0__")  # the names of an index that pandas saved in text and in Parquet


class Column(NamedTuple):
    """A column as the user sees it; `missing` is the share of cells without a value in the rows looked at."""

    name: str
    kind: str
    missing: float
    role: str


class Targets(NamedTuple):
    """The values of the target in all rows.

    Attributes:
        dtype: the column's type.
        present: how many rows have a target.
        most: how many different values are counted.
        counts: how many rows have each value; None if there are more than `most` different ones.
        has_infinite: whether a value is infinite.
    """

    dtype: Any
    present: int
    most: int
    counts: pd.Series | None
    has_infinite: bool

    @classmethod
    def of(cls, pieces: Iterable[pd.Series], most: int) -> Self:
        """The values of a column that comes in pieces, which are read twice."""
        present, has_infinite = 0, False
        for values in pieces:
            present += int(values.notna().sum())
            has_infinite |= is_number(values) and bool(values.isin([math.inf, -math.inf]).any())
        counts = count_values(pieces, most)
        return cls(next(iter(pieces)).dtype, present, most, counts if len(counts) <= most else None, has_infinite)

    @property
    def is_number(self) -> bool:
        """Whether the values are numbers or booleans."""
        return pd.api.types.is_numeric_dtype(self.dtype)

    @property
    def different(self) -> int:
        """How many different values there are; if they aren't counted, `most` + 1."""
        return self.most + 1 if self.counts is None else len(self.counts)

    @property
    def told(self) -> str:
        """How many different values there are, in words."""
        return f"more than {self.most:,}" if self.counts is None else f"{len(self.counts):,}"

    @property
    def are_many(self) -> bool:
        """Whether there are more different values than half of the rows have, so that they aren't classes."""
        return self.different > self.present / 2

    @property
    def are_whole(self) -> bool:
        """Whether all values are whole numbers, or booleans; false if they aren't counted."""
        return self.counts is not None and all(value % 1 == 0 for value in self.counts.index)


def guess_task(targets: Targets) -> tuple[Task, str]:
    """Whether a target asks for classification or regression, and why."""
    if not targets.is_number or pd.api.types.is_bool_dtype(targets.dtype):
        return "classification", f"the target has {targets.told} values that aren't numbers"
    if targets.different <= MOST_CLASSES and targets.are_whole:
        return "classification", f"the target has {targets.told} values, whole numbers"
    return "regression", f"the target has {targets.told} different numbers"


def names_rows(pieces: Iterable[pd.Series]) -> bool:
    """Whether a column may name the rows: different texts, or whole numbers that ascend or have no gaps.

    Args:
        pieces: the column of all rows; they are read several times.
    """
    dtype = next(iter(pieces)).dtype
    if pd.api.types.is_integer_dtype(dtype):
        return _are_different(pieces) and (_ascends(pieces) or _has_no_gaps(pieces))
    return pd.api.types.is_string_dtype(dtype) and _are_different(pieces)


def is_row_counter(pieces: Iterable[pd.Series]) -> bool:
    """Whether a column has a different whole number in each row, as the index of a table does."""
    return pd.api.types.is_integer_dtype(next(iter(pieces)).dtype) and _are_different(pieces)


def hashes_of(rows: pd.Series | pd.DataFrame) -> NDArray[np.uint64]:
    """A hash of 64 bits of each row, shape (rows,)."""
    return np.asarray(pd.util.hash_pandas_object(rows, index=False), dtype=np.uint64)


def _are_different(pieces: Iterable[pd.Series]) -> bool:
    """Whether each row has another value, by hashes of 64 bits, and none is missing."""
    hashes = StoredHashes()
    for values in pieces:
        if values.hasnans or not values.iloc[:ROWS_AT_ONCE].is_unique:
            return False
        for start in range(0, len(values), ROWS_AT_ONCE):
            hashes.add(hashes_of(values.iloc[start : start + ROWS_AT_ONCE]))
    return hashes.different() == hashes.rows


def _ascends(pieces: Iterable[pd.Series]) -> bool:
    """Whether each of some different numbers is greater than the one before."""
    ends = []
    for values in pieces:
        if not values.is_monotonic_increasing:
            return False
        ends.append((values.iloc[0], values.iloc[-1]))
    return all(last < first for (_, last), (first, _) in pairwise(ends))


def _has_no_gaps(pieces: Iterable[pd.Series]) -> bool:
    """Whether some different whole numbers are 0, 1, 2 … or 1, 2, 3 …, in any order."""
    least, greatest, count = zip(*((values.min(), values.max(), len(values)) for values in pieces), strict=True)
    return bool(min(least) in (0, 1) and max(greatest) - min(least) == sum(count) - 1)


def described(raw: Sampled, names: Iterable[str], data: Data) -> Iterator[Column]:
    """What each of some columns is, and what will be done with it.

    Args:
        raw: the table as it is.
        names: the columns' names.
        data: the columns' roles.
    """
    roles = {
        data.target: "the target",
        data.id: "names the row",
        data.time: "its time",
        data.group: "its group",
        data.weight: "its weight in training",
    }
    for name in names:
        kind, use = _kind_and_use(raw, name)
        role = "left out" if name in data.drop else roles.get(name, use)
        if name == data.time:
            role = "orders the rows; features: month, weekday, hour" if kind == "date" else "orders the rows"
        if name in data.private:
            role += "; no value is shown"
        yield Column(name, kind, float(raw.rows[name].isna().mean()), role)


def _kind_and_use(raw: Sampled, name: str) -> tuple[str, str]:
    """The kind of a column, and what is done with it if it is a feature."""
    values = raw.rows[name]
    if values.isna().all() and is_same_in_each_row(raw.column(name)):
        return "empty", "feature, left out by the model"
    if pd.api.types.is_datetime64_any_dtype(values):
        return "date", "features: month, weekday, hour, day"
    if pd.api.types.is_bool_dtype(values):
        return "boolean", "feature"
    if is_number(values):
        return "number", "feature"
    distinct = values.nunique()
    told = f"{distinct:,}" if raw.is_whole else f"at least {distinct:,}"
    more = f", the rarest of {told} as one" if distinct > MOST_CATEGORIES else ""
    return "text", f"feature: categories{more}"
