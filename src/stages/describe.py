"""What do the examples look like?

    python -m src.stages.describe

Writes for each column its kind, missing share, and quantiles or commonest values with a histogram to
`metrics/data.json`, and how much of the target each feature explains alone to `metrics/features.csv`. The rows are
those of train and valid together: test isn't looked at.

Nothing written shows a value that fewer than 10 rows hold: a quantile is the mean of the 10 rows around it, and rarer
values are only counted. Histograms lie on a grid that doesn't follow the data (multiples of a power of two), so that
those of two commits can be laid on each other, the finer one merged into the coarser.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.core.errors import one_line
from src.core.examples import equal_bins, features, is_number, is_private
from src.core.files import KEPT_FROM, read_table, write_csv, write_json
from src.core.params import Data, read_params

QUANTILES = [0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1]
MOST_VALUES = 50
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
        ordered = np.sort(there.to_numpy(float))
        ordered = ordered[np.isfinite(ordered)]
        if len(ordered) < KEPT_FROM:
            return content
        return content | {"quantiles": quantiles(ordered), "histogram": histogram(ordered)}
    counts = there.astype(str).value_counts()
    shown = counts[counts >= KEPT_FROM].sort_index(kind="stable").sort_values(ascending=False, kind="stable")
    shown = shown.head(MOST_VALUES)
    return content | {"values": shown.to_dict(), "distinct": len(counts), "other_rows": int(counts.sum() - shown.sum())}


def quantiles(ordered: NDArray[np.float64]) -> dict[str, float]:
    """Each of QUANTILES as the mean of the 10 neighbouring rows of an ordered column; dates in days since 1970."""
    last = len(ordered) - KEPT_FROM
    starts = [min(max(round(q * len(ordered)) - KEPT_FROM // 2, 0), last) for q in QUANTILES]
    return {
        str(q): float(ordered[start : start + KEPT_FROM].mean()) for q, start in zip(QUANTILES, starts, strict=True)
    }


def histogram(ordered: NDArray[np.float64]) -> dict[str, Any]:
    """Counts on the multiples of `step`, a power of two, from `first` on; the ends take in all that lies beyond.

    Bins of fewer than 10 rows count as empty, and their rows as `other_rows`: a narrow bin may be a single value.
    """
    low, high = quantiles(ordered)["0.01"], quantiles(ordered)["0.99"]
    step = 2.0 ** np.ceil(np.log2((high - low) / 16)) if high > low else 1.0
    first, last = np.floor(low / step), np.floor(high / step)
    bins = np.clip(np.floor(ordered / step), first, last) - first
    counts = np.bincount(bins.astype(np.intp), minlength=int(last - first) + 1)
    shown = np.where(counts < KEPT_FROM, 0, counts)
    return {"step": step, "first": first * step, "counts": shown, "other_rows": int(counts.sum() - shown.sum())}


def explained(feature: pd.Series, target: pd.Series, task: str) -> float:
    """The share of the target's variance between the feature's values, adjusted for how many there are.

    This is epsilon squared (Kelley, 1935) with numbers in 50 bins, rare values pooled and missing values as one more;
    a target of classes is taken as an indicator of each.
    """
    if is_number(feature):
        there = feature.notna().to_numpy()
        codes = np.zeros(len(feature), dtype=np.intp)
        codes[there] = equal_bins(feature[there].to_numpy(float), 50) + 1 if there.any() else 0
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
        "columns": {name: describe(table[name], is_private(name, data)) for name in columns},
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
