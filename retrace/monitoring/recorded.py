"""Recorded requests whose labels are known, and what another model predicts for them."""

import json
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from cryptography.fernet import Fernet
from numpy.typing import NDArray
from pydantic_core import from_json
from tqdm import tqdm

from retrace.input_rows import MAX_ROWS
from retrace.monitoring.inputs import Inputs
from retrace.monitoring.running_package import RunningPackage
from retrace.monitoring.series import category_text
from retrace.monitoring.served import values_of
from retrace.serving.log import Log, Prediction, read_key, whole_row
from retrace.serving.packages import Released


class Recorded(NamedTuple):
    """Served predictions that have a label.

    Attributes:
        about: the id, the time (UTC) and the label of each.
        slices: the input columns to slice by, as text.
        served: what was predicted, shape (rows,), or (rows, classes) with more than two classes.
        challenger: what the challenger predicts, likewise.
        unlabelled: how many other predictions have no label.
    """

    about: pd.DataFrame
    slices: pd.DataFrame
    served: NDArray[np.float64]
    challenger: NDArray[np.float64]
    unlabelled: int


def describe(package: Released) -> dict[str, Any]:
    """The content of a package's model.json."""
    with zipfile.ZipFile(package.path) as archive:
        description: dict[str, Any] = json.loads(archive.read("model.json"))
    return description


def read_recorded(
    log: Log, parts: Iterable[list[Prediction]], served: Released, challenger: Released, columns: Sequence[str]
) -> Recorded | None:
    """The served predictions that have a label, and what the challenger predicts for their inputs.

    Args:
        log: where the labels are stored.
        parts: the predictions.
        served: the model that predicted.
        challenger: the model that predicts now.
        columns: the input columns to slice by.

    Returns:
        None if no prediction has a label.

    Raises:
        UserError: the challenger can't predict for one of them, or private columns can't be decrypted.
        LogError: the log can't be read.
    """
    found, unlabelled = [], 0
    with (
        tqdm(unit=" predictions", disable=None, leave=False) as progress,
        RunningPackage(served) as running_served,
        RunningPackage(challenger) as running_challenger,
    ):
        inputs = Inputs(running_served, columns)
        names, key = [column["name"] for column in describe(challenger)["columns"]], read_key()
        for part in parts:
            labels = {id_: from_json(label) for id_, label in log.latest_labels([each.id for each in part]).items()}
            rows = [each for each in part if labels.get(each.id) is not None]
            unlabelled += len(part) - len(rows)
            if rows:
                predictions = predict(running_challenger, rows, names, key)
                outputs = np.array([values_of(each.output) for each in rows], dtype=float)
                about = pd.DataFrame({"id": [each.id for each in rows], "time": [each.time for each in rows]})
                about["label"] = pd.Series([labels[each.id] for each in rows], dtype=object)
                found.append((about, slices_of(rows, inputs), outputs, predictions))
            progress.update(len(part))
    if not found:
        return None
    abouts, slices, outputs_of_parts, predictions_of_parts = zip(*found, strict=True)
    return Recorded(
        pd.concat(abouts, ignore_index=True),
        pd.concat(slices, ignore_index=True),
        np.concatenate(outputs_of_parts),
        np.concatenate(predictions_of_parts),
        unlabelled,
    )


def slices_of(rows: Sequence[Prediction], inputs: Inputs) -> pd.DataFrame:
    """The columns to slice by, as text, with a row for each prediction."""
    if not inputs.names:
        return pd.DataFrame(index=range(len(rows)))
    readable_rows, readable = inputs.read(rows)
    table = readable_rows.set_axis(np.flatnonzero(readable)).reindex(range(len(rows)))
    return table.where(table.isna(), table.apply(category_text))


def predict(
    running: RunningPackage, rows: Sequence[Prediction], names: Sequence[str], key: Fernet | None
) -> NDArray[np.float64]:
    """What a package predicts for the inputs of stored predictions.

    Args:
        running: the package, which may be another one than the one that predicted.
        rows: the stored predictions.
        names: of the package's input columns.
        key: the key of the log's private columns.

    Returns:
        Shape (rows,), or (rows, classes) with more than two classes.

    Raises:
        UserError: it can't predict for one of them, or private columns can't be decrypted.
    """
    found: list[Any] = [None] * len(rows)
    for kind in ("rows", "raw"):
        numbers = [number for number, each in enumerate(rows) if each.request_type == kind]
        for start in range(0, len(numbers), MAX_ROWS):
            some = numbers[start : start + MAX_ROWS]
            inputs = [whole_row(rows[number], key) for number in some]
            if kind == "rows":  # a challenger may need fewer columns
                inputs = [{name: row[name] for name in names if name in row} for row in inputs]
            for number, prediction in zip(some, running.predict(kind, inputs), strict=True):
                found[number] = prediction
    return np.array(found, dtype=float)
