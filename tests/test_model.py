"""src/model.py takes any estimator and every kind of column, and gives the same bytes where it says so."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from retrace.examples import Target, features
from retrace.learning_curve import POINTS, staged_predictions
from retrace.models import load_model, save_model
from retrace.params import Train
from src.model import SUPPORTED, promises_same_bytes
from src.stages.train import fit
from tests.conftest import ROOT
from tests.models import params_for, table_for

ITERATIONS = {"HistGradientBoosting": "max_iter", "LGBM": "n_estimators", "XGB": "n_estimators"}
OTHERS = [
    "sklearn.ensemble.AdaBoostClassifier",
    "sklearn.ensemble.ExtraTreesClassifier",
    "sklearn.ensemble.GradientBoostingClassifier",
    "sklearn.neighbors.KNeighborsClassifier",
    "sklearn.ensemble.ExtraTreesRegressor",
    "sklearn.linear_model.HuberRegressor",
    "sklearn.neighbors.KNeighborsRegressor",
    "sklearn.svm.SVR",
]


def task_of(model: str) -> str:
    return "regression" if model.endswith(("Regressor", "Ridge", "SVR")) else "classification"


CASES = [(model, classes) for model in [*SUPPORTED, *OTHERS] for classes in (2, 3) if task_of(model) != "regression"]
CASES += [(model, 0) for model in [*SUPPORTED, *OTHERS] if task_of(model) == "regression"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("model", "classes"), CASES)
def test_an_estimator_takes_every_kind_of_column_and_values_never_seen(tmp_path: Path, monkeypatch, model, classes):
    task = task_of(model)
    params, table = params_for(task, model), table_for(task, classes)
    names, target = features(table, params.data), Target.of(table["price"], params.data)
    fitted = fit(params.train, params.data, table, seed=1)
    unseen = table.assign(city="Bonn", size=np.nan, empty=1.0)[names]
    assert np.isfinite(target.predict(fitted, unseen)).all()
    predictions = target.predict(fitted, table[names])
    if target.kind == "multiclass":
        assert (predictions.argmax(axis=1) == target.truth(table["price"])).mean() > 0.6
    else:
        assert np.corrcoef(predictions, target.truth(table["price"]))[0, 1] > 0.6
    save_model(fitted, tmp_path / "model.skops")
    monkeypatch.setattr("retrace.models.is_in_lock", lambda *_: True)  # as after the stage has run
    loaded = load_model(tmp_path / "model.skops")
    np.testing.assert_array_equal(target.predict(loaded, table[names]), predictions)


ARGUMENTS = {  # with draws of rows and columns, by the first letters of the estimator's name
    "Hist": {"early_stopping": True, "max_features": 0.5},
    "LGBM": {"subsample": 0.5, "subsample_freq": 1, "colsample_bytree": 0.5},
    "XGBC": {"subsample": 0.5, "colsample_bytree": 0.5},
    "XGBR": {"subsample": 0.5, "colsample_bytree": 0.5},
}
FIT = """
import sys
from pathlib import Path
import retrace
from retrace.models import save_model
from src.stages.train import fit
from tests.models import params_for, table_for
from tests.test_model import ARGUMENTS, task_of
for position, model in enumerate(sys.argv[2:]):
    params = params_for(task_of(model), model, **ARGUMENTS.get(model.split(".")[-1][:4], {}))
    save_model(fit(params.train, params.data, table_for(task_of(model)), seed=1), Path(sys.argv[1]) / f"{position}")
