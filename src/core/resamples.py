"""Which rows are drawn when luck is measured: bootstrap resamples of the validation rows, halves of the training rows.

Both follow from the rows' ids and a constant, never from `train.seed`: the same rows are drawn in every commit that
has them, so that two commits can be compared draw by draw. Draw r doesn't depend on how many draws there are.
Rows of one group (`data.group`) are drawn together, since they share their luck (Field and Welsh, 2007, on the
cluster bootstrap); without a group column each row is a group of its own.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.core.files import as_text
from src.core.params import Data

SEED = 20130101


def _groups(table: pd.DataFrame, data: Data) -> tuple[NDArray[np.intp], int]:
    """The group of each row as a number, groups in the order of their names, and how many there are."""
    codes, names = pd.factorize(table[data.group or data.id_column].astype(str), sort=True)
    return codes, len(names)


def bootstrap(table: pd.DataFrame, data: Data, draws: int) -> Iterator[NDArray[np.int64]]:
    """For each draw: how often each row is in it, shape (rows,). Groups are drawn with replacement (Efron, 1979)."""
    codes, count = _groups(table, data)
    for draw in range(draws):
        rng = np.random.default_rng([SEED, 0, draw])
        yield np.bincount(rng.integers(0, count, count), minlength=count)[codes]


def half(table: pd.DataFrame, data: Data, draw: int) -> NDArray[np.bool_]:
    """Whether each row is in the draw's half, shape (rows,). Groups are drawn without replacement."""
    codes, count = _groups(table, data)
    rng = np.random.default_rng([SEED, 1, draw])
    chosen = np.zeros(count, dtype=bool)
    chosen[rng.permutation(count)[: (count + 1) // 2]] = True
    return chosen[codes]


def fingerprint(table: pd.DataFrame, data: Data) -> str:
    """A hash of what the draws depend on, each row's id and group: equal where the same rows are drawn together."""
    return _hash(table, data.id_column, data.group)


def fingerprints(table: pd.DataFrame, data: Data) -> dict[str, str]:
    """A hash of the ids and one of each id with its target: where only the latter differs, the target is another."""
    return {"ids": _hash(table, data.id_column), "targets": _hash(table, data.id_column, data.target)}


def _hash(table: pd.DataFrame, *columns: str | None) -> str:
    """A hash of what every row holds in some columns, whatever the order of the rows and the types of the columns."""
    cells = [as_text(table[column]).fillna("") for column in columns if column is not None]
    rows = sorted("\x1f".join(row) for row in zip(*cells, strict=True))
    return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogatepass")).hexdigest()[:16]
