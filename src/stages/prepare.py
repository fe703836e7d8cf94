"""One row per example: cleaned, labelled, with features.

    python -m src.stages.prepare

The work is the data set's own (`prepare` in its module). This stage holds the result to what every later stage builds
on: ids that are present and differ, a target that can be learned, features that don't give it away.
"""

from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from retrace.errors import UserError, one_line
from retrace.examples import Target, features, is_number
from retrace.files import read_tables, write_table
from retrace.params import Data, read_params


def check(table: pd.DataFrame, data: Data) -> None:
    """Hold a prepared table to its contract.

    Raises:
        UserError: a column that `data` names isn't there; no rows; ids missing or repeated; targets missing or
            infinite; one class only; no features; a feature that is a date, infinite or equal to the target.
    """
    for role in ("target", "id", "time", "group", "weight"):
        column = getattr(data, role)
        if column is not None and column not in table:
            raise UserError(f"params.yaml: data.{role}: the prepared table has no column {column}")
    if absent := sorted(set(data.drop) - set(table.columns)):
        raise UserError(f"params.yaml: data.drop: the prepared table has no column {absent[0]}")
    if table.empty:
        raise UserError("prepared table: no rows are left; see data.read in params.yaml")
    ids = table[data.id_column]
    if ids.isna().any():
        raise UserError(
            f"column {data.id_column}: {ids.isna().sum():,} ids are missing; name another column in data.id"
        )
    if ids.duplicated().any():
        raise UserError(
            f"column {data.id_column}: {ids.duplicated().sum():,} ids are repeated; name another in data.id"
        )
    for role in ("time", "group"):
        column = getattr(data, role)
        if column is not None and (gone := table[column].isna().sum()):
            raise UserError(f"column {column}: {gone:,} values are missing; data.{role} needs one in each row")
    _check_target(table[data.target], data)
    names = features(table, data)
    if not names:
        raise UserError("prepared table: no column is left to learn from; see data.drop in params.yaml")
    target = table[data.target]
    for name in names:
        _check_feature(table[name], target, data)


def _check_feature(feature: pd.Series, target: pd.Series, data: Data) -> None:
    name = feature.name
    if pd.api.types.is_datetime64_any_dtype(feature):
        raise UserError(f"column {name}: a date, which no model takes; make numbers of it, or data.drop: [{name}]")
    if is_number(feature) and (infinite := np.isinf(feature.to_numpy(float)).sum()):
        raise UserError(f"column {name}: {infinite:,} values are infinite; correct the source, or data.drop: [{name}]")
    if _is_copy(feature, target, data):
        raise UserError(f"column {name}: says the same as the target; add it to params.yaml: data.drop: [{name}]")


def _is_copy(feature: pd.Series, target: pd.Series, data: Data) -> bool:
    """Whether a feature is the target: the same numbers, or a value of its own for each class."""
    if data.task == "regression":
        return is_number(feature) and np.array_equal(feature.to_numpy(float), target.to_numpy(float))
    return np.array_equal(pd.factorize(feature)[0], pd.factorize(target)[0])


def _check_target(target: pd.Series, data: Data) -> None:
    name = data.target
    if gone := target.isna().sum():
        raise UserError(f"column {name}: {gone:,} targets are missing; prepare must drop those rows")
    if data.task == "classification":
        if pd.api.types.is_float_dtype(target):
            raise UserError(f"column {name}: its values are measurements, not classes; set data.task: regression")
        Target.of(target, data)
    elif not pd.api.types.is_numeric_dtype(target):
        raise UserError(f"column {name}: its values aren't numbers; set data.task: classification")
    elif not np.isfinite(target.to_numpy(float)).all():
        raise UserError(f"column {name}: some targets are infinite; fix the source")
    elif target.nunique() < 2:
        raise UserError(f"column {name}: all targets are equal; there is nothing to learn (data.target)")


def main() -> None:
    data = read_params().data
    tables = read_tables(Path("data/raw"))
    table = import_module(f"src.datasets.{data.set}").prepare(tables, data)
    check(table, data)
    write_table(table, Path("data/prepared.parquet"))
    print(f"{len(table):,} rows, {len(features(table, data))} features")
    for reason, rows in table.attrs.get("dropped", {}).items():
        if rows:
            print(one_line(f"dropped {rows:,} rows: {reason}"))


if __name__ == "__main__":
    main()
