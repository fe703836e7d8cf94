"""Curves keep their shape in few points, and each point of a calibration curve stands for ten rows at least."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from retrace import scorers
from retrace.curves import calibration, precision_recall, roc, thinned


def test_a_curve_is_thinned_to_its_shape():
    curve = pd.DataFrame({"x": np.linspace(0, 1, 10_000), "y": np.linspace(0, 1, 10_000) ** 2})
    short = thinned(curve)
    assert len(short) <= 202
    np.testing.assert_allclose(np.interp(curve["x"], short["x"], short["y"]), curve["y"], atol=1e-4)


def test_calibration_bins_have_ten_rows_at_least():
    assert calibration(np.zeros(20), np.r_[np.zeros(19), 1.0])["rows"].tolist() == [20]


@pytest.mark.parametrize("digits", [1, 2, 9])
def test_curves_have_the_points_of_scikit_learn(digits: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scorers, "ROWS_COUNTED_AT_ONCE", 70)
    rng = np.random.default_rng(0)
    predictions = rng.random(300).round(digits)
    truth = rng.random(300) < predictions
    false_positive_rate, true_positive_rate, _ = sk.roc_curve(truth, predictions)
    theirs = pd.DataFrame({"false_positive_rate": false_positive_rate, "true_positive_rate": true_positive_rate})
    pd.testing.assert_frame_equal(roc(truth, predictions), thinned(theirs))
    precision, recall, _ = sk.precision_recall_curve(truth, predictions)
    theirs = pd.DataFrame({"recall": recall[::-1], "precision": precision[::-1]})
    pd.testing.assert_frame_equal(precision_recall(truth, predictions), thinned(theirs))
