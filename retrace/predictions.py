"""What a model predicts for the rows of a file, which are read some at a time, to limit the memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.examples import Target, features
from retrace.params import Data
from retrace.table_files import read_chunks, row_count, without_rows

# Of the rows that are predicted for at once. In a matrix product, the last bits of a row may depend on how many rows
# there are. So this number belongs to the results.
CELLS_PREDICTED_AT_ONCE = 1_000_000


def read_features(path: Path, data: Data, *others: str) -> Iterator[pd.DataFrame]:
    """The features of the rows that are predicted for at once, after one another.

    Args:
        path: of the rows, as `split` writes them.
        data: the columns' roles.
        others: further columns to read.
    """
    names = features(without_rows(path), data)
    return read_chunks(path, [*names, *others], rows=max(1, CELLS_PREDICTED_AT_ONCE // len(names)))


def predict(model: Any, path: Path, data: Data, target: Target) -> NDArray[np.float64]:
    """What a fitted model predicts for each row of a file, as `Target.predict` returns it."""
    shape = (row_count(path), len(target.classes)) if target.kind == "multiclass" else row_count(path)
    predictions, start = np.empty(shape), 0
    for rows in read_features(path, data):
        predictions[start : start + len(rows)] = target.predict(model, rows)
        start += len(rows)
    return predictions
