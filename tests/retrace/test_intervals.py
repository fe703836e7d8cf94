"""Variances are those that are known where there are formulas, and what isn't known has no interval."""

import math

import numpy as np
import pandas as pd
import pytest

from retrace.intervals import UNKNOWN, Noise, noise_of_rows, noise_of_training, total_noise
from retrace.params import Data
from retrace.resamples import half, resample
from tests.conftest import ROLES

DATA = Data(**ROLES | {"source": "x", "read": {}, "target": "y", "task": "regression", "id": "id"})


@pytest.mark.parametrize("groups", [3, 5, 30])
def test_resamples_have_the_variance_of_a_mean_however_few_units_there_are(groups: int):
    values = np.random.default_rng(groups).normal(size=groups)
    weights = np.stack(list(resample(np.arange(groups), 20_000)))
    found = noise_of_rows(pd.Series(weights @ values / groups), groups)
    assert found.variance == pytest.approx(values.var(ddof=1) / groups, rel=0.05)
    assert found.freedom == groups - 1


@pytest.mark.parametrize("rows", [5, 9, 40])
def test_halves_have_the_variance_of_a_mean_however_few_units_there_are(rows: int):
    values = np.random.default_rng(rows).normal(size=rows)
    table = pd.DataFrame({"id": range(rows), "y": values})
    drawn = half(table, DATA, 0)
    scores = pd.Series([values[half(table, DATA, draw).rows].mean() for draw in range(3_000)])
    found = noise_of_training(scores, drawn.units, drawn.drawn)
    assert found.variance == pytest.approx(values.var(ddof=1) / rows, rel=0.1)
    assert found.freedom == rows - 1


def test_few_draws_are_few_degrees_of_freedom():
    assert noise_of_rows(pd.Series([1.0, 2, 3, np.nan]), units=1000).freedom == 2
    assert noise_of_training(pd.Series([1.0, 2, 3]), units=1000, drawn=500).freedom == 2


def test_a_variance_that_is_not_known_has_no_interval():
    assert noise_of_rows(pd.Series([0.7] * 200), units=1) == UNKNOWN
    assert noise_of_rows(pd.Series([0.7]), units=50) == UNKNOWN
    assert total_noise([Noise(1.0, 9), UNKNOWN]) == UNKNOWN
    assert math.isinf(UNKNOWN.margin)


def test_noises_add_up():
    assert total_noise([Noise(0.0, 4), Noise(0.0, 9)]).margin == 0
    assert total_noise([Noise(1.0, 4), Noise(0.0, 1)]) == Noise(1.0, 4)
    assert total_noise([Noise(1.0, 4), Noise(1.0, 4)]) == Noise(2.0, 8)
    assert Noise(4.0, 4).margin == pytest.approx(2 * 2.776, abs=0.01)
