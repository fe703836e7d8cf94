"""What each column of a table is for: the target and what is to be learned of it, ids, time, group, features."""

import argparse
import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from retrace.adopt import columns
from retrace.adopt.sample import Sampled, is_same_in_each_row, most_rows
from retrace.adopt.shown import rows
from retrace.errors import UserError
from retrace.examples import Label, Target
from retrace.files import FEWEST_ROWS_SHOWN
from retrace.params import Data

FEWEST_ROWS = 50  # with a target
FEWEST_OF_A_CLASS = 5
POSITIVE = ("true", "yes", "y", "1", "1.0", "positive", "ja", "j", "oui", "sí", "si", "sim", "tak", "да")


def require_column(role: str, name: str, names: Iterable[str], given: Path) -> None:
    """Check that a column that an option names exists.

    Raises:
        UserError: there is no such column.
    """
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0)
        raise UserError(f"--{role} {name}: {given} has no such column; the nearest is {nearest[0]}")


def roles_of(arguments: argparse.Namespace, raw: Sampled) -> dict[str, Any]:
    """The columns' roles, by the keys of `data` in params.yaml.

    Raises:
        UserError: there is no such column, one is named twice or in two roles, or the group is the whole table.
    """
    single = {role: getattr(arguments, role) for role in ("target", "time", "group", "id", "weight")}
    lists = {"drop": arguments.drop, "private": arguments.private}
    named = [(role, name) for role, name in single.items() if name is not None]
    named += [(role, name) for role, names in lists.items() for name in names]
    seen: dict[str, str] = {}
    for role, name in named:
        require_column(role, name, list(map(str, raw.rows)), arguments.file)
        if named.count((role, name)) > 1:
            raise UserError(f"--{role} {name}: named twice")
        if role != "private":
            if name in seen:
                raise UserError(f"--{role} {name}: the column is --{seen[name]} already, and has one role")
            seen[name] = role
    if arguments.group and is_same_in_each_row(raw.column(arguments.group)):
        raise UserError(f"--group {arguments.group}: the whole table is one group, which can't be split")
    counters = [name for name in _row_counters(raw) if name not in seen]
    return single | lists | {"drop": [*arguments.drop, *counters]}


def id_columns_of(raw: Sampled, roles: dict[str, Any], was: Data) -> tuple[list[str], list[str]]:
    """The columns that row ids are made from, and those of the earlier list that the table lacks.

    Both are empty if a column names the rows. The earlier list is kept as long as the table has all of its columns, so
    that a later version with more columns keeps its ids. Else it is every column except the target and those that only
    count the rows.
    """
    if roles["id"] is not None:
        return [], []
    absent = [name for name in was.id_columns if name not in raw.rows]
    if was.id_columns and not absent and roles["target"] not in was.id_columns:
        return was.id_columns, []
    others = {roles["target"], *_row_counters(raw)}
    return [name for name in map(str, raw.rows) if name not in others], absent


def _row_counters(raw: Sampled) -> list[str]:
    """The columns that some programs write before each row, without a name, to count the rows."""
    named = [name for name in map(str, raw.rows) if name.startswith(columns.SAVED_INDEX)]
    return [name for name in named if columns.is_row_counter(raw.column(name))]


def task_of(arguments: argparse.Namespace, raw: Sampled, doubts: list[str]) -> tuple[columns.Task, str]:
    """What is to be learned, and why.

    Args:
        arguments: the command line's.
        raw: the table.
        doubts: what is doubtful about the target's cells.

    Raises:
        UserError: the target can't be that, or its values may not be shown.
    """
    targets = columns.Targets.of(raw.column(arguments.target), most_rows(len(raw.rows.columns)))
    task, why = columns.guess_task(targets)
    if arguments.task:
        task, why = arguments.task, "as --task says"
    if task == "classification" and arguments.target in arguments.private:
        raise UserError(f"--private {arguments.target}: the classes of the target are named wherever they're scored")
    _check_target(targets, task, arguments, doubts)
    return task, why


def _check_target(
    targets: columns.Targets, task: columns.Task, arguments: argparse.Namespace, doubts: list[str]
) -> None:
    """Check that the target can be learned.

    Raises:
        UserError: it has no values, or only one; it is a date or infinite, or not of the task; a class or the table is
            too small.
    """
    given, where = arguments.file, f"{arguments.file}: column {arguments.target}"
    if not targets.present:
        raise UserError(f"{where}: has no value; --target names the column to predict")
    if targets.different < 2:
        raise UserError(f"{where}: has the same value in each row; there is nothing to predict")
    if pd.api.types.is_datetime64_any_dtype(targets.dtype):
        raise UserError(f"{where}: a date, which can't be predicted; put what you ask of it into a column of numbers")
    if targets.present < FEWEST_ROWS:
        told = f"{targets.present} rows with a target, and {FEWEST_ROWS} are the least that can be split"
        raise UserError(f"{given}: {told}")
    if targets.has_infinite:
        raise UserError(f"{where}: some values are infinite; correct the file")
    if not targets.is_number and doubts and (task == "regression" or targets.are_many):
        raise UserError(f"{where}: {doubts[0]}")
    if task == "classification":
        _check_classes(targets, where)
    elif not targets.is_number or pd.api.types.is_bool_dtype(targets.dtype):
        raise UserError(f"{where}: not numbers, which regression needs; --task classification, or correct the file")


def _check_classes(targets: columns.Targets, where: str) -> None:
    """Check that the values of a target are classes, each with enough rows."""
    if targets.counts is None or targets.are_many:
        kind = "measurements or an id" if targets.is_number else "free text or an id"
        raise UserError(f"{where}: {targets.told} values in {targets.present:,} rows: {kind}, not classes")
    if targets.is_number and not targets.are_whole:
        raise UserError(f"{where}: fractions aren't classes; --task regression")
    needed = FEWEST_ROWS_SHOWN if targets.different == 2 else FEWEST_OF_A_CLASS  # of two, params.yaml names one
    if (fewest := targets.counts.min()) < needed:
        rare = f"a class has {fewest} row{'s' if fewest > 1 else ''}, and {needed} are the least"
        raise UserError(f"{where}: {rare} that can be split; join it with another, or leave it out of the file")


def positive_of(counts: pd.Series, data: Data) -> tuple[Label | None, str]:
    """Of two classes, the one whose probability is predicted, and why: the one that says yes, else the rarer.

    Args:
        counts: how many rows have each class.
        data: the columns' roles.
    """
    target = Target.of(counts.index, data)
    if target.kind != "two classes":
        return None, ""
    for value in target.classes:
        if str(value).strip().casefold() in POSITIVE:
            return value, "it says yes"
    rarer = min(target.classes, key=lambda value: counts[value])
    return rarer, f"the rarer, with {rows(counts[rarer])} of {counts.sum():,}"
