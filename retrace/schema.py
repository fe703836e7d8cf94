"""data/schema.yaml: a pandera schema for each raw table.

A schema is strict: the table must have its columns and no other, and no value is converted. `infer` makes a first one,
which people read and correct. It reveals no value that fewer than 10 rows hold, and none of a private column.
"""

import argparse
import math
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import yaml
from numpy.typing import NDArray
from pandera.engines import pandas_engine
from pandera.extensions import register_check_method
from pandera.io.pandas_io import deserialize_schema, serialize_schema

from retrace.errors import UserError
from retrace.files import FEWEST_ROWS_SHOWN, write_bytes
from retrace.params import read_params
from retrace.pieces import Pieces, columns_in_pieces, count_values, each, present_numbers
from retrace.privacy import count_in_bins, middle_range
from retrace.table_files import table_paths
from retrace.yaml_files import Dumper, read_yaml

FILE = Path("data/schema.yaml")
RAW = Path("data/raw")
MOST_VALUES = 50  # of a text column that are listed
ROWS_COUNTED_FIRST = 100_000  # of a text column; if these have more values, the others need not be counted
FEWEST_BINS = 4  # in which the rows of a range are counted
LARGEST = 1e300  # number in a range
# The checks of pandera that look at each value by itself, so that a table can be checked in chunks; and
# missing_at_most, whose counts are added up.
CHECKS_OF_VALUES = {
    "equal_to",
    "not_equal_to",
    "greater_than",
    "greater_than_or_equal_to",
    "less_than",
    "less_than_or_equal_to",
    "in_range",
    "isin",
    "notin",
    "str_matches",
    "str_contains",
    "str_startswith",
    "str_endswith",
    "str_length",
    "missing_at_most",
}
HEADER = """\
# What each raw table must be like. `python -m retrace freeze` overwrites this file with what data/raw/ is like.
# A range is wider than the data at both ends, but doesn't cross zero, and it's rounded so that it reveals no extreme
# value. Where values are missing, twice their share plus 0.01 may be missing. Texts are listed if there are at most 50.
"""


@register_check_method(statistics=["share"])  # type: ignore[untyped-decorator]  # pandera's decorator has no types
def missing_at_most(column: pd.Series, *, share: float) -> bool:
    """A check of pandera: whether at most this share of a column is missing."""
    return bool(column.isna().mean() <= share)


def infer(columns: Iterable[tuple[Any, Pieces]], private: list[str], key: str | None = None) -> pa.DataFrameSchema:
    """A first schema for a table, which meets it; HEADER says by which rules.

    Args:
        columns: the names and values of the columns of a raw table, as `columns_in_pieces` gives them.
        private: the columns of which no value may be shown.
        key: the column that names the rows, if there is one. It gets no range, because new rows have new values.
    """
    unchecked = [*private, key]
    return pa.DataFrameSchema(
        {name: _infer_column(values, name in unchecked) for name, values in columns}, strict=True, coerce=False
    )


def shows_values(schema: pa.DataFrameSchema, name: str) -> bool:
    """Whether a schema shows values of a column: any check does, except for that of the share of missing values."""
    return name in schema.columns and any(check.name != "missing_at_most" for check in schema.columns[name].checks)


def _infer_column(values: Pieces, unchecked: bool) -> pa.Column:
    checks, rows = [], sum(map(len, values))
    missing = sum(int(piece.isna().sum()) for piece in values) / rows if rows else 0.0
    if missing:
        share = min(1.0, math.ceil(100 * (2 * missing + 0.01)) / 100)
        checks.append(pa.Check.missing_at_most(share=share, ignore_na=False))
    dtype = next(iter(values)).dtype
    if not unchecked and not pd.api.types.is_bool_dtype(dtype) and not pd.api.types.is_datetime64_any_dtype(dtype):
        checks += _number_checks(values) if pd.api.types.is_numeric_dtype(dtype) else _text_checks(values)
    return pa.Column(_dtype(str(dtype)), checks, nullable=bool(missing))


def _number_checks(values: Pieces) -> list[pa.Check]:
    """The range of a column of numbers, if it can be shown."""
    ends = _range(each(_finite, values))
    if ends is None:
        return []
    # Beyond the largest number a range has no end: arithmetic with its ends would overflow.
    least, most = _extremes(each(present_numbers, values))
    low = -math.inf if least < -LARGEST else ends[0]
    high = math.inf if most > LARGEST else ends[1]
    return [pa.Check.in_range(low, high)]


