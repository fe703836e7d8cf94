"""Reproduce the commit from nothing, under conditions that should make no difference.

A clone at another path with an empty cache runs every stage under other conditions (CONDITIONS), and the results are
compared with the commit's as `verify-lock` compares them. If they differ, `--only` finds the condition that matters.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from retrace.clones import DVC_WITHOUT_HINTS, clean_clone, path_with, with_this_python
from retrace.errors import UserError
from retrace.review.attestation import write_statements
from retrace.review.lock import Verdict, verify
from retrace.review.pipeline import frozen_stages, read_stages
from retrace.review.revision import Revision

# The variables of the environment that make a condition another one.
VARIABLES = {
    "time-zone": {"TZ": "Pacific/Kiritimati"},
    "locale": {"LC_ALL": "C" if os.environ.get("LC_ALL") != "C" else "C.UTF-8"},
    "hash-seed": {"PYTHONHASHSEED": "20"},
    "threads": {"OMP_NUM_THREADS": "1" if os.environ.get("OMP_NUM_THREADS") == "3" else "3"},
    # The C library's code for an older processor. NumPy's and OpenBLAS's don't depend on it (retrace/__init__.py).
    "processor": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F"},
    "user": {"USER": "somebody", "LOGNAME": "somebody", "USERNAME": "somebody"},
    "file-order": {"PYTHONPATH": path_with(Path(__file__).with_name("reverse_order"))},
}
OTHERWISE = {name: value for variables in VARIABLES.values() for name, value in variables.items()}
# Each condition, and what is different in the clone.
CONDITIONS = {
    "time-zone": "14 hours ahead of UTC",
    "locale": "C, or C.UTF-8 where it's C here",
    "hash-seed": "of Python's sets and dictionaries",
    "threads": "of OpenMP",
    "processor": "the C library's code for an older one",
    "user": "its name in the environment",
    "user-id": "65534, that of the user nobody; it needs Linux's user namespaces",
    "file-order": "Python lists the files of a folder in reverse",
    "home": "an empty folder",
    "umask": "077: nobody else may read what is written",
    "cores": "one less, if there are several",
    "host-name": "elsewhere; it needs Linux's user namespaces",
    "clock": "400 days ahead; it needs the program faketime",
}
NEW_NAME = ["unshare", "--map-root-user", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"]
# Your user id becomes 65534, which is nobody's: your files and all others then seem to belong to nobody.
NEW_USER = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
LATER = ["faketime", "-f", "+400d"]


@dataclass(frozen=True)
class Setting:
    """How the clone's pipeline is run.

    Attributes:
        environment: The variables that differ.
        prefix: The words before the command.
        umask: The permissions that new files don't get; -1: as here.
        cores: The numbers of the processor's cores that it may use; empty: all.
        missing: Why a condition can't be varied on this machine, by its name.
    """

    environment: dict[str, str]
    prefix: list[str]
    umask: int
    cores: set[int]
    missing: dict[str, str]


def reproduce(only: Sequence[str] = (), statements: Path | None = None) -> Verdict:
    """Run the commit's pipeline in a clone, and compare the results.

    Args:
        only: The conditions that differ; empty: all.
        statements: A folder for an in-toto statement about each stage, if the results are reproduced.

    Raises:
        UserError: there is no commit, it has no dvc.lock, a condition that is named can't be varied on this machine, or
            the clone's pipeline fails.
    """
    head = Revision.of("HEAD")
    frozen = frozen_stages(head)
    with tempfile.TemporaryDirectory(prefix="home-") as home, clean_clone(str(head.commit), frozen) as clone:
        setting = choose_setting(only or list(CONDITIONS), Path(home))
        for name, reason in setting.missing.items():
            if only:
                raise UserError(f"{name}: can't be varied here: {reason}")
            print(f"{name}: as here, since {reason}")
        print(f"{head.short}: running every stage in {clone}", flush=True)
        command = [*setting.prefix, *DVC_WITHOUT_HINTS, "repro", "--force", "dvc.yaml"]
        environment = with_this_python() | setting.environment
        with allowed_cores(setting.cores):
            done = subprocess.run(command, cwd=clone, env=environment, umask=setting.umask)
        if done.returncode:
            raise UserError("the pipeline failed in the clone; what it printed is above")
        verdict = verify(head, clone)
        if statements and verdict.passes:
            write_statements(read_stages(head), clone, str(head.commit), setting.environment, statements)
        return verdict


def choose_setting(names: Sequence[str], home: Path) -> Setting:
    """How the pipeline is run so that the named conditions differ.

    Args:
        names: The conditions, as in CONDITIONS.
        home: An empty folder.
    """
    environment = {name: value for each in names for name, value in VARIABLES.get(each, {}).items()}
    prefix: list[str] = []
    missing: dict[str, str] = {}
    if "home" in names:
        environment["HOME"] = str(home)
    if "host-name" in names:
        if _works([*NEW_NAME, "true"]):
            prefix += NEW_NAME
        else:
            missing["host-name"] = "this system doesn't allow user namespaces"
    if "user-id" in names:  # after the name of the host, which only root may change
        if _works([*prefix, *NEW_USER, "true"]):
            prefix += NEW_USER
        else:
            missing["user-id"] = "this system doesn't allow user namespaces"
    if "clock" in names:
        if _works([*LATER, "true"]):
            prefix += LATER
        else:
            missing["clock"] = "`faketime` isn't installed"
    cores: set[int] = set()
    if "cores" in names and hasattr(os, "sched_getaffinity"):
        cores = set(sorted(os.sched_getaffinity(0))[1:])
    return Setting(environment, prefix, 0o077 if "umask" in names else -1, cores, missing)


def _works(command: list[str]) -> bool:
    """Whether a command exists and succeeds."""
    return shutil.which(command[0]) is not None and not subprocess.run(command, capture_output=True).returncode


@contextmanager
def allowed_cores(cores: set[int]) -> Iterator[None]:
    """Let this process and those that it starts use some of the processor's cores; if empty, those that it may use."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
