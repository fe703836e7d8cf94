"""Calls run side by side in processes of this machine, or on a Dask cluster that the tests start."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd
import pytest
from joblib import delayed

from retrace import side_by_side
from retrace.errors import UserError
from retrace.side_by_side import ADDRESS, make_fingerprint, run_calls
from tests.calls import count_transitions, refuse, tell
from tests.conftest import ENVIRONMENT, ROOT, check, copy_project, install, run

SCHEDULER = [
    *(sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"),
    *("--no-dashboard", "--dashboard-address", "127.0.0.1:0"),
]
WORKER = [sys.executable, "-m", "retrace", "worker"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of requirements-scale.txt, which aren't part of the environment for development."""
    return install("requirements-scale.txt", tmp_path_factory.mktemp("packages"))


class Cluster:
    """A Dask scheduler on this machine, to which workers can be added."""

    def __init__(self, packages: Path, stack: ExitStack) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self.environment = ENVIRONMENT | {"PYTHONPATH": str(packages)}
        self.stack = stack
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self.start([*SCHEDULER, "--port", str(port)], ROOT)

    def start(self, command: list[str], folder: Path) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command, cwd=folder, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def add_worker(self, folder: Path = ROOT) -> None:
        """Without Dask's nanny, which would replace a worker that is killed."""
        command = [*WORKER, self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        self.workers.append(self.start(command, folder))


@contextmanager
def cluster_of(packages: Path, workers: int) -> Iterator[Cluster]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        cluster = Cluster(packages, stack)
        for _ in range(workers):
            cluster.add_worker()
        patch.syspath_prepend(packages)
        patch.setenv(ADDRESS, cluster.address)
        # In the tests' process NumPy is imported first, so it has other instructions than the workers.
        patch.setattr(side_by_side, "make_fingerprint", lambda: make_fingerprint() | {"OpenBLAS for": "Nehalem"})
        if workers:
            wait_for_workers(cluster.address, workers)
        yield cluster


def wait_for_workers(address: str, count: int) -> None:
    from distributed import Client  # it's only in the fixture's folder

    with Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)


def transitions_of(address: str) -> int:
    from distributed import Client

    with Client(address, timeout=60, set_as_default=False) as client:
        return int(client.run_on_scheduler(count_transitions))


@pytest.fixture
def train_stage(wine: Path, tmp_path: Path) -> Path:
    """A project whose stage `train` can run."""
    shutil.copytree(wine, tmp_path / "project", symlinks=True)
    return tmp_path / "project"


def bytes_of_models(project: Path) -> dict[str, bytes]:
    """What the stage `train` writes."""
    written = [*project.glob("models/*"), *project.glob("metrics/learning/**/*.tsv")]
    return {file.name: file.read_bytes() for file in written}


def test_results_come_in_the_order_of_the_calls_from_other_processes(tmp_path: Path):
    results = list(run_calls([delayed(tell)(tmp_path, number) for number in range(5)]))
    assert [number for number, _ in results] == [0, 1, 2, 3, 4]
    assert os.getpid() not in {process for _, process in results}


def test_short_calls_run_in_this_process(tmp_path: Path):
    assert list(run_calls([delayed(tell)(tmp_path, 7)], here=True)) == [(7, os.getpid())]


@pytest.mark.parametrize("here", [True, False])
def test_a_mistake_that_a_call_finds_is_one_line(here: bool):
    with pytest.raises(UserError, match=r"^data\.csv: row 3 is wrong$"):
        list(run_calls([delayed(refuse)(3), delayed(refuse)(4)], here=here))


def test_fits_side_by_side_give_the_same_bytes_as_one_after_the_other(train_stage: Path):
    """The table is a small one, whose fits run one after the other otherwise."""
    expected = bytes_of_models(train_stage)
    for file in train_stage.glob("models/*"):
        file.unlink()
    stage = "import src.stages.train as stage; stage.FEWEST_ROWS_SIDE_BY_SIDE = 0; stage.main()"
    check(sys.executable, "-c", stage, cwd=train_stage)
    assert bytes_of_models(train_stage) == expected


