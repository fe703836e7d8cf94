"""Curves keep their shape in few points, and each point of a calibration curve stands for ten rows at least."""

import numpy as np
import pandas as pd

from retrace.curves import calibration, thinned


def test_a_curve_is_thinned_to_its_shape():
    curve = pd.DataFrame({"x": np.linspace(0, 1, 10_000), "y": np.linspace(0, 1, 10_000) ** 2})
    short = thinned(curve)
    assert len(short) <= 202
    np.testing.assert_allclose(np.interp(curve["x"], short["x"], short["y"]), curve["y"], atol=1e-4)


def test_calibration_bins_have_ten_rows_at_least():
    assert calibration(np.zeros(20), np.r_[np.zeros(19), 1.0])["rows"].tolist() == [20]
