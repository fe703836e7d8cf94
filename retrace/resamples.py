"""Random draws by which chance is measured: resamples of the validation rows, and halves of the training rows.

Draws depend on the rows' ids and on a constant, and never on `train.seed`. So the same rows are drawn in every commit
that has them, and two commits can be compared draw by draw. Draw r doesn't depend on how many draws there are.

Rows whose targets are correlated are drawn together, as one unit: the rows of a group (`data.group`) if there are
groups, else the rows of a calendar block (`split.block`), else each row by itself. This is the cluster bootstrap (Field
and Welsh, 2007).

The scores of resamples are kept in Git, and anyone can compute which unit is in which resample. From these the losses
of a few rows could be solved for. So units are joined at random into pools of at least ten rows, and pools are drawn. A
random pool of independent units is a valid unit, too: only degrees of freedom are lost.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.files import FEWEST_ROWS_SHOWN, as_text
from retrace.params import Block, Data
from retrace.privacy import reveals_few_rows

SEED = 20130101
BLOCKS: dict[Block, str] = {"hour": "h", "day": "D", "week": "W", "month": "M"}  # pandas' names; the finest come first
MOST_TRIES = 1_000  # to draw a half with each class in it
ROWS_HASHED_AT_ONCE = 100_000  # which limits the memory

Codes = NDArray[np.intp]
SliceName = tuple[str, str]  # a column, and the value that the slice's rows have in it


@dataclass(frozen=True)
class Draws:
    """Bootstrap resamples of some rows, as iterable: how often each row is in each resample, shape (rows,).

    Each resample is drawn when it's needed, so that only one is in memory.

    Attributes:
        units: how many pools these rows are in.
        pools: the pool of each row as a number from 0, shape (rows,).
        pools_drawn: how many pools are drawn in each resample, out of as many. These may have other rows, too.
        resamples: how many resamples.
        salt: text on which the draws depend.
    """

    units: int
    pools: Codes
    pools_drawn: int
    resamples: int
    salt: str = ""

    def __iter__(self) -> Iterator[NDArray[np.integer]]:
        count = self.pools_drawn
        for draw in range(self.resamples):
            rng = np.random.default_rng([SEED, 0, draw, *self.salt.encode()])
            yield np.bincount(rng.integers(0, count, count), minlength=count)[self.pools]


def blocks(times: pd.Series, block: Block) -> pd.Series:
    """The calendar block of each time: its hour, day, week (from Monday on) or month."""
    return pd.Series(times.dt.to_period(BLOCKS[block]))


def unit_names(table: pd.DataFrame, data: Data) -> pd.Series:
    """The name of each row's unit: its group, else its calendar block, else its id.

    Args:
        table: rows as `split` writes them, whose `attrs["block"]` is `split.block`.
        data: which columns are the group, the time and the id.
    """
    block = table.attrs.get("block")
    if data.group:
        return as_text(table[data.group])
    if block:
        block_of_row, distinct = pd.factorize(blocks(table[data.time], block))
        return pd.Series(distinct.astype("str").take(block_of_row), index=table.index)
    return as_text(table[data.id_column])


def units(table: pd.DataFrame, data: Data) -> Codes:
    """The unit of each row as a number from 0, in the order of the units' names, shape (rows,)."""
    return pd.factorize(unit_names(table, data), sort=True)[0]


def pools(table: pd.DataFrame, data: Data) -> Codes:
    """The pool of each row as a number from 0, shape (rows,)."""
    return pools_of_units(units(table, data))


def pools_of_units(unit_of_row: Codes) -> Codes:
    """Join units at random into pools of at least ten rows, unless each unit has as many already.

    Args:
        unit_of_row: the unit of each row as a number from 0, shape (rows,).

    Returns:
        The pool of each row as a number from 0, shape (rows,). There is one pool if there are too few rows for two.
    """
    sizes = np.bincount(unit_of_row)
    if sizes.min() >= FEWEST_ROWS_SHOWN:
        return unit_of_row
    return join_at_random(sizes)[unit_of_row]


