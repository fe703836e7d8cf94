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

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.files import KEPT_FROM, as_text, read_table, write_table
from retrace.params import Data, SplitByShare, SplitByTime, read_params
from retrace.resamples import content_of, units

FEWEST_GROUPS = 5  # with fewer, resamples are too alike to say how sure a score is
PARTS = ["train", "valid", "test"]


def split(table: pd.DataFrame, data: Data, how: SplitByTime | SplitByShare) -> dict[str, pd.DataFrame]:
    """The parts, by name; every row is in one of them, but for those that `split.purge` removes.

    Raises:
        UserError: a part has no rows, too few groups or only one class, or the time column and the moments are of
            different kinds.
    """
    if isinstance(how, SplitByTime):
        moments = table[data.time]
        if not (pd.api.types.is_numeric_dtype(moments) or pd.api.types.is_datetime64_any_dtype(moments)):
            raise UserError(f"column {data.time}: not a date; give it a format in params.yaml: data.read.types")
        if pd.api.types.is_numeric_dtype(moments) != isinstance(how.valid_from, float):
            kind = "numbers" if pd.api.types.is_numeric_dtype(moments) else "dates"
            raise UserError(f"params.yaml: split.valid_from, split.test_from: must be {kind}, as column {data.time} is")
        part = (moments >= how.valid_from).to_numpy(int) + (moments >= how.test_from).to_numpy(int)
    else:
        # By their content alone, rows that are alike stay together.
        names = as_text(table[data.group]) if how.by == "group" else content_of(table[data.id_column], data.id)
        place = places(names, how.seed)
        part = (place >= 1 - how.valid - how.test).astype(int) + (place >= 1 - how.test)
    parts = {name: table[part == number].reset_index(drop=True) for number, name in enumerate(PARTS)}
    if isinstance(how, SplitByTime):
        for rows in parts.values():
            rows.attrs["block"] = how.block
        if how.purge:
            parts["train"] = purged(parts, data)
    for name, rows in parts.items():
        _check(name, rows, data)
    if data.task == "classification" and not set(parts["valid"][data.target]) <= set(parts["train"][data.target]):
        raise UserError("split: a class of valid has no rows in train; see split in params.yaml")
    return parts


def places(names: pd.Series, seed: int) -> NDArray[np.float64]:
    """Where each row falls between 0 and 1, by the SHA-256 of its name and the seed alone; shape (rows,)."""
    codes, different = pd.factorize(names)
    found = []
    for name in different:
        digest = hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogatepass")).digest()
        found.append(int.from_bytes(digest[:8]) / 2**64)
    return np.array(found)[codes]


def _check(name: str, rows: pd.DataFrame, data: Data) -> None:
    if rows.empty:
        raise UserError(f"split: the part {name} has no rows; see split in params.yaml")
    if name == "test":
        return
    if len(rows) < KEPT_FROM:  # a score of fewer would say much of each
        raise UserError(f"split: the part {name} has {len(rows)} rows, and {KEPT_FROM} are the least; see split")
    if (drawn := len(np.unique(units(rows, data)))) < FEWEST_GROUPS:
        block = rows.attrs.get("block")
        what = "groups" if data.group else f"{block}s" if block else "rows"
        raise UserError(f"split: {name} has {drawn} {what} to draw from, and {FEWEST_GROUPS} are the least; see split")
    if rows[data.target].nunique() < 2:
        raise UserError(f"split: the part {name} has only one value of {data.target}; see split in params.yaml")


def purged(parts: dict[str, pd.DataFrame], data: Data) -> pd.DataFrame:
    """The rows of train whose group isn't in a later part."""
    train = parts["train"]
    return train[~train[data.group].isin(shared_groups(parts, data))].reset_index(drop=True)


def shared_groups(parts: dict[str, pd.DataFrame], data: Data) -> set[object]:
    """The groups that are in train and in a later part; none where there are no groups."""
    if data.group is None:
        return set()
    later = pd.concat([parts["valid"][data.group], parts["test"][data.group]])
    return set(parts["train"][data.group]) & set(later)


def shared_groups_warning(parts: dict[str, pd.DataFrame], data: Data) -> str | None:
    """That groups of train are in a later part, where they are."""
    if not (shared := shared_groups(parts, data)):
        return None
    of_all = pd.concat([rows[data.group] for rows in parts.values()]).nunique()
    rest = purged(parts, data)
    advice = f"split.purge: true removes their rows from train, which leaves {len(rest):,} of {len(parts['train']):,}"
    try:
        _check("train", rest, data)
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
