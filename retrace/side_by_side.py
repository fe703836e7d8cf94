"""Independent calls side by side: on the cores of this machine, or on a Dask cluster.

Calls are written as for joblib. They run in processes on this machine, or on the cluster whose scheduler the variable
DASK_SCHEDULER_ADDRESS names (docs/scale.md). Each has one OpenMP thread, because two fits side by side are faster than
two fits one after the other with two threads each. A result depends neither on where its call runs nor on the number of
threads, so it's the same to the byte.
"""

import hashlib
import logging
import os
import platform
import re
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import closing
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_info

from retrace.errors import UserError

ADDRESS = "DASK_SCHEDULER_ADDRESS"
SECONDS_TO_CONNECT = 10
START = "start it as docs/scale.md says"
INSTALL = "`.venv/bin/uv pip install --requirements requirements-scale.txt` installs it"

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]  # what joblib's `delayed` returns


class Failure(NamedTuple):
    """A mistake of the user that a call found; an error that ends a process can't be sent from one to another."""

    message: str


def run_calls(calls: Sequence[Call], *, here: bool = False) -> Generator[Any]:
    """Run calls side by side, and yield their results in the order of the calls.

    Close the iterator (`contextlib.closing`), so that the other calls are cancelled after an error.

    Args:
        calls: what joblib's `delayed` returns, of functions at the top level of a module.
        here: whether they run one after the other in this process, because they are so short that starting others
            would take longer. With a cluster, they run there nevertheless.

    Raises:
        UserError: a call raised it; or the cluster can't be reached, is lost, or has a worker with other packages,
            another Python or other code.
    """
    address = os.environ.get(ADDRESS)
    if address:
        yield from results_of_cluster(calls, address)
    elif here:
        for function, positional, named in calls:
            yield function(*positional, **named)
    else:
        yield from results_of_processes(calls)


def results_of_processes(calls: Sequence[Call]) -> Iterator[Any]:
    """The results of calls that run in processes on this machine, one for each core.

    Raises:
        UserError: a call raised it, or the system ended a process.
    """
    caught = [delayed(call)(function, *positional, **named) for function, positional, named in calls]
    with parallel_config("loky", n_jobs=-1, inner_max_num_threads=1):
        results = Parallel(batch_size=1, return_as="generator")(caught)
    with warnings.catch_warnings(), closing(results):
        warnings.filterwarnings("ignore", "[0-9]+ tasks", module="joblib")  # after an error, other calls are cancelled
        try:
            yield from map(result_of, results)
        except TerminatedWorkerError:
            advice = "if its memory is too small, LOKY_MAX_CPU_COUNT=1 in the environment lets one run after the other"
            raise UserError(f"the system ended a process that fitted a model; {advice}") from None


def results_of_cluster(calls: Sequence[Call], address: str) -> Iterator[Any]:
    """The results of calls that run on the cluster whose scheduler has this address.

    joblib would do the same, but runs the calls in this process if the cluster has one core, and sends scikit-learn's
    own calls to the cluster again, where they wait for a place.

    Raises:
        UserError: as for `run_calls`.
    """
    client = connect(address)
    from distributed import KilledWorker  # noqa: PLC0415  # `connect` has checked that it's installed
    from distributed.comm import CommClosedError  # noqa: PLC0415

    with client:
        left = deque(calls)
        while left:
            check_cluster(client)
            try:
                for future in submit(client, left):
                    result = future.result()
                    left.popleft()
                    yield result_of(result)
            except KilledWorker:
                raise UserError(f"{ADDRESS}: several workers ended during a fit; give them more memory") from None
            except (CancelledError, CommClosedError):
                # A worker with the only copy of a table is lost: it's sent again. Or the scheduler is lost.
                if client.status != "running":
                    raise UserError(f"{ADDRESS}: the scheduler at {address} is lost; run this again") from None


