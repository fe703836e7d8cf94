"""Which values of a column have changed between two versions of a table."""

import numpy as np
import pandas as pd

from retrace.changed_values import differ


def test_the_same_value_in_a_column_of_another_type_does_not_differ():
    numbers, texts = pd.Series([1, 2, 3]), pd.Series(["1", "x", None], dtype="str")
    assert differ(numbers, pd.Series([1.0, np.nan, 3])).tolist() == [False, True, False]
    assert differ(numbers, texts).tolist() == [False, True, True]
    assert differ(texts, texts).tolist() == [False, False, False]
    truths = pd.Series([True, False, True])
    for others in ([1, 0, 0], [1.0, 0.0, 0.0], ["True", "FALSE", "0"]):
        assert differ(truths, pd.Series(others)).tolist() == [False, False, True]
