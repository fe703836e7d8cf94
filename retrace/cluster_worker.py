"""`python -m retrace worker`: a worker of a Dask cluster, for the calls of this project (retrace/side_by_side.py)."""

import os
from urllib.parse import urlsplit

from retrace.command_line import make_parser
from retrace.errors import UserError
from retrace.side_by_side import ADDRESS, INSTALL

LOOPBACK = ("127.0.0.1", "localhost")


def worker(words: list[str]) -> None:
    """Run a worker of a Dask cluster for the project in this folder, until Ctrl-C.

    It computes with the same processor instructions as the pipeline. If the
    scheduler is on this machine, the worker can be reached from here alone. All
    options are those of `dask worker`, such as --nthreads and --memory-limit.
    """
    parser = make_parser("worker", str(worker.__doc__))
    parser.add_argument("address", nargs="?", help="of the scheduler, such as tcp://127.0.0.1:8786")
    named, _ = parser.parse_known_args(words)  # Dask checks the options
    if urlsplit(named.address or os.environ.get(ADDRESS, "")).hostname in LOOPBACK:
        words = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", *words]
    try:
        from distributed.cli.dask_worker import main  # noqa: PLC0415
    except ModuleNotFoundError:
        raise UserError(f"a worker needs Dask; {INSTALL}") from None
    main(words, prog_name="python -m retrace worker")
