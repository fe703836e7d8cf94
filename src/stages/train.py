"""Fit the model and its baselines, and measure how much training varies by chance.

    python -m src.stages.train

The training rows are used for three things:

- the model: preprocessing and an estimator, as src/model.py builds them;
- two baselines, which any model should beat: the prior, which predicts the share of each class (or the mean) for every
  row, and a linear model;
- the refits: the model fitted again, each time on a random half of the training rows and with another seed.

Only the refits' predictions for `valid` are kept. The review scores them to find out how far the score of a model would
move if it was trained on other rows of the same kind. Models fitted on random halves, drawn without replacement, vary
about as much as models fitted on new training sets of full size would (Politis and Romano, 1994).

Nothing is chosen by the validation rows. They are used for predictions and for the learning curve.
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
from retrace.estimators import fit_model, require_enough_rows
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
    """The targets in a form that scikit-learn accepts: an array of numbers, booleans or text, shape (rows,)."""
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
    """Fit the project's model.

    Args:
        train: the estimator and its arguments.
        data: which column is the target, and which are features.
        rows: the rows to fit on, as `split` writes them.
        seed: the estimator's `random_state`.
        part: what an error calls these rows.

    Raises:
        UserError: no feature has a value in these rows, they are too few for an argument of the estimator, or the
            estimator or one of its arguments is refused.
    """
    table, target = rows[features(rows, data)], labels(rows[data.target])
    if table.isna().all(axis=None):
        raise UserError(f"split: no feature has a value in {part}; see split in params.yaml")
    require_enough_rows(train, data.task, target, part)
    model = build(train, data.task, table, seed)
    return fit_model(model, table, target, fit_arguments(train, model) | weights(rows, data, part))


def fit_baselines(train: Train, data: Data, rows: pd.DataFrame) -> Iterator[tuple[str, Pipeline]]:
    """The prior and the linear model, each with its name.

    Only the linear model uses the rows' weights. The prior must be the shares in the unweighted rows, because the
    scores are unweighted, and because evaluate chooses the cheaper constant action by it.
    """
    table, target = rows[features(rows, data)], labels(rows[data.target])
    prior = DummyClassifier() if data.task == "classification" else DummyRegressor()
    model = Pipeline([("preprocessing", tree_preprocessor(*columns_by_kind(table))), ("estimator", prior)])
    yield "prior", fit_model(model, table, target, {}, "baseline prior")
    linear = train.model_copy(update={"model": LINEAR[data.task], "arguments": {}})
    model = build(linear, data.task, table, train.seed)
    yield "linear", fit_model(model, table, target, weights(rows, data, "train"), "baseline linear")


def refit(params: Params, train: pd.DataFrame, valid: pd.DataFrame, target: Target) -> pd.DataFrame:
    """Fit the model on random halves of `train`, and predict for `valid`.

    A half is made of whole units. A unit is a row, or all rows of a group or of a block of time if those aren't
    independent of each other.

    Returns:
        The ids of the validation rows, and a column of predictions for each refit and class, named REFIT.CLASS. The
        number of units is in `attrs`: in all of `train`, and in a `half`.

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
