"""A metric of the project is scored like any other, and each mistake in it is one line that names its file."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_percentage_error

from retrace.project_metrics import ProjectMetric, ProjectScorer, read_project_metrics
from retrace.scores import higher_is_better, is_judged, metrics_of, project_metrics, score_draws
from src import metrics

TRUTH, PREDICTIONS = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.3, 0.1])
TABLE = pd.DataFrame({"amount": [10.0, 20.0, 40.0, 80.0]})


def lost_euros(truth: Any, predictions: Any, weights: Any, table: pd.DataFrame) -> float:
    wrong = truth != (predictions >= 0.5)
    return np.average(wrong * table["amount"], weights=weights)


LOST_EUROS = ProjectMetric(lost_euros, higher_is_better=False, lowest=0)


def scorer(function: Callable[..., Any]) -> ProjectScorer:
    return ProjectScorer("mine", ProjectMetric(function, higher_is_better=True), TRUTH, PREDICTIONS, TABLE)


def test_a_metric_may_use_another_column_and_counts_rows_by_their_weights():
    draws = np.array([[1, 1, 1, 1], [0, 2, 0, 1], [1, 0, 0, 3]], dtype=np.int16)
    found = score_draws({"lost_euros": LOST_EUROS}, TRUTH, PREDICTIONS, draws, TABLE)
    assert found.T.to_dict("list") == {"lost_euros": [(20 + 40) / 4, 2 * 20 / 3, 0]}


def test_a_metric_of_scikit_learn_is_one_too():
    def mape(truth: Any, predictions: Any, weights: Any, table: pd.DataFrame) -> float:
        return mean_absolute_percentage_error(truth, predictions, sample_weight=weights)

    truth, predictions, weights = np.array([1.0, 2.0, 4.0]), np.array([1.1, 1.0, 4.0]), np.array([1, 0, 3])
    metric = ProjectMetric(mape, higher_is_better=False, lowest=0)
    assert ProjectScorer("mape", metric, truth, predictions, TABLE).score(weights) == pytest.approx(0.1 / 4)


def test_the_metrics_of_the_project_have_their_directions_and_get_verdicts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metrics, "METRICS", {"lost_euros": LOST_EUROS, "saved": ProjectMetric(lost_euros, True)})
    assert list(project_metrics()) == ["lost_euros", "saved"]
    assert [higher_is_better(name) for name in ("lost_euros", "saved")] == [False, True]
    assert is_judged("lost_euros")


def test_rows_none_of_which_counts_have_no_score():
    assert np.isnan(scorer(lost_euros).score(np.zeros(4, dtype=int)))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("-inf")])
def test_a_number_that_is_not_finite_is_no_score(value: float):
    assert np.isnan(scorer(lambda *_: value).score(np.ones(4, dtype=int)))


@pytest.mark.parametrize("value", [0.5, 3, np.float32(0.5), np.int64(3)])
def test_any_number_is_a_score(value: float):
    assert scorer(lambda *_: value).score(np.ones(4, dtype=int)) == value


@pytest.mark.parametrize("value", [None, "0.5", True, np.ones(4), TABLE["amount"], (1.0, 2.0)])
def test_what_is_not_one_number_is_one_line(value: Any):
    with pytest.raises(
        SystemExit, match=r"^src/metrics.py: the metric mine must return one number, not a value of type"
    ):
        scorer(lambda *_: value).score(np.ones(4, dtype=int))


def test_an_error_in_the_function_is_one_line_without_its_message_which_may_hold_a_value():
    def broken(truth: Any, predictions: Any, weights: Any, table: pd.DataFrame) -> float:
        return float("the name of a patient")

    with pytest.raises(SystemExit) as error:
        scorer(broken).score(np.ones(4, dtype=int))
    assert str(error.value) == "src/metrics.py: the metric mine raises ValueError"


@pytest.mark.parametrize(
    ("own", "line"),
    [
        ({"roc_auc": LOST_EUROS}, "roc_auc: this name is taken"),
        ({"cost": LOST_EUROS}, "cost: this name is taken"),
        ({"rows": LOST_EUROS}, "rows: this name is taken"),
        ({"Lost euros": LOST_EUROS}, "Lost euros: a metric's name must be lowercase letters"),
        ({"lost_euros": lost_euros}, "lost_euros: must be a ProjectMetric"),
        ({"lost_euros": ProjectMetric(0.5, True)}, "lost_euros: must be a ProjectMetric"),
    ],
)
def test_a_metric_that_cannot_be_used_is_one_line(monkeypatch: pytest.MonkeyPatch, own: dict[str, Any], line: str):
    monkeypatch.setattr(metrics, "METRICS", own)
    with pytest.raises(SystemExit) as error:
        project_metrics()
    assert str(error.value).startswith(f"src/metrics.py: {line}")
    assert "\n" not in str(error.value)


def test_a_module_without_metrics_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(metrics, "METRICS")
    with pytest.raises(SystemExit, match=r"^src/metrics.py: can't be imported: ImportError"):
        read_project_metrics(taken=metrics_of("regression", None))


def test_a_metric_cannot_change_what_other_metrics_are_scored_on():
    def spoil_predictions(truth: Any, predictions: Any, weights: Any, table: pd.DataFrame) -> float:
        predictions[:] = 0.3
        return 1.0

    def spoil_table(truth: Any, predictions: Any, weights: Any, table: pd.DataFrame) -> float:
        table["amount"] = 0.0
        table.loc[0, "amount"] = 1.0
        return 1.0

    with pytest.raises(SystemExit, match="the metric mine raises ValueError"):
        scorer(spoil_predictions).score(np.ones(4, dtype=int))
    assert scorer(spoil_table).score(np.ones(4, dtype=int)) == 1
    assert PREDICTIONS.tolist() == [0.9, 0.8, 0.3, 0.1]
    assert TABLE["amount"].tolist() == [10, 20, 40, 80]


def test_a_score_beyond_its_bounds_is_one_line():
    metric = ProjectMetric(lambda *_: 7, higher_is_better=True, highest=1)
    with pytest.raises(SystemExit, match="the metric mine returns a score beyond its bounds"):
        ProjectScorer("mine", metric, TRUTH, PREDICTIONS, TABLE).score(np.ones(4, dtype=int))
    assert np.isnan(scorer(lambda *_: 10**400).score(np.ones(4, dtype=int)))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ([], "METRICS must be a dict"),
        (None, "METRICS must be a dict"),
        ({1: LOST_EUROS}, "1: a metric's name must be lowercase letters"),
        ({"mine": ProjectMetric(lost_euros, "lower")}, "mine: higher_is_better must be True or False"),  # type: ignore[arg-type]
        ({"mine": ProjectMetric(lost_euros, False, 2, 1)}, "mine: lowest must be less than highest"),
    ],
)
def test_metrics_that_are_not_described_as_they_must_be_are_one_line(monkeypatch, content: Any, line: str):
    monkeypatch.setattr(metrics, "METRICS", content)
    with pytest.raises(SystemExit, match=f"src/metrics.py: {line}"):
        read_project_metrics([])
