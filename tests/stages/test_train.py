"""Every model of the list takes every kind of column, and what is stored is settled."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from retrace.examples import Target, features
from retrace.models import load_model, save_model
from retrace.params import Params, read_params
from src.stages.train import MODELS, baselines, fit, labels, refits
from tests.conftest import BOOSTING, ROLES, ROOT

RNG = np.random.default_rng(0)
SIZE = RNG.normal(size=400)
TABLE = pd.DataFrame(
    {
        "id": [f"{n}" for n in range(400)],
        "size": SIZE,
        "gaps": np.where(RNG.random(400) < 0.3, np.nan, SIZE),
        "empty": np.nan,
        "rooms": RNG.integers(1, 6, 400),
        "sold": RNG.random(400) > 0.5,
        "city": pd.Series(RNG.choice(["Bern", "Basel", None], 400), dtype="str"),
        "street": [f"street {n % 390}" for n in range(400)],
        "price": SIZE * 3 + RNG.normal(size=400),
    }
)
ARGUMENTS: dict[str, dict[str, Any]] = {
    "HistGradientBoosting": BOOSTING,
    "RandomForest": {"n_estimators": 5, "max_depth": None, "min_samples_leaf": 1, "max_features": "sqrt"},
    "LogisticRegression": {"C": 1},
    "Ridge": {"alpha": 1},
}


def params_for(task: str, model: str) -> Params:
    content = read_params(ROOT / "params.yaml").model_dump()
    content["problem"]["costs"] = None
    metric = "r2" if task == "regression" else "log_loss"
    content["gate"] |= {"metric": metric, "baselines": ["prior"], "smallest_difference": {metric: 0.01}}
    content["data"] = ROLES | {"source": "x", "read": {}, "target": "price", "task": task, "id": "id"}
    content["split"] = {"by": "random", "valid": 0.2, "test": 0.2, "seed": 1}
    content["train"] = ARGUMENTS[model] | {"model": model, "seed": 1, "refits": 2}
    return TypeAdapter(Params).validate_python(content)


def table_for(task: str, classes: int = 2) -> pd.DataFrame:
    if task == "regression":
        return TABLE
    return TABLE.assign(price=pd.qcut(TABLE["price"], classes, labels=False).map("class {}".format).astype("str"))


CASES = [(task, model, classes) for task in MODELS for model in MODELS[task] for classes in (2, 3)]


@pytest.mark.parametrize(("task", "model", "classes"), CASES)
def test_a_model_takes_every_kind_of_column_and_values_never_seen(tmp_path, task: str, model: str, classes: int):
    params, table = params_for(task, model), table_for(task, classes)
    names = features(table, params.data)
    target = Target.of(table["price"], params.data)
    fitted = fit(params, table[names], labels(table["price"]), seed=1)
    strange = table.assign(city="Bonn", size=np.nan, empty=1.0)[names]
    assert np.isfinite(target.predict(fitted, strange)).all()
    save_model(fitted, tmp_path / "model.skops")
    again = load_model(tmp_path / "model.skops")
    np.testing.assert_array_equal(target.predict(again, table[names]), target.predict(fitted, table[names]))
    guess = target.predict(fitted, table[names])
    if target.kind == "more classes":
        assert (guess.argmax(axis=1) == target.truth(table["price"])).mean() > 0.6
    else:
        assert np.corrcoef(guess, target.truth(table["price"]))[0, 1] > 0.6


@pytest.mark.parametrize("task", list(MODELS))
def test_the_baselines_are_the_prior_and_a_linear_model(task: str):
    table = table_for(task)
    params = params_for(task, "HistGradientBoosting")
    names, target = features(table, params.data), Target.of(table["price"], params.data)
    found = dict(baselines(task, table[names], labels(table["price"])))
    prior = target.predict(found["prior"], table[names])
    assert prior == pytest.approx(target.truth(table["price"]).mean())
    assert np.corrcoef(target.predict(found["linear"], table[names]), target.truth(table["price"]))[0, 1] > 0.6


def test_linear_coefficients_are_rounded_to_six_digits():
    table = table_for("classification")
    params = params_for("classification", "LogisticRegression")
    coefficients = fit(params, table[features(table, params.data)], labels(table["price"]), seed=1)[-1].coef_.ravel()
    assert coefficients.tolist() == [float(f"{value:.6g}") for value in coefficients]


def test_refits_differ_and_do_not_depend_on_the_order_of_the_rows():
    table, params = table_for("classification"), params_for("classification", "HistGradientBoosting")
    train, valid, target = table[:300], table[300:].reset_index(drop=True), Target.of(table["price"], params.data)
    found = refits(params, train, valid, target)
    assert list(found.columns) == ["id", "0.0", "1.0"]
    assert (found["0.0"] != found["1.0"]).any()
    assert found.attrs == {"train": 300, "half": 150}
    shuffled = refits(params, train.sample(frac=1, random_state=0), valid, target)
    assert np.corrcoef(found["0.0"], shuffled["0.0"])[0, 1] > 0.99


def test_too_few_rows_of_a_class_is_one_line():
    table, params = table_for("classification"), params_for("classification", "HistGradientBoosting")
    rare = table.assign(price=np.where(np.arange(400) < 1, "a", "b"))
    early = params.model_copy(update={"train": params.train.model_copy(update={"early_stopping": True})})
    with pytest.raises(SystemExit, match="a class has one row in train; make it false"):
        fit(early, rare[features(rare, params.data)], labels(rare["price"]), seed=1)


def test_leaves_too_large_for_any_split_are_one_line():
    params, table = params_for("regression", "HistGradientBoosting"), table_for("regression")
    large = params.model_copy(update={"train": params.train.model_copy(update={"min_samples_leaf": 201})})
    with pytest.raises(SystemExit, match=r"train.min_samples_leaf: 201 allows no split of the 400 rows in train"):
        fit(large, table[features(table, params.data)], labels(table["price"]), seed=1)


def test_a_half_that_is_too_small_is_not_called_train():
    params, table = params_for("regression", "HistGradientBoosting"), table_for("regression")
    large = params.model_copy(update={"train": params.train.model_copy(update={"min_samples_leaf": 101})})
    with pytest.raises(SystemExit, match="101 allows no split of the 200 rows in a random half of train"):
        refits(large, table, table[:50], Target.of(table["price"], params.data))


def test_no_refit_gives_a_class_that_few_rows_have_the_probability_zero():
    table, params = table_for("classification", 3), params_for("classification", "RandomForest")
    table.loc[0, "price"] = "class 9"
    ten = params.model_copy(update={"train": params.train.model_copy(update={"refits": 10, "min_samples_leaf": 50})})
    found = refits(ten, table, table[:50], Target.of(table["price"], params.data))
    assert [name for name in found.columns if name.startswith("0.")] == ["0.0", "0.1", "0.2", "0.3"]
    assert all((found[f"{draw}.3"] > 0).any() for draw in range(10))
