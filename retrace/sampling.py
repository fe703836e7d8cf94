"""The rows that a model is fitted on: all rows of train if they fit into `train.memory`, else a sample of them.

How many rows fit follows from the number of features alone, never from the machine, so the sample is the same
everywhere. A row is drawn by a hash of its id: it's in every larger sample too, and stays in the sample while the share
that fits doesn't fall. Rows of equal content are drawn together if `data.id` is empty.

Single rows are drawn, not whole groups (`data.group`) or blocks of time (`split.block`). So each group keeps a part of
its rows, however few groups there are, and the same memory holds rows of more independent units, which the model learns
more from. The halves of the refits are still drawn from whole units.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.examples import features
from retrace.params import Data, Params
from retrace.parts import SplitError, Summary, check_part, places
from retrace.resamples import content_of
from retrace.table_files import read_chunks, read_table, row_count, without_rows

BYTES_PER_VALUE = 90  # that a fit takes for a row and feature: 1.7 kB for a row of 19 features (docs/performance.md)
SEED = 2**32  # no seed of the split or the search is as large: by the split's own, all rows of train have low places


def share_that_fits(rows: int, features: int, memory: float) -> float:
    """The share of some rows that a model can be fitted on; 1 if all of them fit.

    Args:
        rows: how many rows there are.
        features: how many features they have.
        memory: `train.memory`, in GB of 10^9 bytes.
    """
    return min(1.0, memory * 1e9 / (BYTES_PER_VALUE * max(1, rows * features)))


def in_sample(rows: pd.DataFrame, data: Data, share: float) -> NDArray[np.bool_]:
    """Whether each row is in the sample of this share of the rows, shape (rows,)."""
    if share == 1:
        return np.ones(len(rows), dtype=bool)
    return places(content_of(rows[data.id_column], data.id), SEED) < share


def read_training_rows(path: Path, params: Params) -> pd.DataFrame:
    """Read the rows of train that a model is fitted on. Never more than these and a chunk are in memory.

    Args:
        path: of the file with all rows of train.
        params: the project's parameters.

    Raises:
        UserError: the file can't be read, or the sample is too small to learn from.
    """
    data, count = params.data, row_count(path)
    share = share_that_fits(count, len(features(without_rows(path), data)), params.train.memory)
    if share == 1:
        return read_table(path)
    drawn: list[pd.DataFrame] = []
    targets: set[object] = set()
    for chunk in read_chunks(path):
        drawn.append(chunk[in_sample(chunk, data, share)])
        targets.update(chunk[data.target].unique() if data.task == "classification" else ())
    sample = pd.concat(drawn, ignore_index=True)
    where = f"params.yaml: train.memory: in a sample of {len(sample):,} of {count:,} rows of train"
    try:
        check_part("train", Summary().add(sample, data), data)
    except SplitError as error:
        raise UserError(f"{where}, {error.reason}; allow more memory") from None
    if not targets <= set(sample[data.target]):
        raise UserError(f"{where}, a class of {data.target} is missing; allow more memory, or join it with another")
    return sample
