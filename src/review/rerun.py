"""The pipeline of the commit, run again without believing its dvc.lock.

    python -m src.review rerun

DVC would skip a stage whose results are committed, and so would never find that they can't be made. So dvc.lock is put
aside: each stage runs, or comes from DVC's run-cache, which knows the hashes of what earlier runs here made of the same
inputs. What happened, stage by stage, and the last lines that were printed are kept in `.dvc/tmp/rerun.json` for
`report`.
"""

import hashlib
import os
import re
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Self

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.build import build
from dvc_data.hashfile.transfer import transfer
from pydantic import BaseModel, ValidationError

from src.core.errors import UserError
from src.core.files import write_json
from src.core.params import FILE as PARAMS
from src.core.params import local_path, read_yaml
from src.review.results import git

FILE = Path(".dvc/tmp/rerun.json")
LOCK = Path("dvc.lock")
TAIL, WIDEST = 30, 300  # lines kept, and characters of each
EVENTS = {
    "ran": re.compile(r"Running stage '(.+)':"),
    "from a cache": re.compile(r"Stage '(.+)' is cached - skipping run, checking out outputs"),
    "failed": re.compile(r"ERROR: failed to reproduce '(.+?)'(?:: |$)"),
}


class Stage(BaseModel):
    """What became of a stage, and how long it took in seconds."""

    name: str
    how: str
    seconds: float


class Rerun(BaseModel):
    """What a run of a commit's pipeline did; `lock` is the hash of the dvc.lock that it left."""

    commit: str
    lock: str
    succeeded: bool
    stages: list[Stage]
    tail: list[str]

    @classmethod
    def last(cls) -> Self | None:
        """The last run, if it was of the commit that is checked out, and nothing has run since."""
        try:
            found = cls.model_validate_json(FILE.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        untouched = found.lock == _hash() or not found.succeeded
        return found if found.commit == git("rev-parse", "HEAD") and untouched else None


def _hash() -> str:
    return hashlib.md5(LOCK.read_bytes(), usedforsecurity=False).hexdigest() if LOCK.is_file() else ""


def _lend_results() -> None:
    """Put the results that Git keeps into DVC's cache, which a storage gives the others only."""
    with suppress(DvcException), Repo() as repo:  # `dvc repro` tells of a mistake in its files
        for out in repo.index.outs:
            if not out.use_cache and out.exists:
                staging, _, found = build(repo.cache.local, out.fs_path, out.fs, "md5")
                transfer(staging, repo.cache.local, {found.hash_info}, shallow=False)


def _foreign_source() -> str:
    """Why DVC must not follow `data.source`, which it would fetch from wherever it lies; empty if it may."""
    try:
        local_path(str(read_yaml(PARAMS)["data"]["source"]))
    except ValueError as error:
        return f"{PARAMS}: data.source: {error}"
    except (UserError, KeyError, TypeError):
        return ""  # the stages say what is wrong with the file
    return ""


def rerun() -> bool:
    """Run the pipeline, showing what it prints, and keep what happened; returns whether it ran to its end."""
    LOCK.unlink(missing_ok=True)
    record = Rerun(commit=git("rev-parse", "HEAD") or "", lock="", succeeded=False, stages=[], tail=[])
    write_json(record.model_dump(), FILE)  # what stands if this process is killed
    if problem := _foreign_source():
        print(problem)
        write_json(record.model_copy(update={"tail": [problem]}).model_dump(), FILE)
        return False
    _lend_results()
    tail: deque[str] = deque(maxlen=TAIL)
    events: list[tuple[float, str, str]] = []
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},  # stages' `python`
    )
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        tail.append("".join(filter(str.isprintable, line))[:WIDEST])
        events += [(time.monotonic(), found[1], how) for how in EVENTS if (found := EVENTS[how].match(line))]
    succeeded = process.wait() == 0
    stages: dict[str, Stage] = {}
    ends = [began for began, _, _ in events[1:]] + [time.monotonic()]
    for (began, name, how), end in zip(events, ends, strict=True):
        before = stages[name].seconds if name in stages else 0  # a stage that failed first ran
        stages[name] = Stage(name=name, how=how, seconds=before + end - began)
    kept = {"lock": _hash(), "succeeded": succeeded, "stages": list(stages.values()), "tail": list(tail)}
    write_json(record.model_copy(update=kept).model_dump(), FILE)
    return succeeded
