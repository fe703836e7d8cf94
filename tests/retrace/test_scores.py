"""Metrics have their names, directions and bounds in one place, and params.yaml may name no other."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from retrace import scores
from retrace.params import Costs, Params
from src import metrics
from tests.conftest import ROOT

COSTS = Costs(false_positive=1, false_negative=3)


def params_with(gate: dict[str, Any], **sections: dict[str, Any]) -> Params:
    """The project's parameters with another metric of the gate, and other keys in other sections."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, keys in {"gate": gate, **sections}.items():
        content[name] |= keys
    return Params.model_validate(content)


REGRESSION: dict[str, Any] = {"data": {"task": "regression", "positive": None}, "problem": {"costs": None}}


def gate_of(metric: str) -> dict[str, Any]:
    return {"metric": metric, "baselines": ["prior"], "smallest_difference": {metric: 0.1}}


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "cost", "accuracy"])
def test_a_classification_may_be_judged_by_its_metrics(metric: str):
    scores.check_metric_names(params_with(gate_of(metric)))


@pytest.mark.parametrize("metric", ["r2", "rmse", "mae"])
def test_a_regression_may_be_judged_by_its_metrics(metric: str):
    scores.check_metric_names(params_with(gate_of(metric), **REGRESSION))


def test_a_metric_of_the_project_may_judge_whatever_the_task(monkeypatch: pytest.MonkeyPatch):
    own = {"lost_euros": scores.ProjectMetric(lambda *_: 0.0, higher_is_better=False)}
    monkeypatch.setattr(metrics, "METRICS", own)
    scores.check_metric_names(params_with(gate_of("lost_euros")))
    scores.check_metric_names(params_with(gate_of("lost_euros"), **REGRESSION))


@pytest.mark.parametrize(
    ("gate", "sections", "line"),
    [
        (
            gate_of("f1"),
            {},
            "gate.metric: must be one of roc_auc, average_precision, log_loss, brier, cost, accuracy, ",
        ),
        (gate_of("r2"), {}, "gate.metric: must be one of roc_auc"),
        (gate_of("roc_auc"), REGRESSION, "gate.metric: must be one of r2, rmse, mae, not roc_auc"),
        (gate_of("cost"), {"problem": {"costs": None}}, "not cost"),
        (gate_of("calibration_error"), {}, "not calibration_error"),
        (
            {"smallest_difference": {"roc_auc": 1, "roc_acu": 1}},
            {},
            "smallest_difference.roc_acu: must be one of roc_auc",
        ),
    ],
)
def test_the_name_of_no_metric_is_one_line_that_lists_those_that_are(gate: dict[str, Any], sections: Any, line: str):
    with pytest.raises(SystemExit) as error:
        scores.check_metric_names(params_with(gate, **sections))
    assert str(error.value).startswith("params.yaml: gate.")
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_each_metric_has_a_direction():
    assert [scores.higher_is_better(name) for name in ("roc_auc", "r2", "log_loss", "cost", "rmse")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_metric_that_is_biased_or_that_nobody_knows_gets_no_verdict():
    assert [scores.is_judged(name) for name in ("roc_auc", "cost", "calibration_error", "of_an_older_commit")] == [
        True,
        True,
        False,
        False,
    ]


def test_scores_of_draws_have_a_line_for_each_metric_and_a_column_for_each_draw():
    truth, predictions = np.array([True, False, True]), np.array([0.9, 0.2, 0.1])
    draws = np.array([[1, 1, 1], [0, 1, 2]])
    metrics_of_costs = {"cost": scores.metrics_of("two classes", COSTS)["cost"]}
    found = scores.score_draws(metrics_of_costs, truth, predictions, draws)
    assert found.T.to_dict("list") == {"cost": [(0 + 0 + 3) / 3, (0 + 3 + 3) / 3]}


def test_the_table_of_draws_has_a_line_for_each_series():
    draws = pd.DataFrame([[0.5, 0.6]], index=["roc_auc"])
    table = scores.draws_table("abc", {("model", "", ""): draws, ("model", "city", "NA"): draws})
    assert table.to_csv(index=False, lineterminator="\n") == (
        "rows,model,column,value,metric,0,1\nabc,model,,,roc_auc,0.5,0.6\nabc,model,city,NA,roc_auc,0.5,0.6\n"
    )
