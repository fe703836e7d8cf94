"""The commands for the log of predictions: label, forget and export."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import to_json

from retrace.command_line import make_parser, utc_time
from retrace.errors import UserError, one_line
from retrace.files import replacing
from retrace.input_rows import MAX_MESSAGES
from retrace.serving.log import Prediction, open_log, utc_now
from retrace.serving.training_rows import table_schema, training_rows


def label(words: list[str]) -> None:
    """Store actual outcomes (labels) by the ids of predictions; of several labels of an id, the last one counts."""
    parser = make_parser("label", str(label.__doc__))
    parser.add_argument("file", metavar="FILE", type=Path, help="CSV or Parquet with the columns id and label")
    file = parser.parse_args(words).file
    labels = read_labels(file)
    with open_log() as log:
        messages = log.add_labels(labels, from_text=file.suffix != ".parquet")
    if messages:
        more = f"and {len(messages) - MAX_MESSAGES:,} more" if len(messages) > MAX_MESSAGES else ""
        lines = [f"{file}: {message}" for message in messages[:MAX_MESSAGES]]
        raise UserError(*lines, f"{file}: nothing is stored, because of these mistakes{more and f' {more}'}")
    print(f"{len(labels):,} labels stored")


def read_labels(file: Path) -> dict[str, Any]:
    """The labels in a file by the id of their prediction; those in CSV are text.

    Raises:
        UserError: the file can't be read, or an id is missing, has no label or is a duplicate.
    """
    try:
        table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, **CELLS)
    except (OSError, ValueError):
        raise UserError(f"{file}: can't be read as CSV or Parquet") from None
    if not {"id", "label"} <= set(table):
        raise UserError(f"{file}: needs the columns id and label")
    labels: dict[str, Any] = {}
    for row, (name, value) in enumerate(zip(table["id"].tolist(), table["label"].tolist(), strict=True), start=1):
        if pd.isna(name) or pd.isna(value):
            raise UserError(f"{file}: row {row} has no {'id' if pd.isna(name) else 'label'}")
        if str(name) in labels:
            raise UserError(f"{file}: row {row} has an id that an earlier row has")
        labels[str(name)] = value
    return labels


def forget(words: list[str]) -> None:
    """Delete one prediction from the log, or all that are older than some days, with their labels."""
    parser = make_parser("forget", str(forget.__doc__))
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", metavar="ID", help="of the prediction")
    which.add_argument("--older-than", metavar="DAYS", type=float, help="all that were served longer ago")
    arguments = parser.parse_args(words)
    with open_log() as log:
        if arguments.id is None:
            print(f"{log.forget_before(utc_now() - timedelta(days=arguments.older_than)):,} predictions deleted")
        elif log.forget(arguments.id):
            print(one_line(f"{arguments.id}: deleted, with its labels"))
        else:
            raise UserError(f"{arguments.id}: the log {log.place} has no prediction with this id")


CELLS: dict[str, Any] = {"dtype": "str", "keep_default_na": False, "na_values": [""], "index_col": False}
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("time", pa.timestamp("us", "UTC")),
        ("model", pa.string()),
        ("version", pa.string()),
        ("package", pa.string()),
        ("request_type", pa.string()),
        ("input", pa.string()),
        ("output", pa.string()),
        ("seconds", pa.float64()),
        ("label", pa.string()),
    ]
)


def row_of(prediction: Prediction) -> dict[str, Any]:
    """The row of a prediction in the exported file, without its label."""
    json = {"input": to_json(prediction.input).decode(), "output": to_json(prediction.output).decode()}
    return prediction._asdict() | json


def export(words: list[str]) -> None:
    """Write the predictions of the log, each with its last label, to a Parquet file without the private columns.

    With --as-rows, write those that have a label as rows of the project's table, private columns included.
    """
    parser = make_parser("export", str(export.__doc__))
    parser.add_argument("--since", metavar="TIME", type=utc_time, default="1970-01-01", help="in UTC; all by default")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="such as predictions.parquet")
    parser.add_argument("--as-rows", action="store_true", help="labelled predictions as rows to train on")
    arguments = parser.parse_args(words)
    if arguments.out.suffix != ".parquet":
        raise UserError(f"--out {arguments.out}: must end with .parquet")
    rows = 0
    schema = table_schema() if arguments.as_rows else SCHEMA
    with open_log() as log, replacing(arguments.out) as part, pq.ParquetWriter(part, schema) as writer:
        for predictions in log.since(arguments.since):
            labels = log.latest_labels([each.id for each in predictions])
            if arguments.as_rows:
                table = training_rows(predictions, labels, schema)
            else:
                exported = [row_of(each) | {"label": labels.get(each.id)} for each in predictions]
                table = pa.Table.from_pylist(exported, schema)
            writer.write_table(table)
            rows += len(table)
    print(f"{arguments.out}: {rows:,} {'rows' if arguments.as_rows else 'predictions'}")
