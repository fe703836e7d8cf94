"""What each column of a table is, and what about it ruins projects."""

import re
import shlex
import warnings as warnings_
from collections.abc import Iterator
from typing import Literal, NamedTuple

import pandas as pd

from src.core.examples import features, is_number
from src.core.params import Data
from src.stages.describe import SUSPICIOUS, explained
from src.stages.train import MOST_CATEGORIES

Task = Literal["classification", "regression"]
MOST_CLASSES = 10  # of whole numbers, that are still taken for classes
SAMPLE = 1000  # values whose date format is guessed
MOST_ROWS = 50_000  # that are looked at for that
NEARLY_ALWAYS = 0.95
PERSONAL = re.compile(
    r"e-?mail|phone|mobile|address|street|passport|iban|\bssn\b|surname|(first|last|full)[ _-]?name|birth",
    re.IGNORECASE,
)
FIGURE = r"(\d{1,3}([.,' \u00a0\u202f]\d{3})+|\d+)([.,]\d+)?"
UNDRESS = "since a cell like 1,234 or 12 % or $5 or - is none: write them plain, or leave them empty"
MOSTLY = 0.9
DRESSED = rf"[+-]?\s?[$€£]?\s?{FIGURE}\s?[%€]?"  # 1,234.50 or 12 % or $5


class Column(NamedTuple):
    """A column as the user is told of it; `missing` is a share."""

    name: str
    kind: str
    missing: float
    role: str


def date_formats(table: pd.DataFrame) -> dict[str, str]:
    """The text columns that hold dates throughout, with their format."""
    found: dict[str, str] = {}
    for name in map(str, table.select_dtypes("str").columns):
        values = table[name].dropna()
        dots = len(values) and re.match(r"\d{1,2}\.", values.iloc[0])  # 1.2.2020 is the first of February
        for day_first in (True, False) if dots else (False, True):
            format_ = _date_format(values.iloc[0], day_first) if len(values) else None
            # A year alone isn't a date, and zones may differ from row to row.
            if format_ and "%Y" in format_ and "%z" not in format_ and "%Z" not in format_:
                parts = (values.iloc[:SAMPLE], values)
                if all(pd.to_datetime(part, format=format_, errors="coerce").notna().all() for part in parts):
                    found[name] = format_
                    break
    return found


def _date_format(value: str, day_first: bool = False) -> str | None:
    with warnings_.catch_warnings(action="ignore"):  # that the day comes first, or doesn't
        return pd.tseries.api.guess_datetime_format(value, dayfirst=day_first)


def first_not_a_date(values: pd.Series) -> str:
    """The first value of a column of dates that isn't one."""
    there = values.dropna()
    guesses = [_date_format(str(value)) for value in there.head(SAMPLE)]
    formats = pd.Series([guess for guess in guesses if guess], dtype="str")
    if formats.empty:
        return str(there.iloc[0])
    parsed = pd.to_datetime(there, format=formats.mode()[0], errors="coerce")
    return str(there[parsed.isna()].iloc[0]) if parsed.isna().any() else str(there.iloc[0])


def guess_task(target: pd.Series) -> tuple[Task, str]:
    """Classification or regression, and why."""
    values = target.dropna()
    if not is_number(target) or pd.api.types.is_bool_dtype(target):
        return "classification", f"the target has {values.nunique():,} values that aren't numbers"
    if values.nunique() <= MOST_CLASSES and (values % 1 == 0).all():
        return "classification", f"the target has {values.nunique()} values, whole numbers"
    return "regression", f"the target has {values.nunique():,} different numbers"


def dressed_numbers(values: pd.Series) -> bool:
    """Whether a column is text only since thousands are parted, a sign of percent or money stands, or a dash."""
    there = values.dropna()
    if not pd.api.types.is_string_dtype(there) or there.empty or there.str.match(r"0\d").any():
        return False
    return bool(there.str.fullmatch(DRESSED).mean() > MOSTLY)


def names_rows(values: pd.Series) -> bool:
    """Whether a column may be there to name rows: each value once, as text or as ascending whole numbers."""
    if not values.notna().all() or not values.is_unique:
        return False
    ascending = pd.api.types.is_integer_dtype(values) and values.is_monotonic_increasing
    return bool(ascending or pd.api.types.is_string_dtype(values))


def counts_rows(values: pd.Series) -> bool:
    """Whether a column is 0, 1, 2 … or 1, 2, 3 …, as some programs write before each row."""
    if not pd.api.types.is_integer_dtype(values) or values.iloc[0] not in (0, 1):
        return False
    return bool((values.to_numpy() - values.iloc[0] == range(len(values))).all())


