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
"""

from pathlib import Path

import pandas as pd

from retrace.errors import UserError
from retrace.files import read_table, write_table
from retrace.params import Data, read_params
from retrace.parts import check_part, purged, shared_groups, split


def shared_groups_warning(parts: dict[str, pd.DataFrame], data: Data) -> str | None:
    """The warning that groups of train are in a later part too; None if there are none."""
    if not (shared := shared_groups(parts, data)):
        return None
    of_all = pd.concat([rows[data.group] for rows in parts.values()]).nunique()
    rest = purged(parts, data)
    advice = f"split.purge: true removes their rows from train, which leaves {len(rest):,} of {len(parts['train']):,}"
    try:
        check_part("train", rest, data)
    except UserError:
        advice = "split.purge: true would leave too few rows in train; a split by group keeps groups apart"
    return (
        f"{len(shared):,} of {of_all:,} groups (column {data.group}) are in train and in a later part, where the model "
        f"may know them again; {advice}"
    )


def main() -> None:
    params = read_params()
    parts = split(read_table(Path("data/prepared.parquet")), params.data, params.split)
    for name, rows in parts.items():
        write_table(rows, Path(f"data/split/{name}.parquet"))
        print(f"{name}: {len(rows):,} rows")
    if warning := shared_groups_warning(parts, params.data):
        print(f"warning: {warning}")


if __name__ == "__main__":
    main()