def join_at_random(sizes: NDArray[np.integer], salt: str = "") -> Codes:
    """Join items at random into groups, until the sizes in each group add up to ten.

    Items that are left over at the end join the last group.

    Args:
        sizes: the size of each item.
        salt: text on which the random order depends.

    Returns:
        The group of each item as a number from 0, shape (items,).
    """
    group_of_item = np.zeros(len(sizes), dtype=np.intp)
    group = size_of_group = 0
    for item in np.random.default_rng([SEED, 2, *salt.encode()]).permutation(len(sizes)):
        if size_of_group >= FEWEST_ROWS_SHOWN:
            group, size_of_group = group + 1, 0
        group_of_item[item] = group
        size_of_group += int(sizes[item])
    if size_of_group < FEWEST_ROWS_SHOWN:
        group_of_item[group_of_item == group] = max(0, group - 1)
    return group_of_item


def resample(pools: Codes, draws: int, salt: str = "") -> Draws:
    """Resamples in which as many pools are drawn, with replacement, as there are (Efron, 1979).

    Args:
        pools: the pool of each row as a number from 0, shape (rows,).
        draws: how many resamples.
        salt: text on which the draws depend.
    """
    count = int(pools.max()) + 1
    return Draws(count, pools, count, draws, salt)


def bootstrap(table: pd.DataFrame, data: Data, draws: int) -> Draws:
    """Resamples of all rows of a table."""
    return resample(pools(table, data), draws)


def bootstrap_slices(slices: Mapping[SliceName, NDArray[np.bool_]], whole: Draws) -> dict[SliceName, Draws]:
    """Resamples of the rows of each slice.

    Slices divide the pools of the whole into pieces. Where no piece has fewer than ten rows, and no sum over so few
    follows from the scores, a slice takes part in the resamples of the whole. Any other slice is drawn by itself, from
    pools that are joined at random until the pieces in them have enough rows.

    Args:
        slices: whether each row is in the slice, by the slice's column and value; the largest come first.
        whole: the resamples of the whole.
    """
    pieces, sharing = divide_pools(whole.pools, slices)
    found = {}
    for name, rows in slices.items():
        if name in sharing:
            shared_pools = whole.pools[rows]
            found[name] = replace(whole, units=len(np.unique(shared_pools)), pools=shared_pools)
        else:
            own_pools = pools_of_slice(whole.pools, pieces, rows, salt="\n".join(name))
            found[name] = resample(own_pools, whole.resamples, salt="\n".join(name))
    return found


def divide_pools(whole_pools: Codes, slices: Mapping[SliceName, NDArray[np.bool_]]) -> tuple[Codes, list[SliceName]]:
    """Divide pools into pieces by as many slices as can take part in the resamples of the whole.

    Args:
        whole_pools: the pool of each row, shape (rows,).
        slices: whether each row is in the slice, by the slice's name; the largest come first.

    Returns:
        The piece of each row as a number from 0, shape (rows,), and the names of these slices. Rows of a piece are in
        the same pool and in the same ones of these slices.
    """
    pieces = whole_pools
    sharing = []
    for name, rows in slices.items():
        smaller_pieces = np.unique(2 * pieces + rows, return_inverse=True)[1]
        all_large = np.bincount(smaller_pieces).min() >= FEWEST_ROWS_SHOWN
        if all_large and not reveals_few_rows(list(slices.values()), smaller_pieces):
            pieces = smaller_pieces
            sharing.append(name)
    return pieces, sharing


