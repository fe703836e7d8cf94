"""Each metric is scikit-learn's, with weights that count rows; the few that it lacks are held to their definition."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from retrace import scores
from retrace.params import Costs

seeds = st.integers(0, 2**32 - 1)


def two_classes(seed: int):
    """Truth, probabilities (with ties) and weights, with each class there."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(5, 200)
    guess = rng.random(rows).round(rng.integers(1, 6))
    truth = rng.random(rows) < guess
    truth[:2] = [True, False]
    weights = rng.integers(0, 4, rows)
    weights[:2] = 1
    return truth, guess, weights


def more_classes(seed: int):
    rng = np.random.default_rng(seed)
    rows, classes = rng.integers(20, 200), rng.integers(3, 6)
    guess = rng.dirichlet(np.ones(classes), rows)
    truth = rng.integers(0, classes, rows)
    truth[:classes] = np.arange(classes)
    weights = rng.integers(0, 4, rows)
    weights[:classes] = 1
    return truth, guess, weights


@given(seeds)
def test_two_classes_score_as_scikit_learn_scores_them(seed: int):
    truth, guess, weights = two_classes(seed)
    clipped = np.clip(guess, np.finfo(float).eps, 1 - np.finfo(float).eps)
    for ours, theirs in (
        (scores.roc_auc, sk.roc_auc_score(truth, guess, sample_weight=weights)),
        (scores.average_precision, sk.average_precision_score(truth, guess, sample_weight=weights)),
        (scores.log_loss, sk.log_loss(truth, clipped, sample_weight=weights)),
        (scores.brier, sk.brier_score_loss(truth, guess, sample_weight=weights)),
    ):
        assert ours(truth, guess)(weights) == pytest.approx(theirs, rel=1e-9), ours.__name__


@given(seeds)
def test_more_classes_score_as_scikit_learn_scores_them(seed: int):
    truth, guess, weights = more_classes(seed)
    best = guess.argmax(axis=1)
    known = {"sample_weight": weights}
    one_against_rest = np.mean(
        [sk.roc_auc_score(truth == code, guess[:, code], **known) for code in range(guess.shape[1])]
    )
    for ours, theirs in (
        (scores.accuracy, sk.accuracy_score(truth, best, **known)),
        (scores.balanced_accuracy, sk.balanced_accuracy_score(truth, best, **known)),
        (scores.f1_macro, sk.f1_score(truth, best, average="macro", **known)),
        (scores.log_loss, sk.log_loss(truth, guess, **known)),
        (scores.brier, sk.brier_score_loss(truth, guess, labels=range(guess.shape[1]), scale_by_half=False, **known)),
        (scores.roc_auc_macro, one_against_rest),
    ):
        assert ours(truth, guess)(weights) == pytest.approx(theirs, rel=1e-9), ours.__name__


@given(seeds)
def test_regression_scores_as_scikit_learn_scores_it(seed: int):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=50)
    guess, weights = truth + rng.normal(size=50), rng.integers(0, 4, 50)
    weights[:2] = 1
    for ours, theirs in (
        (scores.r2, sk.r2_score(truth, guess, sample_weight=weights)),
        (scores.rmse, sk.root_mean_squared_error(truth, guess, sample_weight=weights)),
        (scores.mae, sk.mean_absolute_error(truth, guess, sample_weight=weights)),
    ):
        assert ours(truth, guess)(weights) == pytest.approx(theirs, rel=1e-9), ours.__name__


@given(seeds, st.sampled_from(["two classes", "more classes", "regression"]))
def test_a_weight_counts_its_row_that_often(seed: int, kind: scores.Kind):
    truth, guess, weights = more_classes(seed) if kind == "more classes" else two_classes(seed)
    costs = Costs(false_positive=1, false_negative=3) if kind == "two classes" else None
    often = np.repeat(np.arange(len(truth)), weights)
    for name, metric in scores.metrics_of(kind, costs).items():
        if name == "calibration_error":  # its bins are those of all rows
            continue
        repeated = metric.on(truth[often], guess[often])(np.ones(len(often), dtype=int))
        assert metric.on(truth, guess)(weights) == pytest.approx(repeated, rel=1e-9), name


def test_cost_is_what_the_mistakes_cost_at_the_threshold():
    costs = Costs(false_positive=1, false_negative=3)
    assert costs.threshold == 0.25
    truth, guess = np.array([True, True, False, False]), np.array([0.25, 0.2, 0.3, 0.1])
    assert scores.cost(costs)(truth, guess)(np.ones(4, dtype=int)) == (0 + 3 + 1 + 0) / 4


def test_the_threshold_is_the_cheapest_for_calibrated_probabilities():
    rng = np.random.default_rng(0)
    guess = rng.random(200_000)
    truth, costs = rng.random(200_000) < guess, Costs(false_positive=1, false_negative=3)
    losses = {at: ((guess >= at) * ~truth + 3 * (guess < at) * truth).mean() for at in (0.15, 0.2, 0.25, 0.3, 0.35)}
    assert min(losses, key=losses.__getitem__) == costs.threshold


def test_calibration_error_is_small_for_calibrated_probabilities_and_the_gap_for_others():
    rng = np.random.default_rng(0)
    guess = rng.random(100_000) * 0.5
    truth, weights = rng.random(100_000) < guess, np.ones(100_000, dtype=int)
    assert scores.calibration_error(truth, guess)(weights) < 0.01
    assert scores.calibration_error(truth, guess + 0.3)(weights) == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("metric", [scores.roc_auc, scores.average_precision])
def test_a_score_that_cannot_be_had_is_nan(metric):
    assert np.isnan(metric(np.zeros(3, dtype=bool), np.array([0.1, 0.2, 0.3]))(np.ones(3, dtype=int)))


def test_r2_of_a_target_that_does_not_vary_is_nan():
    assert np.isnan(scores.r2(np.full(100, 0.1), np.zeros(100))(np.ones(100, dtype=int)))


def test_the_table_of_draws_has_a_line_for_each_series():
    draws = pd.DataFrame([[0.5, 0.6]], index=["roc_auc"])
    table = scores.draws_table("abc", {("model", "", ""): draws, ("model", "city", "NA"): draws})
    assert table.to_csv(index=False, lineterminator="\n") == (
        "rows,model,column,value,metric,0,1\nabc,model,,,roc_auc,0.5,0.6\nabc,model,city,NA,roc_auc,0.5,0.6\n"
    )
