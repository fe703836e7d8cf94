"""What each column of a table is, and what it is used for."""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from retrace.examples import is_number
from retrace.params import Data
from retrace.row_ids import ROWS_AT_ONCE
from src.model import MOST_CATEGORIES

Task = Literal["classification", "regression"]
MOST_CLASSES = 10  # different whole numbers that are taken for classes; more are taken for quantities
NEARLY_ALWAYS = 0.95  # the share of rows in one class from which on accuracy says nothing
SAVED_INDEX = ("Unnamed: 0", "__index_level_0__")  # the names of an index that pandas saved in text and in Parquet


class Column(NamedTuple):
    """A column as the user sees it; `missing` is the share of its cells that are missing."""

    name: str
    kind: str
    missing: float
    role: str


def guess_task(target: pd.Series) -> tuple[Task, str]:
    """Whether a target asks for classification or regression, and why."""
    values = target.dropna()
    if not is_number(target) or pd.api.types.is_bool_dtype(target):
        return "classification", f"the target has {values.nunique():,} values that aren't numbers"
    if values.nunique() <= MOST_CLASSES and (values % 1 == 0).all():
        return "classification", f"the target has {values.nunique()} values, whole numbers"
    return "regression", f"the target has {values.nunique():,} different numbers"


def names_rows(values: pd.Series) -> bool:
    """Whether a column may name the rows: different texts, or whole numbers that ascend or have no gaps."""
    if pd.api.types.is_integer_dtype(values):
        return values.is_unique and (bool(values.is_monotonic_increasing) or counts_rows(values))
    if not pd.api.types.is_string_dtype(values) or values.hasnans:
        return False
    return values.iloc[:ROWS_AT_ONCE].is_unique and count_different(values) == len(values)


def count_different(values: pd.Series) -> int:
    """How many different values a column of texts has.

    Hashes of 64 bits are counted. They take 8 bytes for each text, and an index of the texts takes more than 100.
    """
    if values.dtype != "str":
        return values.nunique()
    hashes = [np.empty(0, np.uint64)]
    for start in range(0, len(values), ROWS_AT_ONCE):
        texts = values.iloc[start : start + ROWS_AT_ONCE].dropna().unique()
        hashes.append(pd.util.hash_array(np.asarray(texts, dtype=object), categorize=False))
    found = np.concatenate(hashes)
    found.sort()
    return len(found) - int((found[1:] == found[:-1]).sum())


def counts_rows(values: pd.Series) -> bool:
    """Whether a column is 0, 1, 2 … or 1, 2, 3 …, in any order."""
    if not pd.api.types.is_integer_dtype(values) or values.min() not in (0, 1):
        return False
    return bool(values.max() - values.min() == len(values) - 1 and values.is_unique)


def is_row_counter(values: pd.Series) -> bool:
    """Whether a column holds another whole number in each row, as the index of a table does."""
    return bool(pd.api.types.is_integer_dtype(values) and values.is_unique)


def described(columns: Iterable[tuple[str, pd.Series]], data: Data) -> Iterator[Column]:
    """What each of some columns of the raw table is, and what will be done with it.

    Args:
        columns: the names and the values.
        data: the columns' roles.
    """
    roles = {
        data.target: "the target",
        data.id: "names the row",
        data.time: "its time",
        data.group: "its group",
        data.weight: "its weight in training",
    }
    for name, values in columns:
        kind, use = _kind_and_use(values)
        role = "left out" if name in data.drop else roles.get(name, use)
        if name == data.time:
            role = "orders the rows; features: month, weekday, hour" if kind == "date" else "orders the rows"
        if name in data.private:
            role += "; no value is shown"
        yield Column(name, kind, float(values.isna().mean()), role)


def _kind_and_use(values: pd.Series) -> tuple[str, str]:
    """The kind of a column, and what is done with it if it is a feature."""
    if values.isna().all():
        return "empty", "feature, left out by the model"
    if pd.api.types.is_datetime64_any_dtype(values):
        return "date", "features: month, weekday, hour, day"
    if pd.api.types.is_bool_dtype(values):
        return "boolean", "feature"
    if is_number(values):
        return "number", "feature"
    distinct = count_different(values)
    more = f", the rarest of {distinct:,} as one" if distinct > MOST_CATEGORIES else ""
    return "text", f"feature: categories{more}"
