"""What the columns of a prepared table are for: features, target, id, time and group."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.files import KEPT_FROM, without_returns
from retrace.params import Data
from retrace.privacy import without_small_rests

Label = bool | int | str
Kind = Literal["two classes", "more classes", "regression"]


def features(table: pd.DataFrame, data: Data) -> list[str]:
    """The columns that a model may learn from, in the table's order."""
    others = {data.target, data.id_column, data.time, data.group, data.weight, *data.drop}
    return [column for column in table.columns if column not in others]


def is_number(column: pd.Series) -> bool:
    """Whether a feature is a quantity (truth values count as 0 and 1); else its values are categories."""
    return pd.api.types.is_numeric_dtype(column)


@dataclass(frozen=True)
class Target:
    """What is predicted: a number, or one of these classes in their order; of two, the positive one is the last."""

    classes: tuple[Label, ...] = ()

    @classmethod
    def of(cls, values: Iterable[Label], data: Data) -> Self:
        """The target that has these values, in a column or as the classes of a model.

        Raises:
            UserError: there is only one class, `data.positive` is none of them.
        """
        if data.task == "regression":
            return cls()
        classes = sorted(set(values))
        if len(classes) < 2:
            raise UserError(f"column {data.target}: all rows have one class; a model needs two (data.target)")
        if data.positive is not None and data.positive not in classes:
            raise UserError(f"params.yaml: data.positive: no row's {data.target} has that value")
        if len(classes) == 2 and data.positive is not None:
            classes.sort(key=lambda value: value == data.positive)
        return cls(tuple(classes))

    @property
    def kind(self) -> Kind:
        """Which metrics apply."""
        if not self.classes:
            return "regression"
        return "two classes" if len(self.classes) == 2 else "more classes"

    def truth(self, column: pd.Series) -> NDArray[np.generic]:
        """A column of targets as the metrics take it: truth values, codes or numbers, shape (rows,)."""
        if self.kind == "regression":
            return column.to_numpy(float)
        if self.kind == "two classes":
            return (column == self.classes[-1]).to_numpy(bool)
        return pd.Categorical(column, categories=list(self.classes)).codes.astype(np.intp)

    def predict(self, model: Any, table: pd.DataFrame) -> NDArray[np.float64]:
        """What a model predicts for each row, as `arrange` returns it, or a number in the target's unit."""
        if self.kind == "regression":
            return np.asarray(model.predict(table), dtype=float)
        return self.arrange(model.classes_.tolist(), model.predict_proba(table))

    def arrange(self, classes: list[Label], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probability of the positive class, shape (rows,), or of each of more classes, shape (rows, classes)."""
        whole = np.zeros((len(probabilities), len(self.classes)))
        whole[:, [self.classes.index(value) for value in classes]] = probabilities
        return whole[:, -1] if self.kind == "two classes" else whole


def equal_bins(values: NDArray[np.float64], count: int = 10) -> NDArray[np.intp]:
    """The bin of each value, out of `count` of equal size, numbered from 0; equal values share a bin."""
    edges = np.unique(np.quantile(values, np.arange(1, count) / count))
    return np.searchsorted(edges, values, side="left")


def slices(
    table: pd.DataFrame, columns: list[str], pools: NDArray[np.intp], most: int = 30
) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """The rows of each slice, by column and value: the `most` largest that have at least `KEPT_FROM` rows.

    A slice by which a score of fewer could be computed from those of others is left out: privacy.without_small_rests.

    Args:
        table: the rows.
        columns: which to cut by.
        pools: the number of each row's pool, shape (rows,), as `resamples.pools` gives it.
        most: how many slices at most.

    Raises:
        UserError: there is no such column, or its values are measurements.
    """
    found = []
    for column in columns:
        if column not in table:
            raise UserError(f"params.yaml: evaluate.slices: the prepared table has no column {column}")
        if pd.api.types.is_float_dtype(table[column]):
            raise UserError(f"params.yaml: evaluate.slices: {column} is a measurement, not a category; leave it out")
        counts = table[column].value_counts()
        found += [
            (-count, column, without_returns(str(value)), value)
            for value, count in counts.items()
            if count >= KEPT_FROM
        ]
    found.sort(key=lambda slice_: slice_[:3])
    parts = {(column, name): (table[column] == value).to_numpy(bool) for _, column, name, value in found[:most]}
    return without_small_rests(parts, pools)