"""


def test_the_bytes_of_a_supported_estimator_do_not_depend_on_threads_processor_and_hash_seed(tmp_path: Path):
    ways = {
        "one": {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1"},
        "three": {"OMP_NUM_THREADS": "3", "PYTHONHASHSEED": "2"},
        "old": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX,-BMI2"},  # the C library's code for old processors
    }
    for name, changes in ways.items():
        (tmp_path / name).mkdir()
        command = [sys.executable, "-c", FIT, str(tmp_path / name), *SUPPORTED]
        subprocess.run(command, cwd=ROOT, env=os.environ | changes, check=True)
    for position, model in enumerate(SUPPORTED):
        first, *others = [(tmp_path / name / f"{position}").read_bytes() for name in ways]
        assert all(first == other for other in others), model


@pytest.mark.parametrize("model", [model for model in SUPPORTED if any(name in model for name in ITERATIONS)])
def test_the_learning_curve_of_boosting_ends_at_the_models_own_predictions(model: str):
    task = task_of(model)
    argument = next(argument for name, argument in ITERATIONS.items() if name in model)
    params, table = params_for(task, model, **{argument: 40}), table_for(task)
    fitted, names = fit(params.train, params.data, table, seed=1), features(table, params.data)
    staged = dict(staged_predictions(fitted[-1], fitted[:-1].transform(table[names])))
    assert len(staged) == POINTS
    assert (min(staged), max(staged)) == (1, 40)
    last = fitted.predict(table[names]) if task == "regression" else fitted.predict_proba(table[names])
    np.testing.assert_allclose(staged[40], last, rtol=1e-6)
    assert not np.allclose(staged[1], last, rtol=1e-2)


def test_an_estimator_without_iterations_has_a_curve_of_one_point():
    params, table = params_for("regression", "sklearn.linear_model.Ridge"), table_for("regression")
    fitted, names = fit(params.train, params.data, table, seed=1), features(table, params.data)
    ((iteration, predictions),) = staged_predictions(fitted[-1], fitted[:-1].transform(table[names]))
    assert iteration == 1
    np.testing.assert_array_equal(predictions, fitted.predict(table[names]))


def test_a_model_with_types_that_are_not_trusted_is_refused_before_it_is_stored(tmp_path: Path):
    params = params_for("classification", "sklearn.neural_network.MLPClassifier", max_iter=2)
    with pytest.warns(ConvergenceWarning):
        fitted = fit(params.train, params.data, table_for("classification"), seed=1)
    with pytest.raises(SystemExit, match=r"AdamOptimizer; if you trust them, add them to TRUSTED in src/model\.py"):
        save_model(fitted, tmp_path / "model.skops")
    assert not list(tmp_path.iterdir())


def test_linear_coefficients_are_rounded_to_six_digits():
    params = params_for("classification", "sklearn.linear_model.LogisticRegression")
    coefficients = fit(params.train, params.data, table_for("classification"), seed=1)[-1].coef_.ravel()
    assert coefficients.tolist() == [float(f"{value:.6g}") for value in coefficients]


@pytest.mark.parametrize(
    ("model", "arguments", "promised"),
    [
        ("sklearn.ensemble.RandomForestClassifier", {"n_estimators": 5}, True),
        ("sklearn.ensemble.RandomForestClassifier", {"n_jobs": 1}, True),
        ("sklearn.ensemble.RandomForestClassifier", {"n_jobs": 2}, False),
        ("sklearn.ensemble.RandomForestClassifier", {"random_state": None}, False),
        ("lightgbm.LGBMRegressor", {"deterministic": False}, False),
        ("lightgbm.LGBMRegressor", {"num_threads": 4}, False),  # another name for n_jobs
        ("lightgbm.LGBMRegressor", {"device": "gpu"}, False),
        ("lightgbm.sklearn.LGBMRegressor", {"num_leaves": 8}, True),
        ("xgboost.XGBRegressor", {"booster": "gblinear"}, False),
        ("sklearn.neighbors.KNeighborsClassifier", {}, False),
    ],
)
def test_the_same_bytes_are_promised_for_supported_estimators_as_they_are_set(model, arguments, promised):
    train = Train(model=model, arguments=arguments, seed=1, refits=2, memory=16)
    assert promises_same_bytes(train) is promised


def test_arguments_in_params_yaml_come_before_those_that_are_set_here():
    params = params_for("classification", "sklearn.linear_model.LogisticRegression", solver="lbfgs", random_state=7)
    fitted = fit(params.train, params.data, table_for("classification"), seed=1)
    assert (fitted[-1].solver, fitted[-1].random_state) == ("lbfgs", 7)
    params = params_for("classification", categorical_features=[])
    assert fit(params.train, params.data, table_for("classification"), seed=1)[-1].categorical_features == []


def test_an_estimator_is_the_same_by_any_of_its_import_paths():
    for path in ("xgboost.XGBClassifier", "xgboost.sklearn.XGBClassifier"):
        params = params_for("classification", path, n_estimators=5)
        fitted = fit(params.train, params.data, table_for("classification"), seed=1)
        assert fitted[-1].classes_.tolist() == ["class 0", "class 1"]
        assert fitted[-1].estimator_.enable_categorical


def test_a_model_that_stops_early_on_another_score_can_be_stored(tmp_path: Path):
    params = params_for("classification", early_stopping=True, scoring="roc_auc")
    fitted = fit(params.train, params.data, table_for("classification"), seed=1)
    save_model(fitted, tmp_path / "model.skops")
    assert load_model(tmp_path / "model.skops")[-1].n_iter_ == fitted[-1].n_iter_
