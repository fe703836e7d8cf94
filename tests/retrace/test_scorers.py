"""Each metric is scikit-learn's, with weights that count rows; those that it lacks are checked by their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from retrace import scorers
from retrace.examples import Kind
from retrace.params import Costs
from retrace.scores import metrics_of

seeds = st.integers(0, 2**32 - 1)


def two_classes(seed: int):
    """Truth, probabilities (with ties) and weights, with each class present."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(5, 200)
    predictions = rng.random(rows).round(rng.integers(1, 6))
    truth = rng.random(rows) < predictions
    truth[:2] = [True, False]
    weights = rng.integers(0, 4, rows)
    weights[:2] = 1
    return truth, predictions, weights


def multiclass(seed: int):
    rng = np.random.default_rng(seed)
    rows, classes = rng.integers(20, 200), rng.integers(3, 6)
    predictions = rng.dirichlet(np.ones(classes), rows)
    truth = rng.integers(0, classes, rows)
    truth[:classes] = np.arange(classes)
    weights = rng.integers(0, 4, rows)
    weights[:classes] = 1
    return truth, predictions, weights


@given(seeds)
def test_two_classes_score_as_scikit_learn_scores_them(seed: int):
    truth, predictions, weights = two_classes(seed)
    clipped = np.clip(predictions, np.finfo(float).eps, 1 - np.finfo(float).eps)
    for ours, theirs in (
        (scorers.RocAuc, sk.roc_auc_score(truth, predictions, sample_weight=weights)),
        (scorers.AveragePrecision, sk.average_precision_score(truth, predictions, sample_weight=weights)),
        (scorers.LogLoss, sk.log_loss(truth, clipped, sample_weight=weights)),
        (scorers.Brier, sk.brier_score_loss(truth, predictions, sample_weight=weights)),
    ):
        assert ours(truth, predictions).score(weights) == pytest.approx(theirs, rel=1e-9), ours.__name__


@given(seeds)
def test_multiclass_scores_as_scikit_learn_scores_it(seed: int):
    truth, predictions, weights = multiclass(seed)
    best = predictions.argmax(axis=1)
    known = {"sample_weight": weights}
    one_against_rest = np.mean(
        [sk.roc_auc_score(truth == code, predictions[:, code], **known) for code in range(predictions.shape[1])]
    )
    for ours, theirs in (
        (scorers.Accuracy, sk.accuracy_score(truth, best, **known)),
        (scorers.BalancedAccuracy, sk.balanced_accuracy_score(truth, best, **known)),
        (scorers.F1Macro, sk.f1_score(truth, best, average="macro", **known)),
        (scorers.LogLoss, sk.log_loss(truth, predictions, **known)),
        (
            scorers.Brier,
            sk.brier_score_loss(truth, predictions, labels=range(predictions.shape[1]), scale_by_half=False, **known),
        ),
        (scorers.RocAucMacro, one_against_rest),
    ):
        assert ours(truth, predictions).score(weights) == pytest.approx(theirs, rel=1e-9), ours.__name__


@given(seeds)
def test_regression_scores_as_scikit_learn_scores_it(seed: int):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=50)
    predictions, weights = truth + rng.normal(size=50), rng.integers(0, 4, 50)
    weights[:2] = 1
    for ours, theirs in (
        (scorers.R2, sk.r2_score(truth, predictions, sample_weight=weights)),
        (scorers.Rmse, sk.root_mean_squared_error(truth, predictions, sample_weight=weights)),
        (scorers.Mae, sk.mean_absolute_error(truth, predictions, sample_weight=weights)),
    ):
        assert ours(truth, predictions).score(weights) == pytest.approx(theirs, rel=1e-9), ours.__name__


@given(seeds, st.sampled_from(["two classes", "multiclass", "regression"]))
def test_a_weight_counts_its_row_that_often(seed: int, kind: Kind):
    truth, predictions, weights = multiclass(seed) if kind == "multiclass" else two_classes(seed)
    costs = Costs(false_positive=1, false_negative=3) if kind == "two classes" else None
    often = np.repeat(np.arange(len(truth)), weights)
    for name, metric in metrics_of(kind, costs).items():
        if name == "calibration_error":  # its bins are those of all rows
            continue
        repeated = metric.scorer(truth[often], predictions[often]).score(np.ones(len(often), dtype=int))
        assert metric.scorer(truth, predictions).score(weights) == pytest.approx(repeated, rel=1e-9), name


@pytest.mark.parametrize("metric", [scorers.RocAuc, scorers.AveragePrecision])
def test_a_ranking_is_counted_some_rows_at_a_time(metric, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    predictions = rng.random(300).round(1)  # so that ranks are longer than what is counted at once
    truth, weights = rng.random(300) < predictions, rng.integers(0, 4, 300)
    expected = metric(truth, predictions).score(weights)
    for rows in (1, 7, 299):
        monkeypatch.setattr(scorers, "ROWS_COUNTED_AT_ONCE", rows)
        assert metric(truth, predictions).score(weights) == pytest.approx(expected, rel=1e-12)


def test_cost_is_what_the_mistakes_cost_at_the_threshold():
    costs = Costs(false_positive=1, false_negative=3)
    assert costs.threshold == 0.25
    truth, predictions = np.array([True, True, False, False]), np.array([0.25, 0.2, 0.3, 0.1])
    assert scorers.Cost(truth, predictions, costs).score(np.ones(4, dtype=int)) == (0 + 3 + 1 + 0) / 4


def test_the_threshold_is_the_cheapest_for_calibrated_probabilities():
    rng = np.random.default_rng(0)
    predictions = rng.random(200_000)
    truth, costs = rng.random(200_000) < predictions, Costs(false_positive=1, false_negative=3)
    losses = {
        at: ((predictions >= at) * ~truth + 3 * (predictions < at) * truth).mean()
        for at in (0.15, 0.2, 0.25, 0.3, 0.35)
    }
    assert min(losses, key=losses.__getitem__) == costs.threshold


def test_calibration_error_is_small_for_calibrated_probabilities_and_the_gap_for_others():
    rng = np.random.default_rng(0)
    predictions = rng.random(100_000) * 0.5
    truth, weights = rng.random(100_000) < predictions, np.ones(100_000, dtype=int)
    assert scorers.CalibrationError(truth, predictions).score(weights) < 0.01
    assert scorers.CalibrationError(truth, predictions + 0.3).score(weights) == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("metric", [scorers.RocAuc, scorers.AveragePrecision])
def test_a_score_that_is_not_defined_is_nan(metric):
    assert np.isnan(metric(np.zeros(3, dtype=bool), np.array([0.1, 0.2, 0.3])).score(np.ones(3, dtype=int)))


def test_r2_of_a_target_that_does_not_vary_is_nan():
    assert np.isnan(scorers.R2(np.full(100, 0.1), np.zeros(100)).score(np.ones(100, dtype=int)))
