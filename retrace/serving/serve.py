"""Serve a released model over HTTP: `python -m retrace serve`."""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys

from retrace.command_line import make_parser
from retrace.errors import UserError
from retrace.registry import PROD
from retrace.serving.model_process import ModelProcess
from retrace.serving.packages import find_package

SHUTDOWN_TIMEOUT = 30  # that requests have when the server is stopped


def serve(words: list[str]) -> None:
    """Serve a released model over HTTP, and store each prediction.

    To load another version after `make deploy`, POST /reload from this machine. A server without a terminal also does
    so if it gets the signal SIGHUP.
    """
    parser = make_parser("serve", str(serve.__doc__))
    parser.add_argument("model", nargs="?", default=PROD, help="a stage (prod by default), a version, or a model.zip")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; only this machine by default")
    parser.add_argument("--port", type=port, default=8000, help="8000 by default")
    arguments = parser.parse_args(words)
    family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
    try:
        listening = socket.create_server((arguments.host, arguments.port), family=family, backlog=2048)
    except OSError as error:
        # The number is below 0 if the name of the host can't be resolved.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise UserError(f"{arguments.host}:{arguments.port}: {reason}; --port names another one") from None
    # Without Nagle's algorithm, by which a reply of two packets would wait 40 ms for an acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C, after which the last requests have been answered
        asyncio.run(run(arguments.model, listening))


def port(text: str) -> int:
    """The number of a port.

    Raises:
        argparse.ArgumentTypeError: it isn't one.
    """
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return int(text)


async def run(source: str, listening: socket.socket) -> None:
    """Start the model, and answer requests until a signal ends the server."""
    reload_asked = asyncio.Event()
    if not sys.stdin.isatty():  # in a terminal, SIGHUP means that the terminal is closed
        with contextlib.suppress(AttributeError, NotImplementedError):  # Windows has neither SIGHUP nor handlers
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload_asked.set)
    package = find_package(source)
    model = await ModelProcess.start(package)
    # These imports are slow. They come after the start of the model's process, so that both load at the same time.
    import uvicorn  # noqa: PLC0415

    from retrace.serving.app import make_app  # noqa: PLC0415
    from retrace.serving.log import Log, read_key  # noqa: PLC0415
    from retrace.serving.server import Server  # noqa: PLC0415

    try:
        server = Server(source, Log(limit_statements=True), read_key(), model)
        await model.ready()
        await server.accept(model)
    except BaseException:
        await model.stop(kill=True)
        raise

    async def reload_when_asked() -> None:
        while True:
            await reload_asked.wait()
            reload_asked.clear()
            try:
                print(await server.reload(), flush=True)
            except UserError as error:
                print(f"{error}; still serving {server.model.package.title}", file=sys.stderr, flush=True)
            except Exception as error:  # the server goes on
                print(
                    f"{type(error).__name__}; still serving {server.model.package.title}", file=sys.stderr, flush=True
                )

    reloading = asyncio.create_task(reload_when_asked())
    config = uvicorn.Config(
        make_app(server),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
        server_header=False,
        date_header=False,
    )
    host, port = listening.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    print(f"{package.title} at {address}; {address}/docs explains it; the log is {server.log.place}", flush=True)
    await uvicorn.Server(config).serve(sockets=[listening])
    reloading.cancel()
