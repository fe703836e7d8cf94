"""Divide the rows into train, valid and test.

    python -m src.stages.split

The model is fitted on `train`, and changes are compared on `valid`. No stage reads `test`. It's kept for one last check
before a model is used: of a hundred versions compared on the same rows, the best one fits those rows by chance.

- by time: at two moments. Later rows are never in an earlier part. A group may be in several parts: then
  `split.purge: true` removes its rows from train, and without it the stage prints a warning. `split.block` is kept in
  the parts' metadata, for the resamples.
- by group: a hash of the group's name and `split.seed` decides which part all its rows are in.
- random: a hash of the row's id and `split.seed` decides. A row stays in its part when others are added. Without
  `data.id`, rows of equal content are in the same part.

The prepared table is read in chunks, so it may be larger than the memory.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd

from retrace.errors import UserError
from retrace.params import Data, SplitByShare, SplitByTime, read_params
from retrace.parts import PARTS, Summary, check_part, check_parts, divide, shared_groups, without_groups
from retrace.table_files import TableWriter, read_chunks, read_schema, without_rows

PREPARED, FOLDER = Path("data/prepared.parquet"), Path("data/split")
Split = SplitByTime | SplitByShare


def divided_chunks(
    data: Data, how: Split, purged: set[Any], columns: Sequence[str] | None = None
) -> Iterator[dict[str, pd.DataFrame]]:
    """Read the prepared table in chunks, and divide each of them.

    Args:
        data: the roles of the columns.
        how: the section `split` of params.yaml.
        purged: the groups whose rows are left out of train.
        columns: the ones to read; all of them by default.

    Yields:
        The chunk's rows of each part, by its name.
    """
    for chunk in read_chunks(PREPARED, columns):
        parts = divide(chunk, data, how)
        if purged:
            parts["train"] = without_groups(parts["train"], purged, data)
        yield parts


def summarise(data: Data, how: Split, purged: set[Any]) -> dict[str, Summary]:
    """What must be known of each part to check it, by its name; see `divided_chunks` for the arguments."""
    roles = [data.id_column, data.target, data.time, data.group]
    columns = list(dict.fromkeys(column for column in roles if column is not None))
    summaries = {name: Summary() for name in PARTS}
    for parts in divided_chunks(data, how, purged, columns):
        for name, rows in parts.items():
            summaries[name].add(rows, data)
    return summaries


def write_parts(data: Data, how: Split, purged: set[Any]) -> None:
    """Write the rows of each part to its file; see `divided_chunks` for the arguments."""
    schema, attrs = read_schema(PREPARED), without_rows(PREPARED).attrs
    if isinstance(how, SplitByTime):
        attrs = attrs | {"block": how.block}
    with ExitStack() as stack:
        writers = {name: stack.enter_context(TableWriter(FOLDER / f"{name}.parquet", schema, attrs)) for name in PARTS}
        for parts in divided_chunks(data, how, purged):
            for name, rows in parts.items():
                writers[name].write(rows)


def shared_groups_warning(parts: dict[str, Summary], rest: Summary, data: Data) -> str:
    """The warning that groups of train are in a later part, too.

    Args:
        parts: all rows of each part.
        rest: the rows of train whose groups aren't in a later part.
        data: the roles of the columns.
    """
    shared, of_all = shared_groups(parts), set().union(*(part.groups for part in parts.values()))
    advice = f"split.purge: true removes their rows from train, which leaves {rest.rows:,} of {parts['train'].rows:,}"
    try:
        check_part("train", rest, data)
    except UserError:
        advice = "split.purge: true would leave too few rows in train; a split by group keeps groups apart"
    return (
        f"{len(shared):,} of {len(of_all):,} groups (column {data.group}) are in train and in a later part, where the "
        f"model may know them again; {advice}"
    )


def main() -> None:
    params = read_params()
    data, how = params.data, params.split
    parts = summarise(data, how, purged=set())
    shared = shared_groups(parts)
    rest = summarise(data, how, purged=shared)["train"] if shared else parts["train"]
    purges = isinstance(how, SplitByTime) and how.purge
    warning = shared_groups_warning(parts, rest, data) if shared and not purges else None
    if purges:
        parts["train"] = rest
    check_parts(parts, data)
    write_parts(data, how, purged=shared if purges else set())
    for name, part in parts.items():
        print(f"{name}: {part.rows:,} rows")
    if warning:
        print(f"warning: {warning}")


if __name__ == "__main__":
    main()
