"""What is to be done with a table: which column is what, how it's split, and what parameters to begin with.

The stages' own functions try it out first, so that `dvc repro` runs to its end on whatever is adopted.
"""

import argparse
import difflib
import math
import re
from collections.abc import Iterable
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from retrace.adopt import columns, project
from retrace.adopt.cells import OTHER, Cells, signs_of, swallowed_rows, types_of
from retrace.adopt.dialect import understand
from retrace.adopt.shown import Shown, option, rows, typed
from retrace.errors import UserError
from retrace.examples import Kind, Label, Target, features, is_number
from retrace.files import KEPT_FROM
from retrace.params import Block, Data, Params, SplitByShare, SplitByTime
from retrace.resamples import BLOCKS, blocks, half
from retrace.scores import metrics_of, project_metrics
from src.datasets import table as reader
from src.stages.prepare import check
from src.stages.split import FEWEST_GROUPS, split

FEWEST_ROWS, FEWEST_OF_A_CLASS, ENOUGH_BLOCKS = 50, 5, 20
TOO_CLOSE = "its values are too few or too close for moments that ten rows share; split by --group, or leave --time out"
SEEDS, REFITS = range(1, 51), 10
FEW_ROWS = 5_000  # from which on trees may be large
Split = SplitByTime | SplitByShare
POSITIVE = ("true", "yes", "y", "1", "1.0", "positive", "ja", "j", "oui", "sí", "si", "sim", "tak", "да")
SMALLEST: dict[Kind, dict[str, float]] = {  # differences that matter; the first metric decides
    "two classes": {"roc_auc": 0.005, "average_precision": 0.01, "log_loss": 0.005, "brier": 0.002},
    "multiclass": {"log_loss": 0.01, "accuracy": 0.01, "f1_macro": 0.01},
    "regression": {"r2": 0.01},
}


class Plan(NamedTuple):
    """A table as it is and as stages prepare it, its roles and split, with reasons, and the content of params.yaml.

    `seen` are the prepared rows of train and valid; `gone` are columns that ids were made from and that it has no more.
    `guessed` is the encoding of text files where their bytes don't prove it.
    """

    raw: pd.DataFrame
    prepared: pd.DataFrame
    seen: pd.DataFrame
    data: Data
    split: Split
    parts: dict[str, int]
    forgotten: list[str]
    gone: list[str]
    why_task: str
    why_positive: str
    doubts: dict[str, list[str]]
    guessed: str | None
    params: dict[str, Any]


def plan(arguments: argparse.Namespace) -> Plan:
    """What is to be done with a table, tried out on it.

    Raises:
        UserError: the table or an option can't be right.
    """
    given, old = arguments.file, project.current()
    source, was = project.place_of(given).as_posix(), Params.model_validate(old)
    try:
        raw, how, doubts, guessed = read(given, arguments, was.data.read if was.data.source == source else {})
    except UserError as error:
        raise UserError(by_options(str(error), pd.DataFrame())) from None
    roles = roles_of(arguments, raw)
    task, why = task_of(arguments, raw, doubts.get(arguments.target, []))
    names_rows, gone = id_columns_of(raw, roles, was.data)
    found = {"set": "table", "source": source, "read": how, "task": task, "positive": None, "id_columns": names_rows}
    data = Data.model_validate(roles | found)
    try:
        prepared = reader.prepare({"table": raw}, data)
        positive, why_positive = positive_of(prepared[data.target], data)
        data = data.model_copy(update={"positive": positive})
        check(prepared, data)
    except UserError as error:
        raise UserError(by_options(str(error), raw)) from None
    again = fits(prepared, data, was)
    same_split = again and (was.data.time, was.data.group) == (data.time, data.group)
    kept = was.split if same_split else None
    chosen, parts = choose_split(prepared, data, kept)
    rows_of_parts = {name: len(part) for name, part in parts.items()}
    seen = pd.concat([parts["train"], parts["valid"]])
    params = params_for(prepared, data, old["split"] if chosen is kept else moments_of(chosen), old, again)
    if params["data"]["positive"] != positive:
        data = data.model_copy(update={"positive": params["data"]["positive"]})
        why_positive = "as params.yaml has it"
    forgotten = [words for words in options_of(was.data) if words not in options_of(data)]
    if was.data.source != source:
        forgotten, gone = [], []
    return Plan(
        raw, prepared, seen, data, chosen, rows_of_parts, forgotten, gone, why, why_positive, doubts, guessed, params
    )


