"""How values are summarised in files that Git keeps, so that no single row's value can be read from them.

The rule: nobody can find out from the files of one commit a value that fewer than FEWEST_ROWS_SHOWN rows hold. So:

- A value is named only if that many rows hold it.
- A number is shown only as a bin of a histogram. Bins lie on a grid of round numbers, and each bin that is shown holds
  that many rows. A rare number is known no closer than the width of its bin, at least 1/32 of the range of the middle
  98 %.
- No sum over fewer rows is written, nor does one follow from the difference of sums that are written.

Two commits whose rows differ by one can still reveal that row: docs/review.md.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.files import FEWEST_ROWS_SHOWN
from retrace.pieces import each, numbers_at

MOST_BINS = 16
ROWS_PER_BIN = 20  # on average, so that most bins have enough rows to be shown
PRIMES = (2, 3, 5, 2**31 - 1)  # modulo the last one, a rank is the same as with real numbers
Rows = NDArray[np.bool_]
Numbers = NDArray[np.float64]


def without_rare(counts: NDArray[np.integer]) -> tuple[NDArray[np.int64], int]:
    """Counts that may be shown, with 0 in place of those below 10, and how many rows these have together.

    If the rare values have fewer than 10 rows together, these rows are added to the largest count instead: their number
    would be as good as the counts themselves.
    """
    shown = np.where(counts < FEWEST_ROWS_SHOWN, 0, counts).astype(np.int64)
    rare_rows = int(counts.sum() - shown.sum())
    if 0 < rare_rows < FEWEST_ROWS_SHOWN and shown.any():
        shown[shown.argmax()] += rare_rows
        rare_rows = 0
    return shown, rare_rows


def count_in_bins(
    values: Iterable[Numbers], step: float, ends: tuple[float, float]
) -> tuple[int, NDArray[np.int64]] | None:
    """The number of rows in each bin, from the first to the last bin that holds 10 rows.

    Rows below the first bin are counted in it, and rows above the last bin in that one.

    Args:
        values: the pieces of a column of finite numbers, each of shape (rows,).
        step: the width of a bin. Bins begin at its multiples.
        ends: the first and the last bin are between these two numbers.

    Returns:
        The number of the first bin, whose lower edge is that many steps, and the counts; None if no bin has 10 rows.
    """
    lowest, highest = np.floor(ends[0] / step), np.floor(ends[1] / step)
    rows_of_bin: Counter[float] = Counter()
    for piece in values:
        bins = np.floor(piece / step)
        numbers, rows = np.unique(bins[(bins >= lowest) & (bins <= highest)], return_counts=True)
        rows_of_bin.update(dict(zip(numbers.tolist(), rows.tolist(), strict=True)))
    common = [number for number, rows in rows_of_bin.items() if rows >= FEWEST_ROWS_SHOWN]
    if not common:
        return None
    first, last = int(min(common)), int(max(common))
    counts = np.zeros(last - first + 1, dtype=np.int64)
    for piece in values:
        shifted = (np.clip(np.floor(piece / step), first, last) - first).astype(np.intp)
        counts += np.bincount(shifted, minlength=len(counts))
    return first, counts


def middle_range(values: Iterable[Numbers]) -> tuple[float, float] | None:
    """The range of the middle 98 %, with at least 9 rows beyond each end.

    It's None if there are too few rows, or if the range is infinite.

    Args:
        values: the pieces of a column of finite numbers, each of shape (rows,).
    """
    count = sum(map(len, values))
    if count < 2 * FEWEST_ROWS_SHOWN:
        return None
    rows_beyond = max(round(0.01 * count), FEWEST_ROWS_SHOWN - 1)
    low, high = map(float, numbers_at(values, [rows_beyond, count - 1 - rows_beyond]))
    return (low, high) if np.isfinite(high - low) else None


def histogram(values: Iterable[Numbers]) -> dict[str, Any] | None:
    """A histogram that reveals no rare value.

    Only the width of the bins depends on the data, and it's a power of two. So the histograms of two commits can be
    compared, after the bins of the finer one are merged.

    Args:
        values: the pieces of a column of numbers, each of shape (rows,); what isn't finite is left out.

    Returns:
        `first`, the lower edge of the first bin; `step`, the width of a bin; `counts`, the rows in each bin, where the
        first and the last bin include what lies beyond them, and a bin with fewer than 10 rows counts as empty;
        `other_rows`, how many rows these bins have. None if there are too few rows.
    """
    finite = each(lambda piece: piece[np.isfinite(piece)], values)
    ends = middle_range(finite)
    if ends is None:
        return None
    low, high = ends
    bins = min(MOST_BINS, sum(map(len, finite)) // ROWS_PER_BIN)
    step = 2.0 ** np.ceil(np.log2((high - low) / bins)) if high > low else 1.0
    counted = count_in_bins(finite, step, ends)
    if counted is None:
        return None
    first, counts = counted
    shown, other_rows = without_rare(counts)
    return {"step": step, "first": first * step, "counts": shown, "other_rows": other_rows}


def merge_small_bins(sizes: NDArray[np.integer]) -> NDArray[np.intp]:
    """The group of each bin, after neighbours are merged until each group has 10 rows; shape (bins,).

    Args:
        sizes: the number of rows in each bin, in the bins' order.
    """
    groups = np.zeros(len(sizes), dtype=np.intp)
    group, rows_in_group = 0, 0
    for number, size in enumerate(sizes):
        rows_left = sizes[number:].sum()
        if rows_in_group >= FEWEST_ROWS_SHOWN and rows_left >= FEWEST_ROWS_SHOWN:
            group, rows_in_group = group + 1, 0
        groups[number] = group
        rows_in_group += int(size)
    return groups


def quantiles(shown: dict[str, Any], shares: Iterable[float]) -> dict[str, float]:
    """The lower edges of the bins in which some shares of the rows are reached, by share.

    Args:
        shown: what `histogram` returns.
        shares: from 0 to 1.
    """
    cumulated = np.cumsum(shown["counts"])
    if not cumulated[-1]:
        return {}
    found = {}
    for share in shares:
        number = int(np.searchsorted(cumulated, share * cumulated[-1]))
        found[str(share)] = shown["first"] + number * shown["step"]
    return found


class Cells(NamedTuple):
    """The rows of a table by cell: rows of a cell are in the same pool and in the same slices.

    There are far fewer cells than rows, where pools are large.

    Attributes:
        of_row: the cell of each row as a number from 0, in the order of the pools, shape (rows,).
        sizes: how many rows a cell has, shape (cells,).
        pools: the pool of each cell, shape (cells,).
        slices: whether each cell is in a slice, shape (cells,), by the slice's name.
    """

    of_row: NDArray[np.int32]
    sizes: NDArray[np.intp]
    pools: NDArray[np.intp]
    slices: dict[Any, Rows]

    @classmethod
    def of(cls, slices: Mapping[Any, Rows], pools: NDArray[np.integer]) -> Self:
        """The cells of some rows.

        Args:
            slices: whether each row is in a slice, shape (rows,), by the slice's name.
            pools: the number of each row's pool from 0, shape (rows,).
        """
        of_row = pools.astype(np.int32)
        for rows in slices.values():
            codes, cells = pd.factorize(2 * of_row + rows)
            of_row = np.argsort(np.argsort(cells)).astype(np.int32)[codes]
            del codes  # which take more memory than all slices
        sizes = np.bincount(of_row)
        a_row = np.zeros(len(sizes), dtype=np.intp)
        a_row[of_row] = np.arange(len(of_row))  # of each cell the last one
        in_slices = {name: rows[a_row] for name, rows in slices.items()}
        return cls(of_row, sizes, pools[a_row].astype(np.intp), in_slices)


def without_revealing_slices(slices: Mapping[Any, Rows], pools: NDArray[np.integer]) -> list[Any]:
    """The names of a table's slices, without those by which a sum over fewer than 10 rows could be computed.

    Args:
        slices: whether each row is in a slice, shape (rows,), by the slice's name; the most important come first.
        pools: the number of each row's pool, shape (rows,). The resamples reveal sums over pools.
    """
    cells = Cells.of(slices, pools)
    kept: list[Any] = []
    for name, chosen in cells.slices.items():
        if not reveals_few_rows([*(cells.slices[other] for other in kept), chosen], cells.pools, cells.sizes):
            kept.append(name)
    return kept


def reveals_few_rows(slices: Sequence[Rows], pools: NDArray[np.intp], sizes: NDArray[np.intp]) -> bool:
    """Whether a sum over fewer than 10 rows may follow from the sums over slices and over pools.

    Whatever follows is a combination of these sums: each pool and each slice has a factor, and each row has the sum of
    the factors of its pool and of its slices. The combination reveals few rows if this number is 0 for all other rows.

    Rows that are in the same pool and in the same slices always have the same number: they are a cell. Within a pool,
    each cell is compared with the largest one. Their numbers differ by the factors of the slices that only one of the
    two is in. If this difference isn't 0, one of the two cells has a number other than 0. Then the combination covers
    at least as many rows as the smaller cell has. So in a combination that covers fewer than 10 rows, each difference
    that 10 rows or more have must be 0. Nothing is revealed if it follows that all other differences are 0, too: then
    these add nothing to the rank. Counts (of errors, say) are whole numbers, and their remainders could be combined as
    well. So the other differences must add nothing to the rank modulo small primes, either.

    Args:
        slices: whether each of some cells is in a slice, shape (cells,).
        pools: the pool of each cell, shape (cells,).
        sizes: how many rows each cell has, shape (cells,). Several cells that `slices` doesn't distinguish are one.
    """
    joined = Cells.of(dict(enumerate(slices)), pools)
    pool_of_cell, sizes = joined.pools, np.bincount(joined.of_row, sizes).astype(np.intp)
    membership = np.stack(list(joined.slices.values()), axis=1).astype(np.int8)  # shape (cells, slices)

    by_size = np.argsort(sizes, kind="stable")
    largest_cell = np.zeros(pools.max() + 1, dtype=np.intp)
    largest_cell[pool_of_cell[by_size]] = by_size  # the last one of a pool stays
    differences = membership - membership[largest_cell[pool_of_cell]]

    distinct, number = np.unique(differences, axis=0, return_inverse=True)
    distinct = distinct.astype(np.int64)
    rows_with_difference = np.bincount(number.ravel(), sizes)
    common = distinct[rows_with_difference >= FEWEST_ROWS_SHOWN]
    return any(rank(common, prime) < rank(distinct, prime) for prime in PRIMES)


def rank(matrix: NDArray[np.int64], prime: int) -> int:
    """The rank of a matrix of whole numbers modulo a prime, by Gaussian elimination."""
    rows, found = matrix % prime, 0
    for column in range(rows.shape[1]):
        candidates = found + np.flatnonzero(rows[found:, column])
        if not len(candidates):
            continue
        pivot = candidates[0]
        rows[[found, pivot]] = rows[[pivot, found]]
        rows[found] = rows[found] * pow(int(rows[found, column]), -1, prime) % prime
        rows[found + 1 :] = (rows[found + 1 :] - np.outer(rows[found + 1 :, column], rows[found])) % prime
        found += 1
    return found
