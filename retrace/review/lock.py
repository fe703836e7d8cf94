"""Is what is committed what the commit makes?

`stale` gives DVC's answer for a revision: what changed since its results were made.
`verify` compares a commit with the folder in which its pipeline ran again, and `where` says for a file that differs
which keys, rows and columns, or members are not the same.
"""

import io
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from retrace.errors import UserError
from retrace.git import git_status
from retrace.limits import read_json
from retrace.params import as_number
from retrace.review.pipeline import Pipeline, Stage, cached_files, read_pipeline, recorded_stages
from retrace.review.results import FILES, Revision

ROUNDING = 5e-4  # README: on other systems the scores agree to about four digits
MOST = 5  # places named in a file that differs
NOT_MADE = "no stage in dvc.yaml makes it: delete it"

Word = Literal[
    "reproduced",
    "the same up to rounding",
    "stale",
    "data of another commit",
    "made from other inputs",
    "not reproduced",
]


class Verdict(NamedTuple):
    """What is to be said of a lock, and about what: stages with their inputs, or files with the places in them."""

    word: Word
    found: dict[str, list[str]]

    @property
    def holds(self) -> bool:
        """Whether a check may pass."""
        return self.word in ("reproduced", "the same up to rounding")


def stale(revision: Revision) -> dict[str, list[str]]:
    """What differs from dvc.lock, by stage, where `dvc repro` would run the stage again.

    It's the answer of `dvc repro --dry --allow-missing dvc.yaml` in a checkout of the revision, without the stages that
    DVC runs always or never.

    Args:
        revision: A commit, or the folder as it stands.

    Returns:
        The inputs (`cmd`, paths of dependencies, keys of parameters), or the outputs that were edited, by stage.

    Raises:
        UserError: its dvc.yaml, dvc.lock or params.yaml can't be read.
    """
    return read_pipeline(revision).stale


def doubts(revision: Revision) -> Verdict | None:
    """What is wrong with a revision's results, as far as can be said without making them again; None: nothing.

    Raises:
        UserError: its dvc.yaml, dvc.lock or params.yaml can't be read.
    """
    found = read_pipeline(revision)
    if found.of_another_commit:  # whatever else there is: `dvc repro` would take them for new data
        return Verdict("data of another commit", {path: [] for path in found.of_another_commit})
    if found.changed:
        return Verdict("stale", found.stale)
    edited = _edited(revision, found)
    return Verdict("not reproduced", edited) if edited else None


def _edited(revision: Revision, pipeline: Pipeline) -> dict[str, list[str]]:
    """The outputs with another content than in dvc.lock, and the results that are missing or that no stage makes."""
    found: dict[str, list[str]] = {}
    for by_stage, why in (
        (pipeline.edited, "not the content that dvc.lock tells of"),
        (pipeline.missing, "missing"),
    ):
        found |= {f"{name}: {path}": [why] for name, paths in by_stage.items() for path in paths}
    made = {path for stage in pipeline.stages.values() for path in stage.outs}
    for path in revision.files("metrics"):
        if not _is_made(path, made):
            found[f"metrics: {path}"] = [NOT_MADE]
    for name in FILES:
        if f"metrics/{name}" not in made:
            found[f"metrics: metrics/{name}"] = ["no stage in dvc.yaml makes it, and the review needs it"]
    return found


