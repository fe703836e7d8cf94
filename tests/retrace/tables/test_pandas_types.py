"""Columns of any type become pandas' plain types, or are refused by name."""

from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from src.datasets import table


def read(file: Path, **options: Any) -> pd.DataFrame:
    return pd.concat(table.read(file, **options)["table"])


def test_integers_too_long_for_a_float_are_text(tmp_path: Path):
    table = pd.DataFrame({"a": pd.array([10**17 + 1, None], dtype="Int64"), "b": pd.array([2**64 - 1, 1], "UInt64")})
    table.to_parquet(tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet").astype("str").fillna("missing")
    assert found["a"].tolist() == ["100000000000000001", "missing"]
    assert found["b"].tolist() == ["18446744073709551615", "1"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_time_of_day_is_a_number_of_hours(tmp_path: Path, suffix: str):
    file, table = tmp_path / f"a.{suffix}", pd.DataFrame({"a": [time(13, 30), None, time(0, 0, 36)]})
    table.to_csv(file) if suffix == "csv" else table.to_parquet(file)
    assert read(file)["a"].tolist() == pytest.approx([13.5, np.nan, 0.01], nan_ok=True)


def test_nanoseconds_are_cut_to_microseconds(tmp_path: Path):
    pd.DataFrame({"a": pd.to_datetime([1577836800000000001])}).to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")["a"].tolist() == [pd.Timestamp(2020, 1, 1)]


def parquet(folder: Path, column: pa.Array | pa.ChunkedArray) -> pd.Series:
    pa.parquet.write_table(pa.table({"a": column}), folder / "a.parquet")
    return read(folder / "a.parquet")["a"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array(["x", None, "y"], pa.string_view()), ["x", None, "y"]),
        (pa.array(["x", None, "y"], pa.large_string()), ["x", None, "y"]),
        (pa.array(["x", None, "y"]).dictionary_encode(), ["x", None, "y"]),
        (pa.array([1, 2, 1]).dictionary_encode(), [1, 2, 1]),
        (pa.array([1.5, 2], pa.float16()), [1.5, 2]),
        (pa.array([Decimal("1.50"), None]), [1.5, None]),
        (pa.array([Decimal(f"{n / 100:.2f}") for n in range(300)]), [float(f"{n / 100:.2f}") for n in range(300)]),
        (pa.array([Decimal("0.000001"), Decimal("12345678901.123456")]), [1e-6, 12345678901.123456]),
        (pa.array([Decimal(7), Decimal(8)], pa.decimal128(38, 0)), [7, 8]),
        (pa.array([Decimal(2**70), Decimal(8)], pa.decimal128(38, 0)), [str(2**70), "8"]),
        (pa.array([2**64 - 1, 1], pa.uint64()), [str(2**64 - 1), "1"]),
        (pa.array([True, None]), ["true", None]),
        (pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}", None])), ["{}", None]),
        (pa.array([date(9999, 12, 31), date(1500, 1, 1)]), [pd.Timestamp("9999-12-31"), pd.Timestamp("1500-01-01")]),
        (pa.array([0], pa.timestamp("s", "Europe/Berlin")), [pd.Timestamp("1970-01-01 01:00")]),
        (pa.array([0], pa.timestamp("ms", "+05:30")), [pd.Timestamp("1970-01-01 05:30")]),
    ],
)
def test_arrow_types_become_plain_pandas_types(tmp_path: Path, column: pa.Array, values: list[Any]):
    found = parquet(tmp_path, column)
    assert str(found.dtype) in {"int64", "float64", "bool", "str", "datetime64[us]"}
    assert [None if pd.isna(value) else value for value in found] == values


@pytest.mark.parametrize(
    "column", [pa.array([[1]]), pa.array([{"b": 1}]), pa.array([b"x"], pa.binary(1)), pa.array([timedelta(1)])]
)
def test_nested_and_binary_columns_are_refused_by_name(tmp_path: Path, column: pa.Array):
    with pytest.raises(
        SystemExit, match=r"column a holds .*; only numbers, text, booleans and dates work: leave it out"
    ):
        parquet(tmp_path, column)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_time_with_an_offset_is_read_as_the_clock_showed_it(tmp_path: Path, suffix: str):
    frame = pd.DataFrame({"a": ["2020-01-01T23:00:00+02:00", None, "2020-07-01T01:00:00Z"], "b": [1, 2, 3]})
    file = tmp_path / f"a.{suffix}"
    frame.to_csv(file, index=False) if suffix == "csv" else frame.to_json(file, orient="records", lines=True)
    assert read(file)["a"].tolist() == [pd.Timestamp("2020-01-01 23:00"), pd.NaT, pd.Timestamp("2020-07-01 01:00")]
