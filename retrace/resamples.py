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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.files import FEWEST_ROWS_SHOWN, as_text
from retrace.params import Block, Data
from retrace.privacy import Cells, reveals_few_rows
from retrace.table_files import read_chunks

SEED = 20130101
BLOCKS: dict[Block, str] = {"hour": "h", "day": "D", "week": "W", "month": "M"}  # pandas' names; the finest come first
MOST_TRIES = 1_000  # to draw a half with each class in it
ROWS_SORTED_AT_ONCE = 4_000_000  # about so many, which limits the memory
ROWS_HASHED_AT_ONCE = 100_000
SAMPLED = 1_000  # a row in so many is looked at, to find ranges of as many rows each

Codes = NDArray[np.intp]
CellsOf = Callable[[pd.DataFrame], tuple[pd.Series, ...]]
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
    pools: NDArray[np.integer]
    pools_drawn: int
    resamples: int
    salt: str = ""

    def __iter__(self) -> Iterator[NDArray[np.integer]]:
        count = self.pools_drawn
        for draw in range(self.resamples):
            rng = np.random.default_rng([SEED, 0, draw, *self.salt.encode()])
            times = np.bincount(rng.integers(0, count, count), minlength=count)
            yield times.astype(np.min_scalar_type(times.max()))[self.pools]


def blocks(times: pd.Series, block: Block) -> pd.Series:
    """The calendar block of each time: its hour, day, week (from Monday on) or month."""
    return pd.Series(times.dt.to_period(BLOCKS[block]))


def unit_names(table: pd.DataFrame, data: Data) -> pd.Series:
    """The name of each row's unit: its group, else its calendar block (as a category), else its id.

    Args:
        table: rows as `split` writes them, whose `attrs["block"]` is `split.block`.
        data: which columns are the group, the time and the id.
    """
    block = table.attrs.get("block")
    if data.group:
        return as_text(table[data.group])
    if block:
        block_of_row, distinct = pd.factorize(blocks(table[data.time], block), sort=True)
        names = pd.Categorical.from_codes(block_of_row, distinct.astype("str"))
        return pd.Series(names, index=table.index)
    return as_text(table[data.id_column])


def units(table: pd.DataFrame, data: Data) -> Codes:
    """The unit of each row as a number from 0, in the order of the units' names, shape (rows,)."""
    return pd.factorize(unit_names(table, data), sort=True)[0]


def pools(table: pd.DataFrame, data: Data) -> NDArray[np.integer]:
    """The pool of each row as a number from 0, of the smallest type that can hold it; shape (rows,)."""
    found = pools_of_units(units(table, data))
    return found.astype(np.min_scalar_type(found.max()))


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


def resample(pools: NDArray[np.integer], draws: int, salt: str = "") -> Draws:
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
    cells = Cells.of(slices, whole.pools)
    pieces, sharing = divide_pools(cells)
    found = {}
    for name, chosen in cells.slices.items():
        cell_of_row = cells.of_row[slices[name]]
        if name in sharing:
            units, shared_pools = len(np.unique(cells.pools[chosen])), whole.pools[slices[name]]
            found[name] = replace(whole, units=units, pools=shared_pools)
        else:
            own_pools = pools_of_slice(cells, pieces, chosen, salt="\n".join(name))
            found[name] = resample(own_pools[cell_of_row], whole.resamples, salt="\n".join(name))
    return found


def divide_pools(cells: Cells) -> tuple[Codes, list[SliceName]]:
    """Divide pools into pieces by as many slices as can take part in the resamples of the whole.

    Args:
        cells: the cells of the whole by these slices; the largest slices come first.

    Returns:
        The piece of each cell as a number from 0, shape (cells,), and the names of these slices. Cells of a piece are
        in the same pool and in the same ones of these slices.
    """
    pieces = cells.pools
    sharing = []
    for name, chosen in cells.slices.items():
        smaller_pieces = np.unique(2 * pieces + chosen, return_inverse=True)[1]
        all_large = np.bincount(smaller_pieces, cells.sizes).min() >= FEWEST_ROWS_SHOWN
        if all_large and not reveals_few_rows(list(cells.slices.values()), smaller_pieces, cells.sizes):
            pieces = smaller_pieces
            sharing.append(name)
    return pieces, sharing


