"""The parts of a prepared table: train, valid and test."""

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.files import FEWEST_ROWS_SHOWN, as_text
from retrace.params import Data, SplitByShare, SplitByTime
from retrace.resamples import content_of, units

FEWEST_GROUPS = 5  # with fewer, resamples are too alike to say how sure a score is
PARTS = ["train", "valid", "test"]


class SplitError(UserError):
    """A split that gives a part that cannot be used; `reason` says why, without what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"split: {reason}; see split in params.yaml")
        self.reason = reason


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
    part = _by_time(table[data.time], how) if isinstance(how, SplitByTime) else _by_share(table, data, how)
    parts = {name: table[part == number].reset_index(drop=True) for number, name in enumerate(PARTS)}
    if isinstance(how, SplitByTime):
        for rows in parts.values():
            rows.attrs["block"] = how.block
        if how.purge:
            parts["train"] = purged(parts, data)
    for name, rows in parts.items():
        check_part(name, rows, data)
    if data.task == "classification" and not set(parts["valid"][data.target]) <= set(parts["train"][data.target]):
        raise SplitError("a class of valid has no rows in train")
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


def check_part(name: str, rows: pd.DataFrame, data: Data) -> None:
    """Check that a part can be learned from and compared on; of `test`, only that it has rows.

    Raises:
        SplitError: it has too few rows, groups or blocks of time, or only one value of the target.
    """
    if rows.empty:
        raise SplitError(f"the part {name} has no rows")
    if name == "test":
        return
    if len(rows) < FEWEST_ROWS_SHOWN:  # a score of fewer rows would say much about each of them
        raise SplitError(f"the part {name} has {len(rows)} rows, and {FEWEST_ROWS_SHOWN} are the least")
    if (drawn := len(np.unique(units(rows, data)))) < FEWEST_GROUPS:
        block = rows.attrs.get("block")
        what = "groups" if data.group else f"{block}s" if block else "rows"
        raise SplitError(f"{name} has {drawn} {what} to draw from, and {FEWEST_GROUPS} are the least")
    if rows[data.target].nunique() < 2:
        raise SplitError(f"the part {name} has only one value of {data.target}")


def purged(parts: dict[str, pd.DataFrame], data: Data) -> pd.DataFrame:
    """The rows of train whose group is not in a later part."""
    train = parts["train"]
    return train[~train[data.group].isin(shared_groups(parts, data))].reset_index(drop=True)


def shared_groups(parts: dict[str, pd.DataFrame], data: Data) -> set[object]:
    """The groups that are in train and in a later part; none if the data has no groups."""
    if data.group is None:
        return set()
    later = pd.concat([parts["valid"][data.group], parts["test"][data.group]])
    return set(parts["train"][data.group]) & set(later)