def fits(prepared: pd.DataFrame, data: Data, was: Params) -> bool:
    """Whether params.yaml is of this table and target already, and asks of it what can be asked."""
    kind = Target.of(prepared[data.target], data).kind
    metrics = metrics_of(kind, was.problem.costs) | project_metrics()
    return (
        all(getattr(was.data, key) == getattr(data, key) for key in ("set", "target", "task"))
        and project.is_there(Path(was.data.source))
        and {was.gate.metric, *was.gate.smallest_difference} <= metrics.keys()
        and (kind == "two classes" or was.problem.costs is None)
    )


def options_of(data: Data) -> list[str]:
    """The options that say what `data` in params.yaml says; a module of one's own can't be said by one."""
    named = [("time", data.time), ("group", data.group), ("id", data.id)]
    named += [*(("drop", name) for name in data.drop), *(("private", name) for name in data.private)]
    named += [("missing", str(value)) for value in data.read.get("missing", [])]
    named += [("skip-footer", str(data.read["skip_footer"]))] if "skip_footer" in data.read else []
    own = [f"data.set: {data.set}"] if data.set != "table" else []
    own += ["--strip"] if data.read.get("strip") else []
    return own + [option(f"--{role}", name) for role, name in named if name is not None]


def by_options(line: str, raw: pd.DataFrame) -> str:
    """What a stage says of params.yaml, said of the options that write it."""
    if found := re.search(r"(add it to params.yaml: )?data.drop: \[(.*)\]", line, re.DOTALL):
        line = f"{line[: found.start()]}{columns.drop(found[2], raw)}{line[found.end() :]}"
    line = line.replace("data.read.types", "--type")
    for key in ("skip_rows", "skip_footer", "encoding"):
        line = line.replace(f"data.read.{key}", f"--{key.replace('_', '-')}")
    return re.sub(r"(params.yaml: )?data\.(target|task|id|time|group|drop)\b( in params.yaml)?", r"--\2", line)


def read(
    given: Path, arguments: argparse.Namespace, was: dict[str, Any]
) -> tuple[pd.DataFrame, dict[str, Any], dict[str, list[str]], str | None]:
    """The table, the arguments with which it is read, what is doubtful about its columns' cells, a guessed encoding.

    Args:
        given: the user's file or folder.
        arguments: the command line's.
        was: `data.read` in params.yaml if that is about this table: what is guessed stays as it was corrected there.

    Raises:
        UserError: it cannot be read, has no rows, or two readings of it fit; the column of the times holds others.
    """
    time = arguments.time
    if time in arguments.private:
        raise UserError(f"--private {time}: --time splits by its values, and params.yaml names two of them")
    how = understand(given, arguments.skip_rows, arguments.encoding)
    require_lines(arguments)
    first = how.get("encoding", "utf-8")
    decided = {key for key in ("skip_rows", "encoding") if getattr(arguments, key)}
    how |= {key: value for key, value in was.items() if key in how.keys() - decided}
    kept = how.get("encoding", "utf-8")
    guessed = kept if kept == first and not (arguments.encoding or kept.startswith("utf-")) else None
    said = {key: getattr(arguments, key) for key in ("missing", "strip", "skip_footer")}
    how |= {key: value for key, value in said.items() if value}
    decimal = arguments.decimal or OTHER.get(arguments.thousands or "")
    if arguments.thousands and arguments.thousands == decimal:
        raise UserError(f"{option('--thousands', decimal)}: is --decimal already, and must be another sign")
    types = types_kept(arguments, was) | types_said(arguments)
    table, differ = load(given, how | {"decimal": decimal or "."})
    if not table.num_rows:
        raise UserError(f"{given}: only a header; a table needs rows")
    for name in types_said(arguments):
        require_column("type", name, table.column_names, given)
    types = {name: type_ for name, type_ in types.items() if name in table.column_names}
    written = reader.cells(given, reader.How(**how))
    refuse_repeated_header(written, given)
    known = {*types, *arguments.drop} & {*table.column_names}
    unsigned = known - {name for name, type_ in types.items() if type_ in ("number", "excel-date")}

    def cells(without: set[str]) -> Cells:
        names = [name for name in table.column_names if name not in without]
        shown = Shown(frozenset(arguments.private))
        return Cells(table.select(names), written.select(names) if written is not None else None, shown)

    try:
        signs = signs_of(cells(unsigned), how.get("separator", ","), decimal, was.get("decimal"))
        if signs.decimal != (decimal or "."):
            table, differ = load(given, how | {"decimal": signs.decimal})
        thousands = arguments.thousands or signs.thousands or (was.get("thousands") if types else None)
        found = types_of(cells(known), signs.decimal, thousands, arguments.day_first)
    except UserError as error:
        raise UserError(f"{given}: {error}") from None
    grouped = thousands if "number" in (found.types | types).values() else None
    chosen = {"decimal": signs.decimal, "thousands": grouped, "types": found.types | types}
    how |= {key: value for key, value in chosen.items() if value and (key, value) != ("decimal", ".")}
    if "types" in how or differ:
        table = reader.load(given, reader.How(**how))
    raw = reader.to_pandas(table, given)
    swallowed = swallowed_rows(table, written, how.get("separator", ","))
    doubts = {name: swallowed.get(name, []) + found.doubts.get(name, []) for name in map(str, raw)}
    for name, lines in signs.doubts.items():
        if how.get("types", {}).get(name) == "number":
            doubts[name] += lines
    if time in raw and pd.api.types.is_string_dtype(raw[time]):
        why = "; ".join(doubts[time]) or f"text; {typed(time, 'FORMAT')} says how its dates are written"
        raise UserError(f"{given}: column {time}: {why}; --time needs dates or numbers")
    return raw, how, doubts, guessed


