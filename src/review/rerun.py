"""The pipeline of the commit, run again without believing its dvc.lock.

    python -m src.review rerun

DVC would skip a stage whose results are committed, and so would never find that they can't be made. So dvc.lock is put
aside: each stage runs, or comes from DVC's run-cache, where this machine has run it before. What happened, stage by
stage, and the last lines that were printed are kept in `.dvc/tmp/rerun.json` for `report`.
"""

import hashlib
import re
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ValidationError

from src.core.files import write_json
from src.review.results import git

FILE = Path(".dvc/tmp/rerun.json")
LOCK = Path("dvc.lock")
TAIL, WIDEST = 30, 300  # lines kept, and characters of each
EVENTS = {
    "ran": re.compile(r"Running stage '(.+)':"),
    "from a cache": re.compile(r"Stage '(.+)' is cached - skipping run, checking out outputs"),
    "failed": re.compile(r"ERROR: failed to reproduce '(.+)'"),
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
        return found if (found.commit, found.lock) == (git("rev-parse", "HEAD"), _hash()) else None


def _hash() -> str:
    return hashlib.md5(LOCK.read_bytes(), usedforsecurity=False).hexdigest() if LOCK.is_file() else ""


def rerun() -> bool:
    """Run the pipeline, showing what it prints, and keep what happened; returns whether it ran to its end."""
    LOCK.unlink(missing_ok=True)
    tail: deque[str] = deque(maxlen=TAIL)
    stages: list[Stage] = []
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    began = time.monotonic()
    for line in process.stdout:
        print(line, end="", flush=True)
        tail.append("".join(filter(str.isprintable, line))[:WIDEST])
        for how, pattern in EVENTS.items():
            if found := pattern.match(line):
                now = time.monotonic()
                if stages:
                    stages[-1].seconds, began = now - began, now
                if how == "failed" and stages and stages[-1].name == found[1]:
                    stages[-1].how = how
                else:
                    stages.append(Stage(name=found[1], how=how, seconds=0))
    if stages and not stages[-1].seconds:
        stages[-1].seconds = time.monotonic() - began
    succeeded = process.wait() == 0
    write_json(
        Rerun(
            commit=git("rev-parse", "HEAD") or "", lock=_hash(), succeeded=succeeded, stages=stages, tail=list(tail)
        ).model_dump(),
        FILE,
    )
    return succeeded
