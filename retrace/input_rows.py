"""The rows that a model is asked to predict for: what a row must hold, and what is wrong with those that don't.

A row is a JSON object with a value for each column. `null` is a missing value.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
from annotated_types import MaxLen
from pydantic import ConfigDict, FailFast, TypeAdapter, ValidationError, with_config
from pydantic_core import ErrorDetails, from_json, to_json
from typing_extensions import TypedDict

from retrace.errors import one_line
from retrace.tables.options import MISSING

Row = dict[str, Any]

# The arguments with which pandas reads a CSV file of rows: all cells are text, but for those that mean no value in
# training, too.
CSV_CELLS: dict[str, Any] = {"dtype": "str", "keep_default_na": False, "na_values": MISSING, "index_col": False}

MAX_ROWS = 10_000  # in a request
MAX_MESSAGES = 20  # about mistakes, and as many warnings, in one reply
TYPES = {"number": float | None, "boolean": bool | None, "text": str | None}
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
WRONG_TYPE = {
    "float_type": "must be a number or null",
    "bool_type": "must be true, false or null",
    "string_type": "must be text or null",
    "string_unicode": "must be text or null",
    "finite_number": "must be a finite number or null",
    "missing": "is missing; null is allowed",
    "dict_type": "must be an object with a value for each column",
}


class InvalidRowsError(Exception):
    """Rows that can't be predicted for.

    Attributes:
        messages: one for each mistake, with the number of the row, from 1, and the column, but never with a value.
    """

    def __init__(self, messages: Sequence[str]) -> None:
        super().__init__(*messages)
        self.messages = list(messages)


class RowReader:
    """Reads the rows of requests.

    Attributes:
        columns: the kind of each column of a row: number, boolean or text.
        schema: the JSON schema of a row.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.columns = columns
        fields: dict[str, Any] = {name: TYPES[kind] for name, kind in columns.items()}
        row = with_config(STRICT)(TypedDict("Row", fields))  # type: ignore[operator]  # mypy wants its fields here
        # It stops at the first wrong row, because a list of all mistakes could be long.
        rows = Annotated[list[row], MaxLen(MAX_ROWS), FailFast()]  # type: ignore[valid-type]
        self._row: TypeAdapter[Row] = TypeAdapter(row)
        fields = {"rows": rows}
        self._body: TypeAdapter[dict[str, Any]] = TypeAdapter(TypedDict("Body", fields))  # type: ignore[operator]
        self.schema: dict[str, Any] = self._row.json_schema()

    def read(self, body: bytes) -> list[Row]:
        """The rows in the body of a request, which is an object with the list `rows`.

        Raises:
            InvalidRowsError: with a message for each mistake.
        """
        try:
            rows: list[Row] = self._body.validate_json(body)["rows"]
            return rows
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
        if len(first["loc"]) < 2:
            raise InvalidRowsError([f"rows: {first['msg'].lower()}"])
        raise InvalidRowsError(self._messages(from_json(body)["rows"]))

    def _messages(self, rows: Sequence[object]) -> list[str]:
        """A message for each of the first mistakes."""
        messages: list[str] = []
        for number, row in enumerate(rows, start=1):
            if len(messages) > MAX_MESSAGES:
                break
            try:
                self._row.validate_json(to_json(row))
            except ValidationError as error:
                mistakes = error.errors(include_url=False)[: MAX_MESSAGES + 1]
                messages += [f"row {number}: {self._message(mistake)}" for mistake in mistakes]
        return shortened(messages, "errors")

    def _message(self, mistake: ErrorDetails) -> str:
        problem = WRONG_TYPE.get(mistake["type"], "has a wrong value")
        if not mistake["loc"]:
            return problem
        column = str(mistake["loc"][0])
        if mistake["type"] == "extra_forbidden":
            similar = difflib.get_close_matches(column, self.columns, n=1)
            return f"column {one_line(column)}: unknown" + (f"; did you mean {similar[0]}?" if similar else "")
        return f"column {column}: {problem}"


def as_table(rows: Sequence[Row], columns: Mapping[str, str]) -> pd.DataFrame:
    """Rows as a table with the types of training: float for numbers and booleans, and str.

    Args:
        rows: what `RowReader.read` returns.
        columns: the kind of each column.
    """
    table = {}
    for name, kind in columns.items():
        values = [row[name] for row in rows]
        table[name] = pd.array(values, dtype="str") if kind == "text" else np.array(values, dtype=float)
    return pd.DataFrame(table)


def unseen_categories(table: pd.DataFrame, categories: Mapping[str, frozenset[str]]) -> list[str]:
    """A warning for each category that fewer than ten rows of train have; at most 20 warnings.

    Args:
        table: the rows with the model's input columns.
        categories: those that at least ten rows of train have, by column.
    """
    warnings: list[str] = []
    for column, known in categories.items():
        for number, value in enumerate(table[column].tolist(), start=1):
            if len(warnings) > MAX_MESSAGES:
                break
            if isinstance(value, str) and value not in known:  # a missing value is no category
                warnings.append(f"row {number}: column {column}: fewer than 10 rows of train have this category")
    return shortened(warnings, "warnings")


def first_failing_row(values: pd.Series, convert: Callable[[pd.Series], object]) -> int:
    """The number, from 1, of the first row of a column that can't be converted together with the rows before it.

    Args:
        values: a column whose conversion fails, shape (rows,).
        convert: the conversion, which raises an exception if it fails.
    """
    converted, failing = 0, len(values)  # the first `converted` rows can be converted, the first `failing` rows can't
    while failing - converted > 1:
        middle = (converted + failing) // 2
        try:
            convert(values.iloc[:middle])
            converted = middle
        except Exception:  # whatever `convert` raises
            failing = middle
    return failing


def shortened(messages: Sequence[str], what: str) -> list[str]:
    """At most the first 20 messages, and that there are more."""
    if len(messages) <= MAX_MESSAGES:
        return list(messages)
    return [*messages[:MAX_MESSAGES], f"and more {what}"]
