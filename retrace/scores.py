"""Metrics by name, and the scores of draws of rows.

The names, directions and bounds of the tool's metrics are here and nowhere else; retrace/scorers.py computes them. The
project's own metrics are in src/metrics.py.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.examples import Kind
from retrace.params import Costs, Params
from retrace.project_metrics import ProjectMetric, ProjectScorer, read_project_metrics
from retrace.scorers import (
    R2,
    Accuracy,
    Array,
    AveragePrecision,
    BalancedAccuracy,
    Brier,
    CalibrationError,
    Cost,
    F1Macro,
    LogLoss,
    Mae,
    Rmse,
    RocAuc,
    RocAucMacro,
    Scorer,
    Weights,
)


@dataclass(frozen=True)
class ToolMetric:
    """A metric that every project has.

    Attributes:
        scorer: the class that computes it.
        higher_is_better: its direction.
        lowest: the lowest value that it can have.
        highest: the highest value that it can have.
        judged: whether its differences get a verdict.
    """

    scorer: Callable[[NDArray[Any], Array], Scorer]
    higher_is_better: bool
    lowest: float = 0
    highest: float = 1
    judged: bool = True


Metric = ToolMetric | ProjectMetric

_METRICS: dict[Kind, dict[str, ToolMetric]] = {
    "two classes": {
        "roc_auc": ToolMetric(RocAuc, higher_is_better=True),
        "average_precision": ToolMetric(AveragePrecision, higher_is_better=True),
        "log_loss": ToolMetric(LogLoss, higher_is_better=False, highest=math.inf),
        "brier": ToolMetric(Brier, higher_is_better=False),
        "calibration_error": ToolMetric(CalibrationError, higher_is_better=False, judged=False),
    },
    "multiclass": {
        "accuracy": ToolMetric(Accuracy, higher_is_better=True),
        "balanced_accuracy": ToolMetric(BalancedAccuracy, higher_is_better=True),
        "f1_macro": ToolMetric(F1Macro, higher_is_better=True),
        "roc_auc_macro": ToolMetric(RocAucMacro, higher_is_better=True),
        "log_loss": ToolMetric(LogLoss, higher_is_better=False, highest=math.inf),
        "brier": ToolMetric(Brier, higher_is_better=False, highest=2),
    },
    "regression": {
        "r2": ToolMetric(R2, higher_is_better=True, lowest=-math.inf),
        "rmse": ToolMetric(Rmse, higher_is_better=False, highest=math.inf),
        "mae": ToolMetric(Mae, higher_is_better=False, highest=math.inf),
    },
}


BASELINES = ("linear", "prior")
CONSTANT_ACTIONS = {"always": 1.0, "never": 0.0}  # the probability by which every row is acted on, or none


def metrics_of(kind: Kind, costs: Costs | None) -> dict[str, Metric]:
    """The tool's metrics of a kind of problem, by name; `cost` is among them where errors have costs."""
    metrics: dict[str, Metric] = {**_METRICS[kind]}
    if costs is not None:
        metrics["cost"] = ToolMetric(partial(Cost, costs=costs), higher_is_better=False, highest=math.inf)
    return metrics


def project_metrics() -> dict[str, ProjectMetric]:
    """The project's own metrics, by name.

    Raises:
        UserError: there is a mistake in src/metrics.py.
    """
    return read_project_metrics(taken=_tool_metrics())


def _tool_metrics() -> dict[str, Metric]:
    """The tool's metrics, by name, whatever the kind of problem."""
    found: dict[str, Metric] = {}
    for kind in _METRICS:
        found |= metrics_of(kind, Costs(false_positive=1, false_negative=1))
    return found


def higher_is_better(name: str) -> bool:
    """The direction of a metric; True for one that isn't known, such as a metric that a change removed."""
    metric = (_tool_metrics() | project_metrics()).get(name)
    return metric is None or metric.higher_is_better


def is_metric(name: str) -> bool:
    """Whether there is a metric of this name, in this project or in every project."""
    return name in _tool_metrics() | project_metrics()


def is_judged(name: str) -> bool:
    """Whether differences of a metric get a verdict; not those of a metric that isn't known."""
    metric = (_tool_metrics() | project_metrics()).get(name)
    return isinstance(metric, ProjectMetric) or (metric is not None and metric.judged)


def check_gate_metric(name: str, metrics: Mapping[str, Metric]) -> None:
    """Check that `gate.metric` names one of some metrics.

    Raises:
        UserError: it doesn't, or its differences can't be judged.
    """
    allowed = [other for other in metrics if is_judged(other)]
    if name not in allowed:
        raise UserError(f"params.yaml: gate.metric: must be one of {', '.join(allowed)}, not {name}")


def check_metric_names(params: Params) -> None:
    """Check the names of metrics in params.yaml, as far as it can be done without the data.

    Raises:
        UserError: `gate.metric`, or a key of `gate.smallest_difference`, isn't the name of a metric.
    """
    kinds: list[Kind] = ["regression"] if params.data.task == "regression" else ["two classes", "multiclass"]
    metrics: dict[str, Metric] = {}
    for kind in kinds:
        metrics |= metrics_of(kind, params.problem.costs)
    metrics |= project_metrics()
    check_gate_metric(params.gate.metric, metrics)
    for name in params.gate.smallest_difference:
        if not is_metric(name):
            raise UserError(f"params.yaml: gate.smallest_difference.{name}: must be one of {', '.join(metrics)}")


def score_draws(
    metrics: Mapping[str, Metric],
    truth: NDArray[Any],
    predictions: Array,
    draws: Iterable[Weights],
    table: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The scores of some rows in each draw.

    Metrics are computed one after the other, because what a metric prepares takes memory.

    Args:
        metrics: by name.
        truth: the targets of the rows.
        predictions: for the same rows.
        draws: how often each row is in each draw, shape (draws, rows). It's iterated over once for each metric.
        table: the rows themselves, for metrics of the project.

    Returns:
        A row for each metric, a column for each draw.
    """
    scores: dict[str, list[float]] = {}
    for name, metric in metrics.items():
        scorer: Scorer
        if isinstance(metric, ProjectMetric):
            assert table is not None
            scorer = ProjectScorer(name, metric, truth, predictions, table)
        else:
            scorer = metric.scorer(truth, predictions)
        scores[name] = [scorer.score(weights) for weights in draws]
        del scorer  # its memory is free while the next one is made
    return pd.DataFrame(scores).T


def draws_table(rows: str, scores: Mapping[tuple[str, str, str], pd.DataFrame]) -> pd.DataFrame:
    """The scores of draws as one table: a line for each series, a column for each draw.

    Args:
        rows: the fingerprint of the rows that the draws are of.
        scores: what `score_draws` returns, by model and by the slice's column and value, both empty for all rows.

    Returns:
        Columns rows, model, column, value, metric, and the number of each draw.
    """
    table = pd.concat(scores, names=["model", "column", "value", "metric"]).reset_index()
    table.insert(0, "rows", rows)
    return table