def described(raw: pd.DataFrame, data: Data) -> Iterator[Column]:
    """What each column of the raw table is, and what will be done with it."""
    roles = {data.target: "the target", data.id: "names the row", data.time: "its time", data.group: "its group"}
    for name, values in raw.items():
        distinct = values.nunique()
        if values.isna().all():
            kind, use = "empty", "feature, left out by the model"
        elif pd.api.types.is_datetime64_any_dtype(values):
            kind, use = "date", "features: month, weekday, hour, day"
        elif pd.api.types.is_bool_dtype(values):
            kind, use = "truth value", "feature"
        elif is_number(values):
            kind, use = "number", "feature"
        else:
            more = f", the rarest of {distinct:,} as one" if distinct > MOST_CATEGORIES else ""
            kind, use = "text", f"feature: categories{more}"
        role = "left out" if name in data.drop else roles.get(str(name), use)
        if name == data.time:
            role = "orders the rows; features: month, weekday, hour" if kind == "date" else "orders the rows"
        if name in data.private:
            role += "; no value is shown"
        yield Column(str(name), kind, float(values.isna().mean()), role)


def warnings(raw: pd.DataFrame, seen: pd.DataFrame, data: Data) -> Iterator[str]:
    """What about the table ruins projects, each with the option that mends it.

    Args:
        raw: the table as it was read.
        seen: the prepared rows of train and valid. How much a feature tells of the target is looked at on these alone.
        data: the columns' roles.
    """
    target, names = raw[data.target], [name for name in raw.columns if name in features(raw, data)]
    figures = [name for name in raw.columns if re.fullmatch(r"-?\d+\.\d+(e[+-]?\d+)?", name)]
    if len(figures) >= len(raw.columns) / 2:
        yield f"{figures[0]} names a column: if the first line is data, put a line of names above it"
    step = len(seen) // MOST_ROWS + 1
    sample = seen.iloc[::step]
    said: set[str] = set()
    for name in features(seen, data):
        share = explained(sample[name], sample[data.target], data.task)
        if share > SUSPICIOUS and (option := drop(name, raw)) not in said:
            yield f"{name}: tells {share:.0%} of the target alone; if it's known only afterwards: {option}"
            said.add(option)
    for name in names:
        yield from _of_column(raw[name], name, drop(name, raw), data)
    if data.task == "classification" and (share := target.value_counts(normalize=True).iloc[0]) > NEARLY_ALWAYS:
        told = f"{data.target}: {share:.1%} of the rows have the same value, so that accuracy says nothing"
        yield f"{told}; gate.metric in params.yaml: average_precision does"
    keys = [name for name in raw.columns if names_rows(raw[name])]
    copies = int(raw.drop(columns=keys).duplicated().sum()) if keys and len(keys) < len(raw.columns) - 1 else 0
    if copies:
        told = (
            f"{copies:,} rows are alike in all but {', '.join(map(str, keys))}: a copy in train tells of one in valid"
        )
        yield f"{told}; leave them out of the file, or --group COLUMN keeps rows of one origin together"


def drop(feature: str, raw: pd.DataFrame) -> str:
    """The option that leaves a feature out: its column, or the date that it's made of."""
    return f"--drop {quoted(feature if feature in raw else feature.rpartition(' (')[0])}"


def _of_column(values: pd.Series, name: str, drop: str, data: Data) -> Iterator[str]:
    distinct, text = values.nunique(), pd.api.types.is_string_dtype(values)
    if distinct < 2:
        what = "has no value" if not distinct else "has the same value in each row"
        yield f"{name}: {what}: {drop}"
    elif dressed_numbers(values):
        yield f"{name}: numbers read as text, {UNDRESS}, or {drop}"
    elif names_rows(values):
        yield f"{name}: another value in each row; if it names the row: --id {quoted(name)}, else {drop}"
    elif text and distinct > len(values) / 2:
        yield f"{name}: free text, which no model here reads: {drop}"
    if pd.api.types.is_datetime64_any_dtype(values) and data.time is None:
        yield f"{name}: a date; if the future is to be told from the past: --time {quoted(name)}"
    if PERSONAL.search(name) and name not in data.private:
        yield f"{name}: may tell of persons; so that no value of it is shown: --private {quoted(name)}, or {drop}"


def quoted(name: str) -> str:
    """A name as a shell takes it, in one line."""
    return shlex.quote(name).replace("\n", "\\n").replace("\r", "\\r")