def _text_checks(values: Pieces) -> list[pa.Check]:
    """The list of the values of a text column, if there are few, and none is rare."""
    if next(iter(values)).iloc[:ROWS_COUNTED_FIRST].nunique() > MOST_VALUES:
        return []
    counts = count_values(values, MOST_VALUES)
    if 0 < len(counts) <= MOST_VALUES and counts.min() >= FEWEST_ROWS_SHOWN:
        return [pa.Check.isin(sorted(counts.index))]
    return []


def _finite(values: pd.Series) -> NDArray[np.float64]:
    """The numbers of a column that are neither missing nor infinite; those beyond LARGEST are as large as that."""
    numbers: NDArray[np.float64] = values.to_numpy(float)
    return np.asarray(numbers[np.isfinite(numbers)]).clip(-LARGEST, LARGEST)


@cache
def _dtype(name: str) -> Any:
    """A data type of pandera by its name; it's cached, since looking it up for each of many columns is slow."""
    return pandas_engine.Engine.dtype(name)


def _range(values: Iterable[NDArray[np.float64]]) -> tuple[float, float] | None:
    """Two round numbers between which all values lie; None if there are too few rows to show any.

    They depend on the bins that hold 10 rows. At each end as much as half of these bins' width is added, and doubled
    until all values are inside. So an extreme value is known no closer than that.

    Args:
        values: the pieces of a column of finite numbers, each of shape (rows,).
    """
    ends = middle_range(values)
    if ends is None:
        return None
    low, high = ends
    step = _round_up((high - low) / FEWEST_BINS or abs(high) / FEWEST_BINS or 1.0)
    counted = count_in_bins(values, step, ends)
    if counted is None:
        return None
    first, counts = counted
    least, most = _extremes(values)
    below = above = max(1, len(counts) // 2)  # steps
    while (first - below) * step > least:
        below *= 2
    while (first + len(counts) + above) * step < most:
        above *= 2
    lowest, highest = (first - below) * step, (first + len(counts) + above) * step
    lowest = 0.0 if lowest < 0 <= least else lowest
    highest = 0.0 if highest > 0 >= most else highest
    return float(f"{lowest:.12g}"), float(f"{highest:.12g}")


def _extremes(values: Iterable[NDArray[np.float64]]) -> tuple[float, float]:
    """The least and the greatest number in the pieces of a column, of which at least one has numbers."""
    return min(piece.min() for piece in values if len(piece)), max(piece.max() for piece in values if len(piece))


def _round_up(value: float) -> float:
    """The smallest number that is at least this large and 1, 2 or 5 times a power of ten."""
    power = float(f"1e{math.floor(math.log10(value))}")
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= value)


def write_schema(schemas: dict[str, pa.DataFrameSchema], file: Path = FILE) -> None:
    """Write the schemas of the tables, which are given by name."""
    content = {}
    for name, schema in schemas.items():
        content[name] = serialize_schema(schema)
        for column in content[name]["columns"].values():
            column.get("missing_at_most", {}).pop("error", None)
    text = yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    write_bytes((HEADER + text).encode(), file)


def read_schema(file: Path = FILE) -> dict[str, pa.DataFrameSchema]:
    """Read the schemas of the tables, by name.

    Raises:
        UserError: the file is missing, or pandera can't read it.
    """
    content = read_yaml(file)
    try:
        return {name: deserialize_schema(schema) for name, schema in content.items()}
    except Exception as error:  # whatever pandera raises: there is a mistake in the file
        why = " ".join(str(error).split())[:200]
        raise UserError(
            f"{file}: not a schema that pandera reads: {why}; `python -m retrace freeze` writes a new one"
        ) from None


def needs_all_rows(schema: pa.DataFrameSchema) -> bool:
    """Whether a check may be about more than single values, such as `unique`, so that it needs all rows at once."""
    columns = schema.columns.values()
    checks = [check for column in columns for check in column.checks]
    return bool(
        schema.unique
        or schema.checks
        or any(column.unique or column.regex for column in columns)
        or any(check.name not in CHECKS_OF_VALUES for check in checks)
    )


