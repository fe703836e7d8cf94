"""The scores of a model and its baselines on some rows, overall and by slice: on valid as on test.

The stage evaluate writes those on `valid`, and a release those on `test`. To save memory, models predict for some rows
at a time, and only the columns that scores depend on are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from retrace.decisions import check_threshold, decide
from retrace.errors import UserError
from retrace.examples import Target
from retrace.params import Costs, Data, Params
from retrace.predictions import predict
from retrace.resamples import SliceName
from retrace.scored_rows import Rows, Scored, interval_of, is_small, score_slice, score_whole
from retrace.scorers import Array
from retrace.scores import CONSTANT_ACTIONS, Metric, check_gate_metric, metrics_of, project_metrics
from retrace.table_files import read_column, read_table, without_rows


class Predictions(NamedTuple):
    """What a model and its baselines predict for some rows.

    Attributes:
        target: what is predicted.
        values: what `Target.predict` returns, by the name of the model.
    """

    target: Target
    values: Mapping[str, Array]


@dataclass(frozen=True)
class Evaluation:
    """What a model and its baselines score on some rows.

    Attributes:
        target: what is predicted.
        metrics: the metrics that apply, by name.
        whole: all rows that were scored.
        scored: the scores of the models and of the constant actions on all rows, by name.
        slices: the scores of the model on each slice.
        decision: how good the decisions are that the costs imply; None where errors have no costs.
    """

    target: Target
    metrics: dict[str, Metric]
    whole: Rows
    scored: dict[str, Scored]
    slices: dict[SliceName, Scored]
    decision: dict[str, Any] | None

    def scores_content(self) -> dict[str, dict[str, dict[str, float]]]:
        """Score and 95 % interval, by model and metric."""
        content: dict[str, dict[str, dict[str, float]]] = {}
        for model, found in self.scored.items():
            content[model] = {
                name: {"score": score, **interval_of(found, name, self.metrics[name])}
                for name, score in found.scores.items()
            }
        return content

    def slices_content(self, gate_metric: str) -> dict[str, dict[str, dict[str, Any]]]:
        """The scores of each slice, with an interval for the gate's metric, by column and value."""
        content: dict[str, dict[str, dict[str, Any]]] = {}
        for (column, value), found in self.slices.items():
            truth, units = found.rows.truth, found.rows.resamples.units
            content.setdefault(column, {})[value] = {
                "rows": len(truth),
                "units": units,
                **found.scores,
                **interval_of(found, gate_metric, self.metrics[gate_metric]),
                "small": is_small(self.target, truth, units),
            }
        return content


def read_rows(params: Params, path: Path) -> pd.DataFrame:
    """The rows to score, with the columns that resamples, slices and targets are taken from.

    If the project has metrics of its own, all columns are read, because these metrics may use any. Otherwise texts that
    only name slices are categories, which take a byte or two for each row.

    Args:
        params: the project's parameters.
        path: of the rows, as `split` writes them.
    """
    if project_metrics():
        return read_table(path)
    data, no_rows = params.data, without_rows(path)
    drawn_by = {data.group} if data.group else {data.time} if no_rows.attrs.get("block") else {data.id_column}
    columns = {}
    for name in no_rows.columns:
        if name in {data.target, *drawn_by, *params.evaluate.slices}:
            column = read_column([path], name)
            is_text = pd.api.types.is_string_dtype(column)
            columns[name] = column.astype("category") if is_text and name not in {data.target, *drawn_by} else column
    table = pd.DataFrame(columns, copy=False)
    table.attrs = no_rows.attrs
    return table


def target_of(model: Any, data: Data) -> Target:
    """What a fitted model predicts."""
    return Target.of([] if data.task == "regression" else model.classes_.tolist(), data)


def predict_rows(params: Params, path: Path, models: Mapping[str, Any]) -> Predictions:
    """What a model and its baselines predict.

    Args:
        params: the project's parameters.
        path: of the rows, as `split` writes them.
        models: the fitted `model` and the baselines, by name.
    """
    data = params.data
    target = target_of(models["model"], data)
    values: dict[str, Array] = {}
    for name, model in models.items():
        found = predict(model, path, data, target)
        is_constant = bool((found == found[0]).all())  # as those of `prior`, which then take no memory
        values[name] = np.broadcast_to(found[0], found.shape) if is_constant else found
    return Predictions(target, values)


def score_models(
    params: Params, whole: Rows, slice_rows: Mapping[SliceName, Rows], predictions: Predictions
) -> Evaluation:
    """Score what a model and its baselines predict.

    Args:
        params: the project's parameters.
        whole: the rows to score, and
        slice_rows: those of each slice, as `rows_to_score` returns them.
        predictions: of the `model` and the baselines for these rows.

    Raises:
        UserError: the gate's metric or the costs don't fit the data.
    """
    costs, gate_metric, (target, values) = params.problem.costs, params.gate.metric, predictions
    metrics = choose_metrics(target, params)
    scored = {name: score_whole(metrics, whole, of_model) for name, of_model in values.items()}
    decision = None
    if costs:
        scored |= score_constant_actions(metrics["cost"], whole)
        decision = judge_decision(costs, whole, values)
    slices = {name: score_slice(metrics, gate_metric, part, values["model"]) for name, part in slice_rows.items()}
    return Evaluation(target, metrics, whole, scored, slices, decision)


def choose_metrics(target: Target, params: Params) -> dict[str, Metric]:
    """The metrics that apply to this target, by name.

    Raises:
        UserError: the gate's metric isn't one of them, or errors have costs and there aren't two classes.
    """
    costs = params.problem.costs
    if costs and target.kind != "two classes":
        classes = len(target.classes)
        raise UserError(f"params.yaml: problem.costs: costs need two classes, and there are {classes}; make it null")
    metrics = metrics_of(target.kind, costs) | project_metrics()
    check_gate_metric(params.gate.metric, metrics)
    return metrics


def score_constant_actions(cost: Metric, whole: Rows) -> dict[str, Scored]:
    """The cost of acting for every row (`always`), and of acting for none (`never`)."""
    return {
        action: score_whole({"cost": cost}, whole, np.broadcast_to(probability, len(whole.truth)))
        for action, probability in CONSTANT_ACTIONS.items()
    }


def judge_decision(costs: Costs, whole: Rows, predictions: Mapping[str, Array]) -> dict[str, Any]:
    """How often acting by the model is right and wrong, and whether its probabilities are right near the threshold.

    Args:
        costs: what each kind of error costs, which gives the threshold.
        whole: all rows.
        predictions: of each model, by its name. Those of `prior` are all the same: the share of positives in train.
    """
    truth, resamples = whole.truth, whole.resamples
    decision = decide(costs, truth, predictions["model"], prior=predictions["prior"][0])
    decision["calibration"] = check_threshold(costs.threshold, truth, predictions["model"], resamples, resamples.units)
    return decision
