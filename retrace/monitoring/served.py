"""Read the served predictions from the log, and count them by day."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic_core import from_json

from retrace.monitoring.column_statistics import number_of_bins
from retrace.monitoring.exchangeability import Counts
from retrace.monitoring.inputs import Inputs
from retrace.monitoring.series import WatchedModel, category_text, label_columns, prediction_columns
from retrace.serving.log import Log, Prediction

PART = 20_000  # predictions that are held in memory with their inputs


@dataclass
class Served:
    """The predictions of a package in some period.

    Attributes:
        days: the days, weeks or months, from the first to the last, without gaps.
        counts: of each series, how many rows of each day are in each bin, shape (days, bins).
        day_of_row: the day of each prediction as a number from 0, shape (predictions,).
        predictions: shape (predictions,), or (predictions, classes) with more than two classes.
        labelled: whether each prediction has a label, shape (predictions,).
        truth: the labels of those that have one, as `Target.truth` returns them, shape (labelled,).
        slices: the columns of `evaluate.slices` of those that have a label, as text.
        unreadable: how many predictions have inputs that are encrypted, or that the package doesn't accept.
    """

    days: pd.PeriodIndex
    counts: dict[str, Counts]
    day_of_row: NDArray[np.intp]
    predictions: NDArray[np.float64]
    labelled: NDArray[np.bool_]
    truth: NDArray[Any]
    slices: pd.DataFrame
    unreadable: int


def read_served(
    log: Log, model: WatchedModel, days: pd.PeriodIndex, inputs: Inputs, progress: Callable[[int], object]
) -> Served | None:
    """The predictions of a model on some days; None if there are none.

    Args:
        log: where they are stored.
        model: that predicted.
        days: the days, weeks or months to read, without gaps.
        inputs: reads the input columns of some predictions.
        progress: is called with the number of predictions after each part.

    Raises:
        LogError: the log can't be read.
    """
    series, target, costs = model.series, model.target, model.costs
    start, end = days[0].start_time.to_pydatetime(), (days[-1] + 1).start_time.to_pydatetime()
    columns = sorted({each.slice[0] for each in series if each.slice})
    counts = {each.name: np.zeros((len(days), number_of_bins(each.column)), np.int64) for each in series}
    found: list[tuple[Any, ...]] = []
    unreadable = 0
    for part in log.since(start, PART, until=end, package=model.package_sha256):
        day_of_row = day_numbers(part, days)
        predictions = np.array([values_of(each.output) for each in part], dtype=float)
        labels = log.latest_labels([each.id for each in part])
        known = [from_json(labels[each.id]) if each.id in labels else None for each in part]
        labelled = np.array([label is not None for label in known])
        truth = target.truth(pd.Series([label for label in known if label is not None], dtype=object))
        table, readable = inputs.read(part)
        unreadable += int((~readable).sum())
        outputs = pd.DataFrame(prediction_columns(predictions, target))
        sliced = pd.DataFrame(index=outputs.index, columns=columns, dtype=object)
        sliced.loc[readable, columns] = table[columns].apply(category_text).to_numpy(dtype=object)
        losses = sliced[labelled].assign(**label_columns(truth, predictions[labelled], target, costs))
        rows_of_group = {
            "inputs": (table, day_of_row[readable]),
            "predictions": (outputs, day_of_row),
            "labels": (losses, day_of_row[labelled]),
            "performance": (losses, day_of_row[labelled]),
            "slices": (losses, day_of_row[labelled]),
        }
        for each in series:
            rows, day_of_each = rows_of_group[each.group]
            counts[each.name] += each.count(rows, day_of_each, len(days))
        found.append((day_of_row, predictions, labelled, truth, losses[columns]))
        progress(len(part))
    if not found:
        return None
    day_of_rows, all_predictions, are_labelled, truths, slices = zip(*found, strict=True)
    return Served(
        days,
        counts,
        np.concatenate(day_of_rows),
        np.concatenate(all_predictions),
        np.concatenate(are_labelled),
        np.concatenate(truths),
        pd.concat(slices, ignore_index=True),
        unreadable,
    )


def day_numbers(part: Sequence[Prediction], days: pd.PeriodIndex) -> NDArray[np.intp]:
    """The day of each prediction as a number from 0, shape (predictions,)."""
    times = pd.DatetimeIndex([each.time for each in part])
    return days.get_indexer(times.to_period(days.freqstr)).astype(np.intp)


def values_of(output: Any) -> Any:
    """A stored output as a number, or as the list of the classes' probabilities."""
    return list(output.values()) if isinstance(output, dict) else output
