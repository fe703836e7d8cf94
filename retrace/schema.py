"""data/schema.yaml: what each raw table must be, as pandera writes its schemas, one per table.

The schema is strict (no column more, no column less) and coerces nothing. `infer` writes a first one, to be read and
corrected by hand. It shows no value that fewer than 10 rows hold, and none of a private column.
"""

import argparse
import math
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
from retrace.files import KEPT_FROM, read_tables, replacing
from retrace.params import Dumper, read_params, read_yaml
from retrace.privacy import grid, middle

FILE = Path("data/schema.yaml")
RAW = Path("data/raw")
MOST_VALUES = 50
BINS = 4  # of a range, at least, whose rows are counted
LARGEST = 1e300  # of a number that a range holds
HEADER = """\
# What each raw table must be. `python -m retrace freeze` writes this file anew from data/raw/.
# Ranges hold the data with room at either end (never across zero), in round numbers that tell no extreme value; where
# values are missing, their share may double and gain a hundredth; texts are listed where there are at most 50.
"""


@register_check_method(statistics=["share"])  # type: ignore[untyped-decorator]  # pandera's decorator has no types
def missing_at_most(column: pd.Series, *, share: float) -> bool:
    """Whether no more than this share of the column is missing."""
    return bool(column.isna().mean() <= share)


def infer(table: pd.DataFrame, private: list[str]) -> pa.DataFrameSchema:
    """A first schema that the table meets, by the rules in HEADER."""
    return pa.DataFrameSchema(
        {name: _infer_column(values, name in private) for name, values in table.items()}, strict=True, coerce=False
    )


def shows_values(schema: pa.DataFrameSchema, name: str) -> bool:
    """Whether a column's values can be read from its checks: from any but the share that is missing."""
    return name in schema.columns and any(check.name != "missing_at_most" for check in schema.columns[name].checks)


def _infer_column(values: pd.Series, private: bool) -> pa.Column:
    checks, missing = [], float(values.isna().mean())
    if missing:
        share = min(1.0, math.ceil(100 * (2 * missing + 0.01)) / 100)
        checks.append(pa.Check.missing_at_most(share=share, ignore_na=False))
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_datetime64_any_dtype(values) or private:
        pass
    elif pd.api.types.is_numeric_dtype(values):
        if (ends := _range(_finite(values).clip(-LARGEST, LARGEST))) is not None:
            # Beyond the largest number a range has no end: arithmetic with its ends would overflow.
            low = -math.inf if values.min() < -LARGEST else ends[0]
            high = math.inf if values.max() > LARGEST else ends[1]
            checks.append(pa.Check.in_range(low, high))
    else:
        counts = values.value_counts()
        if 0 < len(counts) <= MOST_VALUES and counts.min() >= KEPT_FROM:
            checks.append(pa.Check.isin(sorted(counts.index)))
    return pa.Column(_dtype(str(values.dtype)), checks, nullable=bool(missing))


def _finite(values: pd.Series) -> NDArray[np.float64]:
    """The numbers of a column that are neither missing nor infinite."""
    numbers: NDArray[np.float64] = values.to_numpy(float)
    return np.asarray(numbers[np.isfinite(numbers)])


@cache
def _dtype(name: str) -> Any:
    """A data type of pandera by its name, which takes long to find for each of many columns."""
    return pandas_engine.Engine.dtype(name)


