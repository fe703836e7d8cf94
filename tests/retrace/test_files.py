"""The same content is the same bytes, and what is read is what was written."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrace.files import (
    as_text,
    replacing,
    significant,
    without_returns,
    write_csv,
    write_json,
)
from tests.conftest import ROOT

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=8)
tables = (
    st.integers(1, 20)
    .flatmap(
        lambda rows: st.dictionaries(
            texts,
            st.lists(st.floats(), min_size=rows, max_size=rows)
            | st.lists(st.none() | texts, min_size=rows, max_size=rows)
            | st.lists(st.integers(-(2**60), 2**60), min_size=rows, max_size=rows)
            | st.lists(st.booleans(), min_size=rows, max_size=rows),
            min_size=1,
            max_size=4,
        )
    )
    .map(pd.DataFrame)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_json_is_the_same_however_its_keys_are_ordered(folder: Path, content: dict[str, object]):
    write_json(content, folder / "a.json")
    write_json(dict(reversed(content.items())), folder / "b.json")
    text = (folder / "a.json").read_bytes()
    assert text == (folder / "b.json").read_bytes()
    assert text.endswith(b"\n")
    read = json.loads(text, parse_constant=pytest.fail)
    write_json(read, folder / "b.json")
    assert text == (folder / "b.json").read_bytes(), "what was written is canonical already"


def test_json_has_six_digits_and_no_nan(tmp_path: Path):
    write_json({"b": np.float64(0.123456789), "a": [math.nan, np.int64(3), math.inf]}, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [None, 3, None], "b": 0.123457}


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pd.Series([7, -1]), ["7", "-1"]),
        (pd.Series([7.0, None, -0.0, 0.1, 1e22, 1e-9]), ["7", None, "0", "0.1", "10000000000000000000000", "1e-09"]),
        (pd.Series([7, None], dtype="Int64"), ["7", None]),
        (pd.Series([1.5, None], dtype="Float64"), ["1.5", None]),
        (pd.Series([True, False]), ["true", "false"]),
        (pd.Series([True, None], dtype="boolean"), ["true", None]),
        (pd.Series([" a", None, "7.0"], dtype="str"), [" a", None, "7.0"]),
        (
            pd.Series(
                pd.to_datetime(["2020-01-31", None, "2020-01-31 10:00", "2020-01-31 00:00:00.5"], format="ISO8601")
            ),
            ["2020-01-31", None, "2020-01-31T10:00:00", "2020-01-31T00:00:00.500000"],
        ),
    ],
)
def test_a_columns_text_does_not_depend_on_its_type(values: pd.Series, texts: list[str | None]):
    pd.testing.assert_series_equal(as_text(values), pd.Series(texts, dtype="str"))


@given(tables)
def test_csv_comes_back_with_its_text_and_six_digits(folder: Path, table: pd.DataFrame):
    table = table.select_dtypes(["float", "str"]).rename(columns=lambda name: f"x{name}")
    if table.empty or len(table.columns) == 0:
        return
    write_csv(table, folder / "a.csv")
    assert b"\r" not in (folder / "a.csv").read_bytes()
    read = pd.read_csv(folder / "a.csv", dtype=str, keep_default_na=False, lineterminator="\n", skip_blank_lines=False)
    assert list(read.columns) == [without_returns(name) for name in table.columns]
    for (name, values), back in zip(table.items(), (read[column] for column in read), strict=True):
        if pd.api.types.is_float_dtype(values):
            np.testing.assert_allclose(back.replace("", "nan").astype(float), values, rtol=5e-6, err_msg=str(name))
        else:
            assert back.tolist() == [without_returns(text) for text in values.fillna("")]


@given(st.lists(st.floats(), max_size=10))
def test_rounding_twice_is_rounding_once(numbers: list[float]):
    once = significant(numbers)
    np.testing.assert_array_equal(significant(once), once)
    np.testing.assert_allclose(once, numbers, rtol=5e-6)


def test_nothing_is_half_written(tmp_path: Path):
    file = tmp_path / "a.json"
    write_json({"a": 1}, file)
    before = file.read_bytes()
    with pytest.raises(UnicodeEncodeError), replacing(file) as part:
        part.write_text("half" * 10**6 + "\ud800", encoding="utf-8")
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_text_is_written_as_bytes_so_that_lines_end_alike_on_each_system():
    modules = [file for top in ("retrace", "src") for file in (ROOT / top).rglob("*.py")]
    assert [file.name for file in modules if "part.write_text(" in file.read_text()] == []


def test_an_error_about_another_file_names_that_file(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"absent\.csv"), replacing(tmp_path / "copy.csv") as part:
        part.write_bytes((tmp_path / "absent.csv").read_bytes())
