"""With calibrated probabilities, estimates are the mean of the scores that labels drawn from them have."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retrace.monitoring.estimated_scores import estimate_scores, measure_overdispersion
from retrace.params import Costs
from retrace.scores import metrics_of, score_draws

COSTS = Costs(false_positive=1, false_negative=3)
PROBABILITIES = np.random.default_rng(1).beta(1, 3, 400).round(2)  # with ties
DAYS = np.arange(400) // 40


def true_scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    names = ("roc_auc", "log_loss", "brier", "cost")
    metrics = {name: metrics_of("two classes", COSTS)[name] for name in names}
    return score_draws(metrics, labels, probabilities, np.ones((1, len(labels)), dtype=np.int64))[0].to_dict()


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "brier", "cost"])
def test_the_estimate_and_its_interval_are_those_of_drawn_labels(metric: str):
    rng = np.random.default_rng(2)
    draws = [true_scores(PROBABILITIES, rng.random(400) < PROBABILITIES)[metric] for _ in range(2_000)]
    found = estimate_scores(PROBABILITIES, COSTS)[metric]
    assert found.score == pytest.approx(np.mean(draws), abs=4 * np.std(draws) / np.sqrt(2_000))
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(draws), rel=0.08)


def test_the_roc_auc_is_that_of_all_pairs():
    positive, negative = PROBABILITIES[:, None], 1 - PROBABILITIES[None, :]
    higher = (PROBABILITIES[:, None] > PROBABILITIES) + 0.5 * (PROBABILITIES[:, None] == PROBABILITIES)
    pairs = positive * negative * ~np.eye(400, dtype=bool)
    assert estimate_scores(PROBABILITIES)["roc_auc"].score == pytest.approx((pairs * higher).sum() / pairs.sum())


def test_sure_predictions_have_their_score_and_no_doubt():
    labels = np.array([True, False, True])
    found = estimate_scores(labels.astype(float), COSTS)
    assert found["brier"] == (0, 0, 0)
    assert found["cost"] == (0, 0, 0)
    assert found["roc_auc"] == (1, 1, 1)


def test_without_two_classes_there_is_no_roc_auc():
    assert np.isnan(estimate_scores(np.ones(5))["roc_auc"]).all()
    assert np.isnan(estimate_scores(np.array([0.5]))["roc_auc"]).all()


def test_without_costs_there_is_no_cost():
    assert set(estimate_scores(PROBABILITIES)) == {"roc_auc", "log_loss", "brier"}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@example([0.0, 0.610407841370851])  # whose ROC AUC is 1 but for a rounding error
@example([1e-300, 0.0, 0.0])
def test_the_score_is_within_its_interval(probabilities: list[float]):
    for name, found in estimate_scores(np.array(probabilities), COSTS).items():
        assert np.isnan(found.score) or found.low <= found.score <= found.high, name
        assert name != "roc_auc" or np.isnan(found.score) or 0 <= found.low <= found.high <= 1


def test_independent_labels_have_no_overdispersion():
    rng = np.random.default_rng(3)
    found = [measure_overdispersion(rng.random(400) < PROBABILITIES, PROBABILITIES, DAYS) for _ in range(300)]
    assert np.mean([each["brier"] for each in found]) == pytest.approx(1.13, abs=0.1)  # those below 1 count as 1


def test_labels_of_one_day_that_share_their_chance_widen_the_interval():
    rng = np.random.default_rng(4)
    shifted = np.clip(PROBABILITIES + rng.choice([-0.15, 0.15], 10)[DAYS], 0, 1)
    labels = rng.random(400) < shifted
    ratio = measure_overdispersion(labels, PROBABILITIES, DAYS, COSTS)
    assert ratio["log_loss"] > 2
    narrow = estimate_scores(PROBABILITIES, COSTS)["log_loss"]
    wide = estimate_scores(PROBABILITIES, COSTS, ratio)["log_loss"]
    assert wide.score == narrow.score
    assert wide.high - wide.low == pytest.approx((narrow.high - narrow.low) * np.sqrt(ratio["log_loss"]))
