"""Score the model and its baselines on the validation rows, overall and by slice. Nothing is fitted here.

    python -m src.stages.evaluate

The model and the baselines are scored on `valid`, and again on bootstrap resamples of its rows, which give the 95 %
intervals. The resamples are the same for all of them, so that any two can be compared. retrace/scored_rows.py says how
the rows are resampled and what the intervals are. If `problem.costs` is set, two simple rules are scored on the metric
`cost` for comparison: `always` decides to act for every row, and `never` for none.

The results are in `metrics/`:

- `scores.json`: the model's scores, for `dvc metrics` and `dvc exp`;
- `evaluation.json`: the scores on all rows with their intervals; the numbers of right and wrong decisions, if
  `problem.costs` is set; and what a comparison with another commit needs to know: the numbers of rows and units, hashes
  of the rows' ids and targets, the estimator and the platform;
- `slices.json`: the scores of the model on each slice, with an interval for the gate's metric;
- `bootstrap.csv`: the scores on each resample;
- `refits.csv`: the scores of each refit that `train` made;
- `curves/`: the points of the plots, such as the ROC curve.
"""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from retrace.curves import curves
from retrace.decisions import check_threshold, decide
from retrace.errors import UserError
from retrace.examples import Target, features
from retrace.files import read_table, write_csv, write_json
from retrace.models import load_model
from retrace.params import Costs, Params, read_params
from retrace.resamples import SliceName, fingerprint, fingerprints
from retrace.scored_rows import (
    Metrics,
    Rows,
    Scored,
    interval_of,
    is_small,
    predictions_of_refits,
    rows_to_score,
    score_refits,
    score_slice,
    score_whole,
)
from retrace.scorers import Array
from retrace.scores import (
    BASELINES,
    CONSTANT_ACTIONS,
    Metric,
    check_gate_metric,
    draws_table,
    metrics_of,
    project_metrics,
)
from src.model import promises_same_bytes


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
        whole: all validation rows.
        predictions: of each model, by its name. Those of `prior` are all the same: the share of positives in train.
    """
    truth, resamples = whole.truth, whole.resamples
    decision = decide(costs, truth, predictions["model"], prior=predictions["prior"][0])
    decision["calibration"] = check_threshold(
        costs.threshold, truth, predictions["model"], resamples.weights, resamples.units
    )
    return decision


def scores_content(metrics: Metrics, scored: Mapping[str, Scored]) -> dict[str, dict[str, dict[str, float]]]:
    """The part `scores` of evaluation.json: score and interval, by model and metric."""
    content: dict[str, dict[str, dict[str, float]]] = {}
    for model, found in scored.items():
        content[model] = {
            name: {"score": score, **interval_of(found, name, metrics[name])} for name, score in found.scores.items()
        }
    return content


def slices_content(
    target: Target, metrics: Metrics, gate_metric: str, scored: Mapping[SliceName, Scored]
) -> dict[str, dict[str, dict[str, Any]]]:
    """The content of slices.json, by column and value."""
    content: dict[str, dict[str, dict[str, Any]]] = {}
    for (column, value), found in scored.items():
        truth, units = found.rows.truth, found.rows.resamples.units
        content.setdefault(column, {})[value] = {
            "rows": len(truth),
            "units": units,
            **found.scores,
            **interval_of(found, gate_metric, metrics[gate_metric]),
            "small": is_small(target, truth, units),
        }
    return content


def evaluate(params: Params, valid: pd.DataFrame, models: dict[str, Any], refits: pd.DataFrame) -> dict[str, Any]:
    """Everything that this stage writes.

    Args:
        params: the project's parameters.
        valid: the validation rows.
        models: the fitted `model` and the baselines, by name.
        refits: what the refits predict for the validation rows, as `train` writes it.

    Returns:
        The content of each file, by its path in `metrics/`.

    Raises:
        UserError: the gate's metric, the costs or a column of `evaluate.slices` doesn't fit the data.
    """
    data, costs = params.data, params.problem.costs
    gate_metric = params.gate.metric
    target = Target.of([] if data.task == "regression" else models["model"].classes_.tolist(), data)
    metrics = choose_metrics(target, params)
    whole, slice_rows = rows_to_score(params, valid, target)
    table = valid[features(valid, data)]
    predictions = {name: target.predict(model, table) for name, model in models.items()}
    refit_predictions = predictions_of_refits(refits, data.id_column)

    scored = {name: score_whole(metrics, whole, values) for name, values in predictions.items()}
    decision = None
    if costs:
        scored |= score_constant_actions(metrics["cost"], whole)
        decision = judge_decision(costs, whole, predictions)
    scored_slices = {
        name: score_slice(metrics, gate_metric, rows, predictions["model"]) for name, rows in slice_rows.items()
    }

    # In bootstrap.csv and refits.csv, each line has the name of a model, and a column and its value that name a slice.
    # Where the scores are those of all rows, these two are empty.
    resampled = {(name, "", ""): found.resampled for name, found in scored.items()}
    resampled |= {("model", *name): found.resampled for name, found in scored_slices.items()}
    refitted = {("model", "", ""): score_refits(metrics, whole, refit_predictions)}
    for name, rows in slice_rows.items():
        refitted["model", *name] = score_refits({gate_metric: metrics[gate_metric]}, rows, refit_predictions)

    rows_hash = fingerprint(valid, data)
    content = {
        "scores.json": scored["model"].scores,
        "evaluation.json": {
            "scores": scores_content(metrics, scored),
            "decision": decision,
            "estimator": {"name": params.train.model, "same_bytes": promises_same_bytes(params.train)},
            "rows": len(valid),
            "units": {"valid": whole.resamples.units, **refits.attrs},
            "fingerprints": fingerprints(valid, data),
            "platform": f"{platform.system()} {platform.machine()}",
        },
        "slices.json": slices_content(target, metrics, gate_metric, scored_slices),
        "bootstrap.csv": draws_table(rows_hash, resampled),
        "refits.csv": draws_table(rows_hash, refitted),
    }
    drawn = curves(target, whole.truth, predictions["model"], private=data.hides(data.target))
    return content | {f"curves/{name}.csv": curve for name, curve in drawn.items()}


def main() -> None:
    params = read_params()
    valid = read_table(Path("data/split/valid.parquet"))
    models = {name: load_model(Path(f"models/{name}.skops")) for name in ("model", *BASELINES)}
    written = evaluate(params, valid, models, read_table(Path("models/refits.parquet")))
    for name, content in written.items():
        if isinstance(content, pd.DataFrame):
            write_csv(content, Path("metrics") / name)
        else:
            write_json(content, Path("metrics") / name)
    gate_metric = params.gate.metric
    print(f"{gate_metric} {written['scores.json'][gate_metric]:.4g} on {len(valid):,} rows")


if __name__ == "__main__":
    main()
