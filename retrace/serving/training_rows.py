"""The labelled predictions of the log as rows of the project's own table, so that a model can be trained on them.

This works only if the table's columns are the model's input columns. A feature that `prepare` computes, for example
from a date, can't be turned back into the column that it was computed from.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.fernet import Fernet
from pydantic_core import from_json

from retrace.errors import UserError
from retrace.params import Data, read_params
from retrace.serving.log import Prediction, read_key, whole_row

TABLE = Path("data/raw/table.parquet")


def table_schema() -> pa.Schema:
    """The columns and types of the project's raw table.

    Raises:
        UserError: there is none, because the data set is another one, or because its pipeline hasn't run.
    """
    try:
        return pq.read_schema(TABLE).remove_metadata()
    except FileNotFoundError:
        raise UserError(f"{TABLE}: no such file; if the project has a table of its own, `dvc repro` makes it") from None


def training_rows(predictions: Sequence[Prediction], labels: Mapping[str, str], schema: pa.Schema) -> pa.Table:
    """The predictions of this project's model that have a label, as rows of the table.

    Requests with raw rows are left out, because these don't have the model's input columns.

    Args:
        predictions: of the log.
        labels: the labels in JSON, by the ids of their predictions.
        schema: that of the table.

    Raises:
        UserError: a row doesn't fit the table, or its private columns can't be decrypted.
    """
    params, key = read_params(), read_key()
    labelled = [
        each
        for each in predictions
        if each.id in labels and each.request_type == "rows" and each.model == params.problem.name
    ]
    return training_table([training_row(each, labels[each.id], params.data, key) for each in labelled], schema)


def training_row(prediction: Prediction, label: str, data: Data, key: Fernet | None) -> dict[str, Any]:
    """The input of a prediction with its label as the target, its time and its id, by the names of the columns.

    Args:
        prediction: whose request had the model's input columns.
        label: in JSON.
        data: the section `data` of params.yaml.
        key: the key of the log's private columns.

    Raises:
        UserError: private columns can't be decrypted.
    """
    row: dict[str, Any] = {data.target: from_json(label)}
    if data.time:
        row[data.time] = prediction.time
    if data.id:
        row[data.id] = prediction.id
    return row | whole_row(prediction, key)


def training_table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a part of the table; columns that the log doesn't have are missing.

    Raises:
        UserError: the table has no such column, or the column has another type.
    """
    names = {name for row in rows for name in row}
    if unknown := sorted(names - set(schema.names)):
        raise UserError(f"{unknown[0]}: an input column of the model, but no column of {TABLE}: nothing is written")
    columns = []
    for field in schema:
        try:
            columns.append(pa.array([row.get(field.name) for row in rows]).cast(field.type))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):  # their messages would show a value
            raise UserError(
                f"{field.name}: a value in the log isn't of the type {field.type}, which {TABLE} has"
            ) from None
    return pa.Table.from_arrays(columns, schema=schema)
