"""Nobody can find out from the files of one commit a value that fewer than ten rows hold.

The tests know the rare values of random tables, and attack the files that describe them. A number that fewer than ten
rows hold is known no closer than its bin, which is at least a 64th of the range without the nine rows at each end.
Tables that differ only beyond these ends have the same file. A rare category is never named, and no mean over fewer
than ten rows follows from other means.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrace.curves import curves
from retrace.examples import Target, slices
from retrace.files import write_json
from retrace.params import Data
from retrace.pieces import columns_in_pieces
from retrace.privacy import Cells, merge_small_bins, without_revealing_slices
from retrace.schema import breaches, infer, read_schema, write_schema
from src.stages.describe import describe
from tests.conftest import ROLES

ONE_POOL = np.zeros(400, dtype=np.intp)
SEEDS = st.integers(0, 10**6)
FEW = 10


def table_of(seed: int) -> pd.DataFrame:
    """A table with an extreme that one row holds at each end of its numbers, and with rare categories."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(60, 400))
    scale = 10.0 ** rng.integers(-3, 7)
    numbers = rng.choice([rng.normal(size=rows), rng.lognormal(size=rows), rng.integers(0, 9, rows)]) * scale
    numbers[:2] = numbers.min() - rng.uniform(0, 9) * scale, numbers.max() + rng.uniform(0, 90) * scale
    rare = rng.integers(1, 10)
    return pd.DataFrame(
        {
            "number": numbers,
            "count": np.where(np.arange(rows) < rare, 7, rng.integers(0, 3, rows)),
            "flag": np.arange(rows) < rare,
            "city": [f"rare {n}" if n < rare else "Bern" if n % 2 else "Chur" for n in range(rows)],
            "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.exponential(9, rows).cumsum(), unit="h"),
        }
    )


def written(column: pd.Series, file: Path) -> dict[str, Any]:
    """What describe writes of a column."""
    write_json(describe([column], private=False), file)
    return dict(json.loads(file.read_text()))


@settings(max_examples=40)
@given(SEEDS)
def test_a_histogram_shows_bins_that_ten_rows_hold_and_nothing_else(seed: int):
    table = table_of(seed)
    for name in ("number", "count", "when"):
        values = table[name] if name != "when" else (table[name] - pd.Timestamp(0)) / pd.Timedelta(days=1)
        numbers = values.to_numpy(float)
        found = describe([table[name]], private=False)
        if "histogram" not in found:
            continue
        shown = found["histogram"]
        edges = [shown["first"] + place * shown["step"] for place in range(len(shown["counts"]))]
        for low, count in zip(edges, shown["counts"], strict=True):
            own = int(((numbers >= low) & (numbers < low + shown["step"])).sum())
            assert count == 0 or own >= FEW
        assert shown["other_rows"] == 0 or shown["other_rows"] >= FEW
        assert sum(shown["counts"]) + shown["other_rows"] == len(numbers)
        assert set(found["quantiles"].values()) <= set(edges)
        ordered = np.sort(numbers)
        assert shown["step"] >= (ordered[-FEW] - ordered[FEW - 1]) / 64


