"""The HTTP interface of a released model.

| path | what it does |
|---|---|
| POST /predict | predict for rows with the model's input columns |
| POST /predict/raw | the same for rows as the data set's `prepare_request` takes them, if it has this function |
| POST /labels | store actual outcomes (labels) by the ids of predictions |
| GET /model | the version, its commit, hashes, scores and card |
| GET /live, /ready | whether the process runs; whether it can predict and store |
| GET /metrics | metrics for Prometheus |
| POST /reload | look again for the model, from this machine only |
| GET /docs | a page that lists these paths, with the model's input columns |

A reply with predictions is sent only after they are stored. Values of a request are never printed.
"""

import asyncio
import sys
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic_core import to_json
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrace.errors import UserError
from retrace.serving.bodies import RequestError
from retrace.serving.log import LogError
from retrace.serving.metrics import Metrics
from retrace.serving.openapi import describe_interface
from retrace.serving.server import Server

LOOPBACK = ("127.0.0.1", "::1")


class RequestMetrics:
    """Middleware that counts and times requests, and replies 500 to unhandled exceptions.

    It prints only the type and the place of an exception, because its message could contain values of rows. FastAPI's
    own form of middleware would add 0.1 ms to each request.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            print(f"{type(error).__name__} in {place.filename}, line {place.lineno}", file=sys.stderr, flush=True)
            response = reply({"errors": ["internal error; the server's console shows file and line"]}, 500)
            await response(scope, receive, send)
        path = getattr(scope.get("route"), "path", "other")
        self.metrics.requests.labels(path, status).inc()
        self.metrics.seconds.labels(path).observe(time.perf_counter() - started)


def reply(content: Any, status: int = 200, **headers: str) -> Response:
    """JSON in one line; numbers are written in the fewest digits that are read back as the same number."""
    return Response(to_json(content) + b"\n", status, headers, "application/json")


def make_app(server: Server) -> FastAPI:
    """The application."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(server.restart_on_exit())
        yield
        watching.cancel()
        await server.model.stop()
        server.group_commit.close()
        server.log.close()

    app: FastAPI = FastAPIOffline(title=server.model.package.name, redoc_url=None, lifespan=lifespan)
    app.openapi = lambda: describe_interface(app, server.model)  # type: ignore[method-assign]  # FastAPI's way
    app.add_middleware(RequestMetrics, metrics=server.metrics)

    @app.exception_handler(RequestError)
    async def reject(_request: Request, error: RequestError) -> Response:
        headers = {"Retry-After": "1"} if error.status == 503 else {}
        return reply({"errors": error.messages}, error.status, **headers)

    @app.exception_handler(HTTPException)
    async def refuse(_request: Request, error: HTTPException) -> Response:
        message = "no such path; /docs lists the paths" if error.status_code == 404 else error.detail
        return reply({"errors": [message]}, error.status_code, **(error.headers or {}))

    async def predict(kind: str, request: Request) -> Response:
        answered = await server.predict(kind, request)
        response = reply(answered.reply)
        response.background = BackgroundTask(server.count, answered)
        return response

    @app.post("/predict", summary="Predict for rows with the model's input columns")
    async def predict_features(request: Request) -> Response:
        return await predict("rows", request)

    @app.post("/predict/raw", summary="Predict for raw rows, from which the model's input columns are computed")
    async def predict_raw(request: Request) -> Response:
        if "raw" not in server.model.greeting["schemas"]:
            raise RequestError(404, "the data set has no function prepare_request; send the features to /predict")
        return await predict("raw", request)

    @app.post("/labels", summary="Store actual outcomes (labels) by the ids of predictions")
    async def labels(request: Request) -> Response:
        return reply(await server.add_labels(request))

    @app.get("/model", summary="The model's version, hashes, columns, scores and card")
    async def model() -> Response:
        package = server.model.package
        found = {"version": package.version, "commit": package.commit, "package_sha256": package.sha256}
        return reply(found | server.model.greeting["description"] | {"card": server.model.greeting["card"]})

    @app.head("/live", include_in_schema=False)
    @app.get("/live", summary="Whether the server runs")
    async def live() -> Response:
        return reply({"live": True})

    @app.head("/ready", include_in_schema=False)
    @app.get("/ready", summary="Whether the model runs and the log can be written")
    async def ready() -> Response:
        if not server.model.running:
            raise RequestError(503, "the model has stopped and is being restarted")
        try:
            await asyncio.to_thread(server.log.check)
        except LogError:
            raise RequestError(503, "the log can't be written") from None
        return reply({"ready": True})

    @app.get("/metrics", summary="Metrics for Prometheus")
    async def metrics() -> Response:
        return Response(generate_latest(server.metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @app.post("/reload", summary="Load the model again, after another version was deployed")
    async def reload(request: Request) -> Response:
        is_local = request.client is not None and request.client.host in LOOPBACK
        # These headers come from a proxy or, the last one, from a page in a browser.
        if not is_local or {"forwarded", "x-forwarded-for", "x-real-ip", "origin"} & set(request.headers):
            raise RequestError(403, "/reload is for programs on this machine only")
        try:
            return reply({"message": await server.reload()})
        except UserError as error:
            raise RequestError(409, f"{error}; still serving {server.model.package.title}") from None

    return app
