"""The input columns of stored predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.input_rows import MAX_ROWS
from retrace.monitoring.running_package import RunningPackage
from retrace.serving.log import Prediction, read_key, whole_row


class Inputs:
    """Reads the input columns of predictions. The package computes those of raw rows.

    Args:
        running: the package that predicted.
        names: of its input columns.
    """

    def __init__(self, running: RunningPackage, names: Sequence[str]) -> None:
        self.names = list(names)
        self._running = running
        self._key = read_key()

    def read(self, part: Sequence[Prediction]) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
        """The input columns of some predictions.

        Args:
            part: the predictions.

        Returns:
            The rows, and whether each prediction has a row, shape (predictions,). A raw row is left out if the package
            doesn't accept it, or if it's encrypted and there is no key.

        Raises:
            UserError: RETRACE_LOG_KEY isn't the right key, or the package can't be run.
        """
        rows: list[dict[str, Any] | None] = [each.input if each.request_type == "rows" else None for each in part]
        raw = [
            number
            for number, each in enumerate(part)
            if each.request_type == "raw" and (each.private is None or self._key is not None)
        ]
        for start in range(0, len(raw), MAX_ROWS):
            some = raw[start : start + MAX_ROWS]
            features = self._running.features([whole_row(part[number], self._key) for number in some])
            for number, row in zip(some, features, strict=True):
                rows[number] = row
        found = [row for row in rows if row is not None]
        readable = np.array([row is not None for row in rows])
        return pd.DataFrame(found, columns=self.names, dtype=object), readable  # whole numbers stay so beside nulls
