"""Fit the model and its baselines, and measure how much training varies by chance.

    python -m src.stages.train

The training rows are used for three things:

- the model: preprocessing and an estimator, as src/model.py builds them;
- two baselines, which any model should beat: the prior, which predicts the share of each class (or the mean) for every
  row, and a linear model;
- the refits: the model fitted again, on random halves of the training rows. The seed grows by one with each of them.

Only the refits' predictions for `valid` are kept. The spread of their scores estimates how far the model's score would
move if it was trained on other rows of the same kind (Politis and Romano, 1994; docs/review.md has the details).

The validation rows are used for predictions and for the learning curve. No choice depends on them.
"""

from pathlib import Path

import pandas as pd
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.pipeline import Pipeline

from retrace.errors import one_line
from retrace.estimators import fit_model, require_enough_rows
from retrace.examples import Target, features, labels, sample_weights
from retrace.files import read_table, significant, write_table
from retrace.git import require_commit
from retrace.learning_curve import record_curve
from retrace.models import save_model
from retrace.params import Data, Params, Train, read_params
from retrace.resamples import half
from src.model import build, columns_by_kind, fit_arguments, promises_same_bytes, tree_preprocessor

LINEAR = {"classification": "sklearn.linear_model.LogisticRegression", "regression": "sklearn.linear_model.Ridge"}


def fit(settings: Train, data: Data, rows: pd.DataFrame, seed: int, part: str = "train") -> Pipeline:
    """Fit the project's model.

    Args:
        settings: the estimator and its arguments, from the section `train` of params.yaml.
        data: which columns are the target and the features.
        rows: the rows to fit on.
        seed: the estimator's `random_state`.
        part: what error messages call these rows.

    Raises:
        UserError: the rows are too few, have no feature or no weight, or the estimator or an argument is refused.
    """
    require_enough_rows(settings, data, rows, part)
    table = rows[features(rows, data)]
    model = build(settings, data.task, table, seed)
    arguments = fit_arguments(settings, model) | sample_weights(rows, data, part)
    return fit_model(model, table, labels(rows[data.target]), arguments)


def fit_prior(data: Data, rows: pd.DataFrame) -> Pipeline:
    """The baseline that predicts the share of each class, or the mean, for every row.

    It's fitted without the rows' weights, because the scores are computed without weights, too.
    """
    table = rows[features(rows, data)]
    prior = DummyClassifier() if data.task == "classification" else DummyRegressor()
    model = Pipeline([("preprocessing", tree_preprocessor(*columns_by_kind(table))), ("estimator", prior)])
    return fit_model(model, table, labels(rows[data.target]), {}, "baseline prior")


def fit_linear(settings: Train, data: Data, rows: pd.DataFrame) -> Pipeline:
    """The baseline that is a linear model with default settings."""
    table = rows[features(rows, data)]
    linear = settings.model_copy(update={"model": LINEAR[data.task], "arguments": {}})
    model = build(linear, data.task, table, settings.seed)
    weights = sample_weights(rows, data, "train")
    return fit_model(model, table, labels(rows[data.target]), weights, "baseline linear")


def refit(params: Params, train: pd.DataFrame, valid: pd.DataFrame, target: Target) -> pd.DataFrame:
    """Fit the model on random halves of `train`, and predict for `valid`.

    A half is drawn from units that are independent of each other: single rows, whole groups or whole blocks of time.

    Returns:
        The ids of the validation rows, and a column of predictions for each refit and class, named REFIT.CLASS. Two
        numbers are in `attrs`: how many units `train` has, and how many a `half` has.

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


def print_what_is_fitted(params: Params, train: pd.DataFrame) -> None:
    """Print the estimator, how many rows and features it's fitted on, and the features that are left out."""
    names = features(train, params.data)
    print(f"{params.train.model}, on {len(train):,} rows and {len(names)} features", flush=True)
    if not promises_same_bytes(params.train):
        print(f"the same bytes are not promised for {params.train.model} with these arguments", flush=True)
    for name in names:
        if train[name].isna().all():
            print(one_line(f"column {name} has no value in train: left out"))


def main() -> None:
    params = read_params()
    require_commit()
    data, folder = params.data, Path("models")
    train = read_table(Path("data/split/train.parquet"))
    valid = read_table(Path("data/split/valid.parquet"))
    target = Target.of(train[data.target], data)
    print_what_is_fitted(params, train)

    model = fit(params.train, data, train, params.train.seed)
    record_curve(model, {"train": train, "valid": valid}, data, target, Path("metrics/learning"))
    save_model(model, folder / "model.skops")

    print("baseline: prior", flush=True)
    save_model(fit_prior(data, train), folder / "prior.skops")
    print("baseline: linear", flush=True)
    save_model(fit_linear(params.train, data, train), folder / "linear.skops")

    write_table(refit(params, train, valid, target), folder / "refits.parquet")


if __name__ == "__main__":
    main()
