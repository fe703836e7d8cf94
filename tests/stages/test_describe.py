"""The description of a column is true, comparable between commits, and reveals no rare or private value."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrace.params import Data
from retrace.pieces import Repeatable
from retrace.privacy import histogram, quantiles
from retrace.relations import explained
from retrace.table_files import read_table, write_table
from src.stages.describe import describe, main
from tests.conftest import ROLES

RNG = np.random.default_rng(0)
PRIVATE = Data(**ROLES | {"source": "x", "read": {}, "target": "y", "task": "regression", "private": ["born"]})


def test_a_number_is_described_by_quantiles_and_a_histogram():
    found = describe([pd.Series(np.append(np.arange(1000.0), np.nan))], private=False)
    assert found["kind"] == "number"
    assert found["missing"] == pytest.approx(1 / 1001)
    assert (found["quantiles"]["0.5"], found["histogram"]["step"]) == (448, 64)
    assert sum(found["histogram"]["counts"]) == 1000


def test_a_category_is_described_by_its_common_values():
    found = describe([pd.Series(["a"] * 20 + ["b"] * 12 + [f"rare {n}" for n in range(11)])], private=False)
    assert found["values"] == {"a": 20, "b": 12}
    assert (found["distinct"], found["other_rows"]) == (13, 11)


def test_rare_values_that_fewer_than_ten_rows_hold_together_are_counted_with_the_commonest():
    found = describe([pd.Series(["a"] * 20 + ["b"] * 12 + [f"rare {n}" for n in range(7)])], private=False)
    assert found["values"] == {"a": 27, "b": 12}
    assert (found["distinct"], found["other_rows"]) == (2, 0)


def test_booleans_are_categories_and_dates_are_days():
    assert describe([pd.Series([True, False] * 10)], private=False)["values"] == {"False": 10, "True": 10}
    days = pd.Series(pd.date_range("1970-01-11", periods=40))
    assert describe([days], private=False)["quantiles"]["0.5"] == 16


def test_infinite_values_are_left_out():
    assert sum(describe([pd.Series([np.inf, -np.inf, *range(50)])], private=False)["histogram"]["counts"]) == 50
    assert "quantiles" not in describe([pd.Series([np.inf] * 50)], private=False)


def test_what_comes_from_a_private_date_is_private_too():
    assert PRIVATE.hides("born")
    assert PRIVATE.hides("born (month)")
    assert not PRIVATE.hides("borne")


def test_a_private_column_keeps_its_values():
    assert describe([pd.Series(["a"] * 20)], private=True) == {"kind": "category", "missing": 0.0}


@given(st.lists(st.floats(-1e9, 1e9), min_size=20, max_size=80), st.integers(0, 20))
def test_histograms_of_two_tables_can_be_compared(numbers: list[float], more: int):
    values = np.array(numbers)
    both = histogram([values]), histogram([np.append(values * 3, values[:more])])
    shown = [found for found in both if found]
    coarse = max((found["step"] for found in shown), default=1.0)
    if both[0]:
        assert sum(both[0]["counts"]) + both[0]["other_rows"] == len(numbers)
    for found in shown:
        assert coarse % found["step"] == 0
        assert found["first"] % found["step"] == 0
        assert len(found["counts"]) <= 40


def test_quantiles_are_the_edges_of_the_bins_that_hold_them():
    shown = histogram([np.arange(1000.0)])
    assert shown is not None
    assert quantiles(shown, [0.05, 0.5, 0.95]) == {"0.05": 0, "0.5": 448, "0.95": 896}


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_explained_is_one_for_a_copy_and_zero_for_noise(task: str):
    target = pd.Series(RNG.random(5000) > 0.5) if task == "classification" else pd.Series(RNG.random(5000))
    copy, noise = target.astype(float) * 7, pd.Series(RNG.random(5000))
    assert explained([copy], [target], task) > 0.99
    assert abs(explained([noise], [target], task)) < 0.01
    assert abs(explained([pd.Series([f"id {n}" for n in range(5000)])], [target], task)) < 0.01


def test_a_feature_that_nearly_equals_the_target_is_a_warning_with_its_fix(
    copy_of, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wine: Path
):
    monkeypatch.chdir(copy_of(wine))
    for part in ("train", "valid"):
        file = Path(f"data/split/{part}.parquet")
        table = read_table(file)
        write_table(table.assign(leak=table["target"].where(table.index > 0, 1)), file)
    main()
    advice = "if it would not be known in time, data.drop: [leak]"
    warning = f"warning: column leak explains nearly all of the target; {advice}"
    assert warning in capsys.readouterr().out


def test_the_rows_of_train_and_valid_are_described_and_those_that_prepare_dropped_are_counted(weather: Path):
    found = json.loads((weather / "metrics/data.json").read_text())
    parts = {name: read_table(weather / f"data/split/{name}.parquet") for name in ("train", "valid")}
    assert found["parts"] == {name: len(part) for name, part in parts.items()}
    assert found["rows"] == sum(map(len, parts.values()))
    assert found["columns"]["humid"]["quantiles"]["0.95"] <= max(part["humid"].max() for part in parts.values())
    assert found["dropped"] == read_table(weather / "data/prepared.parquet").attrs["dropped"]


@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("present", [0, 1, 9, 10])
def test_a_number_that_few_rows_have_explains_little(present: int, task: str):
    feature = pd.Series([*range(present), *[np.nan] * (200 - present)], dtype=float)
    target = pd.Series(RNG.permutation(np.arange(200) % 2))
    found = explained([feature], [target], task)
    assert abs(found) < 0.1
    pieces = [slice(0, 80), slice(80, 200)]
    in_pieces = [Repeatable(lambda values=values: (values[piece] for piece in pieces)) for values in (feature, target)]
    assert explained(*in_pieces, task) == pytest.approx(found, abs=1e-12)


def test_a_target_that_is_the_same_in_each_row_is_not_explained():
    assert explained([pd.Series([1.0, 2.0, 3.0] * 9)], [pd.Series(["a"] * 27)], "classification") == 0


def test_dates_beyond_nanoseconds_are_described_in_days():
    dates = pd.Series(pd.to_datetime(["9999-12-31", "1500-01-01"] * 20).astype("datetime64[us]"))
    found = describe([dates], private=False)
    assert found["quantiles"]["0.95"] == pytest.approx(2932896, abs=found["histogram"]["step"])
