"""Which rows are drawn when chance is measured: resamples of the validation rows, halves of the training rows.

Both follow from the rows' ids and a constant, never from `train.seed`: the same rows are drawn in every commit that
has them, so that two commits can be compared draw by draw. Draw r doesn't depend on how many draws there are.

Rows that share their chance are drawn together, as one unit: the rows of a group (`data.group`), else of a calendar
block of time (`split.block`), else each row alone (Field and Welsh, 2007, on the cluster bootstrap).

Resamples are written to Git, and which unit is in which resample is public. So that nobody can solve the scores for a
few rows, units are joined at random into pools of at least ten rows, and pools are drawn. A random pool of independent
units is as good a unit as any: only degrees of freedom are lost.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.files import KEPT_FROM, as_text
from retrace.params import Block, Data
from retrace.privacy import tells_few

SEED = 20130101
BLOCKS: dict[Block, str] = {"hour": "h", "day": "D", "week": "W", "month": "M"}  # pandas' names; the finest come first
MOST_TRIES = 1_000  # for a half with each class in it

Codes = NDArray[np.intp]


class Draws(NamedTuple):
    """Bootstrap resamples of some rows.

    Attributes:
        units: how many units are drawn from, and in each resample.
        weights: how often each row is in each resample, shape (resamples, rows).
    """

    units: int
    weights: NDArray[np.int16]


def blocks(times: pd.Series, block: Block) -> pd.Series:
    """The calendar block of each time: its hour, day, week (from Monday) or month."""
    return pd.Series(times.dt.to_period(BLOCKS[block]))


def unit_names(table: pd.DataFrame, data: Data) -> pd.Series:
    """The name of each row's unit: its group, else its calendar block, else its id.

    Args:
        table: rows as `split` writes them; its `attrs["block"]` is `split.block`.
        data: which columns hold the group, the time and the id.
    """
    block = table.attrs.get("block")
    if data.group:
        return as_text(table[data.group])
    if block:
        return blocks(table[data.time], block).astype("str")
    return as_text(table[data.id_column])


def units(table: pd.DataFrame, data: Data) -> Codes:
    """The unit of each row as a number from 0, in the order of the units' names, shape (rows,)."""
    return pd.factorize(unit_names(table, data), sort=True)[0]


def pools(table: pd.DataFrame, data: Data) -> Codes:
    """The pool of each row, as a number from 0, shape (rows,)."""
    return pooled(units(table, data))


def pooled(codes: Codes) -> Codes:
    """Units joined at random into pools of at least ten rows; units that are that large already stay as they are.

    Args:
        codes: the unit of each row, from 0.

    Returns:
        The pool of each row, from 0; one pool only, if there are too few rows for two.
    """
    sizes = np.bincount(codes)
    return codes if sizes.min() >= KEPT_FROM else joined_at_random(sizes)[codes]


def joined_at_random(sizes: NDArray[np.integer], salt: str = "") -> Codes:
    """The group of each of some things, joined at random until each group's sizes add up to ten; shape (things,).

    What is left over at the end joins the group before it. Other salts join others.
    """
    group_of = np.zeros(len(sizes), dtype=np.intp)
    group = size = 0
    for thing in np.random.default_rng([SEED, 2, *salt.encode()]).permutation(len(sizes)):
        if size >= KEPT_FROM:
            group, size = group + 1, 0
        group_of[thing] = group
        size += int(sizes[thing])
    if size < KEPT_FROM:
        group_of[group_of == group] = max(0, group - 1)
    return group_of


def resample(pools: Codes, draws: int, salt: str = "") -> Draws:
    """Resamples in which as many pools are drawn, with replacement, as there are (Efron, 1979)."""
    count = int(pools.max()) + 1
    weights = np.empty((draws, len(pools)), dtype=np.int16)
    for draw in range(draws):
        rng = np.random.default_rng([SEED, 0, draw, *salt.encode()])
        weights[draw] = np.bincount(rng.integers(0, count, count), minlength=count)[pools]
    return Draws(count, weights)


def bootstrap(table: pd.DataFrame, data: Data, draws: int) -> Draws:
    """Resamples of a table's rows, all units alike."""
    return resample(pools(table, data), draws)


