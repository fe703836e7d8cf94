"""Describe each column, and how much of the target each feature explains.

    python -m src.stages.describe

It describes the rows of train and valid together. Test is held out, so it isn't read. Columns are read one after the
other, and in pieces (retrace/pieces.py), so that the table may be larger than the memory. The stage writes to
`metrics/`:

- `data.json`: for each column its kind, the share of missing values, and either quantiles and a histogram or the most
  common values;
- `features.csv`: the share of the target's variance that each feature explains by itself.

No value that fewer than 10 rows hold can be read from these files (retrace/privacy.py). Rare values are only counted,
and a quantile is the lower edge of a bin of the histogram.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.errors import one_line
from retrace.examples import features
from retrace.files import FEWEST_ROWS_SHOWN, write_csv, write_json
from retrace.params import read_params
from retrace.pieces import Pieces, count_values, each, present_numbers, read_pieces
from retrace.privacy import histogram, quantiles, without_rare
from retrace.relations import SUSPICIOUS, explained
from retrace.table_files import row_count, without_rows

PARTS = [Path("data/split/train.parquet"), Path("data/split/valid.parquet")]
QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]
MOST_VALUES = 50  # of a category that are listed
EPOCH = pd.Timestamp("1970-01-01").as_unit("us")  # with the default unit, nanoseconds, dates end in 2262


def describe(values: Pieces, private: bool) -> dict[str, Any]:
    """Describe a column: its kind, the share of missing values and, unless it's private, the present values.

    Args:
        values: the pieces of the column.
        private: whether none of its values may be shown.

    Returns:
        The column's part of data.json.
    """
    dtype = next(iter(values)).dtype
    rows, missing = sum(map(len, values)), sum(int(piece.isna().sum()) for piece in values)
    is_date = pd.api.types.is_datetime64_any_dtype(dtype)
    is_quantity = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    kind = "date" if is_date else "number" if is_quantity else "category"
    content: dict[str, Any] = {"kind": kind, "missing": missing / rows}
    if private or rows - missing < FEWEST_ROWS_SHOWN:
        return content
    if not (is_date or is_quantity):
        return content | describe_categories(count_values(values))
    shown = histogram(each(days_since_1970 if is_date else present_numbers, values))
    return content | ({"quantiles": quantiles(shown, QUANTILES), "histogram": shown} if shown else {})


def days_since_1970(dates: pd.Series) -> NDArray[np.float64]:
    """The dates that aren't missing, in days."""
    return present_numbers((dates - EPOCH) / pd.Timedelta(days=1))


def describe_categories(counts: pd.Series) -> dict[str, Any]:
    """The rows of each of the most common values, the number of distinct values, and the rows of all other values.

    Args:
        counts: how many rows have each value, by the value.
    """
    counts = counts.groupby(counts.index.astype(str)).sum().sort_index(kind="stable")
    counts = counts.sort_values(ascending=False, kind="stable")
    shown_counts, rare_rows = without_rare(counts.to_numpy())
    shown = pd.Series(shown_counts, index=counts.index)[:MOST_VALUES]
    shown = shown[shown > 0]
    # Where the rare values' rows are counted with the most common value, their number isn't shown, either.
    distinct = len(counts) if rare_rows else len(shown)
    return {"values": shown.to_dict(), "distinct": distinct, "other_rows": int(counts.sum() - shown.sum())}


def main() -> None:
    data = read_params().data
    train = without_rows(PARTS[0])
    rows = {part.stem: row_count(part) for part in PARTS}
    target = read_pieces(PARTS, data.target)
    columns, relations = {}, []
    for name in train.columns.drop(data.id_column):
        values = read_pieces(PARTS, name)
        columns[name] = describe(values, data.hides(name))
        if name in features(train, data):
            share = explained(values, target, data.task)
            relations.append({"feature": name, "missing": columns[name]["missing"], "explained": share})
    explained_by = pd.DataFrame(relations).sort_values("explained", ascending=False, kind="stable")
    content = {
        "rows": sum(rows.values()),
        "parts": rows,
        "dropped": train.attrs.get("dropped", {}),  # by prepare, from the whole table
        "columns": columns,
    }
    write_json(content, Path("metrics/data.json"))
    write_csv(explained_by, Path("metrics/features.csv"))
    for name in explained_by.loc[explained_by["explained"] > SUSPICIOUS, "feature"]:
        advice = f"if it would not be known in time, data.drop: [{name}]"
        print(one_line(f"warning: column {name} explains nearly all of the target; {advice}"))
    best = ", ".join(explained_by["feature"].head(3))
    print(one_line(f"{len(columns)} columns described; by themselves explain most: {best}"))


if __name__ == "__main__":
    main()
