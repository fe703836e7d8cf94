"""Take a new snapshot of the database that the table comes from, and say what has changed.

    python -m retrace refresh

The query and the address are in the files beside the snapshot, such as data/source/visits.sql and
data/source/visits.yaml. If the rows are the same as before, nothing is written. Else the new snapshot replaces the old
one, under DVC. Rows are compared by the columns of `key` in the latter file, and without a key as a whole.
"""

import filecmp
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pandas.util import hash_pandas_object

from retrace.adopt.databases import check_address
from retrace.adopt.project import pointer_of, put
from retrace.adopt.snapshot import Origin, origin_file, query_file, taken
from retrace.changed_values import differ
from retrace.command_line import make_parser
from retrace.errors import UserError, one_line
from retrace.files import as_text
from retrace.git import git_status, require_own_repository
from retrace.params import Params, read_params
from retrace.tables.pandas_types import to_pandas
from retrace.yaml_files import read_yaml

Hashes = NDArray[np.uint64]


class SnapshotDifference(NamedTuple):
    """How a snapshot differs from the one before it.

    Attributes:
        before: how many rows there were.
        now: how many rows there are.
        new: how many rows weren't there before.
        gone: how many rows aren't there any more.
        corrected: how many rows have the same key, and other values; None if rows have no key.
        by_column: how many of these have another value in a column, by its name.
        columns: the lines about columns that are new, are gone or have another type.
    """

    before: int
    now: int
    new: int
    gone: int
    corrected: int | None
    by_column: dict[str, int]
    columns: list[str]


def refresh(words: list[str]) -> None:
    """Take a new snapshot of the database that the table comes from, and say what has changed.

    The query and the address are in the files beside the snapshot. If the rows are the same as before, nothing is
    written.
    """
    make_parser("refresh", str(refresh.__doc__)).parse_args(words)
    require_own_repository()
    params = read_params()
    source = Path(params.data.source)
    origin, query = Origin.of(source), query_file(source)
    check_address(origin.address, f"{origin_file(source)}: address")
    if not source.is_file():
        raise UserError(f"{source}: the snapshot isn't here; `dvc checkout` or `dvc pull` may bring it")
    _require_stored(source)
    with taken(source.name, origin, query) as new:
        _require_named_columns(params, new, query)
        if filecmp.cmp(new, source, shallow=False):
            print(one_line(f"{source}: unchanged: the query gives the same rows"))
            return
        lines = list(_lines(compare_snapshots(source, new, origin.key), origin.key))
        _replace(source, new)
    print(one_line(f"{source}: a new snapshot of {origin.address}"))
    for line in lines:
        print(one_line(line))
    pointer = pointer_of(source)
    commands = f"`git restore {pointer}` and `dvc checkout`" if pointer.is_file() else f"`git restore {source}`"
    print(f"\nTo go back: {commands}.\nNext: `dvc repro`.")


def _require_stored(source: Path) -> None:
    """Check that the present snapshot is the one that DVC or Git has, so that one can go back to it."""
    pointer = pointer_of(source)
    if not pointer.is_file():  # Git has it
        if source.as_posix() in git_status():
            raise UserError(f"{source}: changed since the last commit; `git commit` or `git stash` first")
        return
    with source.open("rb") as content:
        md5 = hashlib.file_digest(content, "md5").hexdigest()
    if md5 != read_yaml(pointer)["outs"][0]["md5"]:
        told = f"not the snapshot that {pointer} names; `dvc checkout --force {pointer}` puts that one in its place"
        raise UserError(f"{source}: {told}")


def _replace(source: Path, new: Path) -> None:
    """Replace the snapshot by a new one, and bring the old one back if DVC doesn't take it."""
    put(source, source)  # so that DVC's cache has it, even if it was deleted there
    old = source.with_name(f"{source.name}.old.part")  # .gitignore has *.part
    source.replace(old)
    try:
        put(new, source)
    except BaseException:
        old.replace(source)
        raise
    old.unlink()


