"""How good the served predictions were, against the scores on test: from labels, and estimated without them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrace.examples import Target
from retrace.monitoring.estimated_scores import estimate_scores
from retrace.monitoring.selective_labels import measure_selection
from retrace.monitoring.series import WatchedModel
from retrace.monitoring.served import Served
from retrace.resamples import resample
from retrace.scored_rows import interval, is_small
from retrace.scores import Metric, metrics_of, score_draws

RESAMPLES = 200
Scores = dict[str, float | None]


def measure_performance(served: Served, model: WatchedModel, released: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of the labelled predictions, with 95 % intervals, beside those on test.

    Args:
        served: the predictions.
        model: that predicted.
        released: the content of release/test.json.

    Returns:
        `scores`: for each metric `test`, `served` (None without labels) and `estimated` (None if there aren't two
        classes), each with `score`, `low` and `high`. `slices`: for each slice its column, value and number of rows,
        and its scores on test and served by the release's gate metric; none if that is the project's own.
    """
    target = model.target
    metrics = metrics_of(target.kind, model.costs)
    rows = np.ones(len(served.truth), dtype=bool)
    with_labels = scores_of(served, rows, metrics) if rows.any() else {}
    estimated: dict[str, Scores] = {}
    if target.kind == "two classes" and len(served.predictions):
        found = estimate_scores(served.predictions, model.costs, model.overdispersion)
        estimated = {name: finite_values(each._asdict()) for name, each in found.items()}
    scores = {
        name: {"test": test, "served": with_labels.get(name), "estimated": estimated.get(name)}
        for name, test in released["scores"]["model"].items()
        if name in metrics
    }
    return {"scores": scores, "slices": slices_of(served, target, metrics, released)}


def slices_of(
    served: Served, target: Target, metrics: Mapping[str, Metric], released: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The scores of the slices that have scores on test; for the arguments, see measure_performance."""
    gate_metric = released["gate_metric"]
    if gate_metric not in metrics:
        return []
    found = []
    for column, values in released["slices"].items():
        for value, test in values.items():
            if column not in served.slices:
                continue
            selected = (served.slices[column] == value).to_numpy()
            truth = served.truth[selected]
            days = len(np.unique(served.day_of_row[served.labelled][selected]))
            if test["small"] or not len(truth) or is_small(target, truth, days):
                continue
            scores = scores_of(served, selected, {gate_metric: metrics[gate_metric]})
            of_test = {"score": test[gate_metric], "low": test.get("low"), "high": test.get("high")}
            now = scores[gate_metric]
            found.append({"column": column, "value": value, "rows": len(truth), "test": of_test, "served": now})
    return found


def scores_of(served: Served, selected: NDArray[np.bool_], metrics: Mapping[str, Metric]) -> dict[str, Scores]:
    """The scores of some labelled rows, with 95 % intervals from resamples of the days.

    Args:
        served: the predictions.
        selected: which of the labelled rows, shape (labelled,).
        metrics: by name.
    """
    truth, predictions = served.truth[selected], served.predictions[served.labelled][selected]
    _, days = np.unique(served.day_of_row[served.labelled][selected], return_inverse=True)
    draws = resample(days, RESAMPLES)
    once = np.ones((1, len(truth)), dtype=np.int64)
    scores = score_draws(metrics, truth, predictions, once)[0]
    resampled = score_draws(metrics, truth, predictions, draws).T
    found = {}
    for name, metric in metrics.items():
        ends = interval(scores[name], resampled[name], draws.units, metric)
        found[name] = finite_values({"score": scores[name], **ends})
    return found


def finite(value: float | None) -> float | None:
    """A number with six digits; None if there is none, or if it isn't finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def finite_values(values: Mapping[str, float]) -> dict[str, float | None]:
    """Numbers with six digits, by name; None if one isn't finite."""
    return {name: finite(value) for name, value in values.items()}


def measure_labels(served: Served, judged: int) -> dict[str, Any] | None:
    """Whether labels came for all predictions alike, on the days whose labels should be known.

    Args:
        served: the predictions.
        judged: how many of the days, from the first on.

    Returns:
        What `measure_selection` finds, by name; None if there is no such day, or no label.
    """
    rows = served.day_of_row < judged
    if not served.labelled[rows].any():
        return None
    predictions = served.predictions if served.predictions.ndim == 1 else served.predictions[:, -1]
    selection = measure_selection(predictions[rows], served.labelled[rows], served.day_of_row[rows])
    return finite_values(selection._asdict())