def _range(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """Round numbers between which all values lie; None if too few rows are alike.

    They follow from bins that 10 rows hold, with half as much room at either end, doubled until what lies outside is
    in. So an extreme value is known no closer than that room.
    """
    if (ends := middle(values)) is None:
        return None
    low, high = ends
    step = _round_up((high - low) / BINS or abs(high) / BINS or 1.0)
    if (found := grid(values, step, ends)) is None:
        return None
    first, counts = found
    room = max(1, len(counts) // 2)
    below, above = room, room
    while (first - below) * step > values.min():
        below *= 2
    while (first + len(counts) + above) * step < values.max():
        above *= 2
    lowest, highest = (first - below) * step, (first + len(counts) + above) * step
    lowest = 0.0 if lowest < 0 <= values.min() else lowest
    highest = 0.0 if highest > 0 >= values.max() else highest
    return float(f"{lowest:.12g}"), float(f"{highest:.12g}")


def _round_up(value: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that isn't smaller."""
    power = float(f"1e{math.floor(math.log10(value))}")
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= value)


def write_schema(schemas: dict[str, pa.DataFrameSchema], file: Path = FILE) -> None:
    """Write the schemas of the tables, by name."""
    content = {}
    for name, schema in schemas.items():
        content[name] = serialize_schema(schema)
        for column in content[name]["columns"].values():
            column.get("missing_at_most", {}).pop("error", None)
    text = yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    with replacing(file) as part:
        part.write_bytes((HEADER + text).encode())


def read_schema(file: Path = FILE) -> dict[str, pa.DataFrameSchema]:
    """The schemas of the tables, by name.

    Raises:
        UserError: the file is missing, or isn't what pandera reads.
    """
    content = read_yaml(file)
    try:
        return {name: deserialize_schema(schema) for name, schema in content.items()}
    except Exception as error:  # whatever pandera trips over is a mistake in the file
        why = " ".join(str(error).split())[:200]
        raise UserError(
            f"{file}: not a schema that pandera reads: {why}; `python -m retrace freeze` writes a new one"
        ) from None


def breaches(table: pd.DataFrame, schema: pa.DataFrameSchema) -> list[str]:
    """What the table doesn't keep of the schema, a line for each, with counts in place of values."""
    try:
        schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases: Any = errors.failure_cases
        names = cases["check"].str.startswith("column_in_")
        retyped = set(cases.loc[cases["check"].str.startswith("dtype"), "column"])
        values = cases[~names & (~cases["column"].isin(retyped) | cases["check"].str.startswith("dtype"))]
        absent = [
            _breach("", check, cases[cases.index == index], table) for index, check in cases.loc[names, "check"].items()
        ]
        return absent + [
            _breach(str(column), str(check), group, table)
            for (column, check), group in values.groupby(["column", "check"], sort=False, dropna=False)
        ]
    return []


def _breach(column: str, check: str, cases: pd.DataFrame, table: pd.DataFrame) -> str:
    """A line of counts and of names of columns, checks and types; the values in pandera's cases aren't shown."""
    count = f"{len(cases):,} value{'s' if len(cases) > 1 else ''}"
    type_ = table[column].dtype if column in table else None
    name, _, bound = check.partition("(")
    if name.startswith("column_in_"):
        column = str(cases["failure_case"].iloc[0])  # of these checks, a column's name
    return {
        "column_in_schema": f"column {column}: not in the schema",
        "column_in_dataframe": f"column {column}: missing",
        "dtype": f"column {column}: is of type {type_}, not {bound.strip(chr(39) + ')')}",
        "not_nullable": f"column {column}: {count} missing, where none may be",
        "missing_at_most": f"column {column}: more missing than the {bound.strip(')')}",
        "in_range": f"column {column}: {count} outside ({bound}",
        "isin": f"column {column}: {count} not among those listed",
    }.get(name, f"column {column}: {count} against {name}")


def freeze(words: list[str]) -> None:
    """Write data/schema.yaml from data/raw/, to be read and corrected: `python -m retrace freeze`.

    Raises:
        UserError: there is no raw table, or params.yaml isn't valid.
    """
    argparse.ArgumentParser(prog="python -m retrace freeze", description=freeze.__doc__).parse_args(words)
    private = read_params().data.private
    write_schema({name: infer(table, private) for name, table in read_tables(RAW).items()})
    print(f"wrote {FILE}: read it, correct it, commit it")
