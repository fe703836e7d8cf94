"""The pipeline: what has changed (`repro`), or all of it, without believing the commit's dvc.lock (`rerun`).

    python -m retrace repro
    python -m retrace rerun

DVC would skip a stage whose results are committed, and so would never find that they can't be made. So `rerun` puts
dvc.lock aside: each stage runs, or comes from DVC's run-cache, which knows the hashes of what earlier runs here made of
the same inputs. What happened, stage by stage, and the last lines that were printed are kept in `.dvc/tmp/rerun.json`
for `report`.

DVC records a stage's inputs as they are after it has run (github.com/treeverse/dvc, issue 11058). Both commands compare
them with those before the run, and say which files changed in between.
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

from dvc.utils.serialize import dump_yaml, load_yaml
from dvc_data.hashfile.build import build
from dvc_data.hashfile.transfer import transfer
from pydantic import BaseModel, ValidationError

from retrace.errors import UserError, one_line
from retrace.files import write_json
from retrace.git import head
from retrace.params import FILE as PARAMS
from retrace.review.pipeline import (
    FROZEN,
    check_files,
    opened,
    own_stages,
    read_inputs,
    read_stages,
    require_local_source,
)
from retrace.review.results import FOLDER

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
    """What a run of a commit's pipeline did.

    `lock` is the hash of the dvc.lock that it left, and `changed` names the inputs that changed while it ran.
    """

    commit: str
    lock: str
    succeeded: bool
    stages: list[Stage]
    tail: list[str]
    changed: list[str] = []

    @classmethod
    def last(cls) -> Self | None:
        """The last run, if it was of the commit that is checked out, and nothing has run since."""
        try:
            found = cls.model_validate_json(FILE.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        untouched = found.lock == _hash() or not found.succeeded
        return found if found.commit == head() and untouched else None


def _hash() -> str:
    return hashlib.md5(LOCK.read_bytes(), usedforsecurity=False).hexdigest() if LOCK.is_file() else ""


def _lend_results() -> None:
    """Put the results that Git keeps into DVC's cache, which a storage gives the others only."""
    with suppress(UserError), opened() as repo:  # `dvc repro` tells of a mistake in its files
        for out in (out for stage in own_stages(repo) for out in stage.outs):
            if not out.use_cache and out.exists:
                staging, _, found = build(repo.cache.local, out.fs_path, out.fs, "md5")
                transfer(staging, repo.cache.local, {found.hash_info}, shallow=False)


def _require_safe_files() -> None:
    """Check what DVC is about to parse and fetch.

    Raises:
        UserError: a file would keep it busy without end, or `data.source` lies elsewhere.
    """
    check_files(Path())
    require_local_source(FOLDER.readable(str(PARAMS)), str(PARAMS))


def _set_lock_aside() -> None:
    """Leave only the frozen stages in dvc.lock: DVC doesn't run them, so their outputs come from the cache."""
    frozen: list[str] = []
    with suppress(UserError):
        frozen = [name for name, stage in read_stages(FOLDER).items() if stage.unjudged == FROZEN]
    if not frozen or not LOCK.is_file():
        LOCK.unlink(missing_ok=True)
        return
    content = load_yaml(str(LOCK))
    content["stages"] = {name: entry for name, entry in content["stages"].items() if name in frozen}
    dump_yaml(str(LOCK), content)
    with opened() as repo:
        repo.checkout(targets=frozen, allow_missing=True)


def _inputs() -> dict[str, str]:
    """The pipeline's inputs, empty where DVC can't read it, which `dvc repro` tells."""
    with suppress(UserError):
        return read_inputs()
    return {}


def _changed_since(before: dict[str, str]) -> list[str]:
    """The inputs that changed while the pipeline ran; told on standard error."""
    after = _inputs()
    changed = [path for path, content in before.items() if content and content != after.get(path)]
    if changed:
        what = "changed while the pipeline ran. dvc.lock may record the new content for results of the old"
        print(f"\n{', '.join(changed)}: {what}; `dvc repro --force dvc.yaml` makes them again", file=sys.stderr)
    return changed


def _command() -> tuple[list[str], dict[str, str]]:
    """DVC on this project's own dvc.yaml, and the environment in which stages find this `python`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return [sys.executable, "-m", "dvc", "repro", "dvc.yaml"], os.environ | {"PATH": path}


def run_pipeline() -> bool:
    """Run the stages whose inputs have changed; returns whether all went well and no input changed meanwhile.

    Raises:
        UserError: DVC can't read the pipeline, or `data.source` lies elsewhere.
    """
    _require_safe_files()
    before = read_inputs()
    command, environment = _command()
    succeeded = subprocess.run(command, env=environment).returncode == 0
    return not _changed_since(before) and succeeded


def rerun() -> bool:
    """Run the pipeline, showing what it prints, and keep what happened; returns whether it ran to its end."""
    record = Rerun(commit=head() or "", lock="", succeeded=False, stages=[], tail=[])
    write_json(record.model_dump(), FILE)  # what stands if this process is killed
    try:
        _require_safe_files()
    except UserError as error:
        print(error)
        write_json(record.model_copy(update={"tail": [str(error)]}).model_dump(), FILE)
        return False
    _set_lock_aside()
    before = _inputs()
    _lend_results()
    tail: deque[str] = deque(maxlen=TAIL)
    events: list[tuple[float, str, str]] = []
    command, environment = _command()
    changed: list[str] = []
    succeeded = False
    try:
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=environment,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                tail.append(one_line(line.rstrip().expandtabs())[:WIDEST])
                events += [(time.monotonic(), found[1], how) for how in EVENTS if (found := EVENTS[how].match(line))]
                print(line, end="", flush=True)
        succeeded = process.returncode == 0 and bool(events)
        if process.returncode == 0 and not events:  # DVC takes a pipeline without stages for one that is up to date
            tail.append("dvc.yaml: holds no stages, so that nothing ran; `git restore dvc.yaml`")
            print(tail[-1])
        changed = _changed_since(before)
    finally:  # an interrupted run is kept as well
        kept = {"lock": _hash(), "succeeded": succeeded, "stages": _stages(events), "tail": list(tail)}
        write_json(record.model_copy(update=kept | {"changed": changed}).model_dump(), FILE)
    return succeeded


def _stages(events: list[tuple[float, str, str]]) -> list[Stage]:
    """What became of each stage, from the moments at which DVC named one, which last until the next (or now)."""
    stages: dict[str, Stage] = {}
    for at, (began, name, how) in enumerate(events):
        end = events[at + 1][0] if at + 1 < len(events) else time.monotonic()
        earlier = stages[name].seconds if name in stages else 0  # a stage that failed first ran
        stages[name] = Stage(name=name, how=how, seconds=earlier + end - began)
    return list(stages.values())
