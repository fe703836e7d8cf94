"""What each column of a table is, and the common pitfalls that it may hold."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from retrace.adopt.shown import option, rows
from retrace.adopt.values import odd_values, told_totals, total_rows
from retrace.examples import features, is_number
from retrace.params import Data
from src.datasets.table import TEXT, kind_of
from src.model import MOST_CATEGORIES
from src.stages.describe import SUSPICIOUS, explained

Task = Literal["classification", "regression"]
MOST_CLASSES = 10  # of whole numbers, that are still taken for classes
MOST_ROWS = 50_000  # that are looked at for what a feature tells
NEARLY_ALWAYS = 0.95
SHUFFLES = 20
SAVED_INDEX = ("Unnamed: 0", "__index_level_0__")  # how an index that pandas saved is called in text, and in Parquet
PERSONAL = re.compile(
    r"e-?mail|phone|mobile|address|street|passport|iban|\bssn\b|surname|(first|last|full)[ _-]?name|birth",
    re.IGNORECASE,
)


class Column(NamedTuple):
    """A column as the user is told of it; `missing` is a share."""

    name: str
    kind: str
    missing: float
    role: str


def guess_task(target: pd.Series) -> tuple[Task, str]:
    """Classification or regression, and why."""
    values = target.dropna()
    if not is_number(target) or pd.api.types.is_bool_dtype(target):
        return "classification", f"the target has {values.nunique():,} values that aren't numbers"
    if values.nunique() <= MOST_CLASSES and (values % 1 == 0).all():
        return "classification", f"the target has {values.nunique()} values, whole numbers"
    return "regression", f"the target has {values.nunique():,} different numbers"


def names_rows(values: pd.Series) -> bool:
    """Whether a column may be there to name rows: each value once, as text or as whole numbers in order or no gaps."""
    if pd.api.types.is_integer_dtype(values):
        return values.is_unique and (bool(values.is_monotonic_increasing) or counts_rows(values))
    return bool(pd.api.types.is_string_dtype(values) and not values.hasnans and values.is_unique)


def counts_rows(values: pd.Series) -> bool:
    """Whether a column is 0, 1, 2 … or 1, 2, 3 …, in whatever order."""
    if not pd.api.types.is_integer_dtype(values) or values.min() not in (0, 1):
        return False
    return bool(values.max() - values.min() == len(values) - 1 and values.is_unique)


def is_row_counter(values: pd.Series) -> bool:
    """Whether a column holds another whole number in each row, as the index of a table does."""
    return bool(pd.api.types.is_integer_dtype(values) and values.is_unique)


def described(raw: pd.DataFrame, data: Data) -> Iterator[Column]:
    """What each column of the raw table is, and what will be done with it."""
    roles = {
        data.target: "the target",
        data.id: "names the row",
        data.time: "its time",
        data.group: "its group",
        data.weight: "its weight in training",
    }
    for name, values in raw.items():
        if values.isna().all():
            kind, use = "empty", "feature, left out by the model"
        elif pd.api.types.is_datetime64_any_dtype(values):
            kind, use = "date", "features: month, weekday, hour, day"
        elif pd.api.types.is_bool_dtype(values):
            kind, use = "boolean", "feature"
        elif is_number(values):
            kind, use = "number", "feature"
        else:
            distinct = values.nunique()
            more = f", the rarest of {distinct:,} as one" if distinct > MOST_CATEGORIES else ""
            kind, use = "text", f"feature: categories{more}"
        role = "left out" if name in data.drop else roles.get(str(name), use)
        if name == data.time:
            role = "orders the rows; features: month, weekday, hour" if kind == "date" else "orders the rows"
        if name in data.private:
            role += "; no value is shown"
        yield Column(str(name), kind, float(values.isna().mean()), role)


def warnings(
    raw: pd.DataFrame, prepared: pd.DataFrame, seen: pd.DataFrame, data: Data, doubts: dict[str, list[str]]
) -> Iterator[str]:
    """The common pitfalls of a table, each with the option or the correction that avoids it.

    Args:
        raw: the table as it is.
        prepared: its rows that have a target, in the same order.
        seen: the prepared rows of train and valid: how much a feature tells of the target is looked at on these alone.
        data: the columns' roles.
        doubts: what is doubtful about how each column's cells are read.
    """
    target, used = raw[data.target], set(features(raw, data))
    figures = [name for name in raw.columns if re.fullmatch(r"-?\d+\.\d+(e[+-]?\d+)?", name)]
    if len(figures) >= len(raw.columns) / 2:
        yield f"{figures[0]} names a column: if the first line is data, put a line of names above it"
    for name, lines in doubts.items():
        if name not in data.drop:
            yield from (f"{name}: {line}" for line in lines)
    in_lines = kind_of(Path(data.source)) in TEXT  # a footer of each of a folder's files is another thing
    if totals := total_rows(raw):  # so large that whatever is another value in such a row explains the target
        yield told_totals(totals, len(raw), data.read.get("skip_footer", 0) if in_lines else None)
        is_total = raw.index.isin(totals)[target.notna()]
        seen = seen[~seen[data.id_column].isin(prepared.loc[is_total, data.id_column])]
    yield from telling(raw, seen, data)
    known = {name for name, lines in doubts.items() if "--" in "".join(lines)}
    keys = []
    for name in map(str, raw.columns):
        values = raw[name]
        if name not in data.drop and name != data.id:
            odd = odd_values(values, name in data.private, name == data.target, name == data.time)
            yield from (f"{name}: {line}" for line in odd)
        if names_rows(values):
            keys.append(name)
        if name in used:
            yield from (f"{name}: {line}" for line in _of_column(values, data, name in keys, name in known))
    if data.task == "classification" and (share := target.value_counts(normalize=True).iloc[0]) > NEARLY_ALWAYS:
        told = f"{data.target}: {share:.1%} of the rows have the same value, so that accuracy says nothing"
        yield f"{told}; gate.metric in params.yaml: average_precision does"
    copies = int(raw.drop(columns=keys).duplicated().sum()) if keys and len(keys) < len(raw.columns) - 1 else 0
    if copies:
        told = (
            f"{rows(copies)} are copies of others in all columns but {', '.join(keys)}, in train and in valid perhaps"
        )
        yield f"{told}; leave them out of the file, or --group COLUMN keeps rows of one origin together"


def telling(raw: pd.DataFrame, seen: pd.DataFrame, data: Data) -> Iterator[str]:
    """The features that explain so much of the target, not by chance, that they may be known only afterwards."""
    sample = seen.sample(MOST_ROWS, random_state=1) if len(seen) > MOST_ROWS else seen
    target, task = sample[data.target], data.task
    if task == "classification" and target.nunique() == 2:  # of 0 and 1 it is the same, and takes half the time
        target, task = pd.Series(pd.factorize(target)[0], target.index, dtype=float), "regression"
    said: set[str] = set()
    for name in features(seen, data):
        share = explained(sample[name], target, task)
        if share <= SUSPICIOUS or (words := drop(name, raw)) in said:
            continue
        if not by_chance(share, sample[name], target, task):
            yield f"{name}: explains {share:.0%} of the target alone; if it is known only afterwards: {words}"
            said.add(words)


def by_chance(share: float, feature: pd.Series, target: pd.Series, task: Task) -> bool:
    """Whether a feature explains as much of a shuffled target, as it may where rows are few or one is extreme."""
    random = np.random.default_rng(1)
    shuffled = (pd.Series(random.permutation(target.to_numpy()), target.index) for _ in range(SHUFFLES))
    return any(explained(feature, other, task) >= share for other in shuffled)


def drop(feature: str, raw: pd.DataFrame) -> str:
    """The option that leaves a feature out: its column, or the date that it's made of."""
    return option("--drop", feature if feature in raw else feature.rpartition(" (")[0])


def _of_column(values: pd.Series, data: Data, is_key: bool, is_doubtful: bool) -> Iterator[str]:
    name, drop = str(values.name), option("--drop", str(values.name))
    distinct = values.nunique() if pd.api.types.is_string_dtype(values) else len(pd.unique(values.dropna().to_numpy()))
    if not distinct:
        yield f"has no value: {drop}"
    elif distinct == 1:
        if not values.hasnans:  # else it is a mark that some rows have
            yield f"has the same value in each row: {drop}"
    elif is_key and not is_doubtful:
        yield f"another value in each row; if it names the row: {option('--id', name)}, else {drop}"
    elif not is_doubtful and pd.api.types.is_string_dtype(values) and distinct > len(values) / 2:
        yield f"free text, which no model here reads: {drop}"
    if data.time is None and pd.api.types.is_datetime64_any_dtype(values):
        yield f"a date; if the future is to be predicted from the past: {option('--time', name)}"
    if PERSONAL.search(name) and name not in data.private:
        yield f"may be personal data; so that no value of it is shown: {option('--private', name)}, or {drop}"