def bootstrap_slices(
    whole_pools: Codes, slices: Mapping[tuple[str, str], NDArray[np.bool_]], whole: Draws
) -> dict[tuple[str, str], Draws]:
    """Resamples of the rows of each slice.

    A slice takes part in the resamples of the whole as long as it and the slices before it cut no pool into a piece of
    fewer than ten rows, and no sum over so few follows from these pieces and the slices' scores. Any other slice is
    drawn by itself, in random groups of pools. Of each piece in a group count the rows inside the slice or outside,
    whichever are fewer: a group has ten of these. So what is known of the pieces, subtracted from what is known of the
    slice in a group, leaves no fewer.

    Args:
        whole_pools: the pool of each row, as `pools` gives it: what the whole was drawn from.
        slices: whether each row is in the slice, by the slice's column and value; the largest come first.
        whole: the resamples of the whole.
    """
    pieces = whole_pools
    found = {}
    for name, rows in slices.items():
        finer = np.unique(2 * pieces + rows, return_inverse=True)[1]
        if np.bincount(finer).min() >= KEPT_FROM and not tells_few(list(slices.values()), finer):
            pieces = finer
            found[name] = Draws(len(np.unique(whole_pools[rows])), whole.weights[:, rows])
    for name, rows in slices.items():
        if name not in found:
            salt = "\n".join(name)
            inside = np.bincount(pieces, rows).astype(np.intp)
            fewer = np.minimum(inside, np.bincount(pieces) - inside)
            pool_of = whole_pools[np.unique(pieces, return_index=True)[1]]
            own, own_pools = np.unique(whole_pools[rows], return_inverse=True)
            groups = joined_at_random(np.bincount(pool_of, fewer)[own].astype(np.intp), salt)
            found[name] = resample(groups[own_pools], len(whole.weights), salt)
    return {name: found[name] for name in slices}


class Half(NamedTuple):
    """Whether each row is in a random half, shape (rows,), and how many units are in it, out of how many."""

    rows: NDArray[np.bool_]
    drawn: int
    units: int


def half(table: pd.DataFrame, data: Data, draw: int) -> Half:
    """A random half of the units, drawn without replacement; the first one, in the order of draws, with each class.

    Raises:
        UserError: hardly any half has each class in it.
    """
    codes = units(table, data)
    count = int(codes.max()) + 1
    drawn = (count + 1) // 2
    classes = table[data.target].nunique() if data.task == "classification" else 0
    for attempt in range(MOST_TRIES):
        rng = np.random.default_rng([SEED, 1, draw, *([attempt] if attempt else [])])
        chosen = np.zeros(count, dtype=bool)
        chosen[rng.permutation(count)[:drawn]] = True
        rows = chosen[codes]
        if not classes or table.loc[rows, data.target].nunique() == classes:
            return Half(rows, drawn, count)
    what = "groups" if data.group else "blocks of time" if table.attrs.get("block") else "rows"
    raise UserError(
        f"column {data.target}: in {MOST_TRIES:,} random halves of train a class is missing; "
        f"more {what} with each class are needed, or join the rarest with another"
    )


def fingerprint(table: pd.DataFrame, data: Data) -> str:
    """A hash of what the draws depend on, each row's id and unit: equal where the same rows are drawn together."""
    return _hash(table[data.id_column], unit_names(table, data))


def fingerprints(table: pd.DataFrame, data: Data) -> dict[str, str]:
    """A hash of the `ids`, and of the `targets` with them: where only the latter differs, the target is another.

    There is none of a private target.
    """
    found = {"ids": _hash(table[data.id_column])}
    if not data.hides(data.target):  # who knows the ids could try out targets until the hash is right
        found["targets"] = _hash(content_of(table[data.id_column], data.id), table[data.target])
    return found


def content_of(ids: pd.Series, id_column: str | None) -> pd.Series:
    """Ids as text, without the number that tells equal rows apart, which depends on their order in the file.

    Args:
        ids: as `prepare` writes them.
        id_column: `data.id`. Where it names a column, ids are that column's values, and have no such number.
    """
    return as_text(ids) if id_column else as_text(ids).str.partition("-")[0]


def _hash(*columns: pd.Series) -> str:
    """A hash of what every row holds in some columns, whatever the order of the rows and the types of the columns."""
    cells = [as_text(column).fillna("") for column in columns]
    rows = sorted("\x1f".join(row) for row in zip(*cells, strict=True))
    return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogatepass")).hexdigest()[:16]
