"""Fit the model and its baselines, and measure how much training varies by chance.

    python -m src.stages.train

The training rows are used for three things. If they don't fit into `train.memory`, a sample of them takes their place
(retrace/sampling.py).

- the model: preprocessing and an estimator, as src/model.py builds them;
- two baselines, which any model should beat: the prior, which predicts the share of each class (or the mean) for every
  row, and a linear model;
- the refits: the model fitted again, on random halves of the training rows. The seed grows by one with each of them.

The fits don't depend on each other, so they run side by side (retrace/side_by_side.py). Only this process reads the
validation rows, some at a time.

Only the refits' predictions for `valid` are kept. The spread of their scores estimates how far the model's score would
move if it was trained on other rows of the same kind (Politis and Romano, 1994; docs/review.md has the details).

The validation rows are used for predictions and for the learning curve. No choice depends on them.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import delayed
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.pipeline import Pipeline

from retrace.errors import one_line
from retrace.estimators import fit_model, require_enough_rows
from retrace.examples import Target, features, labels, sample_weights
from retrace.files import significant, write_bytes
from retrace.git import require_commit
from retrace.learning_curve import Curve, learning_curve, write_curves
from retrace.models import model_content
from retrace.params import Data, Params, Train, read_params
from retrace.predictions import predict, read_features
from retrace.resamples import half
from retrace.sampling import read_training_rows
from retrace.side_by_side import run_calls
from retrace.table_files import read_column, row_count, write_table
from src.model import build, fit_arguments, promises_same_bytes

FEWEST_ROWS_SIDE_BY_SIDE = 30_000  # with fewer, the fits take less time than starting further processes
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
    model = Pipeline([("preprocessing", "passthrough"), ("estimator", prior)])
    return fit_model(model, table, labels(rows[data.target]), {}, "baseline prior")


def fit_linear(settings: Train, data: Data, rows: pd.DataFrame) -> Pipeline:
    """The baseline that is a linear model with default settings."""
    table = rows[features(rows, data)]
    linear = settings.model_copy(update={"model": LINEAR[data.task], "arguments": {}})
    model = build(linear, data.task, table, settings.seed)
    weights = sample_weights(rows, data, "train")
    return fit_model(model, table, labels(rows[data.target]), weights, "baseline linear")


class Refit(NamedTuple):
    """What is kept of a model that was fitted on a random half of train.

    Attributes:
        predictions: for the validation rows, shape (rows, classes), or (rows, 1) without or with two classes.
        units: how many independent units train has.
        drawn: how many of these are in the half.
    """

    predictions: NDArray[np.float64]
    units: int
    drawn: int


def refit(params: Params, train: pd.DataFrame, draw: int) -> tuple[Pipeline, int, int]:
    """Fit the model on a random half of `train`.

    A half is drawn from units that are independent of each other: single rows, whole groups or whole blocks of time.

    Args:
        params: the project's parameters.
        train: the rows that a half is drawn from.
        draw: the number of the half, from 0. The seed of the fit grows by one with it.

    Returns:
        The model, how many independent units train has, and how many of these are in the half.

    Raises:
        UserError: there are too few rows for each class to be in a random half.
    """
    drawn = half(train, params.data, draw)
    model = fit(params.train, params.data, train[drawn.rows], params.train.seed + draw, "a random half of train")
    return model, drawn.units, drawn.drawn


def table_of(refits: Sequence[Refit], ids: pd.Series, fitted: int, of: int) -> pd.DataFrame:
    """The content of refits.parquet.

    Args:
        refits: in the order of their draws.
        ids: of the validation rows.
        fitted: how many rows the model is fitted on.
        of: how many rows train has.

    Returns:
        The ids, and a column of predictions for each refit and class, named REFIT.CLASS. Two numbers are in `attrs`:
        how many units the training rows have, and how many a `half` has. If the rows are a `sample`, its number of
        rows and that of train are there, too.
    """
    columns = {ids.name: ids}
    for draw, made in enumerate(refits):
        for code, values in enumerate(made.predictions.T):
            columns[f"{draw}.{code}"] = pd.Series(values)
    table = pd.DataFrame(columns)
    table.attrs = {"train": refits[-1].units, "half": refits[-1].drawn}
    if fitted < of:
        table.attrs["sample"] = {"rows": fitted, "of": of}
    return table


def model_and_curve(params: Params, train: pd.DataFrame, target: Target) -> tuple[Pipeline, bytes, Curve]:
    """Fit the model on all training rows: the model, the content of its file, and its learning curve on these rows."""
    model = fit(params.train, params.data, train, params.train.seed)
    return model, model_content(model, "models/model.skops"), learning_curve(model, [train], params.data, target)


def prior_content(params: Params, train: pd.DataFrame) -> bytes:
    """Fit the baseline `prior`: the content of its file."""
    return model_content(fit_prior(params.data, train), "models/prior.skops")


def linear_content(params: Params, train: pd.DataFrame) -> bytes:
    """Fit the linear baseline: the content of its file."""
    return model_content(fit_linear(params.train, params.data, train), "models/linear.skops")


def print_what_is_fitted(params: Params, train: pd.DataFrame, of: int) -> None:
    """Print the estimator, on how many rows and features it's fitted, and the features that are left out.

    Args:
        params: the project's parameters.
        train: the rows that it's fitted on.
        of: how many rows train has, of which these may be a sample.
    """
    names = features(train, params.data)
    rows = f"{len(train):,} rows" if len(train) == of else f"{len(train):,} of {of:,} rows (train.memory)"
    print(f"{params.train.model}, on {rows} and {len(names)} features", flush=True)
    if not promises_same_bytes(params.train):
        print(f"the same bytes are not promised for {params.train.model} with these arguments", flush=True)
    for name in names:
        if train[name].isna().all():
            print(one_line(f"column {name} has no value in train: left out"))


def main() -> None:
    params = read_params()
    require_commit()
    data, folder = params.data, Path("models")
    train_file = Path("data/split/train.parquet")
    train, count = read_training_rows(train_file, params), row_count(train_file)
    valid = Path("data/split/valid.parquet")
    target = Target.of(train[data.target], data)
    print_what_is_fitted(params, train, count)

    # The longest fit comes first, so that the other ones run beside it.
    calls = [
        delayed(model_and_curve)(params, train, target),
        delayed(linear_content)(params, train),
        delayed(prior_content)(params, train),
        *(delayed(refit)(params, train, draw) for draw in range(params.train.refits)),
    ]
    with closing(run_calls(calls, here=len(train) < FEWEST_ROWS_SIDE_BY_SIDE)) as results:
        model, content, curve = next(results)
        print("the model is fitted", flush=True)
        write_bytes(content, folder / "model.skops")
        valid_curve = learning_curve(model, read_features(valid, data, data.target), data, target)
        write_curves({"train": curve, "valid": valid_curve}, Path("metrics/learning"))
        for name in ("linear", "prior"):
            write_bytes(next(results), folder / f"{name}.skops")
            print(f"baseline: {name}", flush=True)
        refits = []
        for draw, (model, units, drawn) in enumerate(results, start=1):
            print(f"refit {draw} of {params.train.refits}, on half of the rows", flush=True)
            predictions = significant(predict(model, valid, data, target))
            refits.append(Refit(predictions.reshape(len(predictions), -1), units, drawn))
    ids = read_column([valid], data.id_column)
    write_table(table_of(refits, ids, len(train), count), folder / "refits.parquet")


if __name__ == "__main__":
    main()
