"""What holds for every `python -m src...`, which runs this file before all else.

The same arithmetic on every x86-64 processor: NumPy and OpenBLAS choose their code by the processor, and the choices
differ in the last bits. Set before either is imported, these variables leave them the code that every such processor
has; one BLAS thread, because a sum depends on how it is shared out.

Threads that wait their turn: OpenMP's threads wait for each other spinning. Without end they stall on a busy machine
(boosting here: nine times slower); not at all, and boosting is twice as slow on an idle one. A short spin costs nothing
in either.

This folder's Git repository: in a hook or an alias, Git sets variables that would lead any other Git command, and DVC,
to its own repository and index.

Output that always ends well: a character that the output can't show is escaped. Ctrl-C, a full disk and a disk that
can only be read are one line each, and so many lines as a reader takes (`| head`) are enough.
"""

import atexit
import errno
import io
import os
import sys
from types import TracebackType

os.environ |= {
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Nehalem",
    "OPENBLAS_NUM_THREADS": "1",
    "GOMP_SPINCOUNT": "10000",
}

# What `git rev-parse --local-env-vars` lists, but for settings (GIT_CONFIG…), which are the user's as those of a file.
for _name in (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
):
    os.environ.pop(_name, None)


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End without a traceback where the user has ended the command, and with one where it broke."""
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        print(f"{error.filename or 'the output'}: cannot be written: {error.strerror}", file=sys.stderr)
        _drop()
    elif not issubclass(kind, BrokenPipeError):
        sys.__excepthook__(kind, error, trace)


def _drop() -> None:
    """Print nothing more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _flush() -> None:
    """Print what is left, or drop it where nobody reads it any more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop()
    except OSError as error:
        print(f"the output: cannot be written: {error.strerror}", file=sys.stderr)
        os._exit(1)  # nothing else sets the exit code here


sys.excepthook = _end
if isinstance(sys.stdout, io.TextIOWrapper):  # it isn't in a notebook
    sys.stdout.reconfigure(errors="backslashreplace")
    atexit.register(_flush)
