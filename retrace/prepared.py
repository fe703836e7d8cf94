"""What a prepared table must be, whatever the data set: every later stage builds on it."""

import numpy as np
import pandas as pd

from retrace.errors import PARAMETER, ParameterError, UserError
from retrace.examples import Target, features, is_number
from retrace.params import Data


def check_prepared(table: pd.DataFrame, data: Data) -> None:
    """Check a prepared table: ids are present and differ, the target can be learned, no feature gives it away.

    Args:
        table: one row per example, as a data set's `prepare` returns it.
        data: the section `data` of params.yaml.

    Raises:
        UserError: a column that `data` names does not exist; there are no rows; ids are missing or repeated; targets
            are missing or infinite; there is only one class; there are no features; a feature is a date, infinite or
            equal to the target.
    """
    for role in ("target", "id", "time", "group", "weight"):
        column = getattr(data, role)
        if column is not None and column not in table:
            raise ParameterError(f"{PARAMETER}: the prepared table has no column {column}", f"data.{role}")
    if absent := sorted(set(data.drop) - set(table.columns)):
        raise ParameterError(f"{PARAMETER}: the prepared table has no column {absent[0]}", "data.drop")
    if table.empty:
        raise UserError("prepared table: no rows are left; see data.read in params.yaml")
    _check_ids(table[data.id_column])
    for role in ("time", "group"):
        column = getattr(data, role)
        if column is not None and (count := table[column].isna().sum()):
            line = f"column {column}: {count:,} values are missing; {PARAMETER} needs one in each row"
            raise ParameterError(line, f"data.{role}")
    if data.weight is not None:
        _check_weights(table[data.weight])
    target = table[data.target]
    _check_target(target, data)
    names = features(table, data)
    if not names:
        raise ParameterError(f"prepared table: no column is left to learn from; see {PARAMETER}", "data.drop")
    for name in names:
        _check_feature(table[name], target, data)


def _check_ids(ids: pd.Series) -> None:
    if ids.isna().any():
        line = f"column {ids.name}: {ids.isna().sum():,} ids are missing; name another column in {PARAMETER}"
        raise ParameterError(line, "data.id")
    if ids.duplicated().any():
        line = f"column {ids.name}: {ids.duplicated().sum():,} ids are repeated; name another in {PARAMETER}"
        raise ParameterError(line, "data.id")


def _check_weights(values: pd.Series) -> None:
    are_weights = pd.api.types.is_numeric_dtype(values)
    if are_weights:
        numbers = values.to_numpy(float, na_value=np.nan)
        are_weights = bool(np.isfinite(numbers).all() and (numbers >= 0).all())
    if not are_weights:
        line = f"column {values.name}: weights must be numbers that are present and not negative; see {PARAMETER}"
        raise ParameterError(line, "data.weight")


def _check_target(target: pd.Series, data: Data) -> None:
    where = f"column {data.target}:"
    if count := target.isna().sum():
        raise UserError(f"{where} {count:,} targets are missing; prepare must drop those rows")
    if data.task == "classification":
        if pd.api.types.is_float_dtype(target):
            line = f"{where} its values are measurements, not classes; set {PARAMETER}"
            raise ParameterError(line, "data.task", value="regression")
        Target.of(target, data)
    elif not pd.api.types.is_numeric_dtype(target):
        line = f"{where} its values aren't numbers; set {PARAMETER}"
        raise ParameterError(line, "data.task", value="classification")
    elif not np.isfinite(target.to_numpy(float)).all():
        raise UserError(f"{where} some targets are infinite; fix the source")
    elif target.nunique() < 2:
        raise ParameterError(f"{where} all targets are equal; there is nothing to learn ({PARAMETER})", "data.target")


def _check_feature(feature: pd.Series, target: pd.Series, data: Data) -> None:
    where, dropped = f"column {feature.name}:", [str(feature.name)]
    if pd.api.types.is_datetime64_any_dtype(feature):
        line = f"{where} a date, which no model takes; make numbers of it, or {PARAMETER}"
        raise ParameterError(line, "data.drop", value=dropped)
    if is_number(feature) and (infinite := np.isinf(feature.to_numpy(float)).sum()):
        line = f"{where} {infinite:,} values are infinite; correct the source, or {PARAMETER}"
        raise ParameterError(line, "data.drop", value=dropped)
    if _is_copy(feature, target, data):
        line = f"{where} says the same as the target; leave it out: {PARAMETER}"
        raise ParameterError(line, "data.drop", value=dropped)


def _is_copy(feature: pd.Series, target: pd.Series, data: Data) -> bool:
    """Whether a feature is the target: the same numbers, or a value of its own for each class."""
    if data.task == "regression":
        return is_number(feature) and np.array_equal(feature.to_numpy(float), target.to_numpy(float))
    return np.array_equal(pd.factorize(feature)[0], pd.factorize(target)[0])