def load(given: Path, how: dict[str, Any]) -> tuple[pa.Table, bool]:
    """A table with the types that its cells suggest, or text where its files differ, and whether they do."""
    tables = reader.tables_of(given, reader.How(**how))
    if differing := reader.differing_columns(tables):
        tables = reader.tables_of(given, reader.How(**how, types=dict.fromkeys(differing, "text")))
    return pa.concat_tables(tables, promote_options="permissive"), bool(differing)


def require_lines(arguments: argparse.Namespace) -> None:
    """Lines can be left out of text alone.

    Raises:
        UserError: they are to be left out of another kind of file.
    """
    for words, count in (("--skip-rows", arguments.skip_rows), ("--skip-footer", arguments.skip_footer)):
        if count and not reader.is_text(arguments.file):
            raise UserError(f"{words} {count}: only for CSV and TSV files; leave the rows out of {arguments.file}")


def refuse_repeated_header(written: pa.Table | None, given: Path) -> None:
    """A row that holds the names of the columns, as where files were joined, would make each column text.

    Raises:
        UserError: there is one.
    """
    if written is None:
        return
    found = None
    for name in written.column_names:
        same = pc.equal(pc.utf8_trim_whitespace(written.column(name)), name.strip())
        found = same if found is None else pc.and_(found, same)
        if not pc.any(found).as_py():
            return
    if found is not None:
        row = pc.index(found, True).as_py() + 1
        raise UserError(f"{given}: row {row:,} of the data repeats the header; take such lines out of the file")


def types_kept(arguments: argparse.Namespace, was: dict[str, Any]) -> dict[str, str]:
    """The columns' types in params.yaml, but for dates whose order of day and month the user says now."""
    types = was.get("types", {}).items()
    said = arguments.day_first is not None
    return {name: type_ for name, type_ in types if not (said and re.search(r"%d\W+%m|%m\W+%d", type_))}


def types_said(arguments: argparse.Namespace) -> dict[str, str]:
    """The columns' types that the user names."""
    return dict(arguments.type)


def require_column(role: str, name: str, names: Iterable[str], given: Path) -> None:
    """A column that an option names must exist.

    Raises:
        UserError: there is no such column.
    """
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0)
        raise UserError(f"--{role} {name}: {given} has no such column; the nearest is {near[0]}")


