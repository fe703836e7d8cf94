"""What the columns of a prepared table are for: features, target, id, time and group."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.files import FEWEST_ROWS_SHOWN, without_returns
from retrace.params import Data
from retrace.privacy import without_revealing_slices

Label = bool | int | str
Kind = Literal["two classes", "multiclass", "regression"]


class HasColumns(Protocol):
    """A table, or what stands for one, whose columns have names."""

    @property
    def columns(self) -> Iterable[Any]:
        """The names."""


def features(table: HasColumns, data: Data) -> list[str]:
    """The columns that a model may learn from, in the table's order."""
    others = {data.target, data.id_column, data.time, data.group, data.weight, *data.drop}
    return [column for column in table.columns if column not in others]


def is_number(column: pd.Series) -> bool:
    """Whether a feature is a quantity (a boolean counts as 0 or 1); otherwise its values are categories."""
    return pd.api.types.is_numeric_dtype(column)


def labels(column: pd.Series) -> NDArray[Any]:
    """The targets in a form that scikit-learn accepts: an array of numbers, booleans or text, shape (rows,)."""
    return np.asarray(column.tolist())


def sample_weights(rows: pd.DataFrame, data: Data, part: str) -> dict[str, NDArray[np.float64]]:
    """The weights of the rows as an argument of an estimator's `fit`; empty if `data.weight` names no column.

    Args:
        rows: the rows to fit on.
        data: which column has the weights.
        part: the name of these rows in an error.

    Raises:
        UserError: all weights are 0.
    """
    if data.weight is None:
        return {}
    values = rows[data.weight].to_numpy(float)
    if not values.any():
        raise UserError(f"column {data.weight}: all weights in {part} are 0; name another column in data.weight")
    return {"sample_weight": values}


@dataclass(frozen=True)
class Target:
    """What is predicted: one of some classes, or a number.

    Attributes:
        classes: in their order, the positive one of two classes last; empty for a number.
    """

    classes: tuple[Label, ...] = ()

    @classmethod
    def of(cls, values: Iterable[Label], data: Data) -> Self:
        """The target that has these values.

        Args:
            values: those of the target's column, or the classes of a model.
            data: which task it is, and which class is positive.

        Raises:
            UserError: there is only one class, or `data.positive` is none of them.
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
        """The kind of problem, on which it depends which metrics apply."""
        if not self.classes:
            return "regression"
        return "two classes" if len(self.classes) == 2 else "multiclass"

    def truth(self, column: pd.Series) -> NDArray[np.generic]:
        """A column of targets as the metrics take it: numbers, booleans, or codes of the classes; shape (rows,)."""
        if self.kind == "regression":
            return column.to_numpy(float)
        if self.kind == "two classes":
            return (column == self.classes[-1]).to_numpy(bool)
        return pd.Categorical(column, categories=list(self.classes)).codes.astype(np.intp)

    def predict(self, model: Any, table: pd.DataFrame) -> NDArray[np.float64]:
        """What a model predicts for each row: a number in the target's unit, or what `arrange` returns."""
        if self.kind == "regression":
            return np.asarray(model.predict(table), dtype=float)
        return self.arrange(model.classes_.tolist(), model.predict_proba(table))

    def arrange(self, classes: list[Label], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities as the metrics take them.

        Args:
            classes: those that a model knows, which may be fewer than the target has.
            probabilities: of these classes, shape (rows, classes of the model).

        Returns:
            Of two classes the probability of the positive one, shape (rows,); else of each class, shape
            (rows, classes of the target).
        """
        arranged = np.zeros((len(probabilities), len(self.classes)))
        arranged[:, [self.classes.index(value) for value in classes]] = probabilities
        return arranged[:, -1].copy() if self.kind == "two classes" else arranged  # a view would keep both columns


def equal_bins(values: NDArray[np.float64], count: int = 10) -> NDArray[np.intp]:
    """The bin of each value, out of `count` of equal size, numbered from 0; equal values share a bin."""
    return np.searchsorted(bin_edges(values, count), values, side="left")


def bin_edges(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The highest value of each bin but the last one, where bins are as in `equal_bins`; edges may be fewer."""
    return np.unique(np.quantile(values, np.arange(1, count) / count))


class Slices(Mapping[tuple[str, str], NDArray[np.bool_]]):
    """Whether each row is in a slice, shape (rows,), by the slice's column and value.

    It's computed when it's asked for, because a column's codes take less memory than all of its slices.
    """

    def __init__(self, code_of_row: Mapping[str, NDArray[np.integer]], codes: Mapping[tuple[str, str], int]) -> None:
        """Slices of some columns.

        Args:
            code_of_row: the code of each row's value, shape (rows,), by the column.
            codes: the code of each slice's value.
        """
        self.code_of_row = code_of_row
        self.codes = codes

    def __getitem__(self, name: tuple[str, str]) -> NDArray[np.bool_]:
        return np.asarray(self.code_of_row[name[0]] == self.codes[name])

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.codes)

    def __len__(self) -> int:
        return len(self.codes)


class _Candidate(NamedTuple):
    """A slice, by what slices are ordered: the largest first, then by name."""

    negative_rows: int
    column: str
    name: str
    code: int


def slices(table: pd.DataFrame, columns: list[str], pools: NDArray[np.integer], most: int = 30) -> Slices:
    """The largest slices of a table that have at least 10 rows: the rows with one value in one of the columns.

    A slice is left out if a score of fewer rows could be computed from its scores and those of others.

    Args:
        table: the rows.
        columns: which to slice by.
        pools: the number of each row's pool, shape (rows,), as `resamples.pools` gives it.
        most: how many slices at most.

    Raises:
        UserError: there is no such column, or its values are measurements.
    """
    candidates, code_of_row = [], {}
    for column in columns:
        if column not in table:
            raise UserError(f"params.yaml: evaluate.slices: the prepared table has no column {column}")
        if pd.api.types.is_float_dtype(table[column]):
            raise UserError(f"params.yaml: evaluate.slices: {column} is a measurement, not a category; leave it out")
        codes, values = pd.factorize(table[column])  # the code of a missing value is -1
        code_of_row[column] = codes.astype(np.min_scalar_type(-1 - len(values)))
        del codes
        for code, rows in enumerate(np.bincount(code_of_row[column] + 1)[1:].tolist()):
            if rows >= FEWEST_ROWS_SHOWN:
                candidates.append(_Candidate(-rows, column, without_returns(str(values[code])), code))
    candidates.sort(key=lambda candidate: candidate[:3])
    largest = {(candidate.column, candidate.name): candidate.code for candidate in candidates[:most]}
    kept = without_revealing_slices(Slices(code_of_row, largest), pools)
    return Slices(code_of_row, {name: largest[name] for name in kept})