def pools_of_slice(whole_pools: Codes, pieces: Codes, rows: NDArray[np.bool_], salt: str) -> Codes:
    """Join the pools that a slice has rows of, until it can be drawn by itself.

    Sums over pieces are known, and sums over the slice's rows in a pool. Their difference is a sum over the rows of a
    piece that are in the slice, or over those that aren't, whichever are fewer. So these fewer rows are counted, and
    pools are joined until there are ten.

    Args:
        whole_pools: the pool of each row, shape (rows,).
        pieces: the piece of each row, as `divide_pools` returns it, shape (rows,).
        rows: whether each row is in the slice, shape (rows,).
        salt: text on which it depends which pools are joined.

    Returns:
        The pool of each row of the slice as a number from 0, shape (rows of the slice,).
    """
    rows_inside = np.bincount(pieces, rows).astype(np.intp)
    rows_outside = np.bincount(pieces) - rows_inside
    pool_of_piece = whole_pools[np.unique(pieces, return_index=True)[1]]
    fewer_rows_of_pool = np.bincount(pool_of_piece, np.minimum(rows_inside, rows_outside)).astype(np.intp)
    slice_pools, pool_of_row = np.unique(whole_pools[rows], return_inverse=True)
    return join_at_random(fewer_rows_of_pool[slice_pools], salt)[pool_of_row]


class Half(NamedTuple):
    """A random half of some units.

    Attributes:
        rows: whether each row is in the half, shape (rows,).
        drawn: how many units are in the half.
        units: out of how many.
    """

    rows: NDArray[np.bool_]
    drawn: int
    units: int


def half(table: pd.DataFrame, data: Data, draw: int) -> Half:
    """A random half of a table's units, drawn without replacement, with each class in it.

    Args:
        table: the training rows.
        data: the roles of the columns.
        draw: the number of the half, from 0.

    Raises:
        UserError: hardly any half has each class in it.
    """
    unit_of_row = units(table, data)
    count = int(unit_of_row.max()) + 1
    drawn = (count + 1) // 2
    classes = table[data.target].nunique() if data.task == "classification" else 0
    for attempt in range(MOST_TRIES):
        seed = [SEED, 1, draw] if attempt == 0 else [SEED, 1, draw, attempt]
        chosen = np.zeros(count, dtype=bool)
        chosen[np.random.default_rng(seed).permutation(count)[:drawn]] = True
        rows = chosen[unit_of_row]
        if not classes or table.loc[rows, data.target].nunique() == classes:
            return Half(rows, drawn, count)
    what = "groups" if data.group else "blocks of time" if table.attrs.get("block") else "rows"
    raise UserError(
        f"column {data.target}: in {MOST_TRIES:,} random halves of train a class is missing; "
        f"more {what} with each class are needed, or join the rarest with another"
    )


def fingerprint(table: pd.DataFrame, data: Data) -> str:
    """A hash of each row's id and unit, on which the draws depend: equal where the same rows are drawn together."""
    return _hash(table[data.id_column], unit_names(table, data))


def fingerprints(table: pd.DataFrame, data: Data) -> dict[str, str]:
    """Hashes of the `ids`, and of the `targets` with their ids.

    Where only the second one differs, the target is defined differently. It's omitted for a private target.
    """
    found = {"ids": _hash(table[data.id_column])}
    if not data.hides(data.target):  # whoever knows the ids could try out targets until the hash is the same
        found["targets"] = _hash(content_of(table[data.id_column], data.id), table[data.target])
    return found


def content_of(ids: pd.Series, id_column: str | None) -> pd.Series:
    """Ids as text, without the number by which rows of equal content differ: it depends on their order in the file.

    Args:
        ids: as `prepare` writes them.
        id_column: `data.id`. If it names a column, ids are that column's values and have no such number.
    """
    return as_text(ids) if id_column else as_text(ids).str.replace("-.*", "", regex=True)


def _hash(*columns: pd.Series) -> str:
    """A hash of the rows' values in some columns. It depends neither on the rows' order nor on the columns' types."""
    cells = [pa.array(as_text(column).fillna(""), pa.large_string()) for column in columns]
    rows = pc.binary_join_element_wise(*cells, pa.scalar("\x1f", pa.large_string()))
    order = pc.sort_indices(rows)
    found = hashlib.sha256()
    for start in range(0, len(rows), ROWS_HASHED_AT_ONCE):
        part = rows.take(order[start : start + ROWS_HASHED_AT_ONCE]).to_pylist()
        found.update("\n".join(["", *part] if start else part).encode())
    return found.hexdigest()[:16]