@settings(max_examples=40)
@given(SEEDS, st.floats(1, 1e6))
def test_data_json_is_the_same_wherever_the_rows_beyond_its_ends_lie(seed: int, further: float):
    table = table_of(seed)
    for name in ("number", "count"):
        values = table[name].astype(float)
        found = describe([values], private=False)
        if "histogram" not in found:
            continue
        shown = found["histogram"]
        low, high = shown["first"], shown["first"] + shown["step"] * len(shown["counts"])
        ordered = values.sort_values()
        low, high = min(low, ordered.iloc[FEW - 1]), max(high, ordered.iloc[-FEW])
        below, above = values < low, (values >= high) & (values > ordered.iloc[-FEW])
        other = values.mask(above, high + (abs(high) + 1) * further).mask(below, low - (abs(low) + 1) * further)
        assert same(found, describe([other], private=False))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two descriptions are written alike."""
    texts = [json.dumps(found, default=lambda value: np.asarray(value).tolist()) for found in (one, other)]
    return texts[0] == texts[1]


@pytest.mark.slow
@settings(max_examples=40)
@given(SEEDS)
def test_no_extreme_follows_from_the_range_in_the_schema(tmp_path_factory: pytest.TempPathFactory, seed: int):
    table, file = table_of(seed), tmp_path_factory.mktemp("x") / "schema.yaml"
    write_schema({"t": infer(columns_in_pieces(table), private=[])}, file)
    schema = read_schema(file)["t"]
    assert breaches([table], schema) == []
    for name in ("number", "count"):
        checks = [check for check in schema.columns[name].checks if check.name == "in_range"]
        if not checks:
            continue
        low, high = (float(checks[0].statistics[key]) for key in ("min_value", "max_value"))
        values = np.sort(table[name].to_numpy(float))
        # Another table whose highest value is another, by a quarter of the range, has the same schema.
        room = 0.25 * (values[-FEW] - values[FEW - 1])
        tried, apart = np.linspace(values[-FEW], high, 50, retstep=True)
        alike = [value for value in tried if schema_of(table, name, value) == (low, high)]
        assert not alike or max(alike) - min(alike) + apart >= room or values[-1] > values[-FEW] + 4 * room


def schema_of(table: pd.DataFrame, name: str, highest: float) -> tuple[float, float] | None:
    """The range in the schema of a table whose highest value is another; no other value is above it."""
    column = table[name].astype(float).clip(upper=highest)
    column[table[name].idxmax()] = highest
    checks = [check for check in infer([(name, [column])], []).columns[name].checks if check.name == "in_range"]
    return (float(checks[0].statistics["min_value"]), float(checks[0].statistics["max_value"])) if checks else None


@settings(max_examples=40)
@given(SEEDS)
def test_no_rare_category_is_named_or_left_as_a_rest(tmp_path_factory: pytest.TempPathFactory, seed: int):
    table = table_of(seed)
    for name in ("flag", "city"):
        found = written(table[name], tmp_path_factory.mktemp("x") / "data.json")
        counts = table[name].astype(str).value_counts()
        assert all(counts[value] >= FEW for value in found["values"])
        assert found["other_rows"] == 0 or found["other_rows"] >= FEW
        assert sum(found["values"].values()) + found["other_rows"] == len(table)
        if found["other_rows"] == 0:
            assert found["distinct"] == len(found["values"])


@settings(max_examples=40)
@given(SEEDS)
def test_no_mean_over_a_few_rows_follows_from_slices(seed: int):
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(60, 400))
    city = rng.choice(6, rows, p=[0.4, 0.3, 0.15, 0.1, 0.03, 0.02])
    # Each city lies in one canton, and few rows may make the difference between the two.
    table = pd.DataFrame({"city": [f"c{n}" for n in city], "canton": [f"k{min(n // 2, 1)}" for n in city]})
    loss = rng.normal(size=rows)
    shown = slices(table, ["city", "canton"], ONE_POOL[:rows])
    sums = {name: (len(loss[part]), loss[part].sum()) for name, part in shown.items()}
    assert all(count >= FEW for count, _ in sums.values())
    for whole, column in [(None, "city"), (None, "canton"), *((name, "city") for name in shown if name[0] == "canton")]:
        holds = np.ones(rows, dtype=bool) if whole is None else shown[whole]
        inside = [name for name in shown if name[0] == column and not (shown[name] & ~holds).any()]
        rest = holds.sum() - sum(sums[name][0] for name in inside)
        assert not inside or rest == 0 or rest >= FEW


def test_the_smallest_slice_is_left_out_where_all_but_a_few_rows_are_in_slices():
    parts = {name: np.repeat([name == other for other in "abc"], [50, 20, 3]) for name in "ab"}
    assert set(without_revealing_slices(parts, ONE_POOL[:73])) == {"a"}
    assert set(without_revealing_slices({"a": np.arange(60) < 55}, ONE_POOL[:60])) == set()


def test_cells_have_the_rows_of_a_pool_that_are_in_the_same_slices():
    rng = np.random.default_rng(0)
    pools, slices = rng.integers(0, 5, 300), {name: rng.random(300) < 0.3 for name in "abc"}
    cells = Cells.of(slices, pools)
    rows = np.column_stack([pools, *slices.values()])
    expected, of_row, sizes = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(np.column_stack([cells.pools, *cells.slices.values()]), expected)
    np.testing.assert_array_equal(cells.of_row, of_row.ravel())
    np.testing.assert_array_equal(cells.sizes, sizes)


@settings(max_examples=40)
@given(SEEDS)
def test_no_loss_follows_from_unions_of_slices_that_differ_by_a_row(seed: int):
    """Of two columns, neither of whose slices lies in one of the other's, but the same rows but one in some."""
    rng = np.random.default_rng(seed)
    left = np.repeat(["a", "b", "c"], [40, 40, 120])
    right = np.where(np.arange(200) < 81, rng.choice(["x", "y"], 200), "z")  # a and b together are x and y but one
    table = pd.DataFrame({"left": left, "right": right})
    shown = slices(table, ["left", "right"], ONE_POOL[:200])
    sums = np.stack([np.ones(200), *shown.values()])
    single = np.eye(200)[80]
    closest = np.linalg.lstsq(sums.T, single, rcond=None)[0] @ sums
    assert not np.allclose(closest, single), "its loss is a combination of the sums that are shown"


