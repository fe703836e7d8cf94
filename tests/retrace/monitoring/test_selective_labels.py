"""It's seen if labels come for high or low predictions only, whatever share of each day's rows has a label."""

import numpy as np
import pytest

from retrace.monitoring.selective_labels import measure_selection

RNG = np.random.default_rng(1)
PREDICTIONS = RNG.random(600).round(2)  # with ties
DAYS = np.repeat(np.arange(20), 30)


def test_labels_for_high_predictions_only_are_seen():
    found = measure_selection(PREDICTIONS, PREDICTIONS > 0.5, DAYS)
    assert found.labelled == pytest.approx((PREDICTIONS > 0.5).mean())
    assert found.superiority == 1
    assert found.p_value < 1e-6


def test_labels_for_low_predictions_are_seen_too():
    found = measure_selection(PREDICTIONS, PREDICTIONS < 0.5, DAYS)
    assert found.superiority == 0
    assert found.p_value < 1e-6


def test_the_superiority_is_that_of_all_pairs_of_one_day():
    labelled = RNG.random(600) < 0.3 + 0.4 * PREDICTIONS
    higher = pairs = 0.0
    for day in range(20):
        rows = np.flatnonzero(np.equal(DAYS, day))
        with_label, without = PREDICTIONS[rows[labelled[rows]]], PREDICTIONS[rows[~labelled[rows]]]
        difference = with_label[:, None] - without
        higher += (difference > 0).sum() + 0.5 * (difference == 0).sum()
        pairs += difference.size
    assert measure_selection(PREDICTIONS, labelled, DAYS).superiority == pytest.approx(higher / pairs)


def test_days_with_higher_predictions_and_more_labels_are_no_selection():
    rng = np.random.default_rng(2)
    predictions = rng.random(600) + DAYS
    labelled = rng.random(600) < 0.1 + 0.04 * DAYS
    assert measure_selection(predictions, labelled, DAYS).p_value > 0.05
    assert measure_selection(predictions, labelled, np.zeros(600, dtype=int)).p_value < 1e-6


def test_without_selection_1_in_20_p_values_is_below_5_percent_and_the_superiority_is_within_its_bounds():
    rng = np.random.default_rng(3)
    found = [measure_selection(PREDICTIONS, rng.random(600) < 0.1 + 0.04 * DAYS, DAYS) for _ in range(1_000)]
    assert np.mean([each.p_value < 0.05 for each in found]) == pytest.approx(0.05, abs=0.02)
    assert all((each.low <= each.superiority <= each.high) == (each.p_value >= 0.05) for each in found)


@pytest.mark.parametrize("labelled", [np.zeros(600, dtype=bool), np.ones(600, dtype=bool), DAYS < 10])
def test_without_days_that_have_both_kinds_of_rows_nothing_is_known(labelled: np.ndarray):
    found = measure_selection(PREDICTIONS, labelled, DAYS)
    assert found.labelled == labelled.mean()
    assert np.isnan(found[1:]).all()


@pytest.mark.parametrize("labelled", [True, False])
def test_a_day_of_one_row_says_nothing(labelled: bool):
    has_label = np.append(PREDICTIONS > 0.3, labelled)
    found = measure_selection(np.append(PREDICTIONS, 0.5), has_label, np.append(DAYS, 20))
    assert found[1:] == measure_selection(PREDICTIONS, PREDICTIONS > 0.3, DAYS)[1:]


def test_equal_predictions_are_no_selection():
    found = measure_selection(np.full(600, 0.5), DAYS % 2 + np.arange(600) % 3 == 0, DAYS)
    assert (found.superiority, found.p_value) == (0.5, 1)


def test_the_order_of_rows_does_not_matter():
    labelled = RNG.random(600) < PREDICTIONS
    order = RNG.permutation(600)
    assert measure_selection(PREDICTIONS[order], labelled[order], DAYS[order]) == pytest.approx(
        measure_selection(PREDICTIONS, labelled, DAYS)
    )
