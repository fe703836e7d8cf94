"""The common pitfalls in a table, each with the option or the correction that avoids it."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.adopt.columns import NEARLY_ALWAYS, Task, hashes_of, names_rows
from retrace.adopt.sample import Sampled, is_same_in_each_row
from retrace.adopt.shown import drop_option, option, rows
from retrace.adopt.stored import AnyTable, chunks_of
from retrace.adopt.values import odd_values, told_totals, total_rows
from retrace.examples import features
from retrace.hashes import StoredHashes
from retrace.params import Data
from retrace.pieces import count_values
from retrace.relations import SUSPICIOUS, explained
from retrace.tables.files import TEXT, kind_of

MOST_ROWS = 50_000  # of which it is computed how much a feature explains
SHUFFLES = 20  # of the target, to find what a feature explains by chance
PERSONAL = re.compile(
    r"e-?mail|phone|mobile|address|street|passport|iban|\bssn\b|surname|(first|last|full)[ _-]?name|birth",
    re.IGNORECASE,
)


def pitfalls_of(
    raw: Sampled, prepared: Sampled, seen: NDArray[np.intp], data: Data, doubts: dict[str, list[str]]
) -> Iterator[str]:
    """The pitfalls in a table, a line each.

    Args:
        raw: the table as it is.
        prepared: its rows that have a target, in the same order.
        seen: the places in `prepared.rows` of the rows of train and valid, shape (rows,); how much a feature explains
            is computed on these alone.
        data: the columns' roles.
        doubts: by column, what is doubtful about how its cells are read.
    """
    table, of_sample = raw.rows, not raw.is_whole
    numbers_as_names = [name for name in table.columns if re.fullmatch(r"-?\d+\.\d+(e[+-]?\d+)?", name)]
    if len(numbers_as_names) >= len(table.columns) / 2:
        yield f"{numbers_as_names[0]} names a column: if the first line is data, put a line of names above it"
    for name, lines in doubts.items():
        if name not in data.drop:
            yield from (f"{name}: {line}" for line in lines)
    is_text_file = kind_of(Path(data.source)) in TEXT  # not a folder, each file of which would have a footer
    if totals := total_rows(table, of_sample):
        skipped = data.read.get("skip_footer", 0) if is_text_file else None
        yield told_totals(totals, raw.count, skipped, of_sample)
        # A total is so large that any column with another value in such a row would explain the target.
        is_total = np.isin(prepared.rows.index, _places_if_prepared(raw.table, data.target, totals))
        seen = seen[~is_total[seen]]
    yield from _suspicious_features(table, prepared.rows.iloc[_some(seen)], data)
    keys, used = [], set(features(table, data))
    for name in map(str, table):
        lines, values = [], table[name]
        if is_key := names_rows(raw.column(name)):
            keys.append(name)
        if name not in data.drop and name != data.id:
            lines += odd_values(values, name in data.private, name == data.target, name == data.time, of_sample)
        if name in used:
            has_advice = "--" in "".join(doubts.get(name, []))
            lines += _pitfalls_of_feature(raw, name, data, is_key, has_advice)
        yield from (f"{name}: {line}" for line in lines)
    if data.task == "classification":
        counts = count_values(raw.column(data.target))  # of all rows
        share = counts.max() / counts.sum()
        if share > NEARLY_ALWAYS:
            told = f"{data.target}: {share:.1%} of the rows have the same value, so that accuracy says nothing"
            yield f"{told}; gate.metric in params.yaml: average_precision does"
    yield from _copies(raw.table, [str(name) for name in table], keys)


def _places_if_prepared(raw: AnyTable, target: str, places: list[int]) -> list[int]:
    """The places in the prepared table, which lacks the rows without a target, of rows of the raw table."""
    found: list[int] = []
    start = prepared = 0
    for chunk in chunks_of(raw, [target]):
        has_target = chunk[target].notna().to_numpy()
        places_after = prepared + np.cumsum(has_target)
        inside = [place - start for place in places if start <= place < start + len(chunk)]
        found += [int(places_after[place]) - 1 for place in inside if has_target[place]]
        start, prepared = start + len(chunk), prepared + int(has_target.sum())
    return found


def _some(places: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most MOST_ROWS of these places, drawn at random."""
    if len(places) <= MOST_ROWS:
        return places
    return pd.Series(places).sample(MOST_ROWS, random_state=1).to_numpy()


def _suspicious_features(raw: pd.DataFrame, sample: pd.DataFrame, data: Data) -> Iterator[str]:
    """The features that explain so much of the target, not by chance, that they may be known only afterwards.

    Args:
        raw: the table as it is.
        sample: rows of train and valid.
        data: the columns' roles.
    """
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


def _pitfalls_of_feature(raw: Sampled, name: str, data: Data, is_key: bool, has_advice: bool) -> Iterator[str]:
    """The pitfalls of one column.

    Args:
        raw: the table as it is.
        name: of the column, which is a feature.
        data: the columns' roles.
        is_key: whether it may name the rows.
        has_advice: whether an option was advised for how its cells are read.
    """
    values, drop = raw.rows[name], option("--drop", name)
    distinct, is_text = values.nunique(), pd.api.types.is_string_dtype(values)
    if distinct < 2:  # a value that only some rows have is a mark
        if is_same_in_each_row(raw.column(name)):
            yield f"has {'the same value in each row' if distinct else 'no value'}: {drop}"
    elif is_key and not has_advice:
        yield f"another value in each row; if it names the row: {option('--id', name)}, else {drop}"
    elif not has_advice and is_text and distinct > len(values) / 2:
        yield f"free text; the model takes it as categories: {drop}, or see docs/model.md"
    if data.time is None and pd.api.types.is_datetime64_any_dtype(values):
        yield f"a date; if the future is to be predicted from the past: {option('--time', name)}"
    if PERSONAL.search(name) and name not in data.private:
        yield f"may be personal data; so that no value of it is shown: {option('--private', name)}, or {drop}"


def _copies(raw: AnyTable, names: list[str], keys: list[str]) -> Iterator[str]:
    """That rows are copies of others in all columns but `keys`, which may name them; by hashes of 64 bits."""
    others = [name for name in names if name not in keys]
    if not keys or len(others) < 2:
        return
    hashes = StoredHashes()
    for chunk in chunks_of(raw, others):
        hashes.add(hashes_of(chunk))
    if copies := hashes.rows - hashes.different():
        where = f"in all columns but {', '.join(keys)}, in train and in valid perhaps"
        advice = "leave them out of the file, or --group COLUMN keeps rows of one origin together"
        yield f"{rows(copies)} are copies of others {where}; {advice}"
