"""What computes each metric: a class that prepares predictions once and then scores them with any weights of the rows.

The same predictions are scored on many resamples of the same rows. `__init__` takes the truth and the predictions, and
does once what doesn't depend on the resample, above all sorting. `score` takes how often each row is in a resample (its
weight, as scikit-learn's `sample_weight`), and returns the score. Tests compare each metric with scikit-learn's
function. A score that isn't defined, such as the ROC AUC of rows of one class, is NaN.

Shapes, by kind of problem:

- two classes: truth (rows,) of bool; predictions (rows,), the probability of the positive class;
- multiclass: truth (rows,) of codes from 0 to classes - 1; predictions (rows, classes), the probability of each class;
- regression: truth (rows,) and predictions (rows,) in the target's unit.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrace.examples import equal_bins
from retrace.params import Costs

Array = NDArray[np.float64]
Weights = NDArray[np.integer]

ROWS_COUNTED_AT_ONCE = 100_000  # of a ranking, which limits the memory


class Scorer(ABC):
    """Predictions for some rows, to be scored with any weights of these rows."""

    @abstractmethod
    def score(self, weights: Weights) -> float:
        """The score when each row counts as often as its weight says.

        Args:
            weights: shape (rows,).
        """


def ratio(numerator: float, denominator: float) -> float:
    """The quotient of two numbers; NaN where the denominator is 0."""
    return float(numerator / denominator) if denominator else math.nan


class MeanOfRows(Scorer):
    """The weighted mean of a number for each row, such as its loss."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values

    def score(self, weights: Weights) -> float:
        return ratio((weights * self.values).sum(), weights.sum())


class Ranking:
    """Rows from the highest prediction to the lowest; rows with equal predictions have the same rank."""

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        self.truth = truth
        self.order = np.argsort(-predictions, kind="stable").astype(np.int32)
        ordered = predictions[self.order]
        self.last_of_rank = np.append(ordered[1:] != ordered[:-1], True)

    def counts(self, weights: Weights) -> Iterator[NDArray[np.int64]]:
        """How many positives, and how many rows, have a rank or a higher one, for some ranks at a time.

        Yields:
            Shape (2, 1 + ranks). The first column is about the ranks before, so it's 0 at first, and then the last
            column that was yielded.
        """
        counted, above = np.zeros((2, 1), dtype=np.int64), np.zeros((2, 1), dtype=np.int64)
        for start in range(0, len(self.order), ROWS_COUNTED_AT_ONCE):
            part = slice(start, start + ROWS_COUNTED_AT_ONCE)
            rows, last_of_rank = self.order[part], self.last_of_rank[part]
            drawn = weights[rows]
            cumulated = counted + np.cumsum([drawn * self.truth[rows], drawn], axis=1, dtype=np.int64)
            found = np.append(above, cumulated[:, last_of_rank], axis=1)
            yield found
            counted, above = cumulated[:, -1:], found[:, -1:]


class RocAuc(Scorer):
    """The probability that a positive ranks above a negative (Hanley and McNeil, 1982)."""

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        self.ranking = Ranking(truth, predictions)

    def score(self, weights: Weights) -> float:
        twice_area = 0
        for positives, rows in self.ranking.counts(weights):
            negatives = rows - positives
            twice_area += int((np.diff(negatives) * (positives[1:] + positives[:-1])).sum())
        return ratio(twice_area / 2, float(positives[-1]) * float(negatives[-1]))


class AveragePrecision(Scorer):
    """The mean of the precisions at the ranks where recall increases, weighted by the increase."""

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        self.ranking = Ranking(truth, predictions)

    def score(self, weights: Weights) -> float:
        total = 0.0
        for positives, rows in self.ranking.counts(weights):
            total += (np.diff(positives) * positives[1:] / np.maximum(rows[1:], 1)).sum()
        return ratio(total, positives[-1])


class LogLoss(MeanOfRows):
    """The mean of minus the logarithm of the probability that was given to the true class."""

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        if predictions.ndim == 1:
            given = np.where(truth, predictions, 1 - predictions) / (1 - predictions + predictions)
        else:
            given = predictions[np.arange(len(predictions)), truth.astype(np.intp)] / predictions.sum(axis=1)
        epsilon = np.finfo(float).eps
        super().__init__(-np.log(np.clip(given, epsilon, 1 - epsilon)))


class Brier(MeanOfRows):
    """The mean squared error of the probability of the positive class, or the sum of it over classes (Brier, 1950)."""

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        if predictions.ndim == 1:
            super().__init__((predictions - truth) ** 2)
        else:
            true_classes = np.eye(predictions.shape[1])[truth.astype(np.intp)]
            super().__init__(((predictions - true_classes) ** 2).sum(axis=1))


