"""The written scores are those of the stored model, and their intervals have the right width."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import confusion_matrix, log_loss, r2_score, roc_auc_score

from retrace import predictions, table_files
from retrace.examples import Target, features
from retrace.models import load_model
from retrace.params import read_params
from retrace.resamples import bootstrap, resample, units
from retrace.scored_rows import interval, is_small
from retrace.scores import metrics_of
from retrace.table_files import read_table, row_count
from src.stages import evaluate
from tests.retrace.review.small import inside


def results(project: Path, name: str) -> dict:
    return json.loads((project / "metrics" / name).read_text())


def predict(project: Path) -> tuple[pd.DataFrame, np.ndarray]:
    data, valid = read_params(project / "params.yaml").data, read_table(project / "data/split/valid.parquet")
    model = load_model(project / "models/model.skops")
    call = model.predict if data.task == "regression" else model.predict_proba
    return valid, call(valid[features(valid, data)])


def test_two_classes_have_the_scores_of_the_stored_model(demo: Path):
    valid, guess = predict(demo)
    assert results(demo, "scores.json")["roc_auc"] == pytest.approx(roc_auc_score(valid["late"], guess[:, 1]), rel=1e-5)
    decision = results(demo, "evaluation.json")["decision"]
    assert decision["threshold"] == 0.25
    assert [
        [decision["true_negatives"], decision["false_positives"]],
        [decision["false_negatives"], decision["true_positives"]],
    ] == confusion_matrix(valid["late"], guess[:, 1] >= 0.25).tolist()


def test_the_constant_actions_cost_what_their_errors_cost(demo: Path):
    late = {part: read_table(demo / f"data/split/{part}.parquet")["late"].mean() for part in ("train", "valid")}
    evaluation = results(demo, "evaluation.json")
    assert evaluation["scores"]["never"] == {"cost": evaluation["scores"]["never"]["cost"]}
    assert evaluation["scores"]["never"]["cost"]["score"] == pytest.approx(3 * late["valid"], rel=1e-5)
    assert evaluation["scores"]["always"]["cost"]["score"] == pytest.approx(1 - late["valid"], rel=1e-5)
    # On train, which evaluate doesn't read: acting on every row costs 1 - share, acting on none 3 * share.
    best = "always" if 1 - late["train"] <= 3 * late["train"] else "never"
    assert evaluation["decision"]["best_constant_action"] == best
    assert set(results(demo, "scores.json")) == set(evaluation["scores"]["model"]), "of the model alone"


def test_multiclass_has_the_scores_of_the_stored_model(wine: Path):
    valid, guess = predict(wine)
    assert results(wine, "scores.json")["log_loss"] == pytest.approx(log_loss(valid["target"], guess), rel=1e-5)


def test_regression_has_the_scores_of_the_stored_model(weather: Path):
    valid, guess = predict(weather)
    assert results(weather, "scores.json")["r2"] == pytest.approx(r2_score(valid["temp"], guess), rel=1e-4)


def test_the_size_of_the_chunks_makes_no_difference(wine: Path, copy_of, monkeypatch: pytest.MonkeyPatch):
    project = copy_of(wine)
    files = [file.relative_to(wine) for file in [*wine.glob("metrics/*.*"), *wine.glob("metrics/curves/*")]]
    for chunks in (1, 3, 50):
        rows = row_count(wine / "data/split/valid.parquet") // chunks + 1
        monkeypatch.setattr(table_files, "CELLS_IN_CHUNK", 13 * rows)
        monkeypatch.setattr(predictions, "CELLS_PREDICTED_AT_ONCE", 13 * rows)
        for file in ("scores.json", "evaluation.json", "slices.json", "bootstrap.csv", "refits.csv", "curves/roc.csv"):
            (project / "metrics" / file).unlink()
        with inside(project):
            evaluate.main()
        assert all((project / file).read_bytes() == (wine / file).read_bytes() for file in files), chunks


@pytest.mark.parametrize("project", ["demo", "wine", "weather"])
def test_intervals_hold_their_scores_and_baselines_have_them_too(request: pytest.FixtureRequest, project: str):
    evaluation = results(request.getfixturevalue(project), "evaluation.json")
    constant = {"always", "never"} if project == "demo" else set()
    assert set(evaluation["scores"]) == {"model", "linear", "prior"} | constant
    for scores in evaluation["scores"].values():
        for metric, score in scores.items():
            assert score["low"] <= score["high"]
            if metric != "calibration_error":  # biased upwards, so its resamples lie above it
                assert score["low"] - 1e-6 <= score["score"] <= score["high"] + 1e-6


def test_slices_have_their_rows_and_small_ones_are_marked(demo: Path):
    slices = results(demo, "slices.json")
    rows = read_table(demo / "data/split/valid.parquet")["carrier"].value_counts()
    few_a_day = ["HA", "OO"]  # by which sums over fewer than ten rows would follow
    assert {name: slice_["rows"] for name, slice_ in slices["carrier"].items()} == rows.drop(few_a_day).to_dict()
    assert [name for name, slice_ in slices["carrier"].items() if slice_["small"]] == ["AS", "F9", "YV"]


def test_the_whole_the_slices_and_the_baselines_have_draws(demo: Path):
    bootstrap = pd.read_csv(demo / "metrics/bootstrap.csv", keep_default_na=False, dtype=str)
    refits = pd.read_csv(demo / "metrics/refits.csv", keep_default_na=False, dtype=str)
    assert list(bootstrap.columns[5:]) == [str(draw) for draw in range(200)]
    assert list(refits.columns[5:]) == [str(draw) for draw in range(10)]
    assert set(bootstrap["rows"]) == set(refits["rows"])
    assert set(bootstrap["model"]) == {"model", "linear", "prior", "always", "never"}
    assert set(bootstrap[bootstrap["model"].isin(["always", "never"])]["metric"]) == {"cost"}
    assert len(bootstrap[bootstrap["column"] == "carrier"]) == len(results(demo, "slices.json")["carrier"])


def solved(weights: np.ndarray, scores: np.ndarray, losses: np.ndarray) -> int:
    """Of how many rows the loss follows from mean losses with known weights, to a thousandth."""
    inverse = np.linalg.pinv(weights.astype(float), rcond=1e-9)
    determined = np.diag(inverse @ weights) > 0.99
    found = inverse @ (scores * weights.sum(axis=1))
    return int((determined & (np.abs(found - losses) < 1e-3 * losses.std())).sum())


def test_no_row_can_be_solved_for_from_the_scores_of_the_resamples(wine: Path):
    data, valid = read_params(wine / "params.yaml").data, read_table(wine / "data/split/valid.parquet")
    _, guess = predict(wine)
    losses = -np.log(guess[np.arange(len(valid)), valid["target"].to_numpy()])
    weights = np.stack(list(bootstrap(valid, data, 100)))
    written = pd.read_csv(wine / "metrics/bootstrap.csv", keep_default_na=False)
    series = written[(written["model"] == "model") & (written["column"] == "") & (written["metric"] == "log_loss")]
    scores = series.iloc[0, 5:].to_numpy(float)
    np.testing.assert_allclose(scores, weights @ losses / weights.sum(axis=1), rtol=1e-4)
    assert solved(weights, scores, losses) == 0
    alone = np.stack(list(resample(units(valid, data), 100)))
    assert solved(alone, alone @ losses / alone.sum(axis=1), losses) == len(valid), (
        "if rows were drawn alone, all could"
    )


def test_the_interval_of_a_score_has_the_degrees_of_freedom_of_the_drawn_units(demo: Path, wine: Path):
    for project, count in ((demo, 30), (wine, 3)):
        evaluation = results(project, "evaluation.json")
        assert evaluation["units"]["valid"] == count
        draws = pd.read_csv(project / "metrics/bootstrap.csv", keep_default_na=False)
        series = draws[(draws["model"] == "model") & (draws["column"] == "") & (draws["metric"] == "log_loss")]
        deviation = np.sqrt(series.iloc[0, 5:].to_numpy(float).var(ddof=1) * count / (count - 1))
        score = evaluation["scores"]["model"]["log_loss"]
        assert score["high"] - score["score"] == pytest.approx(stats.t.ppf(0.975, count - 1) * deviation, rel=1e-3)
        assert score["low"] >= 0


def test_a_slice_inside_a_few_groups_is_small():
    target, truth = Target((False, True)), np.arange(200) % 2 == 0
    assert [is_small(target, truth, units) for units in (1, 4, 5)] == [True, True, False]
    assert is_small(target, truth[:99], 20)
    assert is_small(target, np.arange(200) < 9, 20)


def test_one_unit_has_no_interval():
    metric = metrics_of("regression", None)["rmse"]
    assert np.isnan(interval(0.5, pd.Series([0.5] * 100), 1, metric)["low"])


def test_each_task_has_its_curves(demo: Path, wine: Path, weather: Path):
    curves = {
        project.name: {file.stem for file in (project / "metrics/curves").iterdir()} for project in (demo, weather)
    }
    assert curves[demo.name] == {"roc", "precision_recall", "calibration"}
    assert curves[weather.name] == {"calibration", "residuals"}
    roc = pd.read_csv(wine / "metrics/curves/roc.csv")
    assert roc.iloc[0].tolist() == [0, 0]
    assert roc.iloc[-1].tolist() == [1, 1]
