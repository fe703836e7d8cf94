"""The common pitfalls in a table, each with the option or the correction that avoids it."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.adopt.columns import NEARLY_ALWAYS, Task, count_different, names_rows
from retrace.adopt.shown import drop_option, option, rows
from retrace.adopt.stored import AnyTable, rows_at
from retrace.adopt.values import odd_values, told_totals, total_rows
from retrace.examples import features
from retrace.params import Data
from retrace.relations import SUSPICIOUS, explained
from retrace.tables.files import TEXT, kind_of

MOST_ROWS = 50_000  # of which it is computed how much a feature explains
SHUFFLES = 20  # of the target, to find what a feature explains by chance
PERSONAL = re.compile(
    r"e-?mail|phone|mobile|address|street|passport|iban|\bssn\b|surname|(first|last|full)[ _-]?name|birth",
    re.IGNORECASE,
)


def pitfalls_of(
    raw: AnyTable, prepared: AnyTable, seen: NDArray[np.intp], data: Data, doubts: dict[str, list[str]]
) -> Iterator[str]:
    """The pitfalls in a table, a line each.

    Args:
        raw: the table as it is.
        prepared: its rows that have a target, in the same order.
        seen: the places in `prepared` of the rows of train and valid, shape (rows,); how much a feature explains is
            computed on these alone.
        data: the columns' roles.
        doubts: by column, what is doubtful about how its cells are read.
    """
    target = raw[data.target]
    numbers_as_names = [name for name in raw.columns if re.fullmatch(r"-?\d+\.\d+(e[+-]?\d+)?", name)]
    if len(numbers_as_names) >= len(raw.columns) / 2:
        yield f"{numbers_as_names[0]} names a column: if the first line is data, put a line of names above it"
    for name, lines in doubts.items():
        if name not in data.drop:
            yield from (f"{name}: {line}" for line in lines)
    is_text_file = kind_of(Path(data.source)) in TEXT  # not a folder, each file of which would have a footer
    if totals := total_rows(raw):
        yield told_totals(totals, len(raw), data.read.get("skip_footer", 0) if is_text_file else None)
        # A total is so large that any column with another value in such a row would explain the target.
        is_total = np.isin(np.flatnonzero(target.notna()), totals)
        seen = seen[~is_total[seen]]
    yield from _suspicious_features(raw, prepared, seen, data)
    keys, used = [], set(features(raw, data))
    for name in map(str, raw):
        lines, values = [], raw[name]
        if is_key := names_rows(values):
            keys.append(name)
        if name not in data.drop and name != data.id:
            lines += odd_values(values, name in data.private, name == data.target, name == data.time)
        if name in used:
            has_advice = "--" in "".join(doubts.get(name, []))
            lines += _pitfalls_of_feature(values, data, is_key, has_advice)
        yield from (f"{name}: {line}" for line in lines)
    if data.task == "classification" and (share := target.value_counts(normalize=True).iloc[0]) > NEARLY_ALWAYS:
        told = f"{data.target}: {share:.1%} of the rows have the same value, so that accuracy says nothing"
        yield f"{told}; gate.metric in params.yaml: average_precision does"
    yield from _copies(raw, keys)


def _suspicious_features(raw: AnyTable, prepared: AnyTable, seen: NDArray[np.intp], data: Data) -> Iterator[str]:
    """The features that explain so much of the target, not by chance, that they may be known only afterwards."""
    places = pd.Series(seen)
    places = places.sample(MOST_ROWS, random_state=1) if len(seen) > MOST_ROWS else places
    sample = rows_at(prepared, places.to_numpy())
    target, task = sample[data.target], data.task
    if task == "classification" and target.nunique() == 2:  # 0 and 1 give the same share in half the time
        target, task = pd.Series(pd.factorize(target)[0], target.index, dtype=float), "regression"
    advised: set[str] = set()
    for name in features(sample, data):
        share = explained([sample[name]], [target], task)
        if share <= SUSPICIOUS or (advice := drop_option(name, raw)) in advised:
            continue
        if not _by_chance(share, sample[name], target, task):
            yield f"{name}: explains {share:.0%} of the target alone; if it is known only afterwards: {advice}"
            advised.add(advice)


def _by_chance(share: float, feature: pd.Series, target: pd.Series, task: Task) -> bool:
    """Whether a feature explains as much of a shuffled target, as happens if rows are few or one is extreme."""
    random = np.random.default_rng(1)
    shuffled = (pd.Series(random.permutation(target.to_numpy()), target.index) for _ in range(SHUFFLES))
    return any(explained([feature], [other], task) >= share for other in shuffled)


def _pitfalls_of_feature(values: pd.Series, data: Data, is_key: bool, has_advice: bool) -> Iterator[str]:
    """The pitfalls of one column.

    Args:
        values: the raw column, which is a feature.
        data: the columns' roles.
        is_key: whether it may name the rows.
        has_advice: whether an option was advised for how its cells are read.
    """
    name, drop = str(values.name), option("--drop", str(values.name))
    is_text = pd.api.types.is_string_dtype(values)
    distinct = count_different(values) if is_text else len(pd.unique(values.dropna().to_numpy()))
    if not distinct:
        yield f"has no value: {drop}"
    elif distinct == 1:
        if not values.hasnans:  # with missing cells it is a mark that some rows have
            yield f"has the same value in each row: {drop}"
    elif is_key and not has_advice:
        yield f"another value in each row; if it names the row: {option('--id', name)}, else {drop}"
    elif not has_advice and is_text and distinct > len(values) / 2:
        yield f"free text; the model takes it as categories: {drop}, or see docs/model.md"
    if data.time is None and pd.api.types.is_datetime64_any_dtype(values):
        yield f"a date; if the future is to be predicted from the past: {option('--time', name)}"
    if PERSONAL.search(name) and name not in data.private:
        yield f"may be personal data; so that no value of it is shown: {option('--private', name)}, or {drop}"


def _copies(raw: AnyTable, keys: list[str]) -> Iterator[str]:
    """That rows are copies of others in all columns but `keys`, which may name them."""
    if not keys or len(keys) >= len(raw.columns) - 1:
        return
    group_of_row, groups = np.zeros(len(raw), dtype=np.int64), 1  # of rows that are equal so far
    for name in [name for name in map(str, raw) if name not in keys]:
        codes, distinct = pd.factorize(raw[name], use_na_sentinel=False)
        group_of_row *= len(distinct)
        group_of_row += codes
        del codes, distinct
        group_of_row, found = pd.factorize(group_of_row)
        if (groups := len(found)) == len(raw):
            break
    if copies := len(raw) - groups:
        where = f"in all columns but {', '.join(keys)}, in train and in valid perhaps"
        advice = "leave them out of the file, or --group COLUMN keeps rows of one origin together"
        yield f"{rows(copies)} are copies of others {where}; {advice}"
