"""Run the pipeline: what has changed (`repro`), or all of it, without trusting the commit's dvc.lock (`rerun`).

    python -m retrace repro
    python -m retrace rerun

DVC would skip a stage whose results are committed, and so would never find that they can't be reproduced. So `rerun`
puts dvc.lock aside: each stage runs, or its results come from DVC's run cache, which keeps what earlier runs here made
of the same inputs. `.dvc/tmp/rerun.json` records for `report` what each stage did and the last lines that were printed.

DVC records a stage's inputs as they are after it has run (github.com/treeverse/dvc, issue 11058). So both commands
compare the inputs with those before the run, and say which files changed in between.
"""

import hashlib
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

from retrace.clones import DVC_WITHOUT_HINTS, with_this_python
from retrace.errors import UserError, one_line
from retrace.files import write_json
from retrace.git import head
from retrace.params import FILE as PARAMS
from retrace.review.dvc_files import DVC_YAML, check_files, require_local_source
from retrace.review.dvc_project import open_project, own_stages, read_inputs
from retrace.review.pipeline import frozen_stages
from retrace.review.revision import FOLDER

FILE = Path(".dvc/tmp/rerun.json")
LOCK = Path("dvc.lock")
TAIL_LINES, MOST_CHARACTERS = 30, 300  # lines that are kept, and characters of each
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

    Attributes:
        commit: The commit that was checked out.
        lock: The hash of the dvc.lock that the run left.
        succeeded: Whether it ran to its end.
        stages: What became of each stage.
        tail: The last lines that were printed.
        changed: The inputs that changed while it ran.
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
            record = cls.model_validate_json(FILE.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        is_latest = record.lock == hash_of_lock() or not record.succeeded
        return record if record.commit == head() and is_latest else None


def hash_of_lock() -> str:
    """The hash of dvc.lock; empty where there is none."""
    return hashlib.md5(LOCK.read_bytes(), usedforsecurity=False).hexdigest() if LOCK.is_file() else ""


def _cache_results() -> None:
    """Put the results that Git keeps into DVC's cache; a storage gives only the others."""
    with suppress(UserError), open_project() as repo:  # `dvc repro` reports a mistake in its files
        for stage in own_stages(repo):
            for out in stage.outs:
                if not out.use_cache and out.exists:
                    staging, _, content = build(repo.cache.local, out.fs_path, out.fs, "md5")
                    transfer(staging, repo.cache.local, {content.hash_info}, shallow=False)


def _require_safe_files() -> None:
    """Check what DVC is about to parse and fetch.

    Raises:
        UserError: a file would keep it busy without end, or `data.source` lies elsewhere.
    """
    check_files(Path())
    require_local_source(FOLDER.content_or_empty(str(PARAMS)), str(PARAMS))


def _set_lock_aside() -> None:
    """Remove all stages from dvc.lock but the frozen ones, which DVC doesn't run: their outputs come from the cache."""
    frozen: list[str] = []
    with suppress(UserError):
        frozen = frozen_stages(FOLDER)
    if not frozen or not LOCK.is_file():
        LOCK.unlink(missing_ok=True)
        return
    content = load_yaml(str(LOCK))
    content["stages"] = {name: entry for name, entry in content["stages"].items() if name in frozen}
    dump_yaml(str(LOCK), content)
    with open_project() as repo:
        repo.checkout(targets=frozen, allow_missing=True)


def _read_inputs_or_empty() -> dict[str, str]:
    """The pipeline's inputs; empty where DVC can't read it, which `dvc repro` reports."""
    with suppress(UserError):
        return read_inputs()
    return {}


def _changed_since(before: dict[str, str]) -> list[str]:
    """The inputs that changed while the pipeline ran; a warning on standard error names them."""
    after = _read_inputs_or_empty()
    changed = [path for path, content in before.items() if content and content != after.get(path)]
    if changed:
        warning = "changed while the pipeline ran. dvc.lock may record the new content for results of the old one"
        print(f"\n{', '.join(changed)}: {warning}; `dvc repro --force dvc.yaml` fixes that", file=sys.stderr)
    return changed


def _command(target: str = DVC_YAML) -> tuple[list[str], dict[str, str]]:
    """DVC on this project's own dvc.yaml, or on one of its stages, and the environment with this `python`."""
    return [*DVC_WITHOUT_HINTS, "repro", target], with_this_python()


def run_pipeline(target: str = DVC_YAML) -> bool:
    """Run the stages whose inputs have changed; returns whether all went well and no input changed meanwhile.

    Args:
        target: dvc.yaml, or the last stage that is needed.

    Raises:
        UserError: DVC can't read the pipeline, or `data.source` lies elsewhere.
    """
    _require_safe_files()
    before = read_inputs()
    command, environment = _command(target)
    succeeded = subprocess.run(command, env=environment).returncode == 0
    return not _changed_since(before) and succeeded


def rerun() -> bool:
    """Run the pipeline, showing what it prints, and keep what happened; returns whether it ran to its end."""
    record = Rerun(commit=head() or "", lock="", succeeded=False, stages=[], tail=[])
    write_json(record.model_dump(), FILE)  # it remains if this process is killed
    try:
        _require_safe_files()
    except UserError as error:
        print(error)
        write_json(record.model_copy(update={"tail": [str(error)]}).model_dump(), FILE)
        return False
    _set_lock_aside()
    before = _read_inputs_or_empty()
    _cache_results()
    tail: deque[str] = deque(maxlen=TAIL_LINES)
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
                tail.append(one_line(line.rstrip().expandtabs())[:MOST_CHARACTERS])
                for how, pattern in EVENTS.items():
                    if match := pattern.match(line):
                        events.append((time.monotonic(), match[1], how))
                print(line, end="", flush=True)
        succeeded = process.returncode == 0 and bool(events)
        if process.returncode == 0 and not events:  # DVC takes a pipeline without stages for one that is up to date
            tail.append("dvc.yaml: it has no stages, so nothing ran; `git restore dvc.yaml`")
            print(tail[-1])
        changed = _changed_since(before)
    finally:  # an interrupted run is kept as well
        kept = {"lock": hash_of_lock(), "succeeded": succeeded, "stages": _stages(events), "tail": list(tail)}
        write_json(record.model_copy(update=kept | {"changed": changed}).model_dump(), FILE)
    return succeeded


def _stages(events: list[tuple[float, str, str]]) -> list[Stage]:
    """What became of each stage, by the times at which DVC named one; a stage lasts until the next event, or now.

    Args:
        events: The time in seconds, the stage and what DVC did, one after another.
    """
    stages: dict[str, Stage] = {}
    ends = [moment for moment, _, _ in events[1:]] + [time.monotonic()]
    for (start, name, how), end in zip(events, ends, strict=False):
        earlier = stages[name].seconds if name in stages else 0  # a stage that failed ran before
        stages[name] = Stage(name=name, how=how, seconds=earlier + end - start)
    return list(stages.values())
