"""Summarise the rows that a release was made with, day by day: what `make watch` compares served predictions with.

    python -m retrace.monitoring.reference

It writes `release/reference.json`, which becomes a part of the package. For each series (retrace/monitoring/series.py)
it has the bins and, if the rows of one day depend on each other, the mean of each day. The inputs are those of train
and valid, the predictions those of valid and test, and the labels and losses those of test. `overdispersion` says by
how much more scores vary than if the labels of one day were independent of each other.

Private columns aren't watched. A day with fewer than 10 rows counts as a day without rows, and a statistic with fewer
than five days is left out. Means have four digits.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.examples import Target, features, slices
from retrace.files import FEWEST_ROWS_SHOWN, write_json
from retrace.models import load_model
from retrace.monitoring.estimated_scores import measure_overdispersion
from retrace.monitoring.exchangeability import Counts
from retrace.monitoring.series import Series, category_text, label_columns, prediction_columns
from retrace.params import Block, Params, SplitByTime, read_params
from retrace.privacy import histogram, without_rare
from retrace.resamples import BLOCKS, pools
from retrace.scored_rows import FEWEST_UNITS
from retrace.table_files import read_table

FILE = Path("release/reference.json")
# The names of the columns that retrace/monitoring/series.py derives; an input column may have one of these names, too.
DERIVED = ("prediction", "predicted class", "highest probability", "label", "log loss", "absolute error", "cost")


def period_of(params: Params) -> Block | None:
    """The period whose rows depend on each other: a day, a week or a month; None if all rows are independent."""
    if not isinstance(params.split, SplitByTime) or params.split.block is None:
        return None
    return "day" if params.split.block == "hour" else params.split.block


def days_of_rows(times: pd.Series, period: Block) -> tuple[NDArray[np.intp], pd.PeriodIndex]:
    """The period of each row as a number from 0, and all periods from the first to the last."""
    found = times.dt.to_period(BLOCKS[period])
    periods = pd.period_range(found.min(), found.max(), freq=BLOCKS[period])
    return periods.get_indexer(pd.PeriodIndex(found)).astype(np.intp), periods


def summarise(series: Series, counts: Counts) -> dict[str, Any]:
    """The statistics of each day.

    Args:
        series: what is watched.
        counts: how many rows of each day are in each bin, shape (days, bins).

    Returns:
        By statistic: `means`, `rows` and `row_variance`, as retrace/monitoring/exchangeability.py describes them.
    """
    found = {}
    for name, statistic in series.days(counts).items():
        shown = statistic.rows >= FEWEST_ROWS_SHOWN
        if shown.sum() < FEWEST_UNITS:
            continue  # such as the loss in a slice that has few rows on most days
        found[name] = {
            "means": np.where(shown, statistic.means, 0).tolist(),
            "rows": np.where(shown, statistic.rows, 0).astype(int).tolist(),
            "row_variance": float(f"{statistic.row_variance:.4g}"),
        }
    return found


def describe_values(values: NDArray[Any]) -> dict[str, Any]:
    """Numbers or text in the form of metrics/data.json: a histogram, or the values that at least 10 rows have."""
    content: dict[str, Any] = {"kind": "number", "missing": 0.0}
    if values.dtype != object:
        shown = histogram([values])
        return content if shown is None else content | {"histogram": shown}
    names, counts = np.unique(values.astype(str), return_counts=True)
    shown_counts, other_rows = without_rare(counts)
    common = {str(name): int(count) for name, count in zip(names, shown_counts, strict=True) if count}
    return content | {"kind": "category", "values": common, "other_rows": other_rows}


def make_reference(
    params: Params, parts: dict[str, pd.DataFrame], model: Any, described: dict[str, Any]
) -> dict[str, Any]:
    """The content of release/reference.json.

    Args:
        params: the project's parameters.
        parts: the rows of train, valid and test.
        model: the fitted model.
        described: the columns of train and valid, as in metrics/data.json.
    """
    data, costs = params.data, params.problem.costs
    target = Target.of([] if data.task == "regression" else model.classes_.tolist(), data)
    inputs = pd.concat([parts["train"], parts["valid"]], ignore_index=True)
    held_out = pd.concat([parts["valid"], parts["test"]], ignore_index=True)
    columns = features(inputs, data)
    predictions = target.predict(model, held_out[columns])
    outputs = prediction_columns(predictions, target)
    held_out = held_out.assign(**outputs)
    test = parts["test"].reset_index(drop=True)
    truth, of_test = target.truth(test[data.target]), predictions[len(parts["valid"]) :]
    labels = label_columns(truth, of_test, target, costs)
    selected = slices(test, params.evaluate.slices, pools(parts["test"], data))
    sliced = {column: category_text(test[column]) for column, _ in selected}
    test = test.assign(**sliced, **labels)

    shown = {name: name if name not in DERIVED else f"input {name}" for name in columns if not data.hides(name)}
    losses = {name: describe_values(values) for name, values in labels.items() if name != "label"}
    loss = next(iter(losses))
    watched = [
        (inputs, [Series(title, "inputs", name, described[name]) for name, title in shown.items()]),
        (held_out, [Series(name, "predictions", name, describe_values(values)) for name, values in outputs.items()]),
        (
            test,
            [] if data.hides(data.target) else [Series("label", "labels", "label", describe_values(labels["label"]))],
        ),
        (test, [Series(name, "performance", name, column) for name, column in losses.items()]),
        (
            test,
            [
                Series(
                    f"{loss}, {column} = {value}", "slices", loss, describe_values(labels[loss][rows]), (column, value)
                )
                for (column, value), rows in selected.items()
                if column in shown  # a request has the input columns only
            ],
        ),
    ]
    period = period_of(params)
    content = []
    for table, group in watched:
        days, number_of_days = np.zeros(len(table), dtype=np.intp), 1
        if period is not None:
            days, periods = days_of_rows(table[data.time], period)
            number_of_days = len(periods)
        for series in group:
            if series.group in ("performance", "slices") and not {"histogram", "values"} & series.column.keys():
                continue  # too few rows
            counts = series.count(table, days, number_of_days)
            found = series.content() | {"rows": int(counts.sum())}
            if period is not None:
                found["statistics"] = summarise(series, counts)
            if found.get("statistics") != {}:
                content.append(found)
    if period is not None and target.kind == "two classes":
        days, _ = days_of_rows(test[data.time], period)
        overdispersion = measure_overdispersion(truth, of_test, days, costs)
    else:
        overdispersion = {}
    return {"period": period, "series": content, "overdispersion": overdispersion}


def main() -> None:
    params = read_params()
    parts = {part: read_table(Path(f"data/split/{part}.parquet")) for part in ("train", "valid", "test")}
    described = json.loads(Path("metrics/data.json").read_text(encoding="utf-8"))["columns"]
    content = make_reference(params, parts, load_model(Path("models/model.skops")), described)
    write_json(content, FILE)
    print(f"{FILE}: {len(content['series'])} series, {FILE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