def test_any_number_of_workers_gives_the_same_bytes(packages: Path, train_stage: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(packages)
    expected = bytes_of_models(train_stage)
    assert {"model.skops", "linear.skops", "refits.parquet", "loss.tsv"} <= expected.keys()
    with ExitStack() as stack:
        cluster = Cluster(packages, stack)
        transitions = 0
        for workers in (1, 2, 4):
            while len(cluster.workers) < workers:
                cluster.add_worker(train_stage)
            wait_for_workers(cluster.address, workers)
            for file in train_stage.glob("models/*"):
                file.unlink()
            in_cluster = {ADDRESS: cluster.address, "PYTHONPATH": str(packages)}
            told = check(sys.executable, "-m", "src.stages.train", cwd=train_stage, **in_cluster)
            assert "refit 2 of " in told
            assert bytes_of_models(train_stage) == expected
            before, transitions = transitions, transitions_of(cluster.address)
            assert transitions > before + 10, "the calls ran elsewhere"


def test_a_cluster_of_this_machine_can_be_reached_from_it_alone(packages: Path):
    with cluster_of(packages, 1) as cluster:
        import psutil  # it's only in the fixture's folder

        for process in (cluster.scheduler, cluster.workers[0]):
            sockets = psutil.Process(process.pid).net_connections("inet")
            assert {s.laddr.ip for s in sockets if s.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_the_calls_of_a_worker_that_is_killed_run_on_another_one(packages: Path, tmp_path: Path):
    """Each call has a table, of which the killed worker may have the only copy."""
    table = pd.DataFrame({"x": range(1000)})
    with cluster_of(packages, 2):
        results = run_calls([delayed(tell)(tmp_path, number, 2.0, table) for number in range(4)])
        _, killed = next(results)
        os.kill(killed, signal.SIGKILL)
        rest = list(results)
    assert [number for number, _ in rest] == [1, 2, 3]
    assert killed not in {process for number, process in rest if number > 1}


@pytest.mark.slow
def test_if_all_workers_with_a_table_are_killed_it_is_sent_to_a_new_one(packages: Path, tmp_path: Path):
    table = pd.DataFrame({"x": range(1000)})
    with cluster_of(packages, 1) as cluster:
        results = run_calls([delayed(tell)(tmp_path, number, 1.0, table) for number in range(3)])
        assert next(results)[0] == 0
        cluster.workers[0].kill()
        cluster.add_worker()
        assert [number for number, _ in results] == [1, 2]


def test_a_scheduler_that_is_lost_is_one_line(packages: Path, tmp_path: Path):
    with cluster_of(packages, 1) as cluster:
        results = run_calls([delayed(tell)(tmp_path, number, 2.0) for number in range(4)])
        next(results)
        cluster.scheduler.kill()
        with pytest.raises(UserError, match=f"^{ADDRESS}: the scheduler at tcp://127.* is lost; run this again"):
            list(results)


@pytest.mark.slow
def test_a_scheduler_without_workers_is_one_line(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(side_by_side, "SECONDS_TO_CONNECT", 3)
    with cluster_of(packages, 0), pytest.raises(UserError, match=r"has no worker; start it as docs/scale\.md says"):
        list(run_calls([delayed(tell)(tmp_path, 1)]))


def test_a_scheduler_that_does_not_answer_is_one_line(packages: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(packages)
    monkeypatch.setattr(side_by_side, "SECONDS_TO_CONNECT", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense://"):
        monkeypatch.setenv(ADDRESS, address)
        with pytest.raises(UserError, match=f"^{ADDRESS}: no Dask scheduler answers at {address} "):
            list(run_calls([delayed(refuse)(1)]))


@pytest.mark.slow
def test_a_worker_with_other_code_is_refused(packages: Path, tmp_path: Path):
    other = copy_project(tmp_path)
    with (other / "src/model.py").open("a") as file:
        file.write("# changed\n")
    with cluster_of(packages, 0) as cluster:
        cluster.add_worker(other)
        wait_for_workers(cluster.address, 1)
        with pytest.raises(UserError, match=r"the worker on .* has code in src/ and retrace/ \w+, not \w+; start it"):
            list(run_calls([delayed(refuse)(1)]))


def test_a_worker_with_another_version_of_a_package_is_refused(packages: Path, tmp_path: Path):
    other = tmp_path / "tqdm-0.1.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: tqdm\nVersion: 0.1\n")
    with cluster_of(packages, 0) as cluster:
        cluster.environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{packages}"
        cluster.add_worker()
        wait_for_workers(cluster.address, 1)
        with pytest.raises(
            UserError, match=r"the worker on .* has tqdm 0\.1, not \d\S*; start it as docs/scale\.md says"
        ):
            list(run_calls([delayed(refuse)(1)]))


def test_the_fingerprint_names_what_results_depend_on():
    fingerprint = make_fingerprint()
    assert {"Python", "numpy", "scikit-learn", "code in src/ and retrace/", "OpenBLAS for"} <= fingerprint.keys()


def test_a_process_that_imports_numpy_first_has_another_fingerprint():
    """It computes with the processor's own instructions."""
    show = "from retrace.side_by_side import make_fingerprint; print(make_fingerprint()['OpenBLAS for'])"
    unset = {name: value for name, value in ENVIRONMENT.items() if name not in ("OPENBLAS_CORETYPE", "PYTHONPATH")}
    found = [
        subprocess.check_output([sys.executable, "-c", before + show], cwd=ROOT, env=unset, text=True).strip()
        for before in ("", "import numpy; ")
    ]
    assert found[0] == "Nehalem"
    assert found[1] != "Nehalem"


@pytest.mark.slow
def test_a_worker_that_cannot_import_the_code_is_one_line(packages: Path, tmp_path: Path):
    with cluster_of(packages, 0) as cluster:
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.address]
        cluster.start([*worker, "--no-nanny", "--no-dashboard"], tmp_path)
        wait_for_workers(cluster.address, 1)
        with pytest.raises(UserError, match=r"the worker tcp://.* can't import this project's code; start it"):
            list(run_calls([delayed(tell)(tmp_path, 1)]))


def test_without_dask_it_is_one_line_that_says_how_to_install_it():
    advice = "needs Dask; `.venv/bin/uv pip install --requirements requirements-scale.txt` installs it"
    command = "from retrace.side_by_side import run_calls; list(run_calls([]))"
    for done in (
        run(sys.executable, "-c", command, cwd=ROOT, **{ADDRESS: "tcp://127.0.0.1:9"}),
        run(*WORKER, "tcp://127.0.0.1:9", cwd=ROOT),
    ):
        assert done.returncode == 1
        assert done.stderr.strip().endswith(advice)
        assert done.stderr.count("\n") == 1