def _require_named_columns(params: Params, new: Path, query: Path) -> None:
    """Check that a new snapshot has the columns that params.yaml names."""
    data = params.data
    single = {"target": data.target, "id": data.id, "time": data.time, "group": data.group, "weight": data.weight}
    named = {f"data.{key}": [column] for key, column in single.items() if column is not None}
    named |= {"data.id_columns": data.id_columns, "data.drop": data.drop, "data.private": data.private}
    named |= {"data.read.types": list(data.read.get("types", {})), "evaluate.slices": params.evaluate.slices}
    present = set(pq.read_schema(new).names)
    for key, columns in named.items():
        for column in columns:
            if column not in present:
                told = f"its result has no column {column}, which params.yaml names in {key}"
                raise UserError(f"{query}: {told}; correct one of the two files. Nothing has changed")


def compare_snapshots(old: Path, new: Path, key: list[str]) -> SnapshotDifference:
    """How two snapshots differ. At most one column of each is in memory, besides hashes of the keys.

    Args:
        old: the file of the one before.
        new: the file of the present one.
        key: the columns that identify a row of the new one; if there are none, rows are compared as a whole. So they
            are if the key doesn't identify the rows of the old one.
    """
    old_types, types = (
        dict(zip(schema.names, schema.types, strict=True)) for schema in map(pq.read_schema, (old, new))
    )
    shared = [name for name in types if name in old_types]
    columns = [f"new column: {name} ({types[name]})" for name in types if name not in old_types]
    columns += [f"column gone: {name}" for name in old_types if name not in types]
    for name in shared:
        if old_types[name] != types[name]:
            columns.append(f"column {name}: {old_types[name]} before, {types[name]} now")
    if key and set(key) <= old_types.keys():
        old_keys, keys = _hashes(old, key), _hashes(new, key)
        if all(len(np.unique(hashes)) == len(hashes) for hashes in (old_keys, keys)):
            _, old_places, places = np.intersect1d(old_keys, keys, assume_unique=True, return_indices=True)
            by_column, is_corrected = {}, np.zeros(len(places), dtype=bool)
            for name in shared:
                has_changed = differ(_column(new, name, places), _column(old, name, old_places))
                is_corrected |= has_changed
                if has_changed.any():
                    by_column[name] = int(has_changed.sum())
            return SnapshotDifference(
                before=len(old_keys),
                now=len(keys),
                new=len(keys) - len(places),
                gone=len(old_keys) - len(places),
                corrected=int(is_corrected.sum()),
                by_column=by_column,
                columns=columns,
            )
    old_rows, rows = _hashes(old, shared), _hashes(new, shared)
    same = _in_both(old_rows, rows)
    return SnapshotDifference(len(old_rows), len(rows), len(rows) - same, len(old_rows) - same, None, {}, columns)


def _hashes(file: Path, columns: list[str]) -> Hashes:
    """A hash of each row's cells in some columns, in the order of the rows.

    Text is compared to the letter, unlike in the ids of rows: 007 isn't 7. A number has the same hash in each type.
    """
    hashes = []
    with pq.ParquetFile(file, pre_buffer=False) as parquet:
        for batch in parquet.iter_batches(columns=columns):
            chunk = to_pandas(pa.Table.from_batches([batch]), file)
            texts = {name: as_text(chunk[name]).fillna("\0") for name in columns}
            hashes.append(hash_pandas_object(pd.DataFrame(texts), index=False).to_numpy())
    return np.concatenate(hashes)


def _column(file: Path, name: str, places: NDArray[np.intp]) -> pd.Series:
    """The values of a column in some rows."""
    with pq.ParquetFile(file) as parquet:
        return to_pandas(parquet.read([name]), file)[name].iloc[places].reset_index(drop=True)


def _in_both(old_rows: Hashes, rows: Hashes) -> int:
    """How many rows are in both; equal rows count as often as both have them."""
    old_values, old_counts = np.unique(old_rows, return_counts=True)
    values, counts = np.unique(rows, return_counts=True)
    _, old_places, places = np.intersect1d(old_values, values, assume_unique=True, return_indices=True)
    return int(np.minimum(old_counts[old_places], counts[places]).sum())


def _lines(found: SnapshotDifference, key: list[str]) -> Iterator[str]:
    """What is printed about a difference."""
    yield f"rows: {found.before:,} before, {found.now:,} now; {found.new:,} new, {found.gone:,} gone"
    if found.corrected is None:
        yield "a row with another value counts as one that is gone and one that is new: rows are compared as a whole"
    else:
        yield f"corrected rows, by {', '.join(key)}: {found.corrected:,}"
    for name, count in found.by_column.items():
        yield f"  {name}: {count:,}"
    yield from found.columns
