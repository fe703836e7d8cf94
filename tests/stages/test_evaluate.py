"""Scores agree with scikit-learn's on the stored model, and what is written says what it claims."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, log_loss, r2_score, roc_auc_score

from src.core.examples import features
from src.core.files import read_table
from src.core.models import load_model
from src.core.params import read_params
from src.stages.evaluate import calibration, thinned


def results(project: Path, name: str) -> dict:
    return json.loads((project / "metrics" / name).read_text())


def predictions(project: Path) -> tuple[pd.DataFrame, np.ndarray]:
    data, valid = read_params(project / "params.yaml").data, read_table(project / "data/split/valid.parquet")
    model = load_model(project / "models/model.skops")
    call = model.predict if data.task == "regression" else model.predict_proba
    return valid, call(valid[features(valid, data)])


def test_two_classes_have_the_scores_of_the_stored_model(demo: Path):
    valid, guess = predictions(demo)
    assert results(demo, "scores.json")["roc_auc"] == pytest.approx(roc_auc_score(valid["late"], guess[:, 1]), rel=1e-5)
    decision = results(demo, "evaluation.json")["decision"]
    assert decision["threshold"] == 0.25
    assert [
        [decision["true_negatives"], decision["false_positives"]],
        [decision["false_negatives"], decision["true_positives"]],
    ] == confusion_matrix(valid["late"], guess[:, 1] >= 0.25).tolist()


def test_more_classes_have_the_scores_of_the_stored_model(wine: Path):
    valid, guess = predictions(wine)
    assert results(wine, "scores.json")["log_loss"] == pytest.approx(log_loss(valid["target"], guess), rel=1e-5)


def test_regression_has_the_scores_of_the_stored_model(weather: Path):
    valid, guess = predictions(weather)
    assert results(weather, "scores.json")["r2"] == pytest.approx(r2_score(valid["temp"], guess), rel=1e-4)


@pytest.mark.parametrize("project", ["demo", "wine", "weather"])
def test_intervals_hold_their_scores_and_baselines_have_them_too(request: pytest.FixtureRequest, project: str):
    evaluation = results(request.getfixturevalue(project), "evaluation.json")
    assert set(evaluation["scores"]) == {"model", "linear", "prior"}
    for scores in evaluation["scores"].values():
        for metric, score in scores.items():
            assert score["low"] <= score["high"]
            if metric != "calibration_error":  # biased upwards, so its resamples lie above it
                assert score["low"] - 1e-6 <= score["score"] <= score["high"] + 1e-6


def test_slices_have_their_rows_and_small_ones_are_marked(demo: Path):
    slices = results(demo, "slices.json")
    rows = read_table(demo / "data/split/valid.parquet")["carrier"].value_counts()
    assert {name: slice_["rows"] for name, slice_ in slices["carrier"].items()} == rows.to_dict()
    assert [name for name, slice_ in slices["carrier"].items() if slice_["small"]] == ["AS", "F9", "HA", "OO", "YV"]


def test_the_draws_are_there_for_the_whole_the_slices_and_the_baselines(demo: Path):
    bootstrap = pd.read_csv(demo / "metrics/bootstrap.csv", keep_default_na=False, dtype=str)
    refits = pd.read_csv(demo / "metrics/refits.csv", keep_default_na=False, dtype=str)
    assert list(bootstrap.columns[5:]) == [str(draw) for draw in range(500)]
    assert list(refits.columns[5:]) == [str(draw) for draw in range(5)]
    assert set(bootstrap["rows"]) == set(refits["rows"])
    assert set(bootstrap["model"]) == {"model", "linear", "prior"}
    assert len(bootstrap[bootstrap["column"] == "carrier"]) == len(results(demo, "slices.json")["carrier"])


def test_each_task_has_its_curves(demo: Path, wine: Path, weather: Path):
    curves = {
        project.name: {file.stem for file in (project / "metrics/curves").iterdir()} for project in (demo, weather)
    }
    assert curves[demo.name] == {"roc", "precision_recall", "calibration"}
    assert curves[weather.name] == {"calibration", "residuals"}
    roc = pd.read_csv(wine / "metrics/curves/roc.csv")
    assert roc.iloc[0].tolist() == [0, 0]
    assert roc.iloc[-1].tolist() == [1, 1]


def test_a_curve_is_thinned_to_its_shape():
    curve = pd.DataFrame({"x": np.linspace(0, 1, 10_000), "y": np.linspace(0, 1, 10_000) ** 2})
    short = thinned(curve)
    assert len(short) <= 202
    np.testing.assert_allclose(np.interp(curve["x"], short["x"], short["y"]), curve["y"], atol=1e-4)


def test_calibration_bins_have_ten_rows_at_least():
    assert calibration(np.zeros(20), np.r_[np.zeros(19), 1.0])["rows"].tolist() == [20]
