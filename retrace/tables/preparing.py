"""One row per example: ids that stay the same, labels, and dates as numbers that a model can use."""

from typing import Any

import pandas as pd

from retrace.errors import PARAMETER, ParameterError, UserError
from retrace.files import as_text
from retrace.params import Data
from retrace.row_ids import row_ids

EPOCH = pd.Timestamp("1970-01-01").as_unit("us")  # in nanoseconds, as by default, dates end in 2262


def prepare_table(raw: pd.DataFrame, data: Data, ids: list[str] | None = None) -> pd.DataFrame:
    """The rows that have a target, each with an id; dates become numeric features.

    The column of ids is `data.id`, or `row_id`, which is made from `data.id_columns`. The features of a date are its
    month, weekday and hour, and its day counted from 1970 unless the table is split by it. A group is not changed.
    Rows without a target are counted in `attrs["dropped"]`.

    Args:
        raw: the table as `read` returns it, or a chunk of it.
        data: the section `data` of params.yaml.
        ids: of these rows, if `data.id` is None and they are a chunk, since ids depend on the whole table. By default,
            they are made from the rows given.

    Raises:
        UserError: there is no such target or id column, no column is named for the ids, the target is a date, or a
            column has the name of the ids or of a date's feature.
    """
    for role in ("target", "id"):
        column = getattr(data, role)
        if column is not None and column not in raw:
            raise ParameterError(f"{PARAMETER}: {data.source} has no column {column}", f"data.{role}")
    if pd.api.types.is_datetime64_any_dtype(raw[data.target]):
        raise ParameterError(f"{PARAMETER}: {data.target} is a date, which can't be predicted", "data.target")
    table = raw.copy()
    if data.id is None:
        check_id_columns(raw, data)
        made = row_ids(raw, data.id_columns, data.read.get("types") or {}) if ids is None else ids
        table.insert(0, data.id_column, made)
    else:
        table[data.id] = as_text(table[data.id])
    labelled = table[data.target].notna()
    table = table[labelled].reset_index(drop=True)
    if data.task == "classification":
        table[data.target] = _labels(table[data.target])
    table = _with_date_features(table, data)
    table.attrs["dropped"] = {"no target": int((~labelled).sum())}
    return table


def check_id_columns(raw: pd.DataFrame, data: Data) -> None:
    """Check that the ids of the rows of a raw table can be made from `data.id_columns`.

    Raises:
        UserError: there are no such columns, or a column has the name of the ids.
    """
    where = "params.yaml: data.id_columns:"
    if data.id_column in raw:
        raise ParameterError(
            f"{PARAMETER}: the table has a column {data.id_column}; name it here, or rename it", "data.id"
        )
    if not data.id_columns:
        raise UserError(
            f"{where} empty, and data.id is null; list the columns that tell rows apart: `python -m retrace adopt` does"
        )
    if absent := [name for name in data.id_columns if name not in raw]:
        raise UserError(
            f"{where} {data.source} has no column {absent[0]}; if it was renamed, write its new name there, and the "
            "ids stay; else take it off the list, and every row gets another id"
        )


def _labels(target: pd.Series) -> pd.Series:
    """Classes as whole numbers, if they are decimals only because some are missing in the file."""
    if pd.api.types.is_float_dtype(target) and (target % 1 == 0).all():
        return target.astype("int64")
    return target


def _with_date_features(table: pd.DataFrame, data: Data) -> pd.DataFrame:
    """The table with the features of each date in place of it; the time that the table is split by stays, too."""
    names: list[Any] = [name for name in table.columns if pd.api.types.is_datetime64_any_dtype(table[name])]
    for name in names:
        if name in (data.id, data.group, *data.drop):
            continue
        features = date_features(table[name], with_day=name != data.time)
        if taken := [feature for feature in features if feature in table]:
            line = f"column {taken[0]}: is made of {name}, too; rename one of them, or {PARAMETER}"
            raise ParameterError(line, "data.drop", value=[str(name)])
        table = pd.concat([table, features], axis=1)
        if name != data.time:
            table = table.drop(columns=name)
    return table


def date_features(dates: pd.Series, with_day: bool) -> pd.DataFrame:
    """The features of a date, each named after the date's column, such as `sold (month)`.

    Args:
        dates: the column, of datetimes.
        with_day: whether the number of days since 1970 is a feature, too.

    Returns:
        As decimals: the month from 1, the weekday from 0 on Monday, the hour and, if asked for, the day.
    """
    parts = {"month": dates.dt.month, "weekday": dates.dt.day_of_week, "hour": dates.dt.hour}
    if with_day:
        parts["day"] = (dates - EPOCH) / pd.Timedelta(days=1)
    return pd.DataFrame({f"{dates.name} ({part})": values.astype("float64") for part, values in parts.items()})