def verify(committed: Revision, folder: Path = Path()) -> Verdict:
    """A commit's results against those that a run of its pipeline left in the folder.

    Raises:
        UserError: there is no dvc.lock in the commit or the folder, or something can't be read.
    """
    if committed.read("dvc.lock") is None:
        raise UserError("dvc.lock: not in the commit; `dvc repro`, `git add --all` and `git commit` bring it in")
    if (doubt := doubts(committed)) and doubt.word in ("stale", "data of another commit"):
        return doubt
    file = folder / "dvc.lock"
    if not file.is_file():
        raise UserError("dvc.lock: not in the folder; `dvc repro` makes it")
    theirs, ours = read_pipeline(committed).stages, recorded_stages(folder)
    if inputs := _other_inputs(theirs, ours):
        return Verdict("made from other inputs", inputs)
    differing: dict[str, list[str]] = {}
    for name, stage in theirs.items():
        for path, before in stage.outs.items():
            if before != ours[name].outs[path]:
                differing |= places(committed, folder, name, path, before)
    changed = git_status("metrics", folder=folder).keys()
    edited = doubt.found if doubt else {}
    told = {name.split(": ", 1)[1] for name in [*edited, *differing]}
    edited |= {f"metrics: {path}": ["not the content that dvc.lock tells of"] for path in sorted(changed - told)}
    if not edited and not differing:
        return Verdict("reproduced", {})
    word: Word = "the same up to rounding" if not edited and _rounding(committed, folder) else "not reproduced"
    return Verdict(word, edited | differing)


def _is_made(path: str, outs: set[str]) -> bool:
    """Whether a path is one of the outputs, or lies in one that is a folder."""
    return path in outs or any(parent.as_posix() in outs for parent in Path(path).parents)


def _other_inputs(theirs: dict[str, Stage], ours: dict[str, Stage]) -> dict[str, list[str]]:
    """The inputs and outputs, by stage, that two pipelines don't share, but for the inputs that a stage makes."""
    made = {path for stage in [*theirs.values(), *ours.values()] for path in stage.outs}
    found = {name: ["only on one side"] for name in theirs.keys() ^ ours.keys()}
    for name in theirs.keys() & ours.keys():
        before, after = ({"cmd": side[name].cmd, **side[name].inputs} for side in (theirs, ours))
        keys = [key for key in sorted(before | after) if before.get(key) != after.get(key) and not _is_made(key, made)]
        keys += sorted(theirs[name].outs.keys() ^ ours[name].outs.keys())
        if keys:
            found[name] = keys
    return dict(sorted(found.items()))


def _rounding(committed: Revision, folder: Path) -> bool:
    """Whether another platform made the committed results, and every number of them is the same to README's digits."""
    try:
        before, after = (
            [_numbers(name, content(f"metrics/{name}")) for name in FILES]
            for content in (lambda path: committed.read(path) or b"", lambda path: (folder / path).read_bytes())
        )
        if before[0].pop("platform") == after[0].pop("platform"):
            return False
        return _close(before, after)
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def _numbers(name: str, content: bytes) -> Any:
    """A JSON file's content, or a CSV file's columns, with what is a number as one."""
    if name.endswith(".json"):
        return read_json(content)
    return {column: [as_number(cell) for cell in cells] for column, cells in _table(name, content).items()}


def _close(before: Any, after: Any) -> bool:
    """Whether two JSON contents have the same keys, and numbers that are the same but for rounding."""
    ours, theirs = dict(_leaves(after)), dict(_leaves(before))
    return ours.keys() == theirs.keys() and all(
        math.isclose(value, ours[key], rel_tol=ROUNDING, abs_tol=1e-9)
        if isinstance(value, int | float) and isinstance(ours[key], int | float)
        else value == ours[key]
        for key, value in theirs.items()
    )


def places(committed: Revision, folder: Path, stage: str, path: str, md5: str | None) -> dict[str, list[str]]:
    """Where an output differs from the committed one, by file: `stage: path`; `md5` is the committed one's hash."""
    before: dict[str, bytes | None] = {name: committed.read(name) for name in committed.files(path) or [path]}
    if before.get(path, b"") is None:  # not in Git, so in DVC's cache
        before = {name: file.read_bytes() if file else None for name, file in cached_files(path, md5).items()}
    files = [file for file in (folder / path).rglob("*") if file.is_file()] or [folder / path]
    after = {file.relative_to(folder).as_posix(): file.read_bytes() for file in files if file.is_file()}
    if path in before and path not in after and after:  # a folder, whose list of files is in no cache
        before = dict.fromkeys(after)
    found: dict[str, list[str]] = {}
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            found[name] = ["no longer made"]
        elif name not in before:
            found[name] = ["new"]
        elif (content := before[name]) is None:
            found[name] = ["the committed content is in no cache here"]
        elif content != after[name]:
            found[name] = where(name, content, after[name]) or ["the same content, otherwise stored"]
    return {f"{stage}: {name}": told for name, told in found.items()}


