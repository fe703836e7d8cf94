"""How good is the model, for whom, and how sure is that? Nothing is fitted here.

    python -m src.stages.evaluate

Scores the model and its baselines on `valid`, and the same resamples of its rows for all of them, so that their
differences can be judged resample by resample. An interval is the score give or take a multiple of the standard error
that the resamples show (Student's t at the degrees of freedom that the number of drawn units leaves), cut off at what
the metric can be. Slices are resampled on the gate's metric alone. Where errors have costs, two constant actions are
scored on the metric `cost` as well, `always` and `never`, and the probabilities around the threshold of the decision
are checked.

- `metrics/scores.json`: the model's scores, and nothing else, for `dvc metrics` and `dvc exp`;
- `metrics/evaluation.json`: the same and the baselines' scores with their intervals, the decision that the costs imply
  and whether its threshold can be trusted, the units that were drawn from, the platform, and hashes of the rows' ids
  and targets, by which two commits' scores are found to be comparable;
- `metrics/slices.json`: each slice's rows, drawn units, scores and interval (of the gate's metric); those too small to
  say much are marked;
- `metrics/bootstrap.csv`, `metrics/refits.csv`: the score of each resample and of each refit;
- `metrics/curves/`: ROC, precision-recall and calibration, or a regression's calibration and residuals, to be drawn.
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
from retrace.files import KEPT_FROM, read_table, write_csv, write_json
from retrace.intervals import noise_of_rows
from retrace.models import load_model
from retrace.params import Params, read_params
from retrace.resamples import bootstrap, bootstrap_slices, fingerprint, fingerprints, pools
from retrace.scores import BASELINES, CONSTANT_ACTIONS, Array, Metric, draws_table, metrics_of, score_draws

SMALL_SLICE = 100  # rows
FEWEST_UNITS = 5  # of a slice that is judged

Slices = dict[tuple[str, str], NDArray[np.bool_]]


def interval(score: float, resampled: pd.Series, units: int, metric: Metric) -> dict[str, float]:
    """A score's 95 % interval, `low` to `high`; NaN where too few units are drawn from to have one."""
    margin = noise_of_rows(resampled, units).margin
    if not math.isfinite(margin):
        return {"low": math.nan, "high": math.nan}
    return {"low": max(score - margin, metric.least), "high": min(score + margin, metric.most)}


def score_slices(
    metrics: dict[str, Metric],
    truth: NDArray[Any],
    guess: Array,
    cut: Slices,
    weights: Mapping[tuple[str, str], NDArray[np.integer]],
) -> dict[tuple[str, str, str], pd.DataFrame]:
    """The model's scores of each slice and of each draw, as `draws_table` takes them."""
    return {
        ("model", *name): score_draws(metrics, truth[rows], guess[rows], weights[name]) for name, rows in cut.items()
    }


def score_refits(
    metrics: dict[str, Metric], main_metric: str, truth: NDArray[Any], guesses: pd.DataFrame, cut: Slices
) -> dict[tuple[str, str, str], pd.DataFrame]:
    """Each refit's scores, of the whole and of the slices, as `draws_table` takes them: a column for each refit."""
    every = np.ones((1, len(truth)), dtype=np.int64)
    every_of = {name: every[:, rows] for name, rows in cut.items()}
    one = {main_metric: metrics[main_metric]}
    found: dict[tuple[str, str, str], list[pd.DataFrame]] = {}
    for _, columns in guesses.T.groupby(guesses.columns.str.split(".").str[0], sort=False):
        guess = columns.T.to_numpy()
        guess = guess[:, 0] if guess.shape[1] == 1 else guess
        scores = {("model", "", ""): score_draws(metrics, truth, guess, every)}
        for name, frame in (scores | score_slices(one, truth, guess, cut, every_of)).items():
            found.setdefault(name, []).append(frame)
    return {name: pd.concat(frames, axis=1, ignore_index=True) for name, frames in found.items()}


def is_small(target: Target, truth: NDArray[Any], units: int) -> bool:
    """Whether a slice's score says little: fewer than 100 rows, 5 drawn units, or 10 rows of one of two classes."""
    of_a_class = min(truth.sum(), (~truth).sum()) if target.kind == "two classes" else KEPT_FROM
    return bool(len(truth) < SMALL_SLICE or units < FEWEST_UNITS or of_a_class < KEPT_FROM)


