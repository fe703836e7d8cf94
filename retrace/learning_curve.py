"""The loss of a fitted model after more and more iterations, written by DVCLive."""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dvclive import Live
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.pipeline import Pipeline

from retrace.estimators import IntegerClasses
from retrace.examples import Target, features
from retrace.files import significant
from retrace.params import Data

POINTS = 30  # of a curve, at most

Curve = dict[int, float]


def learning_curve(model: Pipeline, chunks: Iterable[pd.DataFrame], data: Data, target: Target) -> Curve:
    """The loss after more and more iterations: the log loss, or the RMSE of a regression.

    Args:
        model: a fitted pipeline.
        chunks: rows of the prepared table, some at a time.
        data: the columns' roles.
        target: what is predicted.

    Returns:
        The loss by the number of iterations.
    """
    loss = partial(log_loss, labels=range(len(target.classes))) if target.classes else mean_squared_error
    count, sums = 0, Counter[int]()
    for rows in chunks:
        count += len(rows)
        truth, encoded = target.truth(rows[data.target]), model[:-1].transform(rows[features(rows, data)])
        for iteration, predictions in staged_predictions(model[-1], encoded):
            arranged = target.arrange(model[-1].classes_.tolist(), predictions) if target.classes else predictions
            sums[iteration] += len(rows) * loss(truth, arranged)
    means = {iteration: total / count for iteration, total in sums.items()}
    return {number: float(significant(mean if target.classes else np.sqrt(mean))) for number, mean in means.items()}


def write_curves(curves: dict[str, Curve], folder: Path) -> None:
    """Write what `learning_curve` returns for each part, by its name, with DVCLive."""
    with Live(str(folder), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        for iteration in curves["train"]:
            live.step = iteration
            for part, curve in curves.items():
                live.log_metric(f"{part}/loss", curve[iteration])


def staged_predictions(estimator: Any, encoded: Any) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """The predictions of a boosting model after more and more iterations; of any other estimator, only the last ones.

    Args:
        estimator: a fitted estimator of scikit-learn's histogram boosting, LightGBM or XGBoost, or another one.
        encoded: the preprocessed features.

    Yields:
        The number of iterations, and the probabilities, shape (rows, classes), or the numbers, shape (rows,).
    """
    if isinstance(estimator, IntegerClasses):
        estimator = estimator.estimator_
    classifies = is_classifier(estimator)
    predict = estimator.predict_proba if classifies else estimator.predict
    library = type(estimator).__module__.partition(".")[0]
    if hasattr(estimator, "staged_predict") and hasattr(estimator, "_bin_mapper"):
        at = _evenly_spaced(estimator.n_iter_)
        staged = estimator.staged_predict_proba if classifies else estimator.staged_predict
        for iteration, predictions in enumerate(staged(encoded), start=1):
            if iteration in at:
                yield iteration, predictions
    elif library == "lightgbm":
        for iteration in _evenly_spaced(estimator.n_iter_):
            yield iteration, predict(encoded, num_iteration=iteration)
    elif library == "xgboost" and hasattr(estimator, "get_booster"):
        for iteration in _evenly_spaced(estimator.get_booster().num_boosted_rounds()):
            yield iteration, predict(encoded, iteration_range=(0, iteration))
    else:
        yield 1, predict(encoded)


def _evenly_spaced(iterations: int) -> list[int]:
    """At most POINTS of the iterations 1 to `iterations`, evenly spaced, in ascending order."""
    return sorted(set(np.linspace(1, iterations, POINTS).round().astype(int).tolist()))
