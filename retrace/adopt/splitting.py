"""How a table is split into train, valid and test: by time if there is one, else by group, else at random."""

import math
from collections.abc import Collection
from datetime import datetime
from itertools import takewhile
from typing import Any, Literal

import numpy as np
import pandas as pd

from retrace.adopt.sample import Sampled
from retrace.adopt.stored import chunks_of
from retrace.errors import UserError
from retrace.examples import Label
from retrace.files import FEWEST_ROWS_SHOWN
from retrace.params import Block, Data, SplitByShare, SplitByTime
from retrace.parts import (
    FEWEST_GROUPS,
    PARTS,
    SplitError,
    Summary,
    check_parts,
    divide,
    shared_groups,
    split,
    without_groups,
)
from retrace.resamples import BLOCKS, blocks, half

ENOUGH_BLOCKS = 20
SEEDS, REFITS = range(1, 51), 10
TOO_CLOSE = "its values are too few or too close for moments that ten rows share; split by --group, or leave --time out"

PLACE = ""  # a name that no column of a table has

Split = SplitByTime | SplitByShare


def choose_split(
    prepared: Sampled, data: Data, kept: Split | None, classes: Collection[Label] = ()
) -> tuple[Split, dict[str, pd.DataFrame]]:
    """A split of about 60, 20 and 20 of 100 rows, and the parts that it gives of the rows that are looked at.

    The parts have the columns that the split depends on, and the place of each row in `prepared.rows` as PLACE.

    Args:
        prepared: the prepared table.
        data: which columns hold the time and the group.
        kept: the split in params.yaml, which is kept if its parts can be used.
        classes: those of the target; empty for a number.

    Raises:
        UserError: no such split gives parts that can be learned from and compared on.
    """
    looked_at = prepared.rows
    candidates = _split_by_time(looked_at[data.time], data) if data.time else _splits_by_share(data)
    reason = ""
    table = _rows_to_split(looked_at, data)
    for how in [kept, *candidates] if kept else candidates:
        if _needs_ids(data, how) and data.id_column not in table:
            table[data.id_column] = looked_at[data.id_column]
        try:
            parts = _usable_parts(prepared, table, data, how, classes)
        except SplitError as error:
            reason = error.reason
        except UserError as error:
            reason = str(error)
        else:
            return how, parts
    raise UserError(f"column {data.target}: too few rows, times or groups to split: {reason}")


def _usable_parts(
    prepared: Sampled, table: pd.DataFrame, data: Data, how: Split, classes: Collection[Label]
) -> dict[str, pd.DataFrame]:
    """The parts of the rows that are looked at, if the parts of all rows can be used.

    If those of a sample can be used, so can those of all rows, unless a rare class is in valid alone or `split.purge`
    removes more rows from train.

    Args:
        prepared: the prepared table.
        table: the columns that the split depends on, of the rows that are looked at.
        data: which columns hold the time and the group.
        how: the split.
        classes: those of the target; empty for a number.

    Raises:
        UserError: they can't be used.
    """
    purge = isinstance(how, SplitByTime) and how.purge
    try:
        parts = split(table, data, how)
        for draw in range(REFITS):
            half(parts["train"], data, draw)
        is_proved = not purge and set(classes) <= set(parts["train"][data.target])
    except SplitError:
        if prepared.is_whole:
            raise
        parts, is_proved = divide(table, data, how), False
    if not prepared.is_whole and not is_proved:
        summaries = _summaries(prepared, data, how, set())
        if purge:
            summaries["train"] = _summaries(prepared, data, how, shared_groups(summaries))["train"]
        check_parts(summaries, data)
    return parts


def _summaries(prepared: Sampled, data: Data, how: Split, purged: set[Any]) -> dict[str, Summary]:
    """What must be known of the parts of all rows, by their names, without the rows of some groups."""
    roles = dict.fromkeys([data.id_column, data.target, data.time, data.group])
    summaries = {name: Summary() for name in PARTS}
    for chunk in chunks_of(prepared.table, [name for name in roles if name is not None]):
        rows = without_groups(chunk, purged, data) if purged else chunk
        for name, part in divide(rows, data, how).items():
            summaries[name].add(part, data)
    return summaries


def _rows_to_split(prepared: pd.DataFrame, data: Data) -> pd.DataFrame:
    """The columns with roles but the ids, and the place of each row as PLACE."""
    roles = dict.fromkeys([data.target, data.time, data.group])
    columns = {name: prepared[name] for name in roles if name is not None}
    return pd.DataFrame(columns | {PLACE: np.arange(len(prepared))})


def _needs_ids(data: Data, how: Split) -> bool:
    """Whether a split depends on the rows' ids, which take memory: if rows are drawn one by one."""
    return data.group is None and not (isinstance(how, SplitByTime) and how.block)


