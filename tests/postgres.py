"""A real PostgreSQL."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class Database(NamedTuple):
    """A PostgreSQL server of its own; `control` starts and stops it. Only the role `locked` needs a password."""

    address: str
    control: Callable[..., object]


@contextmanager
def postgres() -> Iterator[Database]:
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/bin"))
    assert (programs / "initdb").exists(), "apt install postgresql"
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        user = []
        if os.geteuid() == 0:  # as which PostgreSQL refuses to run
            shutil.chown(folder, "postgres")
            user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]

        def call(program: str, *words: str) -> None:
            command = [*user, str(programs / program), "--pgdata", str(folder / "data"), *words]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)

        def control(word: str, *more: str) -> None:
            settings = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
            call("pg_ctl", "--wait", "--log", str(folder / "log"), "-o", settings, word, *more)

        call("initdb", "--auth=trust", "--username=retrace", "--no-sync")
        rules = folder / "data/pg_hba.conf"
        rules.write_text(f"host all locked 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        control("start")
        try:
            yield Database(f"postgresql://retrace@127.0.0.1:{port}/postgres", control)
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):  # it's stopped already
                control("stop", "--mode=immediate")
