"""What each column of a table is for: the target and what is to be learned of it, ids, time, group, features."""

import argparse
import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from retrace.adopt import columns
from retrace.adopt.shown import rows
from retrace.adopt.stored import AnyTable
from retrace.errors import UserError
from retrace.examples import Label, Target, is_number
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


def roles_of(arguments: argparse.Namespace, raw: AnyTable) -> dict[str, Any]:
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
        require_column(role, name, list(map(str, raw)), arguments.file)
        if named.count((role, name)) > 1:
            raise UserError(f"--{role} {name}: named twice")
        if role != "private":
            if name in seen:
                raise UserError(f"--{role} {name}: the column is --{seen[name]} already, and has one role")
            seen[name] = role
    if arguments.group and raw[arguments.group].nunique(dropna=False) < 2:
        raise UserError(f"--group {arguments.group}: the whole table is one group, which can't be split")
    counters = [name for name in _row_counters(raw) if name not in seen]
    return single | lists | {"drop": [*arguments.drop, *counters]}


def id_columns_of(raw: AnyTable, roles: dict[str, Any], was: Data) -> tuple[list[str], list[str]]:
    """The columns that row ids are made from, and those of the earlier list that the table lacks.

    Both are empty if a column names the rows. The earlier list is kept as long as the table has all of its columns, so
    that a later version with more columns keeps its ids. Else it is every column except the target and those that only
    count the rows.
    """
    if roles["id"] is not None:
        return [], []
    absent = [name for name in was.id_columns if name not in raw]
    if was.id_columns and not absent and roles["target"] not in was.id_columns:
        return was.id_columns, []
    others = {roles["target"], *_row_counters(raw)}
    return [name for name in map(str, raw) if name not in others], absent


def _row_counters(raw: AnyTable) -> list[str]:
    """The columns that some programs write before each row, without a name, to count the rows."""
    named = [name for name in map(str, raw) if name.startswith(columns.SAVED_INDEX)]
    return [name for name in named if columns.is_row_counter(raw[name])]


def task_of(arguments: argparse.Namespace, raw: AnyTable, doubts: list[str]) -> tuple[columns.Task, str]:
    """What is to be learned, and why.

    Args:
        arguments: the command line's.
        raw: the table.
        doubts: what is doubtful about the target's cells.

    Raises:
        UserError: the target can't be that, or its values may not be shown.
    """
    task, why = columns.guess_task(raw[arguments.target])
    if arguments.task:
        task, why = arguments.task, "as --task says"
    if task == "classification" and arguments.target in arguments.private:
        raise UserError(f"--private {arguments.target}: the classes of the target are named wherever they're scored")
    _check_target(raw[arguments.target], task, arguments.file, doubts)
    return task, why


def _check_target(target: pd.Series, task: str, given: Path, doubts: list[str]) -> None:
    """Check that the target can be learned.

    Raises:
        UserError: it has no values, or only one; it is a date or infinite, or not of the task; a class or the table is
            too small.
    """
    values, where = target.dropna(), f"{given}: column {target.name}"
    distinct = values.nunique()
    if values.empty:
        raise UserError(f"{where}: has no value; --target names the column to predict")
    if distinct < 2:
        raise UserError(f"{where}: has the same value in each row; there is nothing to predict")
    if pd.api.types.is_datetime64_any_dtype(values):
        raise UserError(f"{where}: a date, which can't be predicted; put what you ask of it into a column of numbers")
    if len(values) < FEWEST_ROWS:
        raise UserError(f"{given}: {len(values)} rows with a target, and {FEWEST_ROWS} are the least that can be split")
    if is_number(values) and values.isin([float("inf"), float("-inf")]).any():
        raise UserError(f"{where}: some values are infinite; correct the file")
    if not is_number(values) and doubts and (task == "regression" or distinct > len(values) / 2):
        raise UserError(f"{where}: {doubts[0]}")
    if task == "classification":
        _check_classes(values, where)
    elif not is_number(values) or pd.api.types.is_bool_dtype(values):
        raise UserError(f"{where}: not numbers, which regression needs; --task classification, or correct the file")


def _check_classes(values: pd.Series, where: str) -> None:
    """Check that the values of a target are classes, each with enough rows."""
    distinct = values.nunique()
    if distinct > len(values) / 2:
        kind = "measurements or an id" if is_number(values) else "free text or an id"
        raise UserError(f"{where}: {distinct:,} values in {len(values):,} rows: {kind}, not classes")
    if pd.api.types.is_float_dtype(values) and (values % 1 != 0).any():
        raise UserError(f"{where}: fractions aren't classes; --task regression")
    needed = FEWEST_ROWS_SHOWN if distinct == 2 else FEWEST_OF_A_CLASS  # of two, params.yaml names one
    if (fewest := values.value_counts().min()) < needed:
        rare = f"a class has {fewest} row{'s' if fewest > 1 else ''}, and {needed} are the least"
        raise UserError(f"{where}: {rare} that can be split; join it with another, or leave it out of the file")


def positive_of(column: pd.Series, data: Data) -> tuple[Label | None, str]:
    """Of two classes, the one whose probability is predicted, and why: the one that says yes, else the rarer."""
    target = Target.of(column, data)
    if target.kind != "two classes":
        return None, ""
    for value in target.classes:
        if str(value).strip().casefold() in POSITIVE:
            return value, "it says yes"
    counts = {value: int((column == value).sum()) for value in target.classes}
    rarer = min(target.classes, key=lambda value: counts[value])
    return rarer, f"the rarer, with {rows(counts[rarer])} of {len(column):,}"