@settings(max_examples=40)
@given(SEEDS)
def test_no_hit_follows_from_the_remainders_of_counts(seed: int):
    """Accuracy shows how many rows of a slice are hits: where slices overlap, the sum of counts may be odd or even."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({name: rng.random(400) < 0.5 for name in "ab"})
    table["c"] = table["a"] ^ table["b"] ^ (np.arange(400) < rng.integers(1, 12))
    shown = [np.ones(400, dtype=bool), *slices(table, list("abc"), ONE_POOL[:400]).values()]
    assert len(shown) > 4
    for chosen in range(1, 2 ** len(shown)):
        odd = np.logical_xor.reduce([rows for number, rows in enumerate(shown) if chosen >> number & 1])
        assert not 0 < odd.sum() < FEW


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12))
def test_neighbouring_bins_are_joined_until_each_has_ten_rows(sizes: list[int]):
    groups = merge_small_bins(np.array(sizes))
    rows = np.bincount(groups, sizes)
    assert (np.diff(groups) >= 0).all()
    assert len(rows) == 1 or (rows >= FEW).all()


def test_residuals_are_a_histogram_and_those_of_a_private_target_are_not_written():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    predictions = truth + rng.normal(size=200)
    drawn = curves(Target(), truth, predictions, private=False)
    assert drawn["residuals"]["rows"].sum() == 200
    assert ((drawn["residuals"]["rows"] == 0) | (drawn["residuals"]["rows"] >= FEW)).all()
    assert not set(drawn["residuals"]["residual"]) & set(truth - predictions)
    assert (drawn["calibration"]["rows"] >= FEW).all()
    assert set(curves(Target(), truth, predictions, private=True)) == {"calibration"}


def test_a_private_column_is_described_by_its_share_of_missing_values_only():
    data = Data(**ROLES | {"source": "x", "read": {}, "target": "y", "task": "regression", "private": ["born"]})
    for name in ("born", "born (month)", "born (day)"):
        assert set(describe([pd.Series(np.arange(99.0))], data.hides(name))) == {"kind", "missing"}
    assert infer(columns_in_pieces(pd.DataFrame({"born": np.arange(99.0)})), data.private).columns["born"].checks == []


def test_the_two_attacks_that_worked_find_nothing(tmp_path: Path):
    """10 q(1) - 9 q(0.99) was the highest value, and a range's upper end less a sixth of its width was it too."""
    values = pd.Series(np.append(np.random.default_rng(3).normal(50, 10, 597), [71.0, 88.8, 123.456]))
    found = written(values, tmp_path / "data.json")
    numbers = [*found["quantiles"].values(), found["histogram"]["first"], found["histogram"]["step"]]
    assert not any(abs(10 * a - 9 * b - 123.456) < 0.5 for a in numbers for b in numbers)
    ranges = {schema_of(values.to_frame("x"), "x", highest) for highest in (121.0, 123.456, 159.0)}
    assert len(ranges) == 1
