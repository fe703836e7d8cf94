"""Is what is committed what the commit makes?

`stale` holds a revision's dvc.lock against its own files: inputs that changed since the results were made.
`verify` holds a commit against the folder in which its pipeline ran again, and `where` says for a file that differs
which keys, rows and columns, or members are not the same.
"""

import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
from pydantic import BaseModel, TypeAdapter, ValidationError

from src.core.errors import UserError
from src.core.limits import read_json
from src.core.params import as_number, read_yaml
from src.review.results import FILES, Revision, flattened, git

ROUNDING = 5e-4  # README: on other systems the scores agree to about four digits
MOST = 5  # places named in a file that differs

Word = Literal["reproduced", "the same up to rounding", "stale", "made from other inputs", "not reproduced"]


class Output(BaseModel):
    """A path that a stage depends on, or makes, and the hash of its content."""

    path: str
    md5: str = ""


class Stage(BaseModel):
    """What dvc.lock says of a stage."""

    cmd: str | list[str]
    deps: list[Output] = []
    params: dict[str, dict[str, Any]] = {}
    outs: list[Output] = []


Stages = dict[str, Stage]
STAGES = TypeAdapter(Stages)


class Verdict(NamedTuple):
    """What is to be said of a lock, and about what: stages with their inputs, or files with the places in them."""

    word: Word
    found: dict[str, list[str]]

    @property
    def holds(self) -> bool:
        """Whether a check may pass."""
        return self.word in ("reproduced", "the same up to rounding")


def read_lock(revision: Revision) -> Stages:
    """The stages of a revision's dvc.lock, empty where it has none.

    Raises:
        UserError: it isn't what DVC writes.
    """
    content = revision.yaml("dvc.lock")
    return _stages(content, f"{revision.short}:dvc.lock") if content else {}


def _stages(content: Any, name: str) -> Stages:
    try:
        return STAGES.validate_python(content["stages"])
    except (ValidationError, KeyError, TypeError):
        raise UserError(f"{name}: not what DVC writes; `git restore dvc.lock`, then `dvc repro`") from None


def hashes(outputs: list[Output]) -> dict[str, str]:
    """The hash of each path."""
    return {output.path: output.md5 for output in outputs}


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _md5_of_folder(revision: Revision, path: str) -> str | None:
    """As DVC hashes a folder: the hash of a list of its files and theirs; None where there is none."""
    names = revision.files(path)
    listed = [{"md5": _md5(revision.read(name) or b""), "relpath": name.removeprefix(f"{path}/")} for name in names]
    return f"{_md5(json.dumps(listed, sort_keys=True).encode())}.dir" if names else None


def stale(revision: Revision) -> dict[str, list[str]]:
    """The inputs, by stage, that aren't those that the revision's results were made from.

    Raises:
        UserError: its dvc.yaml, dvc.lock or params.yaml can't be read.
    """
    params, lock = revision.yaml("params.yaml"), read_lock(revision)
    flat, made = flattened(params), {path: md5 for stage in lock.values() for path, md5 in hashes(stage.outs).items()}

    def filled(text: object) -> str:
        return re.sub(r"\$\{([^}]+)\}", lambda key: str(flat.get(key[1])), str(text))

    def current(path: str) -> str | None:
        if path in made:
            return made[path]
        content = revision.read(path)
        if content is not None:
            return _md5(content)
        pointer = revision.yaml(f"{path}.dvc").get("outs") or [{}]
        return pointer[0].get("md5") or _md5_of_folder(revision, path)

    def changed(name: str, stage: dict[str, Any]) -> Iterator[str]:
        entry = lock.get(name)
        if entry is None:
            yield "never run"
            return
        if filled(stage.get("cmd")).split() != str(entry.cmd).split():
            yield "cmd"
        deps = hashes(entry.deps)
        yield from sorted({filled(dep) for dep in stage.get("deps") or []} ^ deps.keys())
        yield from (path for path, md5 in deps.items() if current(path) != md5)
        recorded = entry.params.get("params.yaml", {})
        for key in sorted({str(key) for key in stage.get("params") or []} | recorded.keys()):
            yield from _differing(flattened({key: recorded.get(key)}), flattened({key: _at(params, key)}))

    stages = revision.yaml("dvc.yaml").get("stages")
    if not isinstance(stages, dict) or not all(isinstance(stage, dict) for stage in stages.values()):
        raise UserError(f"{revision.short}:dvc.yaml: holds no stages; `git restore dvc.yaml`")
    found = {name: list(changed(name, stage)) for name, stage in stages.items()}
    found |= {name: ["no longer in dvc.yaml"] for name in lock if name not in stages}
    return {name: inputs for name, inputs in found.items() if inputs}