def roles_of(arguments: argparse.Namespace, raw: pd.DataFrame) -> dict[str, Any]:
    """The columns' roles, by the keys of `data` in params.yaml.

    Raises:
        UserError: there is no such column, one is named twice or in two roles, or the group is the whole table.
    """
    single = {role: getattr(arguments, role) for role in ("target", "time", "group", "id", "weight")}
    lists = {"drop": arguments.drop, "private": arguments.private}
    named = [(role, name) for role, name in single.items() if name is not None]
    named += [(role, name) for role, names in lists.items() for name in names]
    seen: dict[str, str] = {}
    for role, name in named:
        require_column(role, name, list(map(str, raw)), arguments.file)
        if named.count((role, name)) > 1:
            raise UserError(f"--{role} {name}: named twice")
        if role != "private":
            if name in seen:
                raise UserError(f"--{role} {name}: the column is --{seen[name]} already, and has one role")
            seen[name] = role
    if arguments.group and raw[arguments.group].nunique(dropna=False) < 2:
        raise UserError(f"--group {arguments.group}: the whole table is one group, which can't be split")
    counters = [name for name in counters_of(raw) if name not in seen]
    return single | lists | {"drop": [*arguments.drop, *counters]}


def id_columns_of(raw: pd.DataFrame, roles: dict[str, Any], was: Data) -> tuple[list[str], list[str]]:
    """The columns that row ids are made from, and those of the earlier list that the table lacks.

    Both are empty where a column names the rows. The earlier list is kept as long as the table has all of its columns,
    so that a later version with more columns keeps its ids. Else it's every column but the target and those that only
    count the rows.
    """
    if roles["id"] is not None:
        return [], []
    gone = [name for name in was.id_columns if name not in raw]
    if was.id_columns and not gone and roles["target"] not in was.id_columns:
        return was.id_columns, []
    others = {roles["target"], *counters_of(raw)}
    return [name for name in map(str, raw) if name not in others], gone


def counters_of(raw: pd.DataFrame) -> list[str]:
    """The columns that some programs write before each row, without a name, to count the rows."""
    named = [name for name in map(str, raw) if name.startswith(columns.SAVED_INDEX)]
    return [name for name in named if columns.is_row_counter(raw[name])]


def task_of(arguments: argparse.Namespace, raw: pd.DataFrame, doubts: list[str]) -> tuple[columns.Task, str]:
    """What is to be learned, and why; `doubts` are those about the target's cells.

    Raises:
        UserError: the target can't be that, or its values may not show.
    """
    task, why = columns.guess_task(raw[arguments.target])
    if arguments.task:
        task, why = arguments.task, "as --task says"
    if task == "classification" and arguments.target in arguments.private:
        raise UserError(f"--private {arguments.target}: the classes of the target are named wherever they're scored")
    check_target(raw[arguments.target], task, arguments.file, doubts)
    return task, why


def check_target(target: pd.Series, task: str, given: Path, doubts: list[str]) -> None:
    """Hold the target to what can be learned.

    Raises:
        UserError: it's missing throughout, constant, infinite, another value in each row, not of the task, or a class
            or the table is too small.
    """
    values, where = target.dropna(), f"{given}: column {target.name}"
    distinct = values.nunique()
    if values.empty:
        raise UserError(f"{where}: has no value; --target names the column to predict")
    if distinct < 2:
        raise UserError(f"{where}: has the same value in each row; there is nothing to predict")
    if pd.api.types.is_datetime64_any_dtype(values):
        raise UserError(f"{where}: a date, which can't be predicted; put what you ask of it into a column of numbers")
    if len(values) < FEWEST_ROWS:
        raise UserError(f"{given}: {len(values)} rows with a target, and {FEWEST_ROWS} are the least that can be split")
    if is_number(values) and values.isin([float("inf"), float("-inf")]).any():
        raise UserError(f"{where}: some values are infinite; correct the file")
    text = not is_number(values)
    if text and doubts and (task == "regression" or distinct > len(values) / 2):
        raise UserError(f"{where}: {doubts[0]}")
    if task == "regression":
        if not is_number(values) or pd.api.types.is_bool_dtype(values):
            raise UserError(f"{where}: not numbers, which regression needs; --task classification, or correct the file")
        return
    if distinct > len(values) / 2:
        kind = "measurements or an id" if is_number(values) else "free text or an id"
        raise UserError(f"{where}: {distinct:,} values in {len(values):,} rows: {kind}, not classes")
    if pd.api.types.is_float_dtype(values) and (values % 1 != 0).any():
        raise UserError(f"{where}: fractions aren't classes; --task regression")
    needed = KEPT_FROM if distinct == 2 else FEWEST_OF_A_CLASS  # of two, params.yaml names one
    if (fewest := values.value_counts().min()) < needed:
        rare = f"a class has {fewest} row{'s' if fewest > 1 else ''}, and {needed} are the least"
        raise UserError(f"{where}: {rare} that can be split; join it with another, or leave it out of the file")


