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
from retrace.examples import Target, features
from retrace.params import Costs, Params
from retrace.resamples import SliceName
from retrace.scored_rows import Rows, Scored, interval_of, is_small, rows_to_score, score_slice, score_whole
from retrace.scorers import Array
from retrace.scores import CONSTANT_ACTIONS, Metric, check_gate_metric, metrics_of, project_metrics
from retrace.table_files import read_chunks, read_table, without_rows

# Of the rows that are predicted for at once. In a matrix product, the last bits of a row may depend on how many rows
# there are. So this number belongs to the results.
CELLS_PREDICTED_AT_ONCE = 1_000_000


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
    """The rows to score, with the columns that scores depend on beside the predictions.

    If the project has metrics of its own, all columns are read, because these metrics may use any. Otherwise texts that
    only name slices are categories, which take a byte or two for each row.

    Args:
        params: the project's parameters.
        path: of the rows, as `split` writes them.
    """
    if project_metrics():
        return read_table(path)
    data = params.data
    needed = {data.id_column, data.target, data.time, data.group, *params.evaluate.slices}
    table = read_table(path, [column for column in without_rows(path).columns if column in needed])
    only_slices = table.columns.difference([data.id_column, data.target, data.time, data.group])
    texts = [name for name in only_slices if pd.api.types.is_string_dtype(table[name])]
    return table.astype(dict.fromkeys(texts, "category"))


def without_ids(rows: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Rows without their ids, which take memory, unless resamples, slices or a metric of the project may use them.

    Args:
        rows: as `read_rows` returns them.
        params: the project's parameters.
    """
    data = params.data
    drawn_alone = data.group is None and rows.attrs.get("block") is None
    if drawn_alone or data.id_column in params.evaluate.slices or project_metrics():
        return rows
    return rows.drop(columns=data.id_column)


def predict_rows(params: Params, path: Path, models: Mapping[str, Any]) -> Predictions:
    """What a model and its baselines predict.

    Args:
        params: the project's parameters.
        path: of the rows, as `split` writes them.
        models: the fitted `model` and the baselines, by name.
    """
    data = params.data
    target = Target.of([] if data.task == "regression" else models["model"].classes_.tolist(), data)
    names = features(without_rows(path), data)
    predicted: dict[str, list[Array]] = {name: [] for name in models}
    for table in read_chunks(path, names, rows=max(1, CELLS_PREDICTED_AT_ONCE // len(names))):
        for name, model in models.items():
            predicted[name].append(target.predict(model, table))
    return Predictions(target, {name: np.concatenate(parts) for name, parts in predicted.items()})


def score_models(params: Params, rows: pd.DataFrame, predictions: Predictions) -> Evaluation:
    """Score what a model and its baselines predict.

    Args:
        params: the project's parameters.
        rows: the rows to score, as `read_rows` returns them.
        predictions: of the `model` and the baselines for these rows.

    Raises:
        UserError: the gate's metric, the costs or a column of `evaluate.slices` doesn't fit the data.
    """
    costs, gate_metric, (target, values) = params.problem.costs, params.gate.metric, predictions
    metrics = choose_metrics(target, params)
    whole, slice_rows = rows_to_score(params, rows, target)
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
        action: score_whole({"cost": cost}, whole, np.full(len(whole.truth), probability))
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
