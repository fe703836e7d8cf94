"""The model, its baselines, and how much luck is in one fit.

    python -m src.stages.train

Fits on `train` what `train` in params.yaml names, and two baselines: the prior (the classes' shares, or the mean) and a
plain linear model. Then fits the model again on random halves of the training rows and keeps what each refit says of
`valid`: two commits with the same rows are compared refit by refit. A half drawn without replacement varies as much as
a whole training set does (Politis and Romano, 1994), so these refits say how much luck is in one fit.

`valid` is only predicted here, never learned from: nothing is stopped, chosen or tuned on it. With
`train.early_stopping` scikit-learn stops on a tenth of the training rows, which it draws by `train.seed`.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dvclive import Live
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from retrace.errors import UserError, one_line
from retrace.examples import Target, features, is_number
from retrace.files import read_table, significant, write_table
from retrace.git import require_commit
from retrace.models import save_model
from retrace.params import Data, Params, read_params
from retrace.resamples import half

MOST_CATEGORIES = 254  # of one column that boosting takes; the rarest share the last
CURVE_POINTS = 30
MODELS: dict[str, dict[str, type[BaseEstimator]]] = {
    "classification": {
        "HistGradientBoosting": HistGradientBoostingClassifier,
        "RandomForest": RandomForestClassifier,
        "LogisticRegression": LogisticRegression,
    },
    "regression": {
        "HistGradientBoosting": HistGradientBoostingRegressor,
        "RandomForest": RandomForestRegressor,
        "Ridge": Ridge,
    },
}


def columns_by_kind(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The features that are numbers and those that are categories; those with no value at all are left out."""
    there = [name for name in table.columns if table[name].notna().any()]
    numbers = [name for name in there if is_number(table[name])]
    return numbers, [name for name in there if name not in numbers]


def for_trees(table: pd.DataFrame) -> ColumnTransformer:
    """Categories as codes, rare ones together, unseen ones as missing; missing values stay missing."""
    numbers, categories = columns_by_kind(table)
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=MOST_CATEGORIES,
    )
    return ColumnTransformer([("numbers", "passthrough", numbers), ("categories", codes, categories)])


def for_lines(table: pd.DataFrame) -> ColumnTransformer:
    """Numbers scaled, with the median and a flag where missing; a column for each category, rare and unseen as one."""
    numbers, categories = columns_by_kind(table)
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    flags = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=100)
    return ColumnTransformer([("numbers", scaled, numbers), ("categories", flags, categories)], sparse_threshold=1)


def build(name: str, task: str, table: pd.DataFrame, arguments: dict[str, Any]) -> Pipeline:
    """An estimator of MODELS behind what it needs to take every kind of column."""
    estimator = MODELS[task][name](**arguments)
    if name == "HistGradientBoosting":
        numbers, categories = columns_by_kind(table)
        estimator.set_params(categorical_features=[False] * len(numbers) + [True] * len(categories))
    return make_pipeline(for_lines(table) if name in ("LogisticRegression", "Ridge") else for_trees(table), estimator)


def settle(model: Pipeline) -> Pipeline:
    """A fitted model without what differs from machine to machine: its threads, a linear model's last digits."""
    last = model[-1]
    if hasattr(last, "_bin_mapper"):
        last._bin_mapper.n_threads = 1
    if hasattr(last, "coef_"):
        last.coef_, last.intercept_ = significant(last.coef_), significant(last.intercept_)
    return model


def fit(params: Params, table: pd.DataFrame, target: NDArray[Any], seed: int, part: str = "train") -> Pipeline:
    """The model that `params.train` names; `part` is what an error calls the rows.

    Raises:
        UserError: `early_stopping` has too few rows of a class to hold some out, or `min_samples_leaf` allows no split.
    """
    rows, fewest = len(table), getattr(params.train, "min_samples_leaf", 0)
    if 2 * fewest > rows:
        raise UserError(f"params.yaml: train.min_samples_leaf: {fewest} allows no split of the {rows:,} rows in {part}")
    early = params.data.task == "classification" and getattr(params.train, "early_stopping", False)
    if early and np.unique(target, return_counts=True)[1].min() < 2:
        raise UserError(f"params.yaml: train.early_stopping: a class has one row in {part}; make it false")
    arguments = params.train.model_dump(exclude={"model", "seed", "refits"})
    if params.train.model == "LogisticRegression":
        arguments["solver"] = "newton-cholesky"  # converges to the same digits on every machine, as lbfgs doesn't
    if params.train.model != "Ridge":
        arguments["random_state"] = seed
    return settle(build(params.train.model, params.data.task, table, arguments).fit(table, target))


