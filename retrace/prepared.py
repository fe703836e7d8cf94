"""What a prepared table must be, whatever the data set: every later stage builds on it."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import pandas as pd

from retrace.errors import PARAMETER, ParameterError, UserError
from retrace.examples import Target, features, is_number
from retrace.files import as_text
from retrace.hashes import StoredHashes
from retrace.params import Data


def check_prepared(chunks: Iterable[pd.DataFrame], data: Data) -> None:
    """Check the chunks of a prepared table, as PreparedCheck does.

    Raises:
        UserError: as for `PreparedCheck.finish`.
    """
    check = PreparedCheck(data)
    for chunk in chunks:
        check.add(chunk)
    check.finish()


class PreparedCheck:
    """Checks a prepared table: ids are present and differ, the target can be learned, no feature gives it away.

    The rows are added chunk by chunk. Of each row only a hash of its id is kept, in a file if there are many.
    """

    def __init__(self, data: Data) -> None:
        self.data = data
        self.rows = 0
        self.features: list[str] = []
        self.missing: Counter[str] = Counter()  # values by the role of their column
        self.id_hashes = StoredHashes()
        self.has_bad_weights = False
        self.targets: set[Any] = set()  # all classes, or two of the numbers
        self.targets_are: set[str] = set()  # the kinds of the target's type in the chunks
        self.has_infinite_targets = False
        self.dates: set[str] = set()  # features that are dates
        self.infinite: Counter[str] = Counter()  # values by feature
        self.copies: dict[str, dict[Any, Any]] = {}  # the class by value of each feature that may be the target

    def add(self, chunk: pd.DataFrame) -> Self:
        """Add rows of the table.

        Raises:
            UserError: a column that `data` names does not exist.
        """
        data = self.data
        for role in ("target", "id", "time", "group", "weight"):
            column = getattr(data, role)
            if column is not None and column not in chunk:
                raise ParameterError(f"{PARAMETER}: the prepared table has no column {column}", f"data.{role}")
        if absent := sorted(set(data.drop) - set(chunk.columns)):
            raise ParameterError(f"{PARAMETER}: the prepared table has no column {absent[0]}", "data.drop")
        target = chunk[data.target]
        names = features(chunk, data)
        if not self.rows:
            self.features = names
            self.copies = {name: {} for name in names}
        self.rows += len(chunk)
        if data.id_column not in chunk:
            told = f"{PARAMETER}: the prepared table has no column {data.id_column}, which names the rows; name another"
            raise ParameterError(told, "data.id")
        ids = chunk[data.id_column]
        self.missing["id"] += int(ids.isna().sum())
        self.id_hashes.add(pd.util.hash_array(as_text(ids).to_numpy(), categorize=False))
        for role in ("target", "time", "group"):
            column = getattr(data, role)
            if column is not None:
                self.missing[role] += int(chunk[column].isna().sum())
        if data.weight is not None:
            self.has_bad_weights |= not _are_weights(chunk[data.weight])
        self._add_targets(target)
        for name in names:
            self._add_feature(chunk[name], target)
        return self

    def _add_targets(self, target: pd.Series) -> None:
        is_float = pd.api.types.is_float_dtype(target)
        self.targets_are.add("float" if is_float else "number" if pd.api.types.is_numeric_dtype(target) else "other")
        if self.data.task == "classification":
            self.targets.update(() if is_float else target.dropna().unique())
            return
        if is_float:
            self.has_infinite_targets |= bool(np.isinf(target.to_numpy(float)).any())
        if len(self.targets) < 2:
            self.targets.update(target.dropna().unique()[:2])

    def _add_feature(self, feature: pd.Series, target: pd.Series) -> None:
        name = str(feature.name)
        if pd.api.types.is_datetime64_any_dtype(feature):
            self.dates.add(name)
        elif is_number(feature):
            self.infinite[name] += int(np.isinf(feature.to_numpy(float)).sum())
        if name in self.copies and not self._may_be_copy(feature, target):
            del self.copies[name]

    def _may_be_copy(self, feature: pd.Series, target: pd.Series) -> bool:
        """Whether a feature is the target so far: the same numbers, or a value of its own for each class."""
        if self.data.task == "regression":
            both = is_number(feature) and is_number(target)
            return both and np.array_equal(feature.to_numpy(float), target.to_numpy(float))
        if not np.array_equal(pd.factorize(feature)[0], pd.factorize(target)[0]):
            return False
        known = self.copies[str(feature.name)]
        found = dict(zip(feature.unique(), target.unique(), strict=True))
        if any(known.get(value, class_) != class_ for value, class_ in found.items()):
            return False
        known.update(found)
        return len(set(known.values())) == len(known)

    def finish(self) -> None:
        """Check what was added.

        Raises:
            UserError: there are no rows; ids are missing or repeated; targets are missing or infinite; there is only
                one class; there are no features; a feature is a date, infinite or equal to the target.
        """
        data = self.data
        if not self.rows:
            raise UserError("prepared table: no rows are left; see data.read in params.yaml")
        self._check_ids()
        for role in ("time", "group"):
            if count := self.missing[role]:
                line = f"column {getattr(data, role)}: {count:,} values are missing; {PARAMETER} needs one in each row"
                raise ParameterError(line, f"data.{role}")
        if self.has_bad_weights:
            line = f"column {data.weight}: weights must be numbers that are present and not negative; see {PARAMETER}"
            raise ParameterError(line, "data.weight")
        self._check_target()
        if not self.features:
            raise ParameterError(f"prepared table: no column is left to learn from; see {PARAMETER}", "data.drop")
        for name in self.features:
            self._check_feature(name)

    def _check_ids(self) -> None:
        column = self.data.id_column
        if count := self.missing["id"]:
            line = f"column {column}: {count:,} ids are missing; name another column in {PARAMETER}"
            raise ParameterError(line, "data.id")
        if repeated := self.rows - self.id_hashes.different():
            line = f"column {column}: {repeated:,} ids are repeated; name another in {PARAMETER}"
            raise ParameterError(line, "data.id")

    def _check_target(self) -> None:
        data, where = self.data, f"column {self.data.target}:"
        if count := self.missing["target"]:
            raise UserError(f"{where} {count:,} targets are missing; prepare must drop those rows")
        if data.task == "classification":
            if "float" in self.targets_are:
                line = f"{where} its values are measurements, not classes; set {PARAMETER}"
                raise ParameterError(line, "data.task", value="regression")
            Target.of(self.targets, data)
        elif "other" in self.targets_are:
            line = f"{where} its values aren't numbers; set {PARAMETER}"
            raise ParameterError(line, "data.task", value="classification")
        elif self.has_infinite_targets:
            raise UserError(f"{where} some targets are infinite; fix the source")
        elif len(self.targets) < 2:
            line = f"{where} all targets are equal; there is nothing to learn ({PARAMETER})"
            raise ParameterError(line, "data.target")

    def _check_feature(self, name: str) -> None:
        where = f"column {name}:"
        if name in self.dates:
            line = f"{where} a date, which no model takes; make numbers of it, or {PARAMETER}"
            raise ParameterError(line, "data.drop", value=[name])
        if count := self.infinite[name]:
            line = f"{where} {count:,} values are infinite; correct the source, or {PARAMETER}"
            raise ParameterError(line, "data.drop", value=[name])
        if name in self.copies:
            line = f"{where} says the same as the target; leave it out: {PARAMETER}"
            raise ParameterError(line, "data.drop", value=[name])


def _are_weights(values: pd.Series) -> bool:
    """Whether all values are finite numbers that aren't negative."""
    if not pd.api.types.is_numeric_dtype(values):
        return False
    numbers = values.to_numpy(float, na_value=np.nan)
    return bool(np.isfinite(numbers).all() and (numbers >= 0).all())
