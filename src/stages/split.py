"""What may the model see?

    python -m src.stages.split

Cuts the prepared table into `train`, to learn from, `valid`, on which every change is compared, and `test`, which no
stage reads: it's opened once, for a model that is released, so that a hundred compared branches can't wear it out.

- by time: at two moments. Rows that are later are never in an earlier part.
- by group: each group falls into one part, by a hash of its name and `split.seed`.
- random: each row, by a hash of its id and `split.seed`. A row never changes its part when others are added, and rows
  that are alike are in one part.
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.core.errors import UserError
from src.core.files import as_text, read_table, write_table
from src.core.params import Data, SplitByShare, SplitByTime, read_params

FEWEST_GROUPS = 5  # with fewer, resamples are too alike to say how sure a score is
PARTS = ["train", "valid", "test"]


def split(table: pd.DataFrame, data: Data, how: SplitByTime | SplitByShare) -> dict[str, pd.DataFrame]:
    """The parts, by name; every row is in one of them.

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
        names = as_text(table[{"group": data.group, "random": data.id_column}[how.by]])
        if how.by == "random" and data.id is None:
            names = names.str.partition("-")[0]  # rows that are alike stay together
        place = places(names, how.seed)
        part = (place >= 1 - how.valid - how.test).astype(int) + (place >= 1 - how.test)
    parts = {name: table[part == number].reset_index(drop=True) for number, name in enumerate(PARTS)}
    for name, rows in parts.items():
        if rows.empty:
            raise UserError(f"split: the part {name} has no rows; see split in params.yaml")
        if name != "test" and (drawn := rows[data.group or data.id_column].nunique()) < FEWEST_GROUPS:
            raise UserError(
                f"split: {name} has {drawn} groups to draw from, and {FEWEST_GROUPS} are the least; see split"
            )
        if name != "test" and rows[data.target].nunique() < 2:
            raise UserError(f"split: the part {name} has only one value of {data.target}; see split in params.yaml")
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


def main() -> None:
    params = read_params()
    for name, rows in split(read_table(Path("data/prepared.parquet")), params.data, params.split).items():
        write_table(rows, Path(f"data/split/{name}.parquet"))
        print(f"{name}: {len(rows):,} rows")


if __name__ == "__main__":
    main()
