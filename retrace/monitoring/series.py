"""What is watched: the input columns, the predictions and, once labels are known, the losses.

A *series* is one thing that can raise an alarm. It is a column of values, such as an input column or the loss, whose
rows are counted in bins, by day. Its statistics follow from these counts (retrace/monitoring/column_statistics.py). A
loss is also watched in each slice.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.examples import Target
from retrace.monitoring.column_statistics import bin_of_rows, count_rows, days_of, number_of_bins, statistics
from retrace.monitoring.exchangeability import Array, Counts, Days
from retrace.params import Costs

Group = Literal["inputs", "predictions", "labels", "performance", "slices"]
SMALLEST = float(np.finfo(float).eps)  # a probability is at least this far from 0 in the log loss, as in the metric


@dataclass(frozen=True)
class Series:
    """One thing that is watched.

    Attributes:
        name: what people call it.
        group: what kind of thing it is.
        values: the column that has the values.
        column: its kind and bins, as in metrics/data.json.
        slice: the column and the value by which rows are selected, or None for all rows.
    """

    name: str
    group: Group
    values: str
    column: Mapping[str, Any]
    slice: tuple[str, str] | None = None

    @property
    def statistics(self) -> dict[str, Array]:
        """For each statistic, the score of the rows in each bin, shape (bins,)."""
        if self.group not in ("performance", "slices"):
            return statistics(self.column)
        if "values" in self.column:
            means = [*map(float, self.column["values"]), np.nan, np.nan]
        else:
            shown = self.column["histogram"]
            means = [shown["first"] + (bin_ + 0.5) * shown["step"] for bin_ in range(len(shown["counts"]))] + [np.nan]
        return {"mean": np.array(means)}

    def count(self, table: pd.DataFrame, days: NDArray[np.intp], number_of_days: int) -> Counts:
        """How many rows of each day are in each bin, shape (days, bins).

        Args:
            table: has the column of the values, and that of the slice as text (`category_text`).
            days: the day of each row as a number from 0, shape (rows,).
            number_of_days: how many days there are.
        """
        shape = (number_of_days, number_of_bins(self.column))
        if self.slice is not None:
            column, value = self.slice
            selected = (table[column] == value).to_numpy()
            table, days = table[selected], days[selected]
        return count_rows(bin_of_rows(table[self.values], self.column), days, shape)

    def days(self, counts: Counts) -> dict[str, Days]:
        """The statistics of each day, from what `count` returns.

        Means have four digits, in the reference as on served days. Otherwise rounding errors would decide how days with
        equal means are ranked, such as those on which a column is constant.
        """
        found = {name: days_of(counts, scores) for name, scores in self.statistics.items()}
        return {name: replace(days, means=rounded(days.means)) for name, days in found.items()}

    def content(self) -> dict[str, Any]:
        """The series as JSON."""
        return asdict(self) | {"column": dict(self.column)}


def category_text(values: pd.Series) -> pd.Series:
    """Categories as text; 1 and 1.0 are the same."""
    return values.map(lambda value: str(int(value)) if isinstance(value, float) and value.is_integer() else str(value))


def rounded(values: Array) -> Array:
    """Numbers with four digits."""
    return np.array([float(f"{value:.4g}") for value in values])


class WatchedModel(NamedTuple):
    """A released model, and what is watched of it.

    Attributes:
        package_sha256: the hash of its package.
        target: what it predicts.
        costs: what each kind of error costs, if it's known.
        series: what is watched.
        overdispersion: by metric, by how much more scores vary than if labels were independent of each other.
    """

    package_sha256: str
    target: Target
    costs: Costs | None
    series: list[Series]
    overdispersion: dict[str, float]


def read_series(content: Mapping[str, Any]) -> Series:
    """A series from its JSON."""
    where = content["slice"]
    return Series(
        content["name"], content["group"], content["values"], content["column"], None if where is None else tuple(where)
    )


def prediction_columns(predictions: NDArray[np.float64], target: Target) -> dict[str, NDArray[Any]]:
    """The columns of values that follow from predictions.

    Args:
        predictions: the predicted numbers or the probability of the positive class, shape (rows,); with more than two
            classes the probability of each, shape (rows, classes).
        target: what is predicted.
    """
    if target.kind != "multiclass":
        return {"prediction": predictions}
    names = np.array([str(name) for name in target.classes], dtype=object)
    return {"predicted class": names[predictions.argmax(axis=1)], "highest probability": predictions.max(axis=1)}


def label_columns(
    truth: NDArray[Any], predictions: NDArray[np.float64], target: Target, costs: Costs | None
) -> dict[str, NDArray[Any]]:
    """The columns of values that need labels: the label, the loss and, if errors have costs, the cost.

    Args:
        truth: the labels as `Target.truth` returns them, shape (rows,).
        predictions: as for prediction_columns.
        target: what is predicted.
        costs: what each kind of error costs, if it's known.
    """
    if target.kind == "regression":
        return {"label": truth, "absolute error": np.abs(truth - predictions)}
    names = np.array([str(name) for name in target.classes], dtype=object)
    codes = truth.astype(np.intp)
    if target.kind == "two classes":
        of_label = np.where(truth, predictions, 1 - predictions)
    else:
        of_label = predictions[np.arange(len(codes)), codes]
    found: dict[str, NDArray[Any]] = {"label": names[codes], "log loss": -np.log(np.clip(of_label, SMALLEST, None))}
    if costs is not None:
        acted = predictions >= costs.threshold
        of_row = np.where(truth, np.where(acted, 0.0, costs.false_negative), np.where(acted, costs.false_positive, 0.0))
        found["cost"] = of_row.astype(str).astype(object)  # text, because it has few values
    return found
