"""A package that computes features or predictions for stored rows, in a process of its own with its own code."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from pydantic_core import to_json

from retrace.errors import UserError
from retrace.serving.model_process import ModelExitedError, ModelProcess
from retrace.serving.packages import Released


class RunningPackage:
    """A package whose process starts with the first rows, and ends with the context.

    Args:
        package: a released model.
    """

    def __init__(self, package: Released) -> None:
        self.package = package
        self._runner = asyncio.Runner()
        self._process: ModelProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._process is not None:
            self._runner.run(self._process.stop())
        self._runner.close()

    def features(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any] | None]:
        """The features of raw rows, of which there are at most MAX_ROWS; None for a row that isn't accepted.

        Raises:
            UserError: the package can't be run.
        """
        answer = self._answer("features", rows)
        if "errors" not in answer:
            found: list[dict[str, Any] | None] = answer["features"]
            return found
        if len(rows) == 1:
            return [None]
        middle = len(rows) // 2  # bisection finds an invalid row with few requests
        return self.features(rows[:middle]) + self.features(rows[middle:])

    def predict(self, kind: str, rows: Sequence[dict[str, Any]]) -> list[Any]:
        """The predictions for some rows: a number each, or with more than two classes a list.

        Args:
            kind: rows or raw, as retrace/worker.py takes them.
            rows: at most MAX_ROWS.

        Raises:
            UserError: the package can't be run, or can't predict for a row.
        """
        answer = self._answer(kind, rows)
        if "errors" in answer:
            raise UserError(f"{self.package.title}: can't predict for a recorded row: {answer['errors'][0]}")
        found: list[Any] = answer["predictions"]
        return found

    def _answer(self, kind: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        try:
            return self._runner.run(self._ask(kind, rows))
        except ModelExitedError:
            raise UserError(f"{self.package.title}: the model's process has ended") from None

    async def _ask(self, kind: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        if self._process is None:
            process = await ModelProcess.start(self.package)
            await process.ready()
            self._process = process
        return await self._process.ask(kind, to_json({"rows": rows}))
