"""The model, its baselines, and how much the model varies with the training rows and by chance.

    python -m src.stages.train

Fits the model of src/model.py on `train`, and two baselines: the prior (the shares of the classes, or the mean) and a
linear model. Then fits the model again on random halves of the training rows and keeps what each of these refits
predicts for `valid`. Two commits with the same rows are compared refit by refit. The scores of models fitted on random
halves, drawn without replacement, vary about as much as those of models fitted on new full-size training sets would
(Politis and Romano, 1994), so the refits show the variation of training.

The validation rows are used only for predictions and for the learning curve: no early stopping, model selection or
tuning uses them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.pipeline import Pipeline

from retrace.errors import UserError, one_line
from retrace.estimators import fit_model
from retrace.examples import Target, features
from retrace.files import read_table, significant, write_table
from retrace.git import require_commit
from retrace.learning_curve import record_curve
from retrace.models import save_model
from retrace.params import Data, Params, Train, read_params
from retrace.resamples import half
from src.model import build, columns_by_kind, fit_arguments, promises_same_bytes, tree_preprocessor

LINEAR = {"classification": "sklearn.linear_model.LogisticRegression", "regression": "sklearn.linear_model.Ridge"}


def labels(column: pd.Series) -> NDArray[Any]:
    """A column of targets as scikit-learn takes it: an array of numbers, booleans or text, shape (rows,)."""
    return np.asarray(column.tolist())


def weights(rows: pd.DataFrame, data: Data, part: str) -> dict[str, NDArray[np.float64]]:
    """The rows' weights as an argument of an estimator's `fit`; empty if `data.weight` names no column.

    Raises:
        UserError: all weights are 0.
    """
    if data.weight is None:
        return {}
    values = rows[data.weight].to_numpy(float)
    if not values.any():
        raise UserError(f"column {data.weight}: all weights in {part} are 0; name another column in data.weight")
    return {"sample_weight": values}


def fit(train: Train, data: Data, rows: pd.DataFrame, seed: int, part: str = "train") -> Pipeline:
    """Fit the estimator that `train` names on rows of the prepared table; `part` is what an error calls these rows.

    Raises:
        UserError: no feature has a value in these rows, the estimator or its arguments are refused, `early_stopping`
            has too few rows of a class to hold some out, or `min_samples_leaf` allows no split.
    """
    table, target = rows[features(rows, data)], labels(rows[data.target])
    if table.isna().all(axis=None):
        raise UserError(f"split: no feature has a value in {part}; see split in params.yaml")
    leaf = train.arguments.get("min_samples_leaf")
    if isinstance(leaf, int) and 2 * leaf > len(rows):
        keys = "params.yaml: train.arguments.min_samples_leaf"
        raise UserError(f"{keys}: {leaf} allows no split of the {len(rows):,} rows in {part}")
    stops = data.task == "classification" and train.arguments.get("early_stopping") is True
    if stops and np.unique(target, return_counts=True)[1].min() < 2:
        raise UserError(f"params.yaml: train.arguments.early_stopping: a class has one row in {part}; make it false")
    model = build(train, data.task, table, seed)
    return fit_model(model, table, target, fit_arguments(train, model) | weights(rows, data, part))


def fit_baselines(train: Train, data: Data, rows: pd.DataFrame) -> Iterator[tuple[str, Pipeline]]:
    """What any model should be better than: the prior, and a linear model with default settings.

    The prior is the shares of the classes, or the mean. It has no weights, because the scores have none, and it decides
    which constant action is the cheaper one.
    """
    table, target = rows[features(rows, data)], labels(rows[data.target])
    prior = DummyClassifier() if data.task == "classification" else DummyRegressor()
    model = Pipeline([("preprocessing", tree_preprocessor(*columns_by_kind(table))), ("estimator", prior)])
    yield "prior", fit_model(model, table, target, {}, "baseline prior")
    linear = train.model_copy(update={"model": LINEAR[data.task], "arguments": {}})
    model = build(linear, data.task, table, train.seed)
    yield "linear", fit_model(model, table, target, weights(rows, data, "train"), "baseline linear")


def refit(params: Params, train: pd.DataFrame, valid: pd.DataFrame, target: Target) -> pd.DataFrame:
    """The predictions for `valid` of models fitted on random halves of `train`.

    Returns:
        The ids, and a column for each refit (and class). Its `attrs` hold the number of independent units (rows,
        groups or blocks of time) in `train` and in each `half`.

    Raises:
        UserError: there are too few rows for each class to be in a random half.
    """
    data = params.data
    columns = {data.id_column: valid[data.id_column]}
    for draw in range(params.train.refits):
        print(f"refit {draw + 1} of {params.train.refits}, on half of the rows", flush=True)
        drawn = half(train, data, draw)
        model = fit(params.train, data, train[drawn.rows], params.train.seed + draw, "a random half of train")
        predictions = target.predict(model, valid[features(train, data)]).reshape(len(valid), -1)
        for code, values in enumerate(predictions.T):
            columns[f"{draw}.{code}"] = pd.Series(significant(values))
    refits = pd.DataFrame(columns)
    refits.attrs = {"train": drawn.units, "half": drawn.drawn}
    return refits


def main() -> None:
    params = read_params()
    require_commit()
    data, folder = params.data, Path("models")
    parts = {part: read_table(Path(f"data/split/{part}.parquet")) for part in ("train", "valid")}
    train, valid = parts["train"], parts["valid"]
    target, names = Target.of(train[data.target], data), features(train, data)
    print(f"{params.train.model}, on {len(train):,} rows and {len(names)} features", flush=True)
    if not promises_same_bytes(params.train):
        print(f"the same bytes are not promised for {params.train.model} with these arguments", flush=True)
    for name in names:
        if train[name].isna().all():
            print(one_line(f"column {name} has no value in train: left out"))
    model = fit(params.train, data, train, params.train.seed)
    record_curve(model, parts, data, target, Path("metrics/learning"))
    save_model(model, folder / "model.skops")
    for name, baseline in fit_baselines(params.train, data, train):
        print(f"baseline: {name}", flush=True)
        save_model(baseline, folder / f"{name}.skops")
    write_table(refit(params, train, valid, target), folder / "refits.parquet")


if __name__ == "__main__":
    main()