def baselines(task: str, table: pd.DataFrame, target: NDArray[Any]) -> Iterator[tuple[str, Pipeline]]:
    """What any model should beat: the prior, and a linear model with default settings."""
    prior = DummyClassifier() if task == "classification" else DummyRegressor()
    yield "prior", make_pipeline(for_trees(table), prior).fit(table, target)
    if task == "classification":
        linear = build("LogisticRegression", task, table, {"solver": "newton-cholesky"})
    else:
        linear = build("Ridge", task, table, {})
    yield "linear", settle(linear.fit(table, target))


def staged(model: Pipeline, table: pd.DataFrame, target: Target) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Iteration and predictions at CURVE_POINTS points of boosting; one point for a model without iterations."""
    last = model[-1]
    if not hasattr(last, "_bin_mapper"):
        yield 1, target.predict(model, table)
        return
    encoded = model[:-1].transform(table)
    points = set(np.linspace(1, last.n_iter_, CURVE_POINTS).round().astype(int).tolist())
    each = last.staged_predict_proba if target.classes else last.staged_predict
    for iteration, guess in enumerate(each(encoded), start=1):
        if iteration in points:
            yield iteration, target.arrange(last.classes_.tolist(), guess) if target.classes else guess


def record_curve(model: Pipeline, parts: dict[str, pd.DataFrame], data: Data, target: Target, folder: Path) -> None:
    """The loss on each part after more and more iterations, by DVCLive: log loss, or RMSE for regression."""
    loss = partial(log_loss, labels=range(len(target.classes))) if target.classes else root_mean_squared_error
    curves = {
        part: {
            iteration: loss(target.truth(table[data.target]), guess)
            for iteration, guess in staged(model, table[features(table, data)], target)
        }
        for part, table in parts.items()
    }
    with Live(str(folder), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        for iteration in curves["train"]:
            live.step = iteration
            for part, curve in curves.items():
                live.log_metric(f"{part}/loss", float(significant(curve[iteration])))


def refits(params: Params, train: pd.DataFrame, valid: pd.DataFrame, target: Target) -> pd.DataFrame:
    """What fits on random halves of `train` predict for `valid`: a column for each refit (and class) beside the ids.

    Its `attrs` count the units that are drawn from, in `train` and in a `half`.

    Raises:
        UserError: there are too few rows for each class to be in a random half.
    """
    data, names = params.data, features(train, params.data)
    columns = {data.id_column: valid[data.id_column]}
    for draw in range(params.train.refits):
        print(f"refit {draw + 1} of {params.train.refits}, on half of the rows", flush=True)
        drawn = half(train, data, draw)
        rows = train[drawn.rows]
        seed, part = params.train.seed + draw, "a random half of train"
        model = fit(params, rows[names], labels(rows[data.target]), seed, part)
        guess = target.predict(model, valid[names]).reshape(len(valid), -1)
        columns |= {f"{draw}.{code}": pd.Series(significant(values)) for code, values in enumerate(guess.T)}
    found = pd.DataFrame(columns)
    found.attrs = {"train": drawn.units, "half": drawn.drawn}
    return found


def labels(column: pd.Series) -> NDArray[Any]:
    """A column of targets as scikit-learn takes it: an array of numbers, truth values or text."""
    return np.asarray(column.tolist())


def main() -> None:
    params = read_params()
    require_commit()
    data = params.data
    parts = {part: read_table(Path(f"data/split/{part}.parquet")) for part in ("train", "valid")}
    train, valid = parts["train"], parts["valid"]
    target, names, models = Target.of(train[data.target], data), features(train, data), Path("models")
    print(f"{params.train.model}, on {len(train):,} rows and {len(names)} features", flush=True)
    empty = [name for name in names if train[name].isna().all()]
    for name in empty:
        print(one_line(f"column {name} has no value in train: left out"))
    if empty == names:
        raise UserError("split: no feature has a value in train; see split in params.yaml")
    model = fit(params, train[names], labels(train[data.target]), params.train.seed)
    record_curve(model, parts, data, target, Path("metrics/learning"))
    save_model(model, models / "model.skops")
    for name, baseline in baselines(data.task, train[names], labels(train[data.target])):
        print(f"baseline: {name}", flush=True)
        save_model(baseline, models / f"{name}.skops")
    write_table(refits(params, train, valid, target), models / "refits.parquet")


if __name__ == "__main__":
    main()
