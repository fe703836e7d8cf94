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

from retrace.files import KEPT_FROM

MOST_BINS = 16
ROWS_PER_BIN = 20  # on average, so that most bins have enough rows to be shown
PRIMES = (2, 3, 5, 2**31 - 1)  # by the last one a rank is that of real numbers
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


def without_small_rests(parts: dict[Any, Rows], pools: NDArray[np.intp]) -> dict[Any, Rows]:
    """The parts of a table, without those by which a sum over fewer than 10 rows could be computed.

    Args:
        parts: whether each row is in a part, shape (rows,); the most important come first.
        pools: the number of each row's pool, shape (rows,): what the resamples tell the sum of.
    """
    kept: dict[Any, Rows] = {}
    for name, rows in parts.items():
        if not tells_few([*kept.values(), rows], pools):
            kept[name] = rows
    return kept


def tells_few(parts: list[Rows], pools: NDArray[np.intp]) -> bool:
    """Whether a sum over fewer than 10 rows can follow from the sums over some parts and over each pool.

    What follows are the combinations: any number for each pool plus any for each part. Two cells of a pool (rows that
    are in the same parts) differ by the parts that only one of them is in. Unless the parts' numbers cancel in this
    difference, the combination isn't zero in the smaller cell or in the larger one. So a difference that 10 rows or
    more have must cancel in any combination over fewer. It tells nothing if the other differences then cancel, too:
    their rank is no higher. Counts of hits are whole, so that remainders could be computed; these ranks count as well.
    """
    cell_of = pools
    for rows in parts:  # rows of one pool that are in the same parts get one number
        cell_of = np.unique(2 * cell_of + rows, return_inverse=True)[1]
    _, example, sizes = np.unique(cell_of, return_index=True, return_counts=True)
    patterns = np.stack([rows[example] for rows in parts], axis=1).astype(np.int64)
    largest = {int(pools[example[cell]]): cell for cell in np.argsort(sizes, kind="stable")}  # the last of each pool
    differences = patterns - patterns[[largest[pool] for pool in pools[example].tolist()]]
    found, number = np.unique(differences, axis=0, return_inverse=True)
    many = found[np.bincount(number.ravel(), sizes) >= KEPT_FROM]
    return any(rank(many, prime) < rank(found, prime) for prime in PRIMES)


def rank(matrix: NDArray[np.int64], prime: int) -> int:
    """The rank of a matrix of whole numbers modulo a prime, by Gaussian elimination."""
    left, found = matrix % prime, 0
    for column in range(left.shape[1]):
        below = found + np.flatnonzero(left[found:, column])
        if not len(below):
            continue
        left[[found, below[0]]] = left[[below[0], found]]
        left[found] = left[found] * pow(int(left[found, column]), -1, prime) % prime
        left[found + 1 :] = (left[found + 1 :] - np.outer(left[found + 1 :, column], left[found])) % prime
        found += 1
    return found
