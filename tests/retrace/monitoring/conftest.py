"""Predictions that were served in the past, as the log would have them."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic_core import to_json

from retrace.package import read_package
from retrace.serving.log import Log, PredictedRequest
from retrace.serving.outputs import named_outputs

REQUEST = 500  # rows


def store_served(
    watched: tuple[Path, str],
    rows: pd.DataFrame,
    times: pd.Series,
    ids: list[str],
    raw_rows: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> Log:
    """Store predictions for prepared rows as if they had been served at some times; returns the log.

    Args:
        watched: the project, and the address of the log.
        rows: the prepared rows.
        times: when each was served.
        ids: of the predictions.
        raw_rows: makes a raw row of a row, which is then stored in its place.
    """
    project, address = watched
    file = project / "release/model.zip"
    package, sha256 = read_package(file, trusted=True), hashlib.sha256(file.read_bytes()).hexdigest()
    log = Log(address)
    log.register(sha256, package.description)
    order = times.argsort(kind="stable")
    table = rows[list(package.columns)].iloc[order]
    names, when = [ids[number] for number in order], times.iloc[order].tolist()
    outputs = named_outputs(package.predict(table).tolist(), package.description["classes"])
    inputs = table.astype(object).where(table.notna(), None).to_dict("records")
    if raw_rows is not None:
        inputs = [raw_rows(row) for row in inputs]
    kind = "rows" if raw_rows is None else "raw"
    requests = []
    start = 0
    for number in range(1, len(names) + 1):
        is_end = number == len(names) or when[number].date() != when[start].date() or number - start == REQUEST
        if is_end:
            part = slice(start, number)
            requests.append(
                PredictedRequest(
                    ids=names[part],
                    time=when[start],
                    model="late-flights",
                    version="v1.0.0",
                    package=sha256,
                    request_type=kind,
                    input=to_json(inputs[part]).decode(),
                    private=None,
                    output=to_json(outputs[part]).decode(),
                    seconds=0.01,
                )
            )
            start = number
    log.store(requests)
    return log
