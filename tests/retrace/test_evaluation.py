"""Only what scores depend on is kept of the rows, and predictions are the same however a table is read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge

from retrace import predictions, table_files
from retrace.evaluation import predict_rows, read_rows
from retrace.params import Params, read_params
from retrace.project_metrics import ProjectMetric
from retrace.table_files import write_table
from src import metrics
from tests.conftest import ROOT


@pytest.fixture
def params() -> Params:
    return read_params(ROOT / "params.yaml")


def regression(params: Params) -> Params:
    """The parameters of a table whose target is a number."""
    data = params.data.model_copy(update={"task": "regression", "positive": None, "target": "delay"})
    return params.model_copy(update={"data": data})


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """A table of 3,000 rows with 60 features."""
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(3_000, 60))).add_prefix("x")
    table.insert(0, "flight", [f"flight {number}" for number in range(3_000)])
    table["delay"] = table["x0"] + table["x1"]
    write_table(table, tmp_path / "part.parquet")
    return tmp_path / "part.parquet"


def test_only_columns_that_scores_depend_on_are_kept_unless_the_project_has_metrics(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    columns = ["flight", "departure", "late", "carrier", "origin", "temp"]
    table = pd.DataFrame({column: [1, 2] for column in columns})
    table.attrs["block"] = "day"
    write_table(table, tmp_path / "part.parquet")
    kept = read_rows(params, tmp_path / "part.parquet")
    pd.testing.assert_frame_equal(kept, table[["departure", "late", "carrier", "origin"]])
    assert kept.attrs == {"block": "day"}
    monkeypatch.setattr(metrics, "METRICS", {"mine": ProjectMetric(lambda *_: 0.0, higher_is_better=True)})
    pd.testing.assert_frame_equal(read_rows(params, tmp_path / "part.parquet"), table)


def test_texts_that_only_name_slices_are_categories_and_ids_are_kept_where_rows_are_drawn_by_them(
    params: Params, tmp_path: Path
):
    table = pd.DataFrame({column: ["a", "b"] for column in ["flight", "departure", "late", "carrier", "origin"]})
    grouped = params.model_copy(update={"data": params.data.model_copy(update={"group": "carrier"})})
    write_table(table, tmp_path / "part.parquet")
    kept = read_rows(params, tmp_path / "part.parquet")
    assert kept.columns.tolist() == ["flight", "late", "carrier", "origin"]
    assert list(kept.columns[kept.dtypes == "category"]) == ["carrier", "origin"]
    pd.testing.assert_frame_equal(kept.astype("str"), table.drop(columns="departure"))
    kept = read_rows(grouped, tmp_path / "part.parquet")
    assert kept.columns.tolist() == ["late", "carrier", "origin"]
    assert list(kept.columns[kept.dtypes == "category"]) == ["origin"]


def test_models_predict_for_all_rows_in_their_order(params: Params, numbers: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(predictions, "CELLS_PREDICTED_AT_ONCE", 60 * 700)
    table = pd.read_parquet(numbers)
    features = table.drop(columns=["flight", "delay"])
    models = {"model": Ridge().fit(features, table["delay"]), "linear": Ridge(1e6).fit(features, table["delay"])}
    found = predict_rows(regression(params), numbers, models)
    assert found.target.kind == "regression"
    for name, model in models.items():
        np.testing.assert_allclose(found.values[name], model.predict(features), rtol=1e-9, err_msg=name)


def test_predictions_that_are_all_the_same_take_no_memory(params: Params, numbers: Path):
    model = DummyRegressor().fit(np.zeros((2, 60)), [1, 2])
    predictions = predict_rows(regression(params), numbers, {"model": model}).values["model"]
    assert (predictions.shape, predictions.strides) == ((3_000,), (0,))
    assert (predictions == 1.5).all()


def test_predictions_are_the_same_to_the_last_bit_however_a_table_is_read(
    params: Params, numbers: Path, monkeypatch: pytest.MonkeyPatch
):
    """The last bits of a matrix product may depend on how many rows are multiplied at once."""
    table = pd.read_parquet(numbers)
    model = Ridge().fit(table.drop(columns=["flight", "delay"]), table["delay"])
    found = []
    for rows in (3_000, 1_001, 61):
        monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", 60 * rows)
        found.append(predict_rows(regression(params), numbers, {"model": model}).values["model"].tobytes())
    assert found[0] == found[1] == found[2]
