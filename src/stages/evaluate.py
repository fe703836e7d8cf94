"""Score the model and its baselines on the validation rows, overall and by slice. Nothing is fitted here.

    python -m src.stages.evaluate

The model and the baselines are scored on `valid` and on bootstrap resamples of its rows. The resamples are the same for
all of them, so that any two can be compared resample by resample. If the errors have costs, two constant actions are
scored on the metric `cost`: `always` acts on every row, `never` on none.

The resamples are drawn from *units*. A unit is a row, or all rows of a group or of a block of time if those aren't
independent of each other. A 95 % interval is the score plus or minus t standard errors, where Student's t has
min(units, resamples) - 1 degrees of freedom, and ends at the bounds of the metric.

The results are in `metrics/`:

- `scores.json`: the model's scores, for `dvc metrics` and `dvc exp`;
- `evaluation.json`: all scores with their intervals, the decision that the costs imply, and what the review needs to
  know before it compares two commits, such as hashes of the rows' ids and targets;
- `slices.json`: the scores of the model on each slice, with an interval for the gate's metric;
- `bootstrap.csv`: the scores on each resample;
- `refits.csv`: the scores of each refit that `train` made;
- `curves/`: the points of the plots, such as the ROC curve.
"""

import math
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.curves import curves
from retrace.decisions import check_threshold, decide
from retrace.errors import UserError
from retrace.examples import Target, features, slices
from retrace.files import FEWEST_ROWS_SHOWN, read_table, write_csv, write_json
from retrace.intervals import noise_of_rows
from retrace.models import load_model
from retrace.params import Costs, Params, read_params
from retrace.resamples import bootstrap, bootstrap_slices, fingerprint, fingerprints, pools
from retrace.scored_rows import (
    Metrics,
    Rows,
    Scored,
    predictions_of_refits,
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

# Slices with fewer rows or units than these are scored but not judged.
FEWEST_ROWS = 100
FEWEST_UNITS = 5

SliceName = tuple[str, str]  # a column, and the value that the slice's rows have in it


def choose_metrics(target: Target, params: Params) -> dict[str, Metric]:
    """The metrics that apply to this target, by name.

    Raises:
        UserError: the gate's metric isn't one of them, or errors have costs and there aren't two classes.
    """
    costs = params.problem.costs
    if costs and target.kind != "two classes":
        raise UserError(
            f"params.yaml: problem.costs: for two classes, and there are {len(target.classes)}; make it null"
        )
    metrics = metrics_of(target.kind, costs) | project_metrics()
    check_gate_metric(params.gate.metric, metrics)
    return metrics


def rows_to_score(params: Params, valid: pd.DataFrame, target: Target) -> tuple[Rows, dict[SliceName, Rows]]:
    """All validation rows, and the rows of each slice, with their resamples.

    Raises:
        UserError: the rows can't be sliced by a column that `evaluate.slices` names.
    """
    data = params.data
    truth = target.truth(valid[data.target])
    resamples = bootstrap(valid, data, params.evaluate.resamples)
    whole = Rows(np.ones(len(valid), dtype=bool), valid, truth, resamples)

    pools_of_rows = pools(valid, data)
    selections = slices(valid, params.evaluate.slices, pools_of_rows)
    slice_resamples = bootstrap_slices(pools_of_rows, selections, resamples)
    slice_rows = {
        name: Rows(selected, valid[selected], truth[selected], slice_resamples[name])
        for name, selected in selections.items()
    }
    return whole, slice_rows


def score_constant_actions(cost: Metric, whole: Rows) -> dict[str, Scored]:
    """What it costs to act on every row, and on none, by the name of the action."""
    return {
        action: score_whole({"cost": cost}, whole, np.full(len(whole.truth), probability))
        for action, probability in CONSTANT_ACTIONS.items()
    }


def judge_decision(costs: Costs, whole: Rows, predictions: Mapping[str, Array]) -> dict[str, Any]:
    """The decision that the costs imply: its threshold, its hits and errors, and whether the threshold can be trusted.

    Args:
        costs: what each kind of error costs.
        whole: all validation rows.
        predictions: of the `model`, and of the baseline `prior`: the share of positives in train, in every row.
    """
    probabilities, resamples = predictions["model"], whole.resamples
    decision = decide(costs, whole.truth, probabilities, prior=predictions["prior"][0])
    calibration = check_threshold(costs.threshold, whole.truth, probabilities, resamples.weights, resamples.units)
    return decision | {"calibration": calibration}


def interval(score: float, resampled: pd.Series, units: int, metric: Metric) -> dict[str, float]:
    """A score's 95 % interval, from `low` to `high`; both are NaN where there are too few units to have one.

    Args:
        score: on the rows themselves.
        resampled: the scores on resamples of these rows.
        units: how many units the resamples are drawn from.
        metric: what was scored; its bounds are those of the interval.
    """
    margin = noise_of_rows(resampled, units).margin
    if not math.isfinite(margin):
        return {"low": math.nan, "high": math.nan}
    return {"low": max(score - margin, metric.lowest), "high": min(score + margin, metric.highest)}


def interval_of(scored: Scored, name: str, metric: Metric) -> dict[str, float]:
    """The 95 % interval of one of the scores."""
    return interval(scored.scores[name], scored.resampled.T[name], scored.rows.resamples.units, metric)


def is_small(target: Target, truth: NDArray[Any], units: int) -> bool:
    """Whether a slice is too small to be judged: fewer than 100 rows, 5 units, or 10 rows of one of two classes."""
    if len(truth) < FEWEST_ROWS or units < FEWEST_UNITS:
        return True
    return target.kind == "two classes" and bool(min(truth.sum(), (~truth).sum()) < FEWEST_ROWS_SHOWN)


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

    # The lines of bootstrap.csv and refits.csv, by model, column and value; all rows have an empty column and value.
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
