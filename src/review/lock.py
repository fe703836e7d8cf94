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
import yaml

from src.core.errors import UserError
from src.review.results import Revision, git

ROUNDING = 5e-4  # README: on other systems the scores agree to about four digits
MOST = 5  # places named in a file that differs

Word = Literal["reproduced", "the same up to rounding", "stale", "not reproduced"]
Stages = dict[str, dict[str, Any]]


class Verdict(NamedTuple):
    """What is to be said of a lock, and about what: stages with their inputs, or files with the places in them."""

    word: Word
    found: dict[str, list[str]]

    @property
    def holds(self) -> bool:
        """Whether a check may pass."""
        return self.word in ("reproduced", "the same up to rounding")


def read_lock(revision: Revision) -> Stages:
    """The stages of a revision's dvc.lock, empty where it has none that can be read."""
    try:
        stages = revision.yaml("dvc.lock").get("stages")
    except UserError:
        return {}
    if not isinstance(stages, dict) or not all(isinstance(entry, dict) for entry in stages.values()):
        return {}
    return stages


def hashes(entry: dict[str, Any], key: Literal["deps", "outs"]) -> dict[str, str]:
    """The hash of each path that a stage of dvc.lock depends on, or makes."""
    return {item["path"]: item.get("md5", "") for item in entry.get(key, [])}


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def stale(revision: Revision) -> dict[str, list[str]]:
    """The inputs, by stage, that aren't those that the revision's results were made from."""
    params, lock = revision.yaml("params.yaml"), read_lock(revision)
    made = {path: md5 for entry in lock.values() for path, md5 in hashes(entry, "outs").items()}
    flat = flattened(params)

    def filled(text: Any) -> str:
        return re.sub(r"\$\{([^}]+)\}", lambda key: str(flat.get(key[1])), str(text))

    def changed(name: str, stage: dict[str, Any]) -> Iterator[str]:
        entry = lock.get(name)
        if entry is None:
            yield "never run"
            return
        if " ".join(filled(stage.get("cmd")).split()) != " ".join(str(entry.get("cmd")).split()):
            yield "cmd"
        deps = hashes(entry, "deps")
        for path in sorted({filled(dep) for dep in stage.get("deps", [])} ^ deps.keys()):
            yield path
        for path, md5 in deps.items():
            if current(path) != md5:
                yield path
        recorded = entry.get("params", {}).get("params.yaml", {})
        for key in sorted({str(key) for key in stage.get("params", [])} | recorded.keys()):
            made_with, now = (flattened({key: value}) for value in (recorded.get(key), _at(params, key)))
            yield from (name for name in sorted(made_with | now) if made_with.get(name) != now.get(name))

    def current(path: str) -> str | None:
        if path in made:
            return made[path]
        content = revision.read(path)
        if content is not None:
            return _md5(content)
        pointer = revision.yaml(f"{path}.dvc").get("outs", [{}])
        return pointer[0].get("md5") if pointer else None

    stages = revision.yaml("dvc.yaml").get("stages", {})
    found = {name: list(changed(name, stage)) for name, stage in stages.items()}
    return {name: inputs for name, inputs in found.items() if inputs}


def _at(params: dict[str, Any], key: str) -> Any:
    """The value of a dotted key, None where there is none."""
    value: Any = params
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def flattened(content: dict[str, Any]) -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        inner = flattened(value) if isinstance(value, dict) and value else {"": value}
        flat |= {f"{key}.{rest}" if rest else str(key): item for rest, item in inner.items()}
    return flat


def verify(committed: Revision, folder: Path = Path()) -> Verdict:
    """A commit's results against those that a run of its pipeline left in the folder.

    Raises:
        UserError: the commit has no dvc.lock, or the folder's pipeline hasn't run to its end.
    """
    theirs, ours = read_lock(committed), _folder_lock(folder)
    if not theirs:
        raise UserError("dvc.lock: not in the commit, or not to be read; run `dvc repro` and commit what it writes")
    if inputs := stale(committed):
        return Verdict("stale", inputs)
    differing: dict[str, list[str]] = {}
    for name, entry in ours.items():
        before = hashes(theirs.get(name, {}), "outs")
        for path, md5 in hashes(entry, "outs").items():
            if before.get(path) != md5:
                differing |= places(committed, folder, name, path)
    for path in _edited(committed, theirs, folder):
        differing.setdefault(f"metrics: {path}", ["the committed file isn't the one that dvc.lock tells of"])
    if not differing:
        return Verdict("reproduced", {})
    return Verdict("the same up to rounding" if _rounding(committed, folder) else "not reproduced", differing)


def _folder_lock(folder: Path) -> Stages:
    file = folder / "dvc.lock"
    if not file.is_file():
        raise UserError("dvc.lock: not in the folder; `dvc repro` makes it")
    return dict(yaml.safe_load(file.read_text(encoding="utf-8"))["stages"])


def _edited(committed: Revision, lock: Stages, folder: Path) -> Iterator[str]:
    """The results in Git that aren't those of dvc.lock in the same commit, or aren't those in the folder."""
    for entry in lock.values():
        for path, md5 in hashes(entry, "outs").items():
            content = committed.read(path) or b""
            if path.startswith("metrics/") and not md5.endswith(".dir") and _md5(content) != md5:
                yield path
    status = git("-C", str(folder), "status", "--porcelain", "--no-renames", "-z", "--", "metrics") or ""
    yield from (line[3:] for line in status.split("\0") if line)


def _rounding(committed: Revision, folder: Path) -> bool:
    """Whether another platform made the committed results, and its scores are the same to the digits of README."""
    try:
        after = json.loads((folder / "metrics/evaluation.json").read_bytes())
        before = committed.json("metrics/evaluation.json")
        scores, others = (content["scores"]["model"] for content in (before, after))
        return bool(before["platform"] != after["platform"]) and all(
            math.isclose(score["score"], others[metric]["score"], rel_tol=ROUNDING, abs_tol=ROUNDING)
            for metric, score in scores.items()
        )
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return False


def places(committed: Revision, folder: Path, stage: str, path: str) -> dict[str, list[str]]:
    """Where an output differs from the committed one, by file: `stage: path`."""
    # DVC is imported only where something differs, which is seldom.
    from dvc.api import DVCFileSystem  # noqa: PLC0415

    fs = DVCFileSystem(rev=committed.commit)
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
            told = list(_keys(json.loads(before), json.loads(after)))
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
    """The keys of two JSON contents whose values differ."""
    theirs, ours = (flattened(content if isinstance(content, dict) else {"": content}) for content in (before, after))
    for key in sorted(ours | theirs):
        old, new = (json.dumps(side[key]) if key in side else "nothing" for side in (theirs, ours))
        if old != new:
            yield f"{key}: {old:.40} → {new:.40}"


def _members(before: bytes, after: bytes) -> Iterator[str]:
    """The members of two model files that differ, and the keys of the one that describes the model."""
    with zipfile.ZipFile(io.BytesIO(before)) as old, zipfile.ZipFile(io.BytesIO(after)) as new:
        names = sorted({*old.namelist(), *new.namelist()})
        for name in names:
            contents = [file.read(name) if name in file.namelist() else b"" for file in (old, new)]
            if contents[0] != contents[1]:
                keys = where(name, *contents) if name.endswith(".json") and all(contents) else []
                yield f"{name}: {'; '.join(keys[:2])}" if keys else name


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
