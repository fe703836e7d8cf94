"""The input columns of stored predictions."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic_core import to_json

from retrace.input_rows import MAX_ROWS
from retrace.serving.log import Prediction, read_key, whole_row
from retrace.serving.model_process import ModelProcess
from retrace.serving.packages import Released


class Inputs:
    """Reads the input columns of predictions. The package computes those of raw rows.

    Args:
        package: that predicted.
        names: of its input columns.
    """

    def __init__(self, package: Released, names: Sequence[str]) -> None:
        self._package, self._names = package, list(names)
        self._key = read_key()
        self._runner = asyncio.Runner()
        self._process: ModelProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._process is not None:
            self._runner.run(self._process.stop())
        self._runner.close()

    def read(self, part: Sequence[Prediction]) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
        """The input columns of some predictions.

        Args:
            part: the predictions.

        Returns:
            The rows, without raw rows that are encrypted if there is no key, or that the package doesn't accept; and
            whether each prediction has a row, shape (predictions,).

        Raises:
            UserError: RETRACE_LOG_KEY isn't the right key, or the package can't be run.
        """
        rows = [each.input if each.request_type == "rows" else None for each in part]
        raw = [
            number
            for number, each in enumerate(part)
            if each.request_type == "raw" and (each.private is None or self._key is not None)
        ]
        for start in range(0, len(raw), MAX_ROWS):
            some = raw[start : start + MAX_ROWS]
            prepared = self._runner.run(self._prepare([whole_row(part[number], self._key) for number in some]))
            for number, row in zip(some, prepared, strict=True):
                rows[number] = row
        found = [row for row in rows if row is not None]
        readable = np.array([row is not None for row in rows])
        return pd.DataFrame(found, columns=self._names, dtype=object), readable  # whole numbers stay so beside nulls

    async def _prepare(self, rows: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
        """The features of raw rows; None for those that the package doesn't accept."""
        if self._process is None:
            self._process = await ModelProcess.start(self._package)
            await self._process.ready()
        answer = await self._process.ask("features", to_json({"rows": rows}))
        if "errors" not in answer:
            prepared: list[dict[str, Any] | None] = answer["features"]
            return prepared
        if len(rows) == 1:
            return [None]
        middle = len(rows) // 2  # so that a wrong row is found with few questions
        return await self._prepare(rows[:middle]) + await self._prepare(rows[middle:])
