"""Pitfalls are warned of, and what chance explains is not."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from retrace.adopt.pitfalls import pitfalls_of
from retrace.adopt.sample import Sampled
from retrace.params import Data
from tests.conftest import ROLES


def warned(table: pd.DataFrame, task: str = "regression") -> Iterator[str]:
    roles = {"source": "x.csv", "read": {}, "target": "y", "task": task, "id_columns": ["x0"]}
    rows = table.assign(row_id=[f"{n}-0" for n in range(len(table))])
    raw, prepared = (Sampled.of(each, len(each)) for each in (table, rows))
    return pitfalls_of(raw, prepared, np.arange(len(rows)), Data.model_validate(ROLES | roles), {})


def noise(seed: int, rows: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame({name: random.exponential(size=rows) for name in ("x0", "x1", "x2", "y")})


def test_what_chance_explains_in_few_rows_is_not_suspicious():
    lines = [line for seed in range(50) for line in warned(noise(seed, 51)) if "explains" in line]
    assert len(lines) <= 5


def test_nothing_explains_a_target_of_36_rows_that_is_pure_noise():
    random = np.random.default_rng(1)
    for _ in range(100):
        table = pd.DataFrame({name: random.normal(size=36) for name in ("x0", "x1", "x2", "x3", "y")})
        assert not [line for line in warned(table) if "explains" in line]


def test_what_gives_the_target_away_is_suspicious_however_few_the_rows():
    table = noise(1, 80)
    assert any(line.startswith("x0: explains") for line in warned(table.assign(x0=2 * table["y"])))


def test_a_mark_in_some_rows_is_a_feature():
    table = noise(1, 60).assign(mark=["x", None] * 30, same="x")
    constant = [line for line in warned(table) if "the same value" in line]
    assert constant == ["same: has the same value in each row: --drop same"]


def test_a_total_makes_no_other_column_suspicious():
    """Its row alone has another region, and so much of the target that the region would explain all of it."""
    table = noise(1, 60).assign(region=["a", "b"] * 30)
    table.loc[60] = [table["x0"].sum(), 5, 5, table["y"].sum(), "Total"]
    lines = list(warned(table))
    assert any("row 61 looks like a total" in line for line in lines)
    assert not any("explains" in line for line in lines)
    table["x0"] = 2 * table["y"]
    assert any(line.startswith("x0: explains") for line in warned(table)), "what gives the target away is told still"


def test_copies_are_rows_that_are_equal_in_all_columns_but_those_that_name_them():
    random = np.random.default_rng(1)
    for count in (2, 3, 9):
        columns = {name: random.integers(0, count, 400) for name in ("x0", "x1", "x2")}
        table = pd.DataFrame(
            columns | {"x3": random.choice(["a", "b", None], 400), "y": random.integers(0, 9, 400) / 9}
        )
        copies = table.duplicated().sum()
        lines = [line for line in warned(table.assign(house=range(400))) if "copies of others" in line]
        assert lines[0].startswith(f"{copies:,} row")
    assert not any(
        "copies of others" in line for line in warned(table.drop_duplicates().assign(house=range(400 - copies)))
    )
