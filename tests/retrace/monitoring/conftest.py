"""Predictions that were served in the past, as the log would have them."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic_core import to_json

from retrace.package import read_package
from retrace.serving.log import Log, PredictedRequest
from retrace.serving.outputs import named_outputs

REQUEST = 500  # rows


def store_served(project: Path, address: str, rows: pd.DataFrame, times: pd.Series, ids: list[str]) -> Log:
    """Store predictions for prepared rows as if they had been served at some times; returns the log."""
    file = project / "release/model.zip"
    package, sha256 = read_package(file, trusted=True), hashlib.sha256(file.read_bytes()).hexdigest()
    log = Log(address)
    log.register(sha256, package.description)
    order = times.argsort(kind="stable")
    table = rows[list(package.columns)].iloc[order]
    names, when = [ids[number] for number in order], times.iloc[order].tolist()
    outputs = named_outputs(package.predict(table).tolist(), package.description["classes"])
    inputs = table.astype(object).where(table.notna(), None).to_dict("records")
    requests = []
    start = 0
    for number in range(1, len(names) + 1):
        is_end = number == len(names) or when[number].date() != when[start].date() or number - start == REQUEST
        if is_end:
            part = slice(start, number)
            requests.append(stored(names[part], when[start], sha256, inputs[part], outputs[part]))
            start = number
    log.store(requests)
    return log


def stored(ids: list[str], time: datetime, sha256: str, inputs: list[Any], outputs: list[Any]) -> PredictedRequest:
    content: Callable[[list[Any]], str] = lambda values: to_json(values).decode()  # noqa: E731
    return PredictedRequest(
        ids, time, "late-flights", "v1.0.0", sha256, "rows", content(inputs), None, content(outputs), 0.01
    )
