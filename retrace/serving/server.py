"""What answers requests: the model, the log, and how the model is replaced."""

import asyncio
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from cryptography.fernet import Fernet
from fastapi import Request
from pydantic_core import from_json, to_json

from retrace.errors import UserError
from retrace.input_rows import shortened
from retrace.serving.bodies import PredictRequest, Rejected, read_body, read_labels, read_rows_and_ids
from retrace.serving.group_commit import GroupCommit
from retrace.serving.log import (
    HOW_TO_MAKE_A_KEY,
    KEY,
    DuplicateIdError,
    Log,
    LogError,
    private_columns,
    stored_row,
    text_of,
    utc_now,
)
from retrace.serving.metrics import Metrics, edges_for
from retrace.serving.model_process import ModelGoneError, ModelProcess
from retrace.serving.outputs import named_outputs
from retrace.serving.packages import find_package

MOST_WAITING = 16  # requests that are answered at a time; the next one is rejected, so that nobody waits long
MOST_ARRIVING = 64  # requests whose bodies are received at a time
SECONDS_TO_PREDICT = 60


class Answered(NamedTuple):
    """A reply with predictions.

    Attributes:
        reply: its content.
        title: what metrics call the model.
        outputs: the predictions as the model gives them.
    """

    reply: dict[str, Any]
    title: str
    outputs: list[Any]


