"""Every metric, once: its name, which way is better, and its function.

Each function takes the truth and the predictions of the same rows and returns a function of the rows' weights, so
that what doesn't depend on the weights (sorting, above all) is done once for all resamples. A weight of 2 counts a
row twice, as scikit-learn's `sample_weight` does; the tests hold each one to scikit-learn's function.
A score that can't be had (no row of one class, say) is NaN.

Shapes: two classes: truth (n,) of bool, predictions (n,), the probability of the positive class;
more classes: truth (n,) of codes 0 to k-1, predictions (n, k); regression: both (n,).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.examples import Kind, equal_bins
from retrace.params import Costs

Array = NDArray[np.float64]
Weights = NDArray[np.integer]
Score = Callable[[Weights], float]


class Metric(NamedTuple):
    """Which way is better, the function, and the least and the most that it can be."""

    higher_is_better: bool
    on: Callable[[NDArray[Any], Array], Score]
    least: float = 0
    most: float = 1


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below else float("nan")


def _mean(losses: NDArray[Any]) -> Score:
    return lambda weights: _ratio((weights * losses).sum(), weights.sum())


def _ranked(truth: NDArray[Any], guess: Array) -> Callable[[Weights], tuple[NDArray[Any], NDArray[Any]]]:
    """From the highest prediction down, after each run of equal ones: the positives so far, and the rows so far."""
    order = np.argsort(-guess, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(guess[order])), len(guess) - 1)
    positive = truth[order].astype(np.int64)

    def count(weights: Weights) -> tuple[NDArray[Any], NDArray[Any]]:
        ranked = weights[order]
        return np.cumsum(ranked * positive)[ends], np.cumsum(ranked)[ends]

    return count


def roc_auc(truth: NDArray[Any], guess: Array) -> Score:
    """The chance that a positive ranks above a negative (Hanley and McNeil, 1982)."""
    count = _ranked(truth, guess)

    def score(weights: Weights) -> float:
        hits, rows = count(weights)
        false = rows - hits
        twice_area = (np.diff(false, prepend=0) * (hits + np.append(0, hits[:-1]))).sum()
        return _ratio(twice_area / 2, float(hits[-1]) * float(false[-1]))

    return score


def average_precision(truth: NDArray[Any], guess: Array) -> Score:
    """The mean precision over the recalls at which it changes."""
    count = _ranked(truth, guess)

    def score(weights: Weights) -> float:
        hits, rows = count(weights)
        return _ratio((np.diff(hits, prepend=0) * hits / np.maximum(rows, 1)).sum(), hits[-1])

    return score


def log_loss(truth: NDArray[Any], guess: Array) -> Score:
    """The mean of minus the log of the probability given to what happened; two classes or more."""
    if guess.ndim == 1:
        guess = np.column_stack([1 - guess, guess])
    given = guess[np.arange(len(guess)), truth.astype(np.intp)] / guess.sum(axis=1)
    epsilon = np.finfo(float).eps
    return _mean(-np.log(np.clip(given, epsilon, 1 - epsilon)))


def brier(truth: NDArray[Any], guess: Array) -> Score:
    """The mean squared error of the probabilities (Brier, 1950): of the positive class, or summed over the classes."""
    if guess.ndim == 1:
        return _mean((guess - truth) ** 2)
    return _mean(((guess - np.eye(guess.shape[1])[truth.astype(np.intp)]) ** 2).sum(axis=1))


def calibration_error(truth: NDArray[Any], guess: Array) -> Score:
    """How far the share of positives is from the probabilities, on average over ten bins of equal count.

    Biased upwards, the more so with few rows (Roelofs and others, 2022): it gets an interval, but no verdict.
    """
    bins = equal_bins(guess)
    count = bins.max() + 1

    def score(weights: Weights) -> float:
        gaps = np.bincount(bins, weights * (truth - guess), minlength=count)
        return _ratio(np.abs(gaps).sum(), weights.sum())

    return score


def cost(costs: Costs) -> Callable[[NDArray[Any], Array], Score]:
    """The mean cost of an example when the positive class is acted on from the threshold of `costs` on."""

    def on(truth: NDArray[Any], guess: Array) -> Score:
        acted = guess >= costs.threshold
        return _mean(np.where(truth, ~acted * costs.false_negative, acted * costs.false_positive))

    return on


def _counts(truth: NDArray[Any], guess: Array) -> Callable[[Weights], tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Of each class, by weight: rows guessed right, rows of it, rows guessed to be it."""
    best, classes = guess.argmax(axis=1), guess.shape[1]
    truth = truth.astype(np.intp)

    def count(weights: Weights) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        right = np.bincount(truth, weights * (best == truth), minlength=classes)
        return right, np.bincount(truth, weights, minlength=classes), np.bincount(best, weights, minlength=classes)

    return count


