"""How values are summarised in files that Git keeps, so that no single row's value can be read from them.

The rule: from the files of one commit nobody can determine a value that fewer than KEPT_FROM rows hold. So a value is
named only if that many rows hold it, and a number is told only by the bin that it falls into: bins lie on a grid of
round numbers, and each bin that is shown has that many rows of its own. Nothing that is written is one row's value, or
a sum over so few rows, nor is what is left where the parts of a column are subtracted from a whole. The closest that
one can come to a rare number is the width of its bin, at least 1/32 of the range of the middle 98 %. (Two commits whose
rows differ by one can reveal that row: docs/review.md.)
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.core.files import KEPT_FROM

MOST_BINS = 16
ROWS_PER_BIN = 20  # on average, so that most bins have enough rows to be shown
Rows = NDArray[np.bool_]


def without_rare(counts: NDArray[np.integer]) -> tuple[NDArray[np.int64], int]:
    """The counts that may be shown, 0 for the others, and how many rows the others have.

    A rest of fewer than 10 rows would be as good as their count, so it's added to the largest count.
    """
    shown = np.where(counts < KEPT_FROM, 0, counts).astype(np.int64)
    rest = int(counts.sum() - shown.sum())
    if 0 < rest < KEPT_FROM and shown.any():
        shown[shown.argmax()] += rest
        rest = 0
    return shown, rest


def grid(values: NDArray[np.float64], step: float, ends: tuple[float, float]) -> tuple[int, NDArray[np.int64]] | None:
    """The rows in each bin, from the first to the last that has 10 rows of its own; these two take in all beyond.

    Args:
        values: finite numbers, shape (rows,).
        step: the width of a bin; bins begin at its multiples.
        ends: where the first bin lies at the lowest, and the last one at the highest.

    Returns:
        The number of the first bin (its edge is that many steps) and the counts; None if no bin has enough rows.
    """
    places = np.floor(values / step)
    low, high = np.floor(ends[0] / step), np.floor(ends[1] / step)
    numbers, own = np.unique(places[(places >= low) & (places <= high)], return_counts=True)
    common = numbers[own >= KEPT_FROM]
    if not len(common):
        return None
    first, last = int(common[0]), int(common[-1])
    return first, np.bincount((np.clip(places, first, last) - first).astype(np.intp), minlength=last - first + 1)


def middle(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """The ends of the middle 98 %, with at least 9 rows beyond each; None if there are too few rows, or an overflow."""
    if len(values) < 2 * KEPT_FROM:
        return None
    ordered = np.sort(values)
    beyond = max(round(0.01 * len(ordered)), KEPT_FROM - 1)
    low, high = float(ordered[beyond]), float(ordered[-1 - beyond])
    return (low, high) if np.isfinite(high - low) else None


def histogram(values: NDArray[np.float64]) -> dict[str, Any] | None:
    """Counts on the multiples of `step`, a power of two, from `first` on; the ends take in all that lies beyond.

    The bins don't follow the data but for their width, so that those of two commits can be laid on each other, the
    finer merged into the coarser. Bins of fewer than 10 rows count as empty, and their rows as `other_rows`, or, if
    these are fewer than 10 together, with the largest bin. None if there are too few rows.
    """
    values = values[np.isfinite(values)]
    if (ends := middle(values)) is None:
        return None
    low, high = ends
    bins = min(MOST_BINS, len(values) // ROWS_PER_BIN)
    step = 2.0 ** np.ceil(np.log2((high - low) / bins)) if high > low else 1.0
    if (found := grid(values, step, ends)) is None:
        return None
    first, counts = found
    shown, other = without_rare(counts)
    return {"step": step, "first": first * step, "counts": shown, "other_rows": other}


def joined(sizes: NDArray[np.integer]) -> NDArray[np.intp]:
    """The group of each of some parts in order, neighbours together until each group has 10 rows; shape (parts,)."""
    groups = np.zeros(len(sizes), dtype=np.intp)
    group, rows = 0, 0
    for place, size in enumerate(sizes):
        if rows >= KEPT_FROM and sizes[place:].sum() >= KEPT_FROM:
            group, rows = group + 1, 0
        groups[place] = group
        rows += int(size)
    return groups


def quantiles(shown: dict[str, Any], shares: Iterable[float]) -> dict[str, float]:
    """The lower edge of the bin of a histogram in which each share of the shown rows is reached."""
    cumulated = np.cumsum(shown["counts"])
    if not cumulated[-1]:
        return {}
    places = [int(np.searchsorted(cumulated, share * cumulated[-1])) for share in shares]
    return {str(share): shown["first"] + place * shown["step"] for share, place in zip(shares, places, strict=True)}


def without_small_rests(parts: dict[Any, Rows]) -> dict[Any, Rows]:
    """The parts of a table, without those that would let the mean of fewer than 10 rows be computed.

    From the means of the whole and of its parts, the sum over any combination of them follows: the whole less all parts
    of one column, or one union of parts less another. The parts divide the table into cells, whose rows are in the same
    parts. A part is kept if no combination of it, the parts kept so far and the whole is zero in all cells of 10 rows
    or more without being zero everywhere.

    Args:
        parts: whether each row is in a part, shape (rows,); the most important come first.
    """
    kept: dict[Any, Rows] = {}
    for name, rows in parts.items():
        sums = np.stack([np.ones(len(rows), dtype=bool), *kept.values(), rows])
        cells, sizes = np.unique(sums, axis=1, return_counts=True)
        large = cells[:, sizes >= KEPT_FROM]
        if np.linalg.matrix_rank(large.astype(float)) == np.linalg.matrix_rank(cells.astype(float)):
            kept[name] = rows
    return kept