def positive_of(column: pd.Series, data: Data) -> tuple[Label | None, str]:
    """Of two classes the one whose probability is predicted: the one that says yes, else the rarer; and why."""
    target = Target.of(column, data)
    if target.kind != "two classes":
        return None, ""
    for value in target.classes:
        if str(value).strip().casefold() in POSITIVE:
            return value, "it says yes"
    counts = {value: int((column == value).sum()) for value in target.classes}
    rarer = min(target.classes, key=lambda value: counts[value])
    return rarer, f"the rarer, with {rows(counts[rarer])} of {len(column):,}"


def choose_split(prepared: pd.DataFrame, data: Data, kept: Split | None) -> tuple[Split, dict[str, pd.DataFrame]]:
    """By time where there is one, else by group, else at random; about 60, 20 and 20 of 100 rows; its parts.

    A split that is there already is kept, where it gives such parts.

    Raises:
        UserError: no such split gives parts that can be learned from and compared on.
    """
    if data.time:
        times = prepared[data.time].sort_values(kind="stable")
        if times.nunique() < 3:
            raise UserError(f"--time {data.time}: {times.nunique()} different times, and a split needs 3")
        at = by_time(times)
        in_valid = times[(times >= at.valid_from) & (times < at.test_from)]
        hows: list[Split] = [at if data.group else at.model_copy(update={"block": choose_block(in_valid)})]
    else:
        by: Literal["group", "random"] = "group" if data.group else "random"
        hows = [SplitByShare(by=by, valid=0.2, test=0.2, seed=seed) for seed in SEEDS]
    reason = ""
    for how in [kept, *hows] if kept else hows:
        try:
            parts = split(prepared, data, how)
            for draw in range(REFITS):
                half(parts["train"], data, draw)
        except UserError as error:
            reason = str(error).removeprefix("split: ").removesuffix("; see split in params.yaml")
            continue
        return how, parts
    raise UserError(f"column {data.target}: too few rows, times or groups to split: {reason}")


def choose_block(times: pd.Series) -> Block | None:
    """The coarsest calendar block of which at least 20 have rows in `valid`, whose times these are.

    If no block has as many, the coarsest of those with the most, as long as there are 5: intervals have few degrees of
    freedom then, but are right, as those of single rows wouldn't be. With fewer, or where time is a number: none.
    """
    if not pd.api.types.is_datetime64_any_dtype(times):
        return None
    counts = {block: blocks(times, block).nunique() for block in reversed(BLOCKS)}
    enough = [block for block, count in counts.items() if count >= ENOUGH_BLOCKS]
    most = max(counts, key=lambda block: counts[block])  # the first, which is the coarsest, of equals
    if enough:
        return enough[0]
    return most if counts[most] >= FEWEST_GROUPS else None


def by_time(times: pd.Series) -> SplitByTime:
    """The two moments, of at least three in ascending order, after which about two fifths and one fifth of rows are."""
    moments = times.drop_duplicates()
    places = [times.searchsorted(moment) / len(times) for moment in moments]
    near = [min(range(1, len(moments)), key=lambda at: abs(places[at] - share)) for share in (0.6, 0.8)]
    first = min(near[0], len(moments) - 2)
    chosen = [moments.iloc[first], moments.iloc[max(near[1], first + 1)]]
    rounded = rounded_dates if isinstance(chosen[0], pd.Timestamp) else rounded_numbers
    valid_from, test_from = rounded(times, chosen)
    return SplitByTime(by="time", valid_from=valid_from, test_from=test_from, block=None, purge=False)