def score_all(params: Params, valid: pd.DataFrame, models: dict[str, Any], refits: pd.DataFrame) -> dict[str, Any]:
    """Everything that this stage writes, by file name.

    Raises:
        UserError: the gate's metric isn't one of this problem's.
    """
    data, main_metric = params.data, params.gate.metric
    model_classes = getattr(models["model"], "classes_", None)
    target = Target.of(() if model_classes is None else model_classes.tolist(), data)
    costs = params.problem.costs
    if costs and target.kind != "two classes":
        raise UserError(
            f"params.yaml: problem.costs: for two classes, and there are {len(target.classes)}; make it null"
        )
    metrics = metrics_of(target.kind, costs)
    if main_metric not in metrics:
        raise UserError(f"params.yaml: gate.metric: {main_metric} is none of {', '.join(metrics)}")
    truth, names = target.truth(valid[data.target]), features(valid, data)
    guesses = {name: target.predict(model, valid[names]) for name, model in models.items()}
    every = np.ones(len(valid), dtype=np.int64)
    resampled = bootstrap(valid, data, params.evaluate.resamples)
    whole_pools = pools(valid, data)
    cut = slices(valid, params.evaluate.slices, whole_pools)
    resampled_slices = bootstrap_slices(whole_pools, cut, resampled)

    scored = {name: (metrics, guess) for name, guess in guesses.items()}
    decision = None
    if costs:
        for name, probability in CONSTANT_ACTIONS.items():
            scored[name] = {"cost": metrics["cost"]}, np.full(len(valid), probability)
        decision = decide(costs, truth, guesses["model"], guesses["prior"][0]) | {
            "calibration": check_threshold(costs.threshold, truth, guesses["model"], resampled.weights, resampled.units)
        }
    draws = {(name, "", ""): score_draws(own, truth, guess, resampled.weights) for name, (own, guess) in scored.items()}
    points = {
        name: {metric: each.on(truth, guess)(every) for metric, each in own.items()}
        for name, (own, guess) in scored.items()
    }
    one: dict[str, Metric] = {main_metric: metrics[main_metric]}
    of_slices = score_slices(
        one, truth, guesses["model"], cut, {name: found.weights for name, found in resampled_slices.items()}
    )
    slice_scores: dict[str, dict[str, Any]] = {}
    for (column, value), rows in cut.items():
        units = resampled_slices[column, value].units
        scores = {name: each.on(truth[rows], guesses["model"][rows])(every[rows]) for name, each in metrics.items()}
        series = of_slices["model", column, value].T[main_metric]
        slice_scores.setdefault(column, {})[value] = {
            "rows": int(rows.sum()),
            "units": units,
            **scores,
            **interval(scores[main_metric], series, units, metrics[main_metric]),
            "small": is_small(target, truth[rows], units),
        }
    evaluation: dict[str, Any] = {
        "scores": {
            name: {
                metric: {
                    "score": score,
                    **interval(score, draws[name, "", ""].T[metric], resampled.units, metrics[metric]),
                }
                for metric, score in each.items()
            }
            for name, each in points.items()
        },
        "decision": decision,
        "rows": len(valid),
        "units": {"valid": resampled.units, **refits.attrs},
        "fingerprints": fingerprints(valid, data),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    drawn = curves(target, truth, guesses["model"], private=data.hides(data.target))
    rows_hash = fingerprint(valid, data)
    return {
        "scores.json": points["model"],
        "evaluation.json": evaluation,
        "slices.json": slice_scores,
        "bootstrap.csv": draws_table(rows_hash, draws | of_slices),
        "refits.csv": draws_table(
            rows_hash, score_refits(metrics, main_metric, truth, refits.drop(columns=data.id_column), cut)
        ),
        **{f"curves/{name}.csv": curve for name, curve in drawn.items()},
    }


def main() -> None:
    params = read_params()
    valid = read_table(Path("data/split/valid.parquet"))
    models = {name: load_model(Path(f"models/{name}.skops")) for name in ("model", *BASELINES)}
    written = score_all(params, valid, models, read_table(Path("models/refits.parquet")))
    for name, content in written.items():
        if isinstance(content, pd.DataFrame):
            write_csv(content, Path("metrics") / name)
        else:
            write_json(content, Path("metrics") / name)
    print(f"{params.gate.metric} {written['scores.json'][params.gate.metric]:.4g} on {len(valid):,} rows")


if __name__ == "__main__":
    main()
