"""What is told of a column is true, comparable between commits, and gives no rare or private value away."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.examples import is_private
from src.core.files import read_table, write_table
from src.core.params import Data
from src.stages.describe import describe, explained, histogram, main, quantiles
from tests.conftest import ROLES

RNG = np.random.default_rng(0)
PRIVATE = Data(**ROLES | {"source": "x", "read": {}, "target": "y", "task": "regression", "private": ["born"]})


def test_a_number_is_described_by_quantiles_and_a_histogram():
    found = describe(pd.Series(np.append(np.arange(1000.0), np.nan)), private=False)
    assert found["kind"] == "number"
    assert found["missing"] == pytest.approx(1 / 1001)
    assert found["quantiles"]["0.5"] == pytest.approx(500, abs=1)
    assert sum(found["histogram"]["counts"]) == 1000


def test_a_category_is_described_by_its_common_values():
    found = describe(pd.Series(["a"] * 20 + ["b"] * 12 + [f"rare {n}" for n in range(7)]), private=False)
    assert found["values"] == {"a": 20, "b": 12}
    assert (found["distinct"], found["other_rows"]) == (9, 7)


def test_truth_values_are_categories_and_dates_are_days():
    assert describe(pd.Series([True, False] * 10), private=False)["values"] == {"False": 10, "True": 10}
    days = pd.Series(pd.date_range("1970-01-11", periods=40))
    assert describe(days, private=False)["quantiles"]["0.5"] == pytest.approx(29.5, abs=1)


def test_infinite_values_are_left_out():
    assert describe(pd.Series([np.inf, -np.inf, *range(50)]), private=False)["quantiles"]["1"] == 44.5
    assert "quantiles" not in describe(pd.Series([np.inf] * 50), private=False)


def test_what_comes_from_a_private_date_is_private_too():
    assert is_private("born", PRIVATE)
    assert is_private("born (month)", PRIVATE)
    assert not is_private("borne", PRIVATE)


def test_a_private_column_keeps_its_values():
    assert describe(pd.Series(["a"] * 20), private=True) == {"kind": "category", "missing": 0.0}


@given(st.lists(st.floats(-1e6, 1e6).filter(lambda x: x != round(x, 2)), min_size=10, max_size=60, unique=True))
def test_no_value_of_fewer_than_ten_rows_is_told(numbers: list[float]):
    found = describe(pd.Series(numbers), private=False)
    told = json.dumps(found["quantiles"])
    assert not any(json.dumps(number) in told.replace("}", ",").split(" ") for number in numbers)
    assert all(count == 0 or count >= 10 for count in found["histogram"]["counts"])


@given(st.lists(st.floats(-1e9, 1e9), min_size=10, max_size=80), st.integers(0, 20))
def test_histograms_of_two_tables_can_be_laid_on_each_other(numbers: list[float], more: int):
    ordered = np.sort(np.array(numbers))
    first, second = histogram(ordered), histogram(np.sort(np.append(ordered * 3, ordered[:more])))
    assert sum(first["counts"]) + first["other_rows"] == len(numbers)
    coarse = max(first["step"], second["step"])
    for found in (first, second):
        assert coarse % found["step"] == 0
        assert found["first"] % found["step"] == 0
        assert len(found["counts"]) <= 40


def test_quantiles_are_means_of_ten_rows():
    assert quantiles(np.arange(100.0))["0"] == 4.5
    assert quantiles(np.arange(100.0))["1"] == 94.5
    assert quantiles(np.arange(10.0))["0.25"] == 4.5


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_explained_is_one_for_a_copy_and_zero_for_noise(task: str):
    target = pd.Series(RNG.random(5000) > 0.5) if task == "classification" else pd.Series(RNG.random(5000))
    copy, noise = target.astype(float) * 7, pd.Series(RNG.random(5000))
    assert explained(copy, target, task) > 0.99
    assert abs(explained(noise, target, task)) < 0.01
    assert abs(explained(pd.Series([f"id {n}" for n in range(5000)]), target, task)) < 0.01


def test_a_feature_that_nearly_equals_the_target_is_a_warning_with_its_mend(
    copy_of, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wine: Path
):
    monkeypatch.chdir(copy_of(wine))
    file = Path("data/prepared.parquet")
    table = read_table(file)
    write_table(table.assign(leak=table["target"].where(table.index > 0, 1)), file)
    main()
    assert (
        "warning: column leak says nearly the same as the target; if so, data.drop: [leak]" in capsys.readouterr().out
    )


def test_a_target_that_is_the_same_in_each_row_is_not_explained():
    assert explained(pd.Series([1.0, 2.0, 3.0] * 9), pd.Series(["a"] * 27), "classification") == 0


def test_dates_beyond_nanoseconds_are_described_in_days():
    dates = pd.Series(pd.to_datetime(["9999-12-31", "1500-01-01"] * 20).astype("datetime64[us]"))
    assert describe(dates, private=False)["quantiles"]["1"] == 2932896