class CalibrationError(Scorer):
    """The mean difference between the share of positives and their mean probability, over ten bins of equal count.

    It's biased upwards, the more so the fewer the rows (Roelofs and others, 2022): it isn't judged.
    """

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        self.bins = equal_bins(predictions)
        self.bin_count = self.bins.max() + 1
        self.residuals = truth - predictions

    def score(self, weights: Weights) -> float:
        sums = np.bincount(self.bins, weights * self.residuals, minlength=self.bin_count)
        return ratio(np.abs(sums).sum(), weights.sum())


class Cost(MeanOfRows):
    """The mean cost of a row, when the positive class is acted on from the threshold that the costs imply."""

    def __init__(self, truth: NDArray[Any], predictions: Array, costs: Costs) -> None:
        acted = predictions >= costs.threshold
        super().__init__(np.where(truth, ~acted * costs.false_negative, acted * costs.false_positive))


class Accuracy(MeanOfRows):
    """The share of rows whose most probable class is the true one."""

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        super().__init__(predictions.argmax(axis=1) == truth)


class ClassCounts:
    """Counts for each class: of its rows, of the rows predicted to be of it, and of those that are both."""

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        self.truth = truth.astype(np.intp)
        self.predicted = predictions.argmax(axis=1)
        self.correct = self.predicted == self.truth
        self.classes = predictions.shape[1]

    def correct_rows(self, weights: Weights) -> NDArray[Any]:
        """Rows of a class that are predicted to be of it, shape (classes,)."""
        return np.bincount(self.truth, weights * self.correct, minlength=self.classes)

    def true_rows(self, weights: Weights) -> NDArray[Any]:
        """Rows of a class, shape (classes,)."""
        return np.bincount(self.truth, weights, minlength=self.classes)

    def predicted_rows(self, weights: Weights) -> NDArray[Any]:
        """Rows that are predicted to be of a class, shape (classes,)."""
        return np.bincount(self.predicted, weights, minlength=self.classes)


def mean_ratio(numerators: NDArray[Any], denominators: NDArray[Any]) -> float:
    """The mean of the ratios whose denominator isn't 0; NaN where there is none."""
    defined = denominators > 0
    return float((numerators[defined] / denominators[defined]).mean()) if defined.any() else math.nan


class BalancedAccuracy(Scorer):
    """The mean recall of the classes."""

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        self.counts = ClassCounts(truth, predictions)

    def score(self, weights: Weights) -> float:
        return mean_ratio(self.counts.correct_rows(weights), self.counts.true_rows(weights))


class F1Macro(Scorer):
    """The mean over the classes of F1, the harmonic mean of precision and recall."""

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        self.counts = ClassCounts(truth, predictions)

    def score(self, weights: Weights) -> float:
        true_and_predicted = self.counts.true_rows(weights) + self.counts.predicted_rows(weights)
        return mean_ratio(2 * self.counts.correct_rows(weights), true_and_predicted)


class RocAucMacro(Scorer):
    """The mean over the classes of the ROC AUC of one class against the others."""

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        self.one_against_rest = [RocAuc(truth == code, predictions[:, code]) for code in range(predictions.shape[1])]

    def score(self, weights: Weights) -> float:
        values = np.array([scorer.score(weights) for scorer in self.one_against_rest])
        defined = values[~np.isnan(values)]
        return float(defined.mean()) if len(defined) else math.nan


class Mae(MeanOfRows):
    """The mean absolute error, in the target's unit."""

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        super().__init__(np.abs(truth - predictions))


class Rmse(MeanOfRows):
    """The root of the mean squared error, in the target's unit."""

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        super().__init__((truth - predictions) ** 2)

    def score(self, weights: Weights) -> float:
        return float(np.sqrt(super().score(weights)))


class R2(Scorer):
    """The share of the target's variance that the predictions explain: 0 for its mean, negative if worse than that."""

    def __init__(self, truth: NDArray[Any], predictions: Array) -> None:
        self.truth = truth.astype(float)
        self.squared_errors = (truth - predictions) ** 2

    def score(self, weights: Weights) -> float:
        drawn = self.truth[weights > 0]
        if len(drawn) == 0 or np.ptp(drawn) == 0:
            return math.nan
        mean = (weights * self.truth).sum() / weights.sum()
        total_variation = (weights * (self.truth - mean) ** 2).sum()
        return 1 - ratio((weights * self.squared_errors).sum(), total_variation)
