"""The parts of a prepared table: train, valid and test."""

import hashlib
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.files import FEWEST_ROWS_SHOWN, as_text
from retrace.params import Block, Data, SplitByShare, SplitByTime
from retrace.resamples import content_of, unit_names

FEWEST_GROUPS = 5  # with fewer, resamples are too alike to say how sure a score is
PARTS = ["train", "valid", "test"]


class SplitError(UserError):
    """A split that gives a part that cannot be used; `reason` says why, without what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"split: {reason}; see split in params.yaml")
        self.reason = reason


class Summary:
    """What must be known of the rows of a part to check it; they are added chunk by chunk.

    Attributes:
        rows: how many there are.
        units: the names of the units that are drawn together; if these are single rows, of the first few.
        targets: the different targets; of numbers, the first two.
        groups: the names of the groups, if the data has groups.
        block: the calendar block of time that is drawn together, or None.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.units: set[str] = set()
        self.targets: set[Any] = set()
        self.groups: set[Any] = set()
        self.block: Block | None = None

    def add(self, rows: pd.DataFrame, data: Data) -> Self:
        """Add a chunk of the part, as `split` returns it."""
        self.rows += len(rows)
        self.block = rows.attrs.get("block")
        drawn_alone = data.group is None and self.block is None
        self.units.update(unit_names(rows.head(FEWEST_GROUPS) if drawn_alone else rows, data).unique())
        if data.task == "classification" or len(self.targets) < 2:
            different = rows[data.target].unique()
            self.targets.update(different if data.task == "classification" else different[:2])
        if data.group is not None:
            self.groups.update(rows[data.group].unique())
        return self


def split(table: pd.DataFrame, data: Data, how: SplitByTime | SplitByShare) -> dict[str, pd.DataFrame]:
    """The parts, by name; every row is in one of them, except for those that `split.purge` removes.

    Args:
        table: the prepared table.
        data: which columns hold the target, the id, the time and the group.
        how: the section `split` of params.yaml.

    Raises:
        UserError: a part has no rows, too few groups or only one class, or the time column and the moments are of
            different kinds.
    """
    parts = divide(table, data, how)
    if isinstance(how, SplitByTime) and how.purge:
        parts["train"] = purged(parts, data)
    check_parts({name: Summary().add(rows, data) for name, rows in parts.items()}, data)
    return parts


def divide(table: pd.DataFrame, data: Data, how: SplitByTime | SplitByShare) -> dict[str, pd.DataFrame]:
    """The rows of each part, by its name; `table` may be a chunk. `split.purge` is left to the caller.

    Raises:
        UserError: the time column and the moments are of different kinds.
    """
    part = _by_time(table[data.time], how) if isinstance(how, SplitByTime) else _by_share(table, data, how)
    parts = {name: table[part == number].reset_index(drop=True) for number, name in enumerate(PARTS)}
    if isinstance(how, SplitByTime):
        for rows in parts.values():
            rows.attrs["block"] = how.block
    return parts


def _by_time(times: pd.Series, how: SplitByTime) -> NDArray[np.intp]:
    """The number of each row's part, by its time."""
    is_numeric = pd.api.types.is_numeric_dtype(times)
    if not (is_numeric or pd.api.types.is_datetime64_any_dtype(times)):
        raise UserError(f"column {times.name}: not a date; give it a format in params.yaml: data.read.types")
    if is_numeric != isinstance(how.valid_from, float):
        kind = "numbers" if is_numeric else "dates"
        raise UserError(f"params.yaml: split.valid_from, split.test_from: must be {kind}, as column {times.name} is")
    return np.asarray(times >= how.valid_from, dtype=np.intp) + np.asarray(times >= how.test_from, dtype=np.intp)


def _by_share(table: pd.DataFrame, data: Data, how: SplitByShare) -> NDArray[np.intp]:
    """The number of each row's part, by a hash of its group or of its content, so that equal rows stay together."""
    names = as_text(table[data.group]) if how.by == "group" else content_of(table[data.id_column], data.id)
    place = places(names, how.seed)
    return np.asarray(place >= 1 - how.valid - how.test, dtype=np.intp) + np.asarray(place >= 1 - how.test, np.intp)


def places(names: pd.Series, seed: int) -> NDArray[np.float64]:
    """Where each row falls between 0 and 1, by the SHA-256 of its name and the seed alone; shape (rows,)."""
    codes, different = pd.factorize(names)
    found = []
    for name in different:
        digest = hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogatepass")).digest()
        found.append(int.from_bytes(digest[:8]) / 2**64)
    return np.array(found)[codes]


def check_parts(parts: Mapping[str, Summary], data: Data) -> None:
    """Check that a model can be fitted on train and compared on valid, and that test has rows.

    Raises:
        SplitError: it isn't so.
    """
    for name, summary in parts.items():
        check_part(name, summary, data)
    if data.task == "classification" and not parts["valid"].targets <= parts["train"].targets:
        raise SplitError("a class of valid has no rows in train")


def check_part(name: str, summary: Summary, data: Data) -> None:
    """Check that a part can be learned from and compared on; of `test`, only that it has rows.

    Raises:
        SplitError: it has too few rows, groups or blocks of time, or only one value of the target.
    """
    if not summary.rows:
        raise SplitError(f"the part {name} has no rows")
    if name == "test":
        return
    if summary.rows < FEWEST_ROWS_SHOWN:  # a score of fewer rows would say much about each of them
        raise SplitError(f"the part {name} has {summary.rows} rows, and {FEWEST_ROWS_SHOWN} are the least")
    if (drawn := len(summary.units)) < FEWEST_GROUPS:
        what = "groups" if data.group else f"{summary.block}s" if summary.block else "rows"
        raise SplitError(f"{name} has {drawn} {what} to draw from, and {FEWEST_GROUPS} are the least")
    if len(summary.targets) < 2:
        raise SplitError(f"the part {name} has only one value of {data.target}")


def purged(parts: Mapping[str, pd.DataFrame], data: Data) -> pd.DataFrame:
    """The rows of train whose group is not in a later part."""
    shared = shared_groups({name: Summary().add(rows, data) for name, rows in parts.items()})
    return without_groups(parts["train"], shared, data)


def without_groups(rows: pd.DataFrame, groups: set[Any], data: Data) -> pd.DataFrame:
    """The rows that are in none of these groups."""
    return rows[~rows[data.group].isin(groups)].reset_index(drop=True)


def shared_groups(parts: Mapping[str, Summary]) -> set[Any]:
    """The groups that are in train and in a later part; none if the data has no groups."""
    return parts["train"].groups & (parts["valid"].groups | parts["test"].groups)
