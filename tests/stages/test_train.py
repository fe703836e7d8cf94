"""The stage fits the model, two baselines and the refits."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, root_mean_squared_error

from retrace.examples import Target, features, sample_weights
from retrace.learning_curve import learning_curve
from retrace.params import Data, Params
from src.stages.train import (
    Refit,
    fit,
    fit_linear,
    fit_prior,
    model_and_curve,
    print_what_is_fitted,
    refit,
    table_of,
)
from tests.models import TABLE, params_for, table_for


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_baselines_are_the_prior_and_a_linear_model(task: str):
    table, params = table_for(task), params_for(task)
    names, target = features(table, params.data), Target.of(table["price"], params.data)
    prior = target.predict(fit_prior(params.data, table), table[names])
    assert prior == pytest.approx(target.truth(table["price"]).mean())
    linear = target.predict(fit_linear(params.train, params.data, table), table[names])
    assert np.corrcoef(linear, target.truth(table["price"]))[0, 1] > 0.6


def refit_one(params: Params, train: pd.DataFrame, valid: pd.DataFrame, target: Target, draw: int) -> Refit:
    model, units, drawn = refit(params, train, draw)
    return Refit(target.predict(model, valid[features(valid, params.data)]).reshape(len(valid), -1), units, drawn)


def refit_all(params: Params, train: pd.DataFrame, valid: pd.DataFrame, target: Target) -> pd.DataFrame:
    """The content of refits.parquet."""
    refits = [refit_one(params, train, valid, target, draw) for draw in range(params.train.refits)]
    return table_of(refits, valid["id"], len(train), len(train))


def test_refits_differ_and_do_not_depend_on_the_order_of_the_rows():
    table, params = table_for("classification"), params_for("classification")
    train, valid, target = table[:300], table[300:].reset_index(drop=True), Target.of(table["price"], params.data)
    refits = refit_all(params, train, valid, target)
    assert list(refits.columns) == ["id", "0.0", "1.0"]
    assert (refits["0.0"] != refits["1.0"]).any()
    assert refits.attrs == {"train": 300, "half": 150}
    shuffled = refit_all(params, train.sample(frac=1, random_state=0), valid, target)
    assert np.corrcoef(refits["0.0"], shuffled["0.0"])[0, 1] > 0.99


def test_what_is_fitted_on_a_sample_says_so(capsys: pytest.CaptureFixture[str]):
    params, table = params_for("regression"), table_for("regression")
    refits = [refit_one(params, table, table[:50], Target.of([], params.data), draw=0)]
    assert "sample" not in table_of(refits, table["id"][:50], 400, 400).attrs
    assert table_of(refits, table["id"][:50], 400, 900).attrs["sample"] == {"rows": 400, "of": 900}
    print_what_is_fitted(params, table, 400)
    print_what_is_fitted(params, table, 900)
    said = [line for line in capsys.readouterr().out.splitlines() if "features" in line]
    assert [line.partition(", on ")[2] for line in said] == [
        "400 rows and 7 features",
        "400 of 900 rows (train.memory) and 7 features",
    ]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_learning_curve_does_not_depend_on_how_many_rows_are_read_at_once(task: str):
    params, table = params_for(task), table_for(task)
    target = Target.of(table["price"], params.data)
    model, _, curve = model_and_curve(params, table, target)
    assert len(curve) == 10
    parts = [table[:100], table[100:310], table[310:]]
    assert learning_curve(model, parts, params.data, target) == curve
    predictions, truth = target.predict(model, table[features(table, params.data)]), target.truth(table["price"])
    loss = log_loss(truth, predictions) if target.classes else root_mean_squared_error(truth, predictions)
    assert curve[10] == pytest.approx(loss, rel=1e-5)


def with_train(params: Params, *, refits: int = 2, **arguments: Any) -> Params:
    """The parameters with other arguments of the estimator."""
    train = params.train.model_copy(update={"arguments": params.train.arguments | arguments, "refits": refits})
    return params.model_copy(update={"train": train})


def test_too_few_rows_of_a_class_is_one_line():
    params = with_train(params_for("classification"), early_stopping=True)
    rare = table_for("classification").assign(price=np.where(np.arange(400) < 1, "a", "b"))
    with pytest.raises(SystemExit, match="a class has one row in train; make it false"):
        fit(params.train, params.data, rare, seed=1)


def test_leaves_too_large_for_any_split_are_one_line():
    params = with_train(params_for("regression"), min_samples_leaf=201)
    with pytest.raises(SystemExit, match=r"min_samples_leaf: 201 allows no split of the 400 rows in train"):
        fit(params.train, params.data, table_for("regression"), seed=1)


def test_a_half_that_is_too_small_is_not_called_train():
    params, table = with_train(params_for("regression"), min_samples_leaf=101), table_for("regression")
    with pytest.raises(SystemExit, match="101 allows no split of the 200 rows in a random half of train"):
        refit_all(params, table, table[:50], Target.of(table["price"], params.data))


def test_no_refit_gives_a_class_that_few_rows_have_the_probability_zero():
    table, params = (
        table_for("classification", 3),
        params_for("classification", "sklearn.ensemble.RandomForestClassifier"),
    )
    table.loc[0, "price"] = "class 9"
    params = with_train(params, refits=10, min_samples_leaf=50)
    refits = refit_all(params, table, table[:50], Target.of(table["price"], params.data))
    assert [name for name in refits.columns if name.startswith("0.")] == ["0.0", "0.1", "0.2", "0.3"]
    assert all((refits[f"{draw}.3"] > 0).any() for draw in range(10))


def weighted(params: Params) -> Data:
    return params.data.model_copy(update={"weight": "rooms"})


@pytest.mark.parametrize(
    "model", ["sklearn.ensemble.HistGradientBoostingRegressor", "lightgbm.LGBMRegressor", "xgboost.XGBRegressor"]
)
def test_rows_of_weight_zero_are_not_learned_from(model: str):
    params, table = params_for("regression", model), table_for("regression").assign(rooms=1.0)
    table.loc[:199, ["rooms", "price"]] = [0, 1e6]
    names = features(table, weighted(params))
    assert "rooms" not in names
    predictions = fit(params.train, weighted(params), table, seed=1).predict(table[names])
    assert predictions.max() < 20


def test_weights_that_are_all_0_are_one_line():
    rows = pd.DataFrame({"rooms": [0.0, 0.0]})
    with pytest.raises(SystemExit, match="column rooms: all weights in train are 0"):
        sample_weights(rows, weighted(params_for("regression")), "train")


def test_the_prior_has_no_weights_since_the_scores_have_none():
    params, table = params_for("classification"), table_for("classification")
    table["rooms"] = np.where(table["price"] == "class 1", 100, 1)
    prior = fit_prior(weighted(params), table)
    assert prior.predict_proba(table[["size"]].assign(**table[features(table, params.data)]))[0, 1] == 0.5


def test_rows_without_any_value_of_a_feature_are_one_line():
    params, table = params_for("regression"), table_for("regression")[["id", "empty", "price"]]
    with pytest.raises(SystemExit, match="no feature has a value in a random half of train; see split"):
        fit(params.train, params.data, table, seed=1, part="a random half of train")


def test_an_estimator_that_takes_no_weights_is_one_line():
    params = params_for("regression", "sklearn.neighbors.KNeighborsRegressor")
    with pytest.raises(SystemExit, match=r"data\.weight: KNeighborsRegressor takes no weights"):
        fit(params.train, weighted(params), TABLE.assign(rooms=1), seed=1)