def _split_by_time(times: pd.Series, data: Data) -> list[Split]:
    times = times.sort_values(kind="stable")
    if times.nunique() < 3:
        raise UserError(f"--time {data.time}: {times.nunique()} different times, and a split needs 3")
    how = by_time(times)
    if data.group:
        return [how]
    in_valid = times[(times >= how.valid_from) & (times < how.test_from)]
    return [how.model_copy(update={"block": choose_block(in_valid)})]


def _splits_by_share(data: Data) -> list[Split]:
    """The same shares by different seeds."""
    by: Literal["group", "random"] = "group" if data.group else "random"
    return [SplitByShare(by=by, valid=0.2, test=0.2, seed=seed) for seed in SEEDS]


def choose_block(times: pd.Series) -> Block | None:
    """The coarsest calendar block of which at least 20 have rows in valid.

    If no block has as many, the coarsest of those with the most, as long as there are 5: intervals then have few
    degrees of freedom, but are right, as those of single rows would not be. With fewer, or if time is a number: none.

    Args:
        times: the times of the rows of valid.
    """
    if not pd.api.types.is_datetime64_any_dtype(times):
        return None
    counts = {block: blocks(times, block).nunique() for block in reversed(BLOCKS)}
    enough = [block for block, count in counts.items() if count >= ENOUGH_BLOCKS]
    if enough:
        return enough[0]
    most = max(counts, key=lambda block: counts[block])  # of equals the first, which is the coarsest
    return most if counts[most] >= FEWEST_GROUPS else None


def by_time(times: pd.Series) -> SplitByTime:
    """The split at the two moments after which there are about two fifths and one fifth of the rows.

    Args:
        times: at least three different ones, in ascending order.
    """
    moments = times.drop_duplicates()
    places = [times.searchsorted(moment) / len(times) for moment in moments]
    near = [min(range(1, len(moments)), key=lambda at: abs(places[at] - share)) for share in (0.6, 0.8)]
    first = min(near[0], len(moments) - 2)
    chosen = [moments.iloc[first], moments.iloc[max(near[1], first + 1)]]
    rounded = _rounded_dates if isinstance(chosen[0], pd.Timestamp) else _rounded_numbers
    valid_from, test_from = rounded(times, chosen)
    return SplitByTime(by="time", valid_from=valid_from, test_from=test_from, block=None, purge=False)


def _rounded_dates(times: pd.Series, moments: list[pd.Timestamp]) -> list[datetime]:
    """Two moments rounded down to days; within a day, to the coarsest unit, of which ten rows share each.

    params.yaml shows them, and a moment that only one row has would show a value of this row.

    Raises:
        UserError: no such moments separate the rows.
    """
    for unit in ("D", "h", "min", "s"):
        found = [moment.floor(unit) for moment in moments]
        shared = all((times.dt.floor(unit) == moment).sum() >= FEWEST_ROWS_SHOWN for moment in found)
        if times.iloc[0] < found[0] < found[1] and (unit == "D" or shared):
            return [moment.to_pydatetime() for moment in found]
    raise UserError(f"--time {times.name}: {TOO_CLOSE}")


def _rounded_numbers(times: pd.Series, moments: list[float]) -> list[float]:
    """Two moments rounded down to the finest of round numbers of which ten rows share each; as they are if ten rows do.

    Raises:
        UserError: no such moments separate the rows.
    """
    if all((times == moment).sum() >= FEWEST_ROWS_SHOWN for moment in moments):
        return [float(moment) for moment in moments]
    least, most = float(moments[0] - times.iloc[0]) / 100, float(times.iloc[-1] - times.iloc[0])
    steps = (factor * 10.0**power for power in range(math.floor(math.log10(least)), 400) for factor in (1, 2, 5))
    for step in takewhile(lambda step: step <= most, steps):
        found = [math.floor(moment / step) * step for moment in moments]
        shared = all(((times >= moment) & (times < moment + step)).sum() >= FEWEST_ROWS_SHOWN for moment in found)
        if shared and times.iloc[0] < found[0] < found[1]:
            return [float(f"{moment:.12g}") for moment in found]
    raise UserError(f"--time {times.name}: {TOO_CLOSE}")


def as_in_params_yaml(how: Split) -> dict[str, Any]:
    """The section `split` of params.yaml, with dates and numbers as short as they can be written."""

    def plain(value: object) -> object:
        if isinstance(value, datetime):
            return value.isoformat().removesuffix("T00:00:00")
        return int(value) if isinstance(value, float) and value.is_integer() else value

    return {key: plain(value) for key, value in how.model_dump().items()}
