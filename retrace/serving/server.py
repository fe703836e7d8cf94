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
from retrace.serving.bodies import PredictRequest, RequestError, read_body, read_labels, read_rows_and_ids
from retrace.serving.group_commit import GroupCommit
from retrace.serving.log import (
    HOW_TO_MAKE_A_KEY,
    KEY,
    DuplicateIdError,
    Log,
    LogError,
    PredictedRequest,
    Prediction,
    encrypt_private,
    private_columns,
    utc_now,
    whole_row,
)
from retrace.serving.metrics import Metrics, edges_for
from retrace.serving.model_process import ModelExitedError, ModelProcess
from retrace.serving.outputs import named_outputs
from retrace.serving.packages import find_package

MAX_IN_PROGRESS = 16  # requests; further ones are rejected, so that the others don't wait long
MAX_UPLOADS = 64  # requests whose bodies are being received
PREDICT_TIMEOUT = 60


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
        metrics: for Prometheus.
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
        if self.key is None and any(private_columns(kind, model.greeting) for kind in model.greeting["schemas"]):
            columns = ", ".join(description["private"]) or "a column"
            raise UserError(f"{KEY}: not set, and {columns} is private (data.private); {HOW_TO_MAKE_A_KEY}")
        try:
            await asyncio.to_thread(self.log.register, model.package.sha256, description)
        except LogError as error:
            raise UserError(f"{self.log.place}: {error}") from None
        self.model = model
        self.metrics.show_model(model.package.name, model.package.label)
        self.metrics.create_histogram(edges_for(model.greeting))

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
                    return f"still serving {package.title}, which {self.source} names"
                present.package = package  # another version with the same content
                self.metrics.show_model(package.name, present.package.label)
                return f"now serving {package.title}"
            new = await ModelProcess.start(package)
            try:
                await new.ready()
                await self.accept(new)
            except (UserError, Exception):
                await new.stop(kill=True)
                raise
            await present.stop()
            return f"now serving {package.title}"

    async def restart_on_exit(self) -> None:
        """Start the model's process again whenever it has ended by itself, say because memory was short."""
        while True:
            await asyncio.sleep(1)
            async with self._reloading:
                if self.model.running:
                    continue
                print(f"the model process of {self.model.package.title} exited; restarting it", file=sys.stderr)
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
            RequestError: too many are answered already.
        """
        if self._waiting >= MAX_IN_PROGRESS:
            raise busy_error()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _receive(self, request: Request) -> bytes:
        """The body of a request.

        Raises:
            RequestError: it isn't valid, or too many are being received.
        """
        if self._arriving >= MAX_UPLOADS or self._waiting >= MAX_IN_PROGRESS:
            raise busy_error()
        self._arriving += 1
        try:
            return await read_body(request)
        finally:
            self._arriving -= 1

    async def predict(self, kind: str, request: Request) -> Answered:
        """Predict for the rows of a request, store the predictions, and give the reply.

        Raises:
            RequestError: with the status and the messages of the reply.
        """
        started = time.perf_counter()
        body = await self._receive(request)
        with self._admitted():
            model = self.model
            asked, (shown, encrypted), answer = await self._ask(model, kind, body)
            if "errors" in answer:
                raise RequestError(422, *answer["errors"])
            ids = asked.ids or new_ids(len(asked.rows))
            outputs = named_outputs(answer["predictions"], model.greeting["description"]["classes"])
            predicted = PredictedRequest(
                ids=ids,
                time=utc_now(),
                model=model.package.name,
                version=model.package.version,
                package=model.package.sha256,
                request_type=kind,
                input=shown,
                private=encrypted,
                output=to_json(outputs).decode(),
                seconds=time.perf_counter() - started,
            )
            try:
                await asyncio.wrap_future(self.group_commit.store(predicted))
            except DuplicateIdError:
                earlier = await asyncio.to_thread(self._find_earlier, kind, ids, asked.rows)
                return Answered(reply_with(earlier[0].version, ids, [each.output for each in earlier], []), "", [])
            except LogError:
                raise not_stored_error() from None
        reply = reply_with(predicted.version, ids, outputs, answer["warnings"])
        return Answered(reply, model.package.label, answer["predictions"])

    async def _ask(
        self, model: ModelProcess, kind: str, body: bytes
    ) -> tuple[PredictRequest, tuple[str, str | None], dict[str, Any]]:
        """Send a body to the model, and meanwhile validate it here and encrypt the private columns.

        Returns:
            The parsed body, the columns `input` and `private` of the log, and the model's answer.

        Raises:
            RequestError: the body isn't valid, or the model doesn't answer.
        """
        try:
            async with asyncio.timeout(PREDICT_TIMEOUT):
                answering = await model.send(kind, body)
                try:
                    asked = read_rows_and_ids(body)
                    private = private_columns(kind, model.greeting)
                    stored = encrypt_private(asked.rows, private, self.key)
                finally:
                    # Also if the body is invalid: until then the model is busy, and this request is in progress.
                    answer = from_json(await answering)
        except TimeoutError:
            model.kill()  # and restart_on_exit starts it again
            raise RequestError(
                503, f"the model took more than {PREDICT_TIMEOUT} seconds, and is being restarted"
            ) from None
        except ModelExitedError:
            raise RequestError(503, "the model has stopped and is being restarted; try again later") from None
        return asked, stored, answer

    def _find_earlier(self, kind: str, ids: list[str], rows: list[dict[str, Any]]) -> list[Prediction]:
        """The stored predictions of the same request, which a client sends again if it got no reply.

        Raises:
            RequestError: another request has one of the ids, or the log can't be read.
        """
        try:
            earlier = self.log.find_request(ids)
            is_same = bool(earlier) and (earlier[0].model, earlier[0].request_type) == (self.model.package.name, kind)
            is_same = is_same and [whole_row(each, self.key) for each in earlier] == rows
        except LogError:
            raise not_stored_error() from None
        except UserError:  # the private columns were encrypted with another key
            is_same = False
        if not is_same:
            raise RequestError(409, "ids: the log has another request with one of these ids")
        return earlier

    async def count(self, answered: Answered) -> None:
        """Count the predictions of a reply, after it's sent."""
        if answered.outputs:  # none, if the request had been answered before
            self.metrics.count_predictions(answered.title, answered.outputs)

    async def add_labels(self, request: Request) -> dict[str, int]:
        """Store the labels of a request.

        Raises:
            RequestError: with the status and the messages of the reply.
        """
        body = await self._receive(request)
        with self._admitted():
            labels = read_labels(body)
            try:
                messages = await asyncio.to_thread(self.log.add_labels, labels)
            except LogError:
                raise RequestError(503, "the labels can't be stored; try again later") from None
        if messages:
            raise RequestError(422, *shortened([f"labels: {message}" for message in messages], "errors"))
        return {"stored": len(labels)}


def reply_with(version: str | None, ids: list[str], outputs: list[Any], warnings: list[str]) -> dict[str, Any]:
    """The content of a reply with predictions."""
    predictions = [{"id": name, "prediction": output} for name, output in zip(ids, outputs, strict=True)]
    return {"version": version, "predictions": predictions, "warnings": warnings}


def not_stored_error() -> RequestError:
    """The reply to a request while the log fails."""
    return RequestError(503, "the prediction can't be stored, so it isn't given; try again later")


def busy_error() -> RequestError:
    """The reply to a request that comes while there are too many."""
    return RequestError(503, "the server is busy; try again in a second")


def new_ids(rows: int) -> list[str]:
    """Ids for the predictions of a request."""
    request = uuid.uuid4().hex
    return [request] if rows == 1 else [f"{request}-{row}" for row in range(1, rows + 1)]
