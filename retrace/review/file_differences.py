"""Where two versions of an output differ: keys of JSON, columns and rows of a table, parts of a model file."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from retrace.limits import read_json
from retrace.review.dvc_project import cached_files
from retrace.review.revision import Revision

MOST_PLACES = 5  # that are named in a file


def compare_outputs(committed: Revision, folder: Path, stage: str, path: str, md5: str | None) -> dict[str, list[str]]:
    """Where an output in the folder differs from the committed one.

    Args:
        committed: The commit.
        folder: The project in which the output was made again.
        stage: The stage that makes it.
        path: The output: a file or a folder.
        md5: The hash that the commit's dvc.lock records.

    Returns:
        The places that differ, by `stage: path of the file`.
    """
    before = _committed_contents(committed, path, md5)
    after = _contents_in(folder, path)
    if path in before and path not in after and after:  # a folder, whose list of files is in no cache
        before = dict.fromkeys(after)
    places: dict[str, list[str]] = {}
    for name in sorted(before.keys() | after.keys()):
        content = before.get(name)
        if name not in after:
            places[f"{stage}: {name}"] = ["no longer made"]
        elif name not in before:
            places[f"{stage}: {name}"] = ["new"]
        elif content is None:
            places[f"{stage}: {name}"] = ["the committed content is in no cache here"]
        elif content != after[name]:
            differing = find_differences(name, content, after[name])
            places[f"{stage}: {name}"] = differing or ["the same content, otherwise stored"]
    return places


def _committed_contents(committed: Revision, path: str, md5: str | None) -> dict[str, bytes | None]:
    """The committed files of an output, from Git or DVC's cache; None for one that neither has."""
    contents = {name: committed.read(name) for name in committed.files(path) or [path]}
    if contents.get(path, b"") is not None:
        return contents
    cached = cached_files(path, md5)
    return {name: file.read_bytes() if file else None for name, file in cached.items()}


def _contents_in(folder: Path, path: str) -> dict[str, bytes]:
    """The files of an output in a folder."""
    files = [file for file in (folder / path).rglob("*") if file.is_file()] or [folder / path]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files if file.is_file()}


def find_differences(name: str, before: bytes, after: bytes) -> list[str]:
    """Where two contents of a file differ: keys, rows and columns, or members; no value of a table is shown."""
    try:
        if name.endswith(".json"):
            places = list(_differing_keys(read_json(before), read_json(after)))
            if not name.startswith("metrics/"):  # its values may be data
                places = [place.partition(": ")[0] for place in places]
        elif name.endswith(".skops"):
            places = list(_differing_members(before, after))
        elif name.endswith((".csv", ".tsv", ".parquet")):
            places = list(_differing_cells(read_text_table(name, before), read_text_table(name, after)))
        else:
            places = [f"{len(before):,} bytes before, {len(after):,} after"]
    except (ValueError, OSError, zipfile.BadZipFile):
        places = ["one of the two can't be read"]
    if len(places) > MOST_PLACES:
        return [*places[:MOST_PLACES], f"and {len(places) - MOST_PLACES} more"]
    return places


def read_text_table(name: str, content: bytes) -> pd.DataFrame:
    """A table from CSV or TSV, all of it as text, or from Parquet with its own types."""
    if name.endswith(".parquet"):
        return pd.read_parquet(io.BytesIO(content))
    separator = "\t" if name.endswith(".tsv") else ","
    return pd.read_csv(io.BytesIO(content), sep=separator, dtype=str, keep_default_na=False)


def _differing_keys(before: Any, after: Any) -> Iterator[str]:
    """The keys of two JSON contents whose values differ, with both values."""
    old_values, new_values = dict(leaves(before)), dict(leaves(after))
    for key in sorted(old_values | new_values):
        old = json.dumps(old_values[key]) if key in old_values else "nothing"
        new = json.dumps(new_values[key]) if key in new_values else "nothing"
        if old != new:
            yield f"{key}: {old:.40} → {new:.40}"


def leaves(content: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in a JSON content that isn't a mapping or a list, with its path: keys and positions, dotted.

    An empty mapping or list counts as a value.
    """
    items: list[tuple[Any, Any]] = []
    if isinstance(content, dict):
        items = list(content.items())
    elif isinstance(content, list):
        items = list(enumerate(content))
    if not items:
        yield path, content
    for key, value in items:
        yield from leaves(value, f"{path}.{key}" if path else str(key))


def _differing_members(before: bytes, after: bytes) -> Iterator[str]:
    """The members of two model files that differ, with the keys of a JSON one; its values may be data."""
    with zipfile.ZipFile(io.BytesIO(before)) as old_file, zipfile.ZipFile(io.BytesIO(after)) as new_file:
        for name in sorted({*old_file.namelist(), *new_file.namelist()}):
            old = old_file.read(name) if name in old_file.namelist() else b""
            new = new_file.read(name) if name in new_file.namelist() else b""
            if old == new:
                continue
            keys: list[str] = []
            if name.endswith(".json") and old and new:
                differing = _differing_keys(read_json(old), read_json(new))
                keys = [place.partition(": ")[0] for place in differing][:MOST_PLACES]
            yield ", ".join([name, *keys])


def _differing_cells(before: pd.DataFrame, after: pd.DataFrame) -> Iterator[str]:
    """The columns and rows in which two tables differ."""
    for column in before.columns.symmetric_difference(after.columns, sort=False):
        yield f"column {column}: {'new' if column in after else 'no longer present'}"
    if len(before) != len(after):
        yield f"{len(before):,} rows before, {len(after):,} after"
        return
    for column in before.columns.intersection(after.columns, sort=False):
        old, new = before[column], after[column]
        if old.dtype != new.dtype:
            yield f"column {column}: {old.dtype} before, {new.dtype} after"
            continue
        differ = ~((old == new) | (old.isna() & new.isna())).to_numpy(bool)
        if differ.any():
            yield f"column {column}: {differ.sum():,} rows, the first is row {int(differ.argmax()) + 1:,}"
