"""What is watched of a column: statistics that follow from how many rows of each day are in each bin.

The bins are those of metrics/data.json: the bins of a number's histogram, or the named values of a category and one bin
for all other values. The last bin is that of missing values. A statistic is the mean of a score that the rows in a bin
have:

- `location`, of a number: the share of the reference's rows below the bin, and half of those in it. It's the mean of
  what pandas calls `rank(pct=True)`, and 0.5 in the reference.
- `spread`, of a number: how far the location is from 0.5.
- `missing`: 1 if the value is missing, otherwise 0. So the statistic is the share of missing values.
- `value …`, of a category: 1 if the row has this value, otherwise 0, for each of the most common values.
- `other values`, of a category: the same for all values that the reference doesn't name, because they are rare or new.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.monitoring.exchangeability import Array, Counts, Days, Rows, Shift

Column = Mapping[str, Any]  # what metrics/data.json holds of a column
MOST_VALUES = 10  # of a category whose shares are watched, each by itself


def number_of_bins(column: Column) -> int:
    """How many bins a column has, that of missing values included.

    A column without a histogram and without values, such as a private one, has a bin for all present values.
    """
    if "histogram" in column:
        return len(column["histogram"]["counts"]) + 1
    return len(column.get("values", {})) + 2


def bin_of_rows(values: pd.Series, column: Column) -> NDArray[np.intp]:
    """The bin of each value, shape (rows,). Numbers beyond the first and the last bin are counted in these two."""
    bins = number_of_bins(column)
    if "histogram" in column:
        # metrics/data.json has numbers rounded to six digits. The exact edges are multiples of a power of two.
        step = 2.0 ** round(math.log2(column["histogram"]["step"]))
        first = round(column["histogram"]["first"] / step)
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
        found = np.clip(np.floor(numbers / step) - first, 0, bins - 2)
    else:
        codes = pd.Index(list(column.get("values", {}))).get_indexer(values.astype(str))
        found = np.where(codes < 0, bins - 2, codes).astype(float)
    return np.where(values.isna() | np.isnan(found), bins - 1, found).astype(np.intp)


def count_rows(bins: NDArray[np.intp], days: NDArray[np.intp], shape: tuple[int, int]) -> Counts:
    """How many rows of each day are in each bin.

    Args:
        bins: the bin of each row, shape (rows,).
        days: the day of each row as a number from 0, shape (rows,).
        shape: the number of days, and the number of bins.
    """
    return np.bincount(days * shape[1] + bins, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)


def reference_counts(column: Column, rows: int) -> Counts:
    """How many rows of the reference are in each bin, shape (1, bins).

    Args:
        column: what metrics/data.json holds of the column.
        rows: how many rows the reference has.
    """
    missing = round(column["missing"] * rows)
    if "histogram" in column:
        counts, other_rows = np.array(column["histogram"]["counts"]), column["histogram"]["other_rows"]
        # Bins with fewer than 10 rows are shown as empty. Their rows are divided among all empty bins.
        empty = counts == 0
        counts[empty] = np.diff(np.linspace(0, other_rows, empty.sum() + 1).round())
        present = counts.tolist()
    elif "values" in column:
        present = [*column["values"].values(), column["other_rows"]]
    else:
        present = [rows - missing]
    return np.array([[*present, missing]], dtype=np.int64)


def statistics(column: Column) -> dict[str, Array]:
    """The statistics of a column: for each, the score of the rows in each bin, shape (bins,).

    The score is NaN in a bin whose rows don't count.
    """
    bins = number_of_bins(column)
    one_bin = np.eye(bins)
    found: dict[str, Array] = {}
    if "histogram" in column:
        counts = np.array(column["histogram"]["counts"], dtype=float)
        below = np.cumsum(counts) - counts / 2
        location = np.append(below / counts.sum(), np.nan)
        found |= {"location": location, "spread": np.abs(location - 0.5)}
    elif "values" in column:
        common = list(column["values"])
        common.sort(key=lambda value: (-column["values"][value], value))
        for value in common[:MOST_VALUES]:
            found[f"value {value}"] = one_bin[list(column["values"]).index(value)]
        found["other values"] = one_bin[bins - 2]
    return found | {"missing": one_bin[bins - 1]}


def median(column: Column, rows_of_bins: Sequence[int]) -> float | None:
    """About where the median is, in the column's own unit; None if all rows are missing.

    The numbers in a bin are taken to be spread evenly over it.

    Args:
        column: what metrics/data.json holds of it, with a histogram.
        rows_of_bins: how many rows are in each bin; that of missing values doesn't count.
    """
    shown = column["histogram"]
    rows_below = np.append(0, np.cumsum(rows_of_bins[: len(shown["counts"])]))  # each edge of a bin
    edges = shown["first"] + shown["step"] * np.arange(len(rows_below))
    return float(np.interp(rows_below[-1] / 2, rows_below, edges)) if rows_below[-1] else None


def days_of(counts: Counts, scores: Array) -> Days:
    """A statistic of which each day is a unit.

    Args:
        counts: how many rows of each day are in each bin, shape (days, bins).
        scores: the statistic's score in each bin, shape (bins,).
    """
    used = np.isfinite(scores)
    counts, scores = counts[:, used], scores[used]
    rows = counts.sum(axis=1)
    means = np.divide(counts @ scores, rows, out=np.full(len(rows), np.nan), where=rows > 0)
    deviations = np.nan_to_num(scores - means[:, None])
    return Days(means, rows, float((counts * deviations**2).sum() / max(rows.sum(), 1)))


def within_range(shift: Shift, scores: Array) -> Shift:
    """A shift whose bounds are not outside of what the statistic can be.

    A mean is never lower than the lowest score, or higher than the highest one. So a share is between 0 and 1.

    Args:
        shift: of the statistic.
        scores: the statistic's score in each bin, shape (bins,).
    """
    return Shift(*np.clip(shift, np.nanmin(scores), np.nanmax(scores)).tolist())


def series_of_days(counts: Counts, column: Column) -> dict[str, Days]:
    """All statistics of a column, of which each day is a unit; `counts` has shape (days, bins)."""
    return {name: days_of(counts, scores) for name, scores in statistics(column).items()}


def series_of_rows(counts: Counts, column: Column) -> dict[str, Rows]:
    """All statistics of a column, of which each row is a unit; `counts` has shape (days, bins)."""
    return {name: Rows(counts, scores) for name, scores in statistics(column).items()}