def where(name: str, before: bytes, after: bytes) -> list[str]:
    """Where two contents of a file differ: keys, rows and columns, or members; no value of a table is shown."""
    told = [f"{len(before):,} bytes before, {len(after):,} after"]
    try:
        if name.endswith(".json"):
            told = list(_keys(read_json(before), read_json(after)))
            if not name.startswith("metrics/"):  # its values may be data
                told = [key.partition(": ")[0] for key in told]
        elif name.endswith(".skops"):
            told = list(_members(before, after))
        elif name.endswith((".csv", ".tsv", ".parquet")):
            told = list(_cells(*(_table(name, content) for content in (before, after))))
    except (ValueError, OSError, zipfile.BadZipFile):
        told = ["one of the two can't be read"]
    return told[:MOST] + ([f"and {len(told) - MOST} more"] if len(told) > MOST else [])


def _table(name: str, content: bytes) -> pd.DataFrame:
    if name.endswith(".parquet"):
        return pd.read_parquet(io.BytesIO(content))
    separator = "\t" if name.endswith(".tsv") else ","
    return pd.read_csv(io.BytesIO(content), sep=separator, dtype=str, keep_default_na=False)


def _keys(before: Any, after: Any) -> Iterator[str]:
    """The keys of two JSON contents whose values differ, with both values."""
    theirs, ours = dict(_leaves(before)), dict(_leaves(after))
    for key in sorted(ours | theirs):
        old, new = (json.dumps(side[key]) if key in side else "nothing" for side in (theirs, ours))
        if old != new:
            yield f"{key}: {old:.40} → {new:.40}"


def _leaves(content: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in a JSON content that isn't a mapping or a list, with its dotted keys and places."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else None
    if items is None or not content:
        yield at, content
        return
    for key, value in items:
        yield from _leaves(value, f"{at}.{key}" if at else str(key))


def _members(before: bytes, after: bytes) -> Iterator[str]:
    """The members of two model files that differ, with the keys of a JSON one; its values may be data."""
    with zipfile.ZipFile(io.BytesIO(before)) as old, zipfile.ZipFile(io.BytesIO(after)) as new:
        names = sorted({*old.namelist(), *new.namelist()})
        for name in names:
            contents = [file.read(name) if name in file.namelist() else b"" for file in (old, new)]
            if contents[0] != contents[1]:
                keys = _keys(*map(read_json, contents)) if name.endswith(".json") and all(contents) else ()
                yield ", ".join([name, *(key.partition(": ")[0] for key in keys)][: MOST + 1])


def _cells(before: pd.DataFrame, after: pd.DataFrame) -> Iterator[str]:
    """The columns and rows in which two tables differ."""
    for column in before.columns.symmetric_difference(after.columns, sort=False):
        yield f"column {column}: {'new' if column in after else 'no longer there'}"
    if len(before) != len(after):
        yield f"{len(before):,} rows before, {len(after):,} after"
        return
    for column in before.columns.intersection(after.columns, sort=False):
        old, new = before[column], after[column]
        if old.dtype != new.dtype:
            yield f"column {column}: {old.dtype} before, {new.dtype} after"
        elif (differ := ~((old == new) | (old.isna() & new.isna())).to_numpy(bool)).any():
            yield f"column {column}: {differ.sum():,} rows, the first is row {int(differ.argmax()) + 1:,}"