def breaches(chunks: Iterable[pd.DataFrame], schema: pa.DataFrameSchema) -> list[str]:
    """The breaches of a schema by a table: a line for each column and check, with counts in place of values.

    Args:
        chunks: of the table; all rows in one chunk if the schema `needs_all_rows`.
        schema: what the table must be like.
    """
    counts: Counter[tuple[str, str]] = Counter()
    chunk_count = rows = 0
    missing, types = pd.Series(dtype="int64"), pd.Series(dtype=object)
    for chunk in chunks:
        chunk_count += 1
        rows += len(chunk)
        missing = missing.add(chunk.isna().sum(), fill_value=0)
        types = chunk.dtypes
        counts.update(_count_failures(chunk, schema))
    if chunk_count > 1:
        # The share that is missing in a chunk says nothing: what counts is the share in the whole table.
        shares = _shares_exceeded(schema, missing / rows, counts)
        counts = Counter({name: count for name, count in counts.items() if not name[1].startswith("missing_at_most")})
        counts.update(shares)
    places = {name: place for place, name in enumerate(schema.columns)}
    ordered = sorted(counts, key=lambda found: (not found[1].startswith("column_in_"), places.get(found[0], -1)))
    return [_breach(column, check, counts[column, check], types) for column, check in ordered]


def _shares_exceeded(
    schema: pa.DataFrameSchema, missing: pd.Series, failures: Counter[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """The columns of which more is missing than their check allows, unless they have another type than they should.

    Args:
        schema: what the table must be like.
        missing: the share that is missing, by column.
        failures: what failed in the chunks, by column and check.
    """
    retyped = {column for column, check in failures if check.startswith("dtype")}
    exceeded = {}
    for name, column in schema.columns.items():
        for check in column.checks:
            if check.name == "missing_at_most" and name in missing and name not in retyped:
                share = check.statistics["share"]
                if missing[name] > share:
                    exceeded[name, f"missing_at_most(share={share})"] = 1
    return exceeded


def _count_failures(chunk: pd.DataFrame, schema: pa.DataFrameSchema) -> dict[tuple[str, str], int]:
    """How many values, or names or types of columns, fail in a chunk of a table, by column and check."""
    try:
        schema.validate(chunk, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases: Any = errors.failure_cases
        about_names = cases["check"].str.startswith("column_in_")  # missing columns, and others than in the schema
        cases.loc[about_names, "column"] = cases["failure_case"]  # for these checks it's the name of a column
        about_types = cases["check"].str.startswith("dtype")
        # Checks of the values of a column that has another type fail for that reason alone.
        retyped = set(cases.loc[about_types, "column"])
        counted = cases[about_names | about_types | ~cases["column"].isin(retyped)]
        return dict(counted.groupby(["column", "check"], sort=False, dropna=False).size().items())
    return {}


def _breach(column: str, check: str, count: int, types: pd.Series) -> str:
    """A breach as one line, which has counts and the names of columns, checks and types, and no value of the table.

    Args:
        column: the name of the column.
        check: the check, as pandera names it.
        count: how many values fail.
        types: the types of the table's columns, by their names.
    """
    values = f"{count:,} value{'s' if count > 1 else ''}"
    name, _, bound = check.partition("(")
    return {
        "column_in_schema": f"column {column}: not in the schema",
        "column_in_dataframe": f"column {column}: missing",
        "dtype": f"column {column}: is of type {types.get(column)}, not {bound.strip(chr(39) + ')')}",
        "not_nullable": f"column {column}: {values} missing, where none may be",
        "missing_at_most": f"column {column}: more missing than the {bound.strip(')')}",
        "in_range": f"column {column}: {values} outside ({bound}",
        "isin": f"column {column}: {values} not among those listed",
    }.get(name, f"column {column}: {values} against {name}")


def freeze(words: list[str]) -> None:
    """Write data/schema.yaml from data/raw/, for you to read and correct: `python -m retrace freeze`.

    Raises:
        UserError: there is no raw table, or params.yaml isn't valid.
    """
    argparse.ArgumentParser(prog="python -m retrace freeze", description=freeze.__doc__).parse_args(words)
    data = read_params().data
    key = data.id if data.set == "table" else None  # in other sets, prepare may make it
    tables = table_paths(RAW)
    write_schema({name: infer(columns_in_pieces(path), data.private, key) for name, path in tables.items()})
    print(f"wrote {FILE}: read it, correct it, commit it")
