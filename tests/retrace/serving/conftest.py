"""A running server, as a client sees it."""

import http.client
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from retrace.table_files import read_table
from tests.conftest import ENVIRONMENT


class Reply(NamedTuple):
    status: int
    content: Any
    headers: dict[str, str]


class Served:
    """A server in a process of its own."""

    def __init__(self, project: Path, *words: str, program: Sequence[str] = ("-m", "retrace"), **environment: str):
        self.console = tempfile.TemporaryFile("w+")  # noqa: SIM115  # it's read when the server has ended
        command = [sys.executable, *program, "serve", "--port", "0", *words]
        self.process = subprocess.Popen(
            command,
            cwd=project,
            env=ENVIRONMENT | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.console,
            text=True,
        )
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline()
        found = re.search(r"http://[\d.]+:(\d+);", self.greeting)
        self.port = int(found[1]) if found else 0

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        connection = self.connect()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Content-Type": "application/json", **names})
        return reply(connection.getresponse())

    def get(self, path: str) -> Reply:
        return self.send("GET", path)

    def post(self, path: str, content: Any = None, **headers: str) -> Reply:
        return self.send("POST", path, json.dumps(content).encode(), **headers)

    def predict(self, rows: list[dict[str, Any]], **more: Any) -> list[Any]:
        answered = self.post("/predict", {"rows": rows} | more)
        assert answered.status == 200, answered.content
        return [each["prediction"] for each in answered.content["predictions"]]

    def stop(self, kind: int = signal.SIGTERM) -> str:
        """End the server; what it printed."""
        self.process.send_signal(kind)
        assert self.process.stdout is not None
        printed = self.process.stdout.read()
        self.process.wait(60)
        self.console.seek(0)
        return self.greeting + printed + self.console.read()


def reply(response: http.client.HTTPResponse) -> Reply:
    body = response.read()
    is_json = response.headers["Content-Type"] == "application/json"
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status, json.loads(body) if is_json else body.decode(errors="replace"), headers)


@contextmanager
def serving(project: Path, *words: str, **environment: str) -> Iterator[Served]:
    """A server that has begun to answer."""
    server = Served(project, *words, **environment)
    try:
        assert server.greeting, server.stop()
        yield server
    finally:
        server.stop()


def rows_of(project: Path, count: int | None = None) -> list[dict[str, Any]]:
    """The valid rows of a project with the input columns of its model, as a client would send them."""
    from retrace.examples import features
    from retrace.params import read_params

    table = read_table(project / "data/split/valid.parquet")
    table = table[features(table, read_params(project / "params.yaml").data)].head(count or len(table))
    return [
        {name: None if pd.isna(value) else value for name, value in row.items()} for row in table.to_dict("records")
    ]


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty log, in each of the two databases."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.db"
    import psycopg

    server: str = request.getfixturevalue("postgres_address")
    name = f"log_{time.time_ns()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server.rpartition('/')[0]}/{name}"
