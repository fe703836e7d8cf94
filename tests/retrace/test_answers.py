"""What a package answers to requests for predictions."""

import numpy as np
import pytest

from retrace.answers import require_finite


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan])
def test_a_prediction_that_is_not_finite_is_refused(wrong: float):
    for predictions in (np.array([0.5, wrong]), np.array([[0.5, 0.5], [wrong, 0.5]])):
        with pytest.raises(SystemExit, match="row 2: the model predicts no finite number"):
            require_finite(predictions)
    assert require_finite(np.array([0.5])).tolist() == [0.5]
