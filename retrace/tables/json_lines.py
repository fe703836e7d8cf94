"""JSON Lines: files in which each line is a JSON object, a row with its columns by name."""

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json

from retrace.tables.columns import with_column
from retrace.tables.dates import clock_time
from retrace.tables.files import LONGEST_LINE, opened


def read_json_lines(file: Path) -> pa.Table:
    """A JSON Lines file; times are read from their text, since Arrow drops their offset from UTC."""
    options = pa.json.ReadOptions(use_threads=False, block_size=LONGEST_LINE)
    table = pa.json.read_json(file, read_options=options)
    times = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
    if times:
        schema = pa.schema([(name, pa.string()) for name in times])
        parse = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        texts = pa.json.read_json(file, read_options=options, parse_options=parse)
        for name in times:
            table = with_column(table, name, clock_time(texts.column(name)))
    return table


def line_of_another_type(file: Path, name: str) -> int | None:
    """The first line in which the value of a column is of another type than before."""
    first_type: type | None = None
    with opened(file) as stream, suppress(ValueError, AttributeError, RecursionError):  # a line that is not an object
        for number, line in enumerate(stream, 1):
            value = json.loads(line).get(name) if line.strip() else None
            if value is None:
                continue
            type_ = float if type(value) in (int, float) else type(value)
            first_type = first_type or type_
            if type_ != first_type:
                return number
    return None


def broken_line(file: Path) -> str | None:
    """What is wrong with the first line that is not a JSON object, or has a duplicate key."""
    with opened(file) as stream:
        for number, line in enumerate(stream, 1):
            try:
                if line.strip() and not isinstance(json.loads(line, object_pairs_hook=_distinct), dict):
                    return f'line {number} is not a JSON object, such as {{"column": 1}}'
            except KeyError as error:
                return f"line {number} has the key {error.args[0]} twice; correct it"
            except (ValueError, RecursionError):
                return f"line {number} is not valid JSON; is the file complete?"
    return None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object's keys and values.

    Raises:
        KeyError: a key is duplicated.
    """
    counts = Counter(key for key, _ in pairs)
    if duplicates := [key for key, count in counts.items() if count > 1]:
        raise KeyError(duplicates[0])
    return dict(pairs)
