"""Start the process in which a package predicts, and talk to it: retrace/worker.py is what runs in it.

A process of its own, because the code that prepares the rows must be that of the release, not that of this folder. And
one model can be replaced by another while it still answers.
"""

import asyncio
import contextlib
import sys
import tempfile
from collections import deque
from typing import IO, Any

from pydantic_core import from_json

from retrace.errors import UserError
from retrace.serving.packages import COPY, Released, environment, unpack

PROTOCOL = 1  # retrace/answers.py has the same number in the package
LOAD_TIMEOUT = 300
SHUTDOWN_TIMEOUT = 30


class ModelExitedError(Exception):
    """The process has ended before it answered."""


class ModelProcess:
    """A running package.

    Attributes:
        package: the released model.
        greeting: what the package says of itself; see `Answers.greeting` in retrace/answers.py.
    """

    def __init__(self, package: Released, process: asyncio.subprocess.Process, console: IO[bytes]) -> None:
        self.package = package
        self.greeting: dict[str, Any] = {}
        self._process = process
        self._console = console  # what the process prints until it's ready
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, package: Released) -> "ModelProcess":
        """Start the process; `ready` waits until it has loaded the model.

        Raises:
            UserError: the package's file has just been replaced.
        """
        folder = unpack(package)
        console = tempfile.TemporaryFile()  # noqa: SIM115  # it's open as long as the process
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "retrace.worker",
            COPY,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=console,
            cwd=folder,
            env=environment(),
            start_new_session=True,  # Ctrl-C ends the server, which still needs the answers that it waits for
        )
        return cls(package, process, console)

    async def ready(self) -> None:
        """Wait until the model is loaded.

        Raises:
            UserError: it can't be loaded; then the process has ended.
        """
        try:
            async with asyncio.timeout(LOAD_TIMEOUT):
                self.greeting = from_json(await self._read())
        except (ModelExitedError, TimeoutError, ValueError):
            await self.stop(kill=True)
            self._console.seek(0)
            printed = self._console.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise UserError(printed or f"{self.package.path}: the model can't be loaded") from None
        if self.greeting.get("protocol") != PROTOCOL:
            await self.stop(kill=True)
            advice = "serve it from a checkout of its tag"
            raise UserError(f"{self.package.title}: its package was made by another version of this code; {advice}")
        self._reader = asyncio.create_task(self._read_answers())

    @property
    def running(self) -> bool:
        """Whether it can answer."""
        return self._reader is not None and not self._reader.done()

    async def send(self, kind: str, body: bytes) -> asyncio.Future[bytes]:
        """Send a request, as retrace/worker.py takes it.

        Args:
            kind: rows, raw or file.
            body: JSON.

        Returns:
            A future with the answer in JSON. It raises ModelExitedError if the process ends before it answers.

        Raises:
            ModelExitedError: the process has ended already.
        """
        assert self._process.stdin is not None
        if not self.running:
            raise ModelExitedError
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._process.stdin.write(b"%s %d\n%s" % (kind.encode(), len(body), body))
        with contextlib.suppress(ConnectionError):  # then the process has ended, which `answer` tells
            await self._process.stdin.drain()
        return answer

    async def ask(self, kind: str, body: bytes) -> dict[str, Any]:
        """The answer to a request; for the arguments and the exception, see `send`."""
        return from_json(await (await self.send(kind, body)))  # type: ignore[no-any-return]

    async def _read(self) -> bytes:
        assert self._process.stdout is not None
        try:
            length = int(await self._process.stdout.readline())
            return await self._process.stdout.readexactly(length)
        except (ValueError, asyncio.IncompleteReadError):
            raise ModelExitedError from None

    async def _read_answers(self) -> None:
        """Give each answer to the request that waits for it: they come in the order of the requests."""
        try:
            while True:
                content = await self._read()
                answer = self._waiting.popleft()
                if not answer.done():  # it is if its request has been cancelled
                    answer.set_result(content)
        except ModelExitedError:
            for answer in self._waiting:
                if not answer.done():
                    answer.set_exception(ModelExitedError())

    def kill(self) -> None:
        """End the process at once, as when it doesn't answer."""
        if self._process.returncode is None:
            self._process.kill()

    async def stop(self, *, kill: bool = False) -> None:
        """End the process: after it has answered what it was asked, or at once."""
        assert self._process.stdin is not None
        self._process.stdin.close()  # it reads no further request, and ends
        if kill:
            self.kill()
        try:
            await asyncio.wait_for(self._process.wait(), SHUTDOWN_TIMEOUT)
        except TimeoutError:
            self.kill()
            await self._process.wait()
        if self._reader is not None:
            await self._reader