def connect(address: str) -> Any:
    """A client of the cluster whose scheduler has this address.

    Raises:
        UserError: Dask isn't installed, or the scheduler doesn't answer.
    """
    try:
        from distributed import Client  # noqa: PLC0415
    except ModuleNotFoundError:
        raise UserError(f"{ADDRESS}: needs Dask; {INSTALL}") from None
    for name in logging.root.manager.loggerDict:
        if name.startswith(("distributed", "tornado")):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # one line of ours says what is wrong
    try:
        return Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, TypeError, ValueError) as error:  # a TypeError if the address needs TLS, which isn't set up
        raise UserError(f"{ADDRESS}: no Dask scheduler answers at {address} ({type(error).__name__})") from None


def check_cluster(client: Any) -> None:
    """Check that a cluster has a worker, and that its processes can import this project's code.

    Raises:
        UserError: it isn't so.
    """
    try:
        client.wait_for_workers(1, timeout=SECONDS_TO_CONNECT)
    except TimeoutError:
        raise UserError(f"{ADDRESS}: the scheduler has no worker; {START}") from None
    found = {"scheduler": client.run_on_scheduler(find_spec, "retrace")}
    found |= {f"worker {name}": spec for name, spec in client.run(find_spec, "retrace").items()}
    for process, spec in found.items():
        if spec is None:
            raise UserError(f"{ADDRESS}: the {process} can't import this project's code; {START}")


def submit(client: Any, calls: Iterable[Call]) -> list[Any]:
    """Send calls to a cluster, and each table among their arguments once to every worker.

    Returns:
        Dask's future of each call.
    """
    tables = {id(value): value for _, values, _ in calls for value in values if isinstance(value, pd.DataFrame)}
    # Without a hash the name of a table is a new one, which no earlier client is about to release.
    sent = {key: client.scatter(table, broadcast=True, hash=False) for key, table in tables.items()}
    expected = make_fingerprint()
    futures = []
    for function, positional, named in calls:
        arguments = [sent.get(id(value), value) for value in positional]
        futures.append(client.submit(call_on_worker, expected, function, *arguments, **named, pure=False))
    return futures


def call(function: Callable[..., Any], *positional: Any, **named: Any) -> Any:
    """The result of a call, or a Failure."""
    try:
        return function(*positional, **named)
    except UserError as error:
        return Failure(str(error))


def call_on_worker(expected: dict[str, str], function: Callable[..., Any], *positional: Any, **named: Any) -> Any:
    """The result of a call; a Failure too if this process hasn't the expected fingerprint."""
    found = make_fingerprint()
    for name, value in expected.items():
        if found.get(name) != value:
            told = f"the worker on {platform.node()} has {name} {found.get(name, 'none')}, not {value}"
            return Failure(f"{ADDRESS}: {told}; {START}")
    return call(function, *positional, **named)


def result_of(result: Any) -> Any:
    """What a call returned.

    Raises:
        UserError: it's a Failure.
    """
    if isinstance(result, Failure):
        raise UserError(*result.message.splitlines())
    return result


@cache
def make_fingerprint() -> dict[str, str]:
    """What a result depends on besides its arguments: Python, packages, the code and the processor's instructions."""
    root = Path(__file__).parents[1]
    locked = re.findall(r"^([\w.-]+)==", (root / "requirements.txt").read_text(encoding="utf-8"), re.M)
    code = hashlib.sha256()
    for folder in ("retrace", "src"):
        for file in sorted((root / folder).rglob("*.py")):
            code.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    kernels = {library["architecture"] for library in threadpool_info() if library["internal_api"] == "openblas"}
    return {
        "Python": platform.python_version(),
        **{package: installed_version(package) for package in locked},
        "code in src/ and retrace/": code.hexdigest()[:16],
        "OpenBLAS for": " and ".join(sorted(kernels)),
    }


def installed_version(package: str) -> str:
    """The version of a package, or `none`: some are locked for other versions of Python only."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
