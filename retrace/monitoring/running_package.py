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

    def answer(self, kind: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """What the package answers to some rows.

        Args:
            kind: rows, raw or features, as retrace/worker.py takes them.
            rows: at most MAX_ROWS.

        Raises:
            UserError: the package can't be run, or has no answer for a row.
        """
        try:
            answer = self._runner.run(self._ask(kind, rows))
        except ModelExitedError:
            raise UserError(f"{self.package.title}: the model's process has ended") from None
        if "errors" in answer:
            raise UserError(f"{self.package.title}: has no answer for a recorded row: {answer['errors'][0]}")
        return answer

    async def _ask(self, kind: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        if self._process is None:
            process = await ModelProcess.start(self.package)
            await process.ready()
            self._process = process
        return await self._process.ask(kind, to_json({"rows": rows}))
