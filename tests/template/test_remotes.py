"""Data and models are shared through a folder, S3 or SSH: pushed, pulled, and not lost when something is in the way."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import copier
import pytest
from sklearn.datasets import load_wine

from tests.conftest import ENVIRONMENT, IDENTITY, check, commit, copy_project, run

pytestmark = pytest.mark.slow
RCLONE = str(Path(sys.executable).parent / "rclone")
# The project's own environment, not that of the tests.
PLAIN = {key: value for key, value in ENVIRONMENT.items() if key != "VIRTUAL_ENV"} | IDENTITY


@contextmanager
def served(folder: Path, port: int, *how: str) -> Iterator[None]:
    """A server of rclone's, for as long as it's needed."""
    command = [RCLONE, "serve", *how, "--addr", f"127.0.0.1:{port}", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(100):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        try:
            yield
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def configure(project: Path, **local: str) -> None:
    for key, value in local.items():
        check("dvc", "remote", "modify", "--quiet", "--local", "storage", key, value, cwd=project, **path_of(project))


def path_of(project: Path) -> dict[str, str]:
    return {"PATH": f"{project / '.venv/bin'}{os.pathsep}{ENVIRONMENT['PATH']}"}


Shared = tuple[Path, Callable[[], object], dict[str, str], dict[str, str]]


@pytest.fixture(scope="module", params=["folder", "s3", "ssh"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """A project with results and a remote, its server, the credentials that work and some that don't."""
    folder = tmp_path_factory.mktemp(request.param)
    template = copy_project(folder / "template")
    store, port = folder / "store", free_port()
    (store / "bucket").mkdir(parents=True)
    kinds: dict[str, tuple[str, list[str], dict[str, str], dict[str, str]]] = {
        "folder": (str(store / "wines"), [], {}, {}),
        "s3": (
            "s3://bucket/wines",
            ["s3", "--auth-key", "key,secret"],
            {"access_key_id": "key", "secret_access_key": "secret", "endpointurl": f"http://127.0.0.1:{port}"},
            {"secret_access_key": "wrong"},
        ),
        "ssh": (
            f"ssh://user@127.0.0.1:{port}/wines",
            ["sftp", "--user", "user", "--pass", "word"],
            {"password": "word"},
            {"password": "wrong"},
        ),
    }
    url, how, right, wrong = kinds[request.param]
    project = folder / "wines"
    answers = {"demo": False, "remote": request.param, "remote_url": url}
    copier.run_copy(str(template), project, data=answers, defaults=True, quiet=True, vcs_ref="HEAD")
    subprocess.run(["make", "start"], cwd=project, env=PLAIN, check=True, capture_output=True)
    load_wine(as_frame=True).frame.to_csv(folder / "wine.csv", index=False)
    check("python", "-m", "src.adopt", "../wine.csv", "--target", "target", cwd=project, **path_of(project))
    check("dvc", "repro", cwd=project, **path_of(project))
    commit(project)
    configure(project, **right)
    return project, lambda: served(store, port, *how) if how else contextmanager(lambda: iter([None]))(), right, wrong


def make(project: Path, target: str) -> subprocess.CompletedProcess[str]:
    return run("make", target, cwd=project, **path_of(project))


def test_what_is_in_the_way_is_told_in_a_line_and_the_next_try_goes_on(shared: Shared, tmp_path: Path):
    project, server, right, wrong = shared
    if wrong:
        with server():  # type: ignore[attr-defined]
            configure(project, **wrong)
            refused = make(project, "push")
            configure(project, **right)
        down = make(project, "push")
        for done in (refused, down):
            assert done.returncode != 0
            assert re.search(r"Forbidden|password|[Cc]onnect", done.stderr), done.stderr
            assert "Traceback" not in done.stderr
            assert "`make push` goes on from there" in done.stderr
    with server():  # type: ignore[attr-defined]
        pushing = subprocess.Popen(
            ["make", "push"], cwd=project, env=PLAIN | path_of(project), stderr=subprocess.PIPE, start_new_session=True
        )
        time.sleep(1.5)
        os.killpg(pushing.pid, 9)
        pushing.wait()
        assert make(project, "push").returncode == 0
        assert "Everything is up to date" in make(project, "push").stdout
    assert not (project / ".dvc/config").read_text().count("secret")
    assert check("git", "status", "--porcelain", cwd=project) == ""


def test_a_fresh_clone_pulls_and_has_nothing_to_run(shared: Shared, tmp_path: Path):
    project, server, right, _ = shared
    clone = tmp_path / "clone"
    check("git", "clone", "--quiet", str(project), str(clone), cwd=tmp_path)
    shutil.copytree(project / ".venv", clone / ".venv", symlinks=True)
    configure(clone, **right)
    with server():  # type: ignore[attr-defined]
        assert make(project, "push").returncode == 0
        pulled = make(clone, "pull")
    assert pulled.returncode == 0, pulled.stderr
    assert "up to date" in check("dvc", "repro", cwd=clone, **path_of(clone))
    assert check("git", "status", "--porcelain", cwd=clone) == ""