def _differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The keys whose values differ; YAML 1.1 reads `1e-05` as text, which DVC writes for 0.00001."""
    return [key for key in sorted(before | after) if as_number(before.get(key)) != as_number(after.get(key))]


def _at(params: dict[str, Any], key: str) -> Any:
    """The value of a dotted key, None where there is none."""
    value: Any = params
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def doubts(revision: Revision) -> Verdict | None:
    """What is wrong with a revision's results, as far as can be said without making them again; None: nothing.

    Raises:
        UserError: its dvc.yaml, dvc.lock or params.yaml can't be read.
    """
    if inputs := stale(revision):
        return Verdict("stale", inputs)
    edited = {f"metrics: {path}": ["not the content that dvc.lock tells of"] for path in _edited(revision)}
    return Verdict("not reproduced", edited) if edited else None


def verify(committed: Revision, folder: Path = Path()) -> Verdict:
    """A commit's results against those that a run of its pipeline left in the folder.

    Raises:
        UserError: there is no dvc.lock in the commit or the folder, or something can't be read.
    """
    theirs = read_lock(committed)
    if not theirs:
        raise UserError("dvc.lock: not in the commit; run `dvc repro` and commit what it writes")
    if (doubt := doubts(committed)) and doubt.word == "stale":
        return doubt
    file = folder / "dvc.lock"
    if not file.is_file():
        raise UserError("dvc.lock: not in the folder; `dvc repro` makes it")
    ours = _stages(read_yaml(file), "dvc.lock")
    if inputs := _other_inputs(theirs, ours):
        return Verdict("made from other inputs", inputs)
    differing: dict[str, list[str]] = {}
    for name, stage in theirs.items():
        before, made = hashes(stage.outs), hashes(ours[name].outs)
        for path in (path for path in before | made if before.get(path) != made.get(path)):
            differing |= places(committed, folder, name, path)
    status = git("-C", str(folder), "status", "--porcelain", "--no-renames", "-z", "--", "metrics") or ""
    changed = {line[3:] for line in status.split("\0") if line} - {file.split(": ", 1)[1] for file in differing}
    edited = {f"metrics: {path}": ["not the content that dvc.lock tells of"] for path in changed}
    edited |= doubt.found if doubt else {}
    if not edited and not differing:
        return Verdict("reproduced", {})
    word: Word = "the same up to rounding" if not edited and _rounding(committed, folder) else "not reproduced"
    return Verdict(word, edited | differing)


def _other_inputs(theirs: Stages, ours: Stages) -> dict[str, list[str]]:
    """The inputs, by stage, that two contents of dvc.lock don't share, but for those that a stage makes."""
    made = {path for stage in [*theirs.values(), *ours.values()] for path in hashes(stage.outs)}
    found = {name: ["only on one side"] for name in theirs.keys() ^ ours.keys()}
    for name in theirs.keys() & ours.keys():
        before, after = (
            {"cmd": side[name].cmd, **hashes(side[name].deps), **flattened(side[name].params.get("params.yaml", {}))}
            for side in (theirs, ours)
        )
        if keys := [key for key in _differing(before, after) if key not in made]:
            found[name] = keys
    return dict(sorted(found.items()))


def _edited(revision: Revision) -> Iterator[str]:
    """The results that no stage of a revision's dvc.lock makes, or that aren't those that it made."""
    made = {path: md5 for stage in read_lock(revision).values() for path, md5 in hashes(stage.outs).items()}
    for path in revision.files("metrics"):
        folders = [parent.as_posix() for parent in Path(path).parents]
        if path not in made and not made.keys() & set(folders):
            yield path
    for path, md5 in made.items():
        if path.startswith("metrics/"):
            content = revision.read(path)
            if md5 != (_md5_of_folder(revision, path) if content is None else _md5(content)):
                yield path
    yield from (f"metrics/{name}" for name in FILES if f"metrics/{name}" not in made)


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


def places(committed: Revision, folder: Path, stage: str, path: str) -> dict[str, list[str]]:
    """Where an output differs from the committed one, by file: `stage: path`."""
    # DVC is imported only where something differs, which is seldom.
    from dvc.api import DVCFileSystem  # noqa: PLC0415

    fs = DVCFileSystem(rev=committed.commit)
    if not (folder / path).exists():
        return {f"{stage}: {path}": ["no longer made"]}
    made = sorted(file for file in (folder / path).rglob("*") if file.is_file()) or [folder / path]
    found: dict[str, list[str]] = {}
    for file in made:
        name = file.relative_to(folder).as_posix()
        try:
            before = fs.read_bytes(name)
        except FileNotFoundError:
            found[f"{stage}: {name}"] = ["the committed content is in no cache here"]
            continue
        if before != file.read_bytes():
            found[f"{stage}: {name}"] = where(name, before, file.read_bytes()) or ["the same content, otherwise stored"]
    return found or {f"{stage}: {path}": ["its files are the same, but not which they are"]}


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
