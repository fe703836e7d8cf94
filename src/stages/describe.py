"""What do the examples look like?

    python -m src.stages.describe

Writes for each column its kind, missing share, and quantiles or commonest values with a histogram to
`metrics/data.json`, and how much of the target each feature explains alone to `metrics/features.csv`. The rows are
those of train and valid together: test isn't looked at.

Nothing written tells a value that fewer than 10 rows hold: retrace/privacy.py. Rarer values are only counted, and
quantiles are the edges of the histogram's bins, whose width is `step`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from retrace.errors import one_line
from retrace.examples import equal_bins, features, is_number
from retrace.files import KEPT_FROM, read_table, write_csv, write_json
from retrace.params import Data, read_params
from retrace.privacy import histogram, quantiles, without_rare

QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]
MOST_VALUES = 50
MOST_BINS = 50
FEWEST_IN_BIN = 5  # rows; with one or two, a bin's mean is nearly the target itself, by chance
EPOCH = pd.Timestamp("1970-01-01").as_unit("us")  # in nanoseconds, as by default, dates end in 2262
SUSPICIOUS = 0.9  # the share of the target that one feature explains


def describe(values: pd.Series, private: bool) -> dict[str, Any]:
    """A column's kind and missing share and, unless it's private, what its values are."""
    there = values.dropna()
    dates = pd.api.types.is_datetime64_any_dtype(values)
    number = is_number(values) and not pd.api.types.is_bool_dtype(values)
    content: dict[str, Any] = {
        "kind": "date" if dates else "number" if number else "category",
        "missing": float(values.isna().mean()),
    }
    if private or len(there) < KEPT_FROM:
        return content
    if dates:
        there = (there - EPOCH) / pd.Timedelta(days=1)
    if dates or number:
        shown = histogram(there.to_numpy(float))
        return content | ({"quantiles": quantiles(shown, QUANTILES), "histogram": shown} if shown else {})
    counts = there.astype(str).value_counts().sort_index(kind="stable")
    counts = counts.sort_values(ascending=False, kind="stable")
    shown_counts, other = without_rare(counts.to_numpy())
    named = pd.Series(shown_counts, index=counts.index)[:MOST_VALUES]
    named = named[named > 0]
    distinct = len(counts) if other else len(named)
    return content | {"values": named.to_dict(), "distinct": distinct, "other_rows": int(counts.sum() - named.sum())}


def explained(feature: pd.Series, target: pd.Series, task: str) -> float:
    """The share of the target's variance between the feature's values, adjusted for how many there are.

    This is epsilon squared (Kelley, 1935) with numbers in 50 bins (fewer where a bin would hold less than
    FEWEST_IN_BIN rows), rare values pooled and missing values as one more; a target of classes is taken as an
    indicator of each.
    """
    if is_number(feature):
        there = feature.notna().to_numpy()
        codes = np.zeros(len(feature), dtype=np.intp)
        bins = min(MOST_BINS, max(1, int(there.sum()) // FEWEST_IN_BIN))
        codes[there] = equal_bins(feature[there].to_numpy(float), bins) + 1 if there.any() else 0
    else:
        codes = pd.factorize(feature)[0] + 1
        codes[np.bincount(codes)[codes] < KEPT_FROM] = 0
    rows, groups = len(codes), len(np.unique(codes))
    columns = [target.to_numpy(float)] if task == "regression" else [target == value for value in target.unique()]
    within = total = 0.0
    sizes = np.maximum(np.bincount(codes), 1)
    for column in columns:
        values = np.asarray(column, dtype=float)
        means = np.bincount(codes, values) / sizes
        within += float(((values - means[codes]) ** 2).sum())
        total += float(((values - values.mean()) ** 2).sum())
    return 1 - within / total * (rows - 1) / (rows - groups) if rows > groups and total > 0 else 0.0


def relations(table: pd.DataFrame, data: Data) -> pd.DataFrame:
    """Each feature's missing share and how much of the target it explains alone, the most telling first."""
    target = table[data.target]
    rows = [
        {"feature": name, "missing": table[name].isna().mean(), "explained": explained(table[name], target, data.task)}
        for name in features(table, data)
    ]
    return pd.DataFrame(rows).sort_values("explained", ascending=False, kind="stable")


def main() -> None:
    data = read_params().data
    parts = {name: read_table(Path(f"data/split/{name}.parquet")) for name in ("train", "valid")}
    table = pd.concat(parts.values(), ignore_index=True)
    columns = [column for column in table.columns if column != data.id_column]
    content = {
        "rows": len(table),
        "parts": {name: len(part) for name, part in parts.items()},
        "dropped": parts["train"].attrs.get("dropped", {}),  # of the whole table, as prepare counted them
        "columns": {name: describe(table[name], data.hides(name)) for name in columns},
    }
    found = relations(table, data)
    write_json(content, Path("metrics/data.json"))
    write_csv(found, Path("metrics/features.csv"))
    for row in found[found["explained"] > SUSPICIOUS].itertuples():
        told = f"warning: column {row.feature} says nearly the same as the target; if so, data.drop: [{row.feature}]"
        print(one_line(told))
    told = f"{len(columns)} columns described; the most telling alone: {', '.join(found['feature'].head(3))}"
    print(one_line(told))


if __name__ == "__main__":
    main()