def rounded_dates(times: pd.Series, moments: list[pd.Timestamp]) -> list[datetime]:
    """Two moments rounded down to days; within a day, to the coarsest unit, of which ten rows share each.

    params.yaml shows them, and a moment of its own would be one row's.

    Raises:
        UserError: no such moments part the rows.
    """
    for unit in ("D", "h", "min", "s"):
        found = [moment.floor(unit) for moment in moments]
        shared = all((times.dt.floor(unit) == moment).sum() >= KEPT_FROM for moment in found)
        if times.iloc[0] < found[0] < found[1] and (unit == "D" or shared):
            return [moment.to_pydatetime() for moment in found]
    raise UserError(f"--time {times.name}: {TOO_CLOSE}")


def rounded_numbers(times: pd.Series, moments: list[float]) -> list[float]:
    """Two moments rounded down to the finest of round numbers of which ten rows share each; as they are if ten rows do.

    Raises:
        UserError: no such moments part the rows.
    """
    if all((times == moment).sum() >= KEPT_FROM for moment in moments):
        return [float(moment) for moment in moments]
    least, most = float(moments[0] - times.iloc[0]) / 100, float(times.iloc[-1] - times.iloc[0])
    steps = (factor * 10.0**power for power in range(math.floor(math.log10(least)), 400) for factor in (1, 2, 5))
    for step in takewhile(lambda step: step <= most, steps):
        found = [math.floor(moment / step) * step for moment in moments]
        shared = all(((times >= moment) & (times < moment + step)).sum() >= KEPT_FROM for moment in found)
        if shared and times.iloc[0] < found[0] < found[1]:
            return [float(f"{moment:.12g}") for moment in found]
    raise UserError(f"--time {times.name}: {TOO_CLOSE}")


def moments_of(how: Split) -> dict[str, Any]:
    """A split as it stands in params.yaml: dates and numbers as short as they can be written."""

    def plain(value: object) -> object:
        if isinstance(value, datetime):
            return value.isoformat().removesuffix("T00:00:00")
        return int(value) if isinstance(value, float) and value.is_integer() else value

    return {key: plain(value) for key, value in how.model_dump().items()}


def params_for(
    prepared: pd.DataFrame, data: Data, how: dict[str, Any], old: dict[str, Any], again: bool
) -> dict[str, Any]:
    """The content of params.yaml: what fits the table stays, the rest gets values to begin with."""
    roles, positive = data.model_dump(mode="json"), old["data"]["positive"]
    if again and data.positive is not None and positive in prepared[data.target].unique():
        roles["positive"] = positive
    slices = [name for name in old["evaluate"]["slices"] if name in prepared and name not in data.private]
    content = old | {
        "data": roles,
        "split": how,
        "evaluate": old["evaluate"] | {"slices": slices if again else first_slices(prepared, data)},
    }
    if not again:
        content |= beginnings(prepared, data)
    Params.model_validate(content)
    return content


def beginnings(prepared: pd.DataFrame, data: Data) -> dict[str, Any]:
    """The sections that say what is asked, how it's learned and what must hold, for a new table or target."""
    target, few = prepared[data.target], len(prepared) < FEW_ROWS
    smallest, regression = SMALLEST[Target.of(target, data).kind], data.task == "regression"
    metric = next(iter(smallest))
    if metric == "roc_auc" and target.value_counts(normalize=True).iloc[0] > columns.NEARLY_ALWAYS:
        metric = "average_precision"
    return {
        "problem": {
            "question": f"What is {data.target}, by the other columns?",
            "decision": "Not written down yet: what will be done otherwise for knowing it?",
            "costs": None,
        },
        "train": {
            "model": f"sklearn.ensemble.HistGradientBoosting{'Regressor' if regression else 'Classifier'}",
            "arguments": {
                "learning_rate": 0.05 if few else 0.1,
                "max_iter": 100,
                "max_leaf_nodes": 8 if few else 31,
                "min_samples_leaf": max(2, min(20, len(prepared) // 50)),
                "l2_regularization": 0,
                "early_stopping": False,
            },
            "seed": 1,
            "refits": REFITS,
        },
        "gate": {
            "metric": metric,
            "floor": None,
            "slice_floor": None,
            "baselines": ["prior"],
            "smallest_difference": smallest,
        },
    }


def first_slices(prepared: pd.DataFrame, data: Data, most: int = 2) -> list[str]:
    """The first columns of a few categories: scores are shown for each of theirs."""
    names = [name for name in features(prepared, data) if not is_number(prepared[name]) and name not in data.private]
    return [name for name in names if 2 <= prepared[name].nunique() <= 10][:most]
