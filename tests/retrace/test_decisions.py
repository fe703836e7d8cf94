"""The threshold of a calibrated model is trusted, and that of a miscalibrated one isn't."""

import numpy as np
import pytest

from retrace.curves import calibration
from retrace.decisions import check_threshold


def threshold_check(truth: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, threshold: float = 0.25) -> dict:
    """What `check_threshold` finds, with resamples of whole groups."""
    rng, count = np.random.default_rng(1), groups.max() + 1
    weights = np.stack([np.bincount(rng.integers(0, count, count), minlength=count)[groups] for _ in range(200)])
    return check_threshold(threshold, truth, probabilities, weights, count)


@pytest.mark.parametrize("threshold", [0.1, 0.25, 0.5])
@pytest.mark.parametrize(("rows", "groups"), [(100, 100), (1000, 1000), (1000, 30)])
def test_the_threshold_of_a_calibrated_model_is_trusted(rows: int, groups: int, threshold: float):
    """Where rows are grouped, a group's rows are correlated, and predictions are right on average over groups."""
    alarms = 0
    for trial in range(60):
        rng = np.random.default_rng([rows, trial])
        group = np.arange(rows) % groups
        likely = rng.beta(1, 4, rows)
        shared = rng.choice([-0.8, 0.8], groups)[group] * likely * (1 - likely) if groups < rows else 0
        alarms += not threshold_check(rng.random(rows) < likely + shared, likely, group, threshold)["trusted"]
    assert alarms <= 3


@pytest.mark.parametrize("off", [-0.1, 0.1])
def test_the_threshold_of_a_miscalibrated_model_is_not_trusted(off: float):
    rng = np.random.default_rng(0)
    likely = rng.beta(2, 4, 5000)
    truth, rows = rng.random(5000) < likely, np.arange(5000)
    assert threshold_check(truth, likely, rows)["trusted"]
    found = threshold_check(truth, np.clip(likely + off, 0, 1), rows)
    assert not found["trusted"]
    below, above = found["bins"]
    assert below["predicted"] < 0.25 <= above["predicted"]
    assert below["observed"] - below["predicted"] == pytest.approx(-off, abs=0.04)
    # Probabilities that are off elsewhere are no reason to distrust the threshold.
    far = np.where(likely > 0.5, np.clip(likely + off, 0.5, 1), likely)
    assert threshold_check(truth, far, rows)["trusted"]


def test_a_threshold_beyond_all_predictions_is_checked_against_the_nearest():
    rng = np.random.default_rng(0)
    likely = rng.random(2000) * 0.1
    truth, rows = rng.random(2000) < likely, np.arange(2000)
    found = threshold_check(truth, likely, rows, threshold=0.9)
    assert found["trusted"]
    assert len(found["bins"]) == 1
    assert not threshold_check(rng.random(2000) < likely + 0.5, likely, rows, threshold=0.9)["trusted"]


def test_a_few_rows_without_a_positive_are_no_reason_to_distrust():
    """Their resamples have no positive either, and so show no noise."""
    rare = np.zeros(100, dtype=bool)
    assert threshold_check(rare, np.linspace(0.05, 0.15, 100), np.arange(100), 0.1)["trusted"]


def test_the_bins_around_the_threshold_are_those_of_the_calibration_curve():
    """From others, which differ from these by a few rows, the targets of these rows would follow."""
    rng = np.random.default_rng(0)
    for probabilities in (np.r_[np.full(99, 0.1), 0.9], np.sort(rng.random(95)), np.sort(rng.random(23).round(1))):
        truth, rows = rng.random(len(probabilities)) < probabilities, np.arange(len(probabilities))
        curve = calibration(truth, probabilities)[["rows", "predicted", "observed"]].to_numpy().round(9).tolist()
        for found in threshold_check(truth, probabilities, rows)["bins"]:
            assert np.round([found["rows"], found["predicted"], found["observed"]], 9).tolist() in curve


def test_the_threshold_of_a_single_unit_is_not_judged():
    found = threshold_check(np.arange(15) < 5, np.full(15, 0.3), np.zeros(15, dtype=int))
    assert found == {"trusted": True, "bins": []}