def _mean_over_classes(above: NDArray[Any], below: NDArray[Any]) -> float:
    there = below > 0
    return float((above[there] / below[there]).mean()) if there.any() else float("nan")


def accuracy(truth: NDArray[Any], guess: Array) -> Score:
    """The share of rows whose likeliest class is the true one."""
    return _mean(guess.argmax(axis=1) == truth)


def balanced_accuracy(truth: NDArray[Any], guess: Array) -> Score:
    """The mean over the classes of the share of a class's rows that are found."""
    count = _counts(truth, guess)

    def score(weights: Weights) -> float:
        right, there, _ = count(weights)
        return _mean_over_classes(right, there)

    return score


def f1_macro(truth: NDArray[Any], guess: Array) -> Score:
    """The mean over the classes of F1, the harmonic mean of precision and recall."""
    count = _counts(truth, guess)

    def score(weights: Weights) -> float:
        right, there, guessed = count(weights)
        return _mean_over_classes(2 * right, there + guessed)

    return score


def roc_auc_macro(truth: NDArray[Any], guess: Array) -> Score:
    """The mean over the classes of the ROC AUC of one class against the rest."""
    each = [roc_auc(truth == code, guess[:, code]) for code in range(guess.shape[1])]

    def score(weights: Weights) -> float:
        values = np.array([one(weights) for one in each])
        return float(values[~np.isnan(values)].mean()) if not np.isnan(values).all() else float("nan")

    return score


def rmse(truth: NDArray[Any], guess: Array) -> Score:
    """The root of the mean squared error, in the target's unit."""
    squared = _mean((truth - guess) ** 2)
    return lambda weights: float(np.sqrt(squared(weights)))


def mae(truth: NDArray[Any], guess: Array) -> Score:
    """The mean absolute error, in the target's unit."""
    return _mean(np.abs(truth - guess))


def r2(truth: NDArray[Any], guess: Array) -> Score:
    """The share of the target's variance that the predictions explain; 0 for its mean, negative for worse."""
    values, squared = truth.astype(float), (truth - guess) ** 2

    def score(weights: Weights) -> float:
        drawn = values[weights > 0]
        if len(drawn) == 0 or np.ptp(drawn) == 0:
            return float("nan")
        mean = (weights * values).sum() / weights.sum()
        return 1 - _ratio((weights * squared).sum(), (weights * (values - mean) ** 2).sum())

    return score


_METRICS: dict[Kind, dict[str, Metric]] = {
    "two classes": {
        "roc_auc": Metric(True, roc_auc),
        "average_precision": Metric(True, average_precision),
        "log_loss": Metric(False, log_loss, most=math.inf),
        "brier": Metric(False, brier),
        "calibration_error": Metric(False, calibration_error),
    },
    "more classes": {
        "accuracy": Metric(True, accuracy),
        "balanced_accuracy": Metric(True, balanced_accuracy),
        "f1_macro": Metric(True, f1_macro),
        "roc_auc_macro": Metric(True, roc_auc_macro),
        "log_loss": Metric(False, log_loss, most=math.inf),
        "brier": Metric(False, brier, most=2),
    },
    "regression": {
        "r2": Metric(True, r2, least=-math.inf),
        "rmse": Metric(False, rmse, most=math.inf),
        "mae": Metric(False, mae, most=math.inf),
    },
}


BASELINES = ("linear", "prior")
CONSTANT_ACTIONS = {"always": 1.0, "never": 0.0}  # acting on each example, or on none: the probability that says so
HIGHER_IS_BETTER = {"cost": False} | {
    name: metric.higher_is_better for metrics in _METRICS.values() for name, metric in metrics.items()
}


def metrics_of(kind: Kind, costs: Costs | None) -> dict[str, Metric]:
    """The metrics of a kind of problem, by name; two classes with known costs have `cost` as well."""
    return _METRICS[kind] | ({"cost": Metric(False, cost(costs), most=math.inf)} if costs else {})


def score_draws(
    metrics: Mapping[str, Metric],
    truth: NDArray[Any],
    guess: Array,
    draws: Iterable[Weights],
) -> pd.DataFrame:
    """The scores of each draw of the rows: a row for each metric, a column for each draw."""
    scores = {name: metric.on(truth, guess) for name, metric in metrics.items()}
    return pd.DataFrame([{name: score(weights) for name, score in scores.items()} for weights in draws]).T


def draws_table(rows: str, scores: Mapping[tuple[str, str, str], pd.DataFrame]) -> pd.DataFrame:
    """The scores of draws as one table: a line for each series, a column for each draw.

    Args:
        rows: the fingerprint of the rows that the draws are of.
        scores: what `score_draws` returns, by model and by the slice's column and value, both empty for the whole.

    Returns:
        Columns rows, model, column, value, metric, and the number of each draw.
    """
    table = pd.concat(scores, names=["model", "column", "value", "metric"]).reset_index()
    table.insert(0, "rows", rows)
    return table
