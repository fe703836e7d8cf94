"""Write down what Python code reads of the environment, the clock and randomness.

`make audit` puts this folder on PYTHONPATH, so that every Python process of a stage imports this module when it starts,
before any other code. If it hides another sitecustomize, that one is run, too, and strace sees its file. A profile
function is called at each call. It changes nothing of what the code computes, but another profiler takes its place.

Each thing is one line of a file in the folder that RETRACE_AUDIT names, as JSON: its kind, its name, and who reads it
(a place in the project, or the name of a package or a module of the standard library).
"""

import atexit
import contextlib
import datetime
import json
import os
import random
import sys
import threading
import time
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

FOLDER = Path(os.environ.get("RETRACE_AUDIT", os.devnull))
PROJECT = os.environ.get("DVC_ROOT", "") + "/"
PACKAGES = "/site-packages/"
STANDARD = os.path.dirname(os.__file__) + "/"  # noqa: PTH120  # a string, with which the paths of modules begin
# Modules of the standard library whose functions only pass on to the caller what they read.
TRANSPARENT = {"os.py", "_collections_abc.py", "random.py", "secrets.py", "uuid.py", "datetime.py", "getpass.py"}

TIMES = ("time", "time_ns", "ctime", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "clock_gettime")
CLOCKS = {
    **{getattr(time, name): f"time.{name}" for name in TIMES},
    **{getattr(datetime.datetime, name): f"datetime.{name}" for name in ("now", "today", "utcnow")},
    datetime.date.today: "date.today",
}
URANDOM = os.urandom
GENERATOR = random._inst  # that of random.random, random.choice, ...
READ_VARIABLE = type(os.environ).__getitem__.__code__
LIST_VARIABLES = type(os.environ).__iter__.__code__
SEED = random.Random.seed.__code__

seen: set[tuple[str, str, str]] = set()
seeded = {"random": False, "numpy": False}


def record(kind: str, name: str, reader: str) -> None:
    """Write a line, once."""
    if (kind, name, reader) not in seen:
        seen.add((kind, name, reader))
        with contextlib.suppress(OSError), (FOLDER / f"{os.getpid()}.json").open("a", encoding="utf-8") as file:
            file.write(json.dumps([kind, name, reader]) + "\n")


def find_reader(frame: FrameType | None) -> str:
    """Who calls; empty for the interpreter itself.

    Returns:
        `path:line` in the project, or the name of a package or a module of the standard library that reads for itself.
    """
    while frame:
        file = frame.f_code.co_filename
        if PACKAGES in file:
            return file.rpartition(PACKAGES)[2].partition("/")[0].removesuffix(".py")
        if file.startswith(PROJECT):
            return f"{file.removeprefix(PROJECT)}:{frame.f_lineno}"
        if file in ("<string>", "<stdin>"):
            return f"the command:{frame.f_lineno}"
        if file.startswith(STANDARD):
            module = file.removeprefix(STANDARD)
            if module not in TRANSPARENT:
                return module.partition("/")[0].removesuffix(".py")
        frame = frame.f_back
    return ""


def on_event(frame: FrameType, event: str, argument: Any) -> None:
    """Python's profile function: look for calls of the few functions that matter."""
    if event == "c_call":
        if argument in CLOCKS:
            record("clock", CLOCKS[argument], find_reader(frame))
        elif argument is URANDOM:
            record("randomness", "os.urandom", find_reader(frame))
        elif not seeded["random"] and argument.__self__ is GENERATOR and argument.__name__ in ("random", "getrandbits"):
            record("randomness", "random, without random.seed", find_reader(frame))
    elif event == "call":
        code = frame.f_code
        if code is READ_VARIABLE:
            record("variable", str(frame.f_locals["key"]), find_reader(frame))
        elif code is LIST_VARIABLES:
            record("variable", "all", find_reader(frame))
        elif code is SEED:
            seed, generator = frame.f_locals["a"], frame.f_locals["self"]
            if generator is GENERATOR:  # a forked process seeds it with None
                seeded["random"] = seed is not None
            elif seed is None:
                record("randomness", "random.Random, without a seed", find_reader(frame.f_back))
    elif event == "return" and code_is_numpy_random(frame.f_code):
        watch_numpy_random(sys.modules["numpy.random"])


def code_is_numpy_random(code: CodeType) -> bool:
    """Whether code is the module numpy.random itself, which has been imported when it returns."""
    return code.co_name == "<module>" and code.co_filename.endswith("numpy/random/__init__.py")


def watch_numpy_random(module: Any) -> None:
    """Look at the end whether numbers were drawn from NumPy's global generator without numpy.random.seed.

    NumPy's functions are compiled, and a profile function doesn't see their calls.
    """
    state_at_start = repr(module.get_state())
    seed = module.seed

    def noted_seed(*arguments: Any, **keywords: Any) -> None:
        seeded["numpy"] = bool(arguments or keywords)
        seed(*arguments, **keywords)

    module.seed = noted_seed

    @atexit.register
    def compare_state() -> None:
        if not seeded["numpy"] and repr(module.get_state()) != state_at_start:
            record("randomness", "numpy.random, without numpy.random.seed", "")


def run_hidden_sitecustomize() -> None:
    """Run the module that Python would import in place of this one."""
    folder = str(Path(__file__).parent)
    spec = PathFinder.find_spec("sitecustomize", [path for path in sys.path if path != folder])
    if spec and spec.loader:
        spec.loader.exec_module(module_from_spec(spec))


if "RETRACE_AUDIT" in os.environ:
    run_hidden_sitecustomize()
    threading.setprofile(on_event)
    sys.setprofile(on_event)
