"""What may the model see?

    python -m src.stages.split

Cuts the prepared table into `train`, to learn from, `valid`, on which every change is compared, and `test`, which no
stage reads: it's opened once, for a model that is released, so that a hundred compared branches can't wear it out.

- by time: at two moments. Rows that are later are never in an earlier part. A group may be in several parts: with
  `split.purge` its rows are removed from train, else that is warned of. `split.block` is kept in the parts' metadata,
  for the resamples.
- by group: each group falls into one part, by a hash of its name and `split.seed`.
- random: each row, by a hash of its id and `split.seed`. A row never changes its part when others are added, and rows
  that are alike are in one part.
"""

from pathlib import Path

import pandas as pd

from retrace.errors import UserError
from retrace.files import read_table, write_table
from retrace.params import Data, read_params
from retrace.parts import check_part, purged, shared_groups, split


def shared_groups_warning(parts: dict[str, pd.DataFrame], data: Data) -> str | None:
    """That groups of train are in a later part, where they are."""
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
