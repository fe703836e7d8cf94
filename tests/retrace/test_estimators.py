"""A wrong estimator or argument is one line that says what to do."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from retrace.estimators import fit_model, make_estimator
from src.stages.train import fit
from tests.models import params_for, table_for


@pytest.mark.parametrize(
    ("path", "arguments", "line"),
    [
        ("sklearn.ensembel.Forest", {}, "train.model: there is no module sklearn.ensembel"),
        ("catboost.CatBoostClassifier", {}, "there is no module catboost; is catboost in requirements.in"),
        ("sklearn.ensemble.Forest", {}, "train.model: sklearn.ensemble has no class Forest"),
        ("os.system", {}, "train.model: os has no class system"),
        ("pathlib.Path", {}, "train.model: pathlib.Path is not an estimator"),
        ("sklearn.linear_model.Ridge", {}, "train.model: sklearn.linear_model.Ridge is not a classifier"),
        ("sklearn.svm.LinearSVC", {}, "train.model: sklearn.svm.LinearSVC has no predict_proba"),
        ("sklearn.linear_model.SGDClassifier", {"loss": "hinge"}, "has no predict_proba"),
        (
            "sklearn.ensemble.HistGradientBoostingClassifier",
            {"max_itre": 5},
            "train.arguments: HistGradientBoostingClassifier has no argument max_itre; did you mean max_iter?",
        ),
        (
            "sklearn.ensemble.HistGradientBoostingClassifier",
            {"learning_rate": -1},
            "train.arguments: The 'learning_rate' parameter of HistGradientBoostingClassifier must be a float",
        ),
        ("sklearn.linear_model.Ridge", {"zzz": 1}, "Ridge has no argument zzz; it has alpha, copy_X"),
        ("sklearn.calibration.CalibratedClassifierCV", {"estimator": "abc"}, "train.arguments: "),
        ("sklearn.ensemble.VotingClassifier", {}, "can't be created without arguments"),
        (
            "lightgbm.LGBMClassifier",
            {"num_leafs": 5},
            "LGBMClassifier has no argument num_leafs; did you mean num_leaves?",
        ),
        ("xgboost.XGBClassifier", {"max_dept": 5}, "XGBClassifier has no argument max_dept"),
    ],
)
def test_a_wrong_estimator_or_argument_is_one_line(path: str, arguments: dict[str, Any], line: str):
    with pytest.raises(SystemExit) as error:
        make_estimator(path, arguments, "classification")
    message = str(error.value)
    assert line in message
    assert message.startswith("params.yaml: train.")
    assert "\n" not in message


def test_lightgbm_takes_its_own_parameters_too():
    assert make_estimator("lightgbm.LGBMClassifier", {"max_bin": 63, "min_data": 5}, "classification").max_bin == 63


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("sklearn.linear_model.LogisticRegression", {"l1_ratio": 1}),
        ("lightgbm.LGBMClassifier", {"num_leaves": 1}),
        ("xgboost.XGBClassifier", {"max_depth": "deep"}),
        ("xgboost.XGBClassifier", {"subsample": -1}),
        ("xgboost.XGBClassifier", {"max_bin": 1}),
        ("sklearn.neighbors.KNeighborsClassifier", {"n_neighbors": 1_000}),  # which predicting refuses
    ],
)
def test_a_value_that_only_fitting_refuses_is_one_line(model: str, arguments: dict[str, Any]):
    params = params_for("classification", model, **arguments)
    name = model.rpartition(".")[2]
    with pytest.raises(SystemExit, match=f"params.yaml: train.model: {name}: ") as error:
        fit(params.train, params.data, table_for("classification"), seed=1)
    assert "\n" not in str(error.value)


def test_an_error_shows_no_cell_of_the_data():
    table = pd.DataFrame({"city": ["Bern", "Basel"]})
    model = Pipeline([("estimator", Ridge())])
    with pytest.raises(SystemExit, match=r"train\.model: Ridge: could not convert string to float: '…'"):
        fit_model(model, table, np.array([1, 2]), {})


def test_an_error_of_a_baseline_does_not_name_the_projects_model():
    model = Pipeline([("estimator", Ridge())])
    with pytest.raises(SystemExit, match=r"^baseline linear: Ridge: "):
        fit_model(model, pd.DataFrame({"city": ["Bern"]}), np.array([1]), {}, "baseline linear")


class Broken(BaseEstimator):
    def fit(self, _table: pd.DataFrame, _target: object) -> "Broken":
        raise ValueError("a mistake in the project's own code")

    def transform(self, table: pd.DataFrame) -> pd.DataFrame:
        return table


def test_an_error_in_the_projects_own_code_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    model, table = Pipeline([("broken", Broken()), ("estimator", Ridge())]), pd.DataFrame({"size": [1.0, 2.0]})
    with pytest.raises(SystemExit, match="a mistake in the project's own code"):
        fit_model(model, table, np.array([1, 2]), {})
    (tmp_path / "src").symlink_to(Path(__file__).parent)  # as if this module were under src/
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="a mistake in the project's own code"):
        fit_model(model, table, np.array([1, 2]), {})