def pools_of_slice(cells: Cells, pieces: Codes, chosen: NDArray[np.bool_], salt: str) -> NDArray[np.integer]:
    """Join the pools that a slice has rows of, until it can be drawn by itself.

    Sums over pieces are known, and sums over the slice's rows in a pool. Their difference is a sum over the rows of a
    piece that are in the slice, or over those that aren't, whichever are fewer. So these fewer rows are counted, and
    pools are joined until there are ten.

    Args:
        cells: the cells of the whole.
        pieces: the piece of each cell, as `divide_pools` returns it, shape (cells,).
        chosen: whether each cell is in the slice, shape (cells,).
        salt: text on which it depends which pools are joined.

    Returns:
        The pool of each cell of the slice as a number from 0, shape (cells,); other cells have any number.
    """
    rows_inside = np.bincount(pieces, cells.sizes * chosen).astype(np.intp)
    rows_outside = np.bincount(pieces, cells.sizes).astype(np.intp) - rows_inside
    pool_of_piece = cells.pools[np.unique(pieces, return_index=True)[1]]
    fewer_rows_of_pool = np.bincount(pool_of_piece, np.minimum(rows_inside, rows_outside)).astype(np.intp)
    slice_pools, pool_of_cell = np.unique(cells.pools[chosen], return_inverse=True)
    own_pools = np.zeros(len(cells.pools), dtype=np.min_scalar_type(len(slice_pools)))
    own_pools[chosen] = join_at_random(fewer_rows_of_pool[slice_pools], salt)[pool_of_cell]
    return own_pools


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


def fingerprint(table: pd.DataFrame | Path, data: Data) -> str:
    """A hash of each row's id and unit, on which the draws depend: equal where the same rows are drawn together.

    Args:
        table: the rows, or the file that `split` wrote, which is read in chunks.
        data: the roles of the columns.
    """
    columns = [name for name in (data.id_column, data.group, data.time) if name]
    return _hash(table, columns, lambda rows: (rows[data.id_column], unit_names(rows, data).astype("str")))


def fingerprints(table: pd.DataFrame | Path, data: Data) -> dict[str, str]:
    """Hashes of the `ids`, and of the `targets` with their ids.

    Where only the second one differs, the target is defined differently. It's omitted for a private target.

    Args:
        table: as for `fingerprint`.
        data: the roles of the columns.
    """
    found = {"ids": _hash(table, [data.id_column], lambda rows: (rows[data.id_column],))}
    if not data.hides(data.target):  # whoever knows the ids could try out targets until the hash is the same
        columns = [data.id_column, data.target]
        found["targets"] = _hash(
            table, columns, lambda rows: (content_of(rows[data.id_column], data.id), rows[data.target])
        )
    return found


def content_of(ids: pd.Series, id_column: str | None) -> pd.Series:
    """Ids as text, without the number by which rows of equal content differ: it depends on their order in the file.

    Args:
        ids: as `prepare` writes them.
        id_column: `data.id`. If it names a column, ids are that column's values and have no such number.
    """
    return as_text(ids) if id_column else as_text(ids).str.replace("-.*", "", regex=True)


def _hash(table: pd.DataFrame | Path, columns: list[str], cells_of: CellsOf) -> str:
    """A hash of the rows' values. It depends neither on the rows' order nor on the columns' types.

    The rows are hashed in the order of their text, a range of it at a time. For each range the table is read again, so
    that only the rows of one range are in memory.

    Args:
        table: the rows, or the file that has them.
        columns: which of the file's columns are read.
        cells_of: takes some of the rows, and returns the values to hash.
    """
    texts = partial(_texts, table, columns, cells_of)
    some = sorted(text for rows in texts() for text in rows.take(np.arange(0, len(rows), SAMPLED)).to_pylist())
    starts = [None, *some[ROWS_SORTED_AT_ONCE // SAMPLED :: ROWS_SORTED_AT_ONCE // SAMPLED], None]
    found, separator = hashlib.sha256(), ""
    for start, end in pairwise(starts):
        in_range = pa.chunked_array([_between(rows, start, end) for rows in texts()], pa.large_string())
        ordered = in_range.take(pc.sort_indices(in_range))
        for first in range(0, len(ordered), ROWS_HASHED_AT_ONCE):
            part = ordered.slice(first, ROWS_HASHED_AT_ONCE).to_pylist()
            found.update((separator + "\n".join(part)).encode())
            separator = "\n"
    return found.hexdigest()[:16]


def _texts(table: pd.DataFrame | Path, columns: list[str], cells_of: CellsOf) -> Iterator[pa.Array]:
    """The text of each row, for some rows at a time; the arguments are those of `_hash`."""
    chunks = [table] if isinstance(table, pd.DataFrame) else read_chunks(table, columns, ROWS_HASHED_AT_ONCE)
    for chunk in chunks:
        cells = [pa.array(as_text(values).fillna(""), pa.large_string()) for values in cells_of(chunk)]
        yield pc.binary_join_element_wise(*cells, pa.scalar("\x1f", pa.large_string()))


def _between(texts: pa.Array, start: str | None, end: str | None) -> pa.Array:
    """The texts from `start` on and before `end`; None sets no limit."""
    if start is not None:
        texts = texts.filter(pc.greater_equal(texts, start))
    if end is not None:
        texts = texts.filter(pc.less(texts, end))
    return texts
