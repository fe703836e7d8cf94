"""A table is prepared as one row per example, with an id, and with features in place of dates."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from retrace.params import Data
from retrace.tables.preparing import date_features
from src.datasets import table
from tests.conftest import ROLES, ROOT


def data(**roles: Any) -> Data:
    return Data(**ROLES | {"source": "x.csv", "read": {}, "target": "y", "task": "classification"} | roles)


DATES = pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"]).astype("datetime64[us]"))


def test_ids_in_a_column_stay_when_a_new_row_changes_its_type(tmp_path: Path):
    for cells, file in ((["7", "10"], "a.csv"), (["7", "10", "x1"], "b.csv"), (["7", "10", "0.5"], "c.csv")):
        pd.DataFrame({"id": cells, "x": 1, "y": 0}).to_csv(tmp_path / file, index=False)
        prepared = table.prepare({"table": pd.concat(table.read(tmp_path / file)["table"])}, data(id="id"))
        assert prepared["id"].tolist() == cells


def test_dates_become_features_and_rows_without_a_target_are_dropped():
    raw = pd.DataFrame({"when": DATES, "built": DATES, "y": [1.0, None, 0.0]})
    prepared = table.prepare({"table": raw}, data(time="when", id_columns=["built"]))
    assert prepared["y"].tolist() == [1, 0]
    assert prepared.attrs["dropped"] == {"no target": 1}
    assert list(prepared.columns) == [
        "row_id",
        "when",
        "y",
        *[f"when ({part})" for part in ("month", "weekday", "hour")],
        *[f"built ({part})" for part in ("month", "weekday", "hour", "day")],
    ]


def test_a_request_has_the_features_of_the_table_by_the_function_that_the_manual_shows():
    page = (ROOT / "docs/operating.md").read_text()
    [code] = re.findall(r"```python\n(REQUEST_COLUMNS.*?)```", page, re.DOTALL)
    shown: dict[str, Any] = {"pd": pd, "date_features": date_features}
    exec(code, shown)
    raw = pd.DataFrame({"sold": DATES, "price": [1.0, 2.0, 3.0], "y": [1, 0, 1]})
    prepared = table.prepare({"table": raw}, data(time="sold", id_columns=["price"]))
    request = shown["prepare_request"](raw[["sold", "price"]].assign(sold=raw["sold"].dt.strftime("%Y-%m-%d")))
    pd.testing.assert_frame_equal(prepared[["price", *prepared.columns[4:]]], request)
    missing = shown["prepare_request"](pd.DataFrame({"sold": [None, "soon"], "price": 1.0}))
    assert missing.filter(like="sold").isna().all(axis=None)


def test_dates_with_a_role_are_not_changed():
    raw = pd.DataFrame({"when": DATES, "built": DATES, "y": [1, 0, 1]})
    prepared = table.prepare({"table": raw}, data(id="when", group="built"))
    assert list(prepared.columns) == ["when", "built", "y"]


def test_dates_far_from_today_become_features():
    raw = pd.DataFrame({"when": pd.to_datetime(["9999-12-31", "2023-01-04", "1500-01-01"]), "y": [1, 0, 1]})
    prepared = table.prepare({"table": raw.astype({"when": "datetime64[us]"})}, data(id_columns=["when"]))
    assert prepared["when (day)"].tolist() == [2932896, 19361, -171664]


def test_an_id_column_that_does_not_exist_is_named():
    with pytest.raises(SystemExit, match=r"data.id: x.csv has no column flight"):
        table.prepare({"table": pd.DataFrame({"y": [1]})}, data(id="flight"))


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ({"a": [1]}, "data.target: x.csv has no column y"),
        ({"y": [pd.Timestamp(0)]}, "data.target: y is a date, which can't be predicted"),
        ({"y": [1], "row_id": [1]}, "data.id: the table has a column row_id"),
        (
            {"y": [1]},
            "data.id_columns: x.csv has no column x; if it was renamed, write its new name there",
        ),
    ],
)
def test_a_role_whose_column_cannot_be_used_is_named(raw: dict[str, Any], line: str):
    with pytest.raises(SystemExit, match=line):
        table.prepare({"table": pd.DataFrame(raw)}, data(id_columns=["x"]))


def test_an_empty_list_of_id_columns_is_named():
    with pytest.raises(SystemExit, match=r"data.id_columns: empty, and data.id is null") as error:
        table.prepare({"table": pd.DataFrame({"x": [1], "y": [1]})}, data())
    assert "\n" not in str(error.value)
