"""`python -m retrace worker`: a worker of a Dask cluster, for the calls of this project (retrace/side_by_side.py)."""

from retrace.errors import UserError
from retrace.side_by_side import INSTALL


def worker(words: list[str]) -> None:
    """Run a worker of a Dask cluster for the project in this folder, until Ctrl-C.

    The words are those of `dask worker`: the address of the scheduler, such as tcp://scheduler:8786, and options.
    Started so, it computes with the same processor instructions as the pipeline does (retrace/__init__.py).

    Raises:
        UserError: Dask isn't installed.
    """
    try:
        from distributed.cli.dask_worker import main  # noqa: PLC0415
    except ModuleNotFoundError:
        raise UserError(f"a worker needs Dask; {INSTALL}") from None
    main(words, prog_name="python -m retrace worker")