class Server:
    """A model that answers, and its log.

    Attributes:
        source: what the user calls the model: a stage, a version or a file.
        log: where predictions are stored.
        key: of the private columns.
        model: the process that predicts now.
        metrics: the figures for Prometheus.
    """

    def __init__(self, source: str, log: Log, key: Fernet | None, model: ModelProcess) -> None:
        self.source, self.log, self.key, self.model = source, log, key, model
        self.metrics = Metrics()
        self.group_commit = GroupCommit(log)
        self._reloading = asyncio.Lock()
        self._waiting = self._arriving = 0

    async def accept(self, model: ModelProcess) -> None:
        """Let a model answer from now on.

        Raises:
            UserError: it has private columns, and there is no key to encrypt them with; or the log can't be written.
        """
        description = model.greeting["description"]
        private = description["private"]
        if (private or (description["private_raw"] and "raw" in model.greeting["schemas"])) and self.key is None:
            columns = ", ".join(private) or "a column"
            raise UserError(f"{KEY}: not set, and {columns} is private (data.private); {HOW_TO_MAKE_A_KEY}")
        try:
            await asyncio.to_thread(self.log.register, model.package.sha256, description)
        except LogError as error:
            raise UserError(f"{self.log.place}: {error}") from None
        self.model = model
        self.metrics.show_model(model.package.name, title_of(model))
        self.metrics.watch_predictions(edges_for(model.greeting))

    async def reload(self) -> str:
        """Look for the model again; the present one answers until the other one is ready.

        Returns:
            What answers now.

        Raises:
            UserError: the new one isn't available or can't be loaded; the present one stays.
        """
        async with self._reloading:
            package = await asyncio.to_thread(find_package, self.source)
            present = self.model
            if package.sha256 == present.package.sha256 and present.running:
                if package.version == present.package.version:
                    return f"{package.title} stays: it is what MODEL={self.source} names"
                present.package = package  # another version with the same content
                self.metrics.show_model(package.name, title_of(present))
                return f"{package.title} answers now"
            new = await ModelProcess.start(package)
            try:
                await new.ready()
                await self.accept(new)
            except (UserError, Exception):
                await new.stop(kill=True)
                raise
            await present.stop()
            return f"{package.title} answers now"

    async def restart_when_gone(self) -> None:
        """Start the model's process again whenever it has ended by itself, say because memory was short."""
        while True:
            await asyncio.sleep(1)
            async with self._reloading:
                if self.model.running:
                    continue
                print(f"the process of {self.model.package.title} has ended; it is started again", file=sys.stderr)
                try:
                    model = await ModelProcess.start(self.model.package)
                    await model.ready()
                    await self.accept(model)
                except UserError as error:
                    print(f"that failed: {error}", file=sys.stderr, flush=True)
                except Exception as error:  # it tries again, whatever it is
                    print(f"that failed: {type(error).__name__}", file=sys.stderr, flush=True)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Count a request while it's answered.

        Raises:
            Rejected: too many are answered already.
        """
        if self._waiting >= MOST_WAITING:
            raise busy()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _receive(self, request: Request) -> bytes:
        """The body of a request.

        Raises:
            Rejected: it isn't valid, or too many are being received.
        """
        if self._arriving >= MOST_ARRIVING or self._waiting >= MOST_WAITING:
            raise busy()
        self._arriving += 1
        try:
            return await read_body(request)
        finally:
            self._arriving -= 1

    async def predict(self, kind: str, request: Request) -> Answered:
        """Predict for the rows of a request, store the predictions, and give the reply.

        Raises:
            Rejected: with the status and the messages of the reply.
        """
        started = time.perf_counter()
        body = await self._receive(request)
        with self._admitted():
            model = self.model
            asked, stored, answer = await self._ask(model, kind, body)
            if "mistakes" in answer:
                raise Rejected(422, *answer["mistakes"])
            ids = asked.ids or new_ids(len(asked.rows))
            outputs = named_outputs(answer["predictions"], model.greeting["description"]["classes"])
            common = {
                "time": text_of(utc_now()),
                "model": model.package.name,
                "version": model.package.version,
                "package": model.package.sha256,
                "kind": kind,
                "seconds": time.perf_counter() - started,
            }
            await self._store(
                [
                    common | columns | {"id": name, "output": to_json(output).decode()}
                    for columns, name, output in zip(stored, ids, outputs, strict=True)
                ]
            )
        reply = {
            "version": common["version"],
            "predictions": [{"id": name, "prediction": output} for name, output in zip(ids, outputs, strict=True)],
            "warnings": answer["warnings"],
        }
        return Answered(reply, title_of(model), answer["predictions"])

    async def _ask(
        self, model: ModelProcess, kind: str, body: bytes
    ) -> tuple[PredictRequest, list[dict[str, Any]], dict[str, Any]]:
        """What a body asks for, the columns of its rows in the log, and the model's answer.

        The model works on the body while it's read here, too.

        Raises:
            Rejected: the body isn't valid, or the model doesn't answer.
        """
        try:
            answering = model.send(kind, body)
            try:
                asked = read_rows_and_ids(body)
                description = model.greeting["description"]
                stored = [stored_row(row, private_columns(row, kind, description), self.key) for row in asked.rows]
            finally:
                # Also where the body isn't valid: until then the model has no time for other requests.
                async with asyncio.timeout(SECONDS_TO_PREDICT):
                    answer = from_json(await answering)
        except TimeoutError:
            model.kill()  # and restart_when_gone starts it again
            raise Rejected(
                503, f"the model took more than {SECONDS_TO_PREDICT} seconds, and is started again"
            ) from None
        except ModelGoneError:
            raise Rejected(503, "the model has stopped and is started again; try again in a second") from None
        return asked, stored, answer

    async def _store(self, predictions: list[dict[str, Any]]) -> None:
        try:
            await asyncio.wrap_future(self.group_commit.store(predictions))
        except DuplicateIdError:
            raise Rejected(409, "ids: the log has a prediction with one of these ids already") from None
        except LogError:
            raise Rejected(503, "the prediction can't be stored, so it isn't given; try again later") from None

    async def count(self, answered: Answered) -> None:
        """Count the predictions of a reply, after it's sent."""
        self.metrics.count_predictions(answered.title, answered.outputs)

    async def add_labels(self, request: Request) -> dict[str, int]:
        """Store the labels of a request.

        Raises:
            Rejected: with the status and the messages of the reply.
        """
        body = await self._receive(request)
        with self._admitted():
            labels = read_labels(body)
            try:
                messages = await asyncio.to_thread(self.log.add_labels, labels)
            except LogError:
                raise Rejected(503, "the labels can't be stored; try again later") from None
        if messages:
            raise Rejected(422, *shortened([f"labels: {message}" for message in messages], "mistakes"))
        return {"stored": len(labels)}


def busy() -> Rejected:
    """The reply to a request that comes while there are too many."""
    return Rejected(503, "the server is busy; try again in a second")


def title_of(model: ModelProcess) -> str:
    """What metrics call a model: its version, or the beginning of the hash of its package."""
    return model.package.version or model.package.sha256[:12]


def new_ids(rows: int) -> list[str]:
    """Ids for the predictions of a request."""
    request = uuid.uuid4().hex
    return [request] if rows == 1 else [f"{request}-{row}" for row in range(1, rows + 1)]
