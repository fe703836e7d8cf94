"""What is to be done with a table: which column is what, how it is split, and what parameters to begin with.

The functions that the stages use try it out first, so that `dvc repro` runs to its end on whatever is adopted.
"""

import argparse
from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.adopt import project
from retrace.adopt.reading import read
from retrace.adopt.roles import id_columns_of, positive_of, roles_of, task_of
from retrace.adopt.sample import Sampled, most_rows
from retrace.adopt.splitting import PLACE, Split, as_in_params_yaml, choose_split
from retrace.adopt.starting_params import params_for
from retrace.adopt.stored import chunks_of, pieces_of, prepare
from retrace.adopt.wording import options_named, options_of
from retrace.examples import Label, Target
from retrace.params import Data, Params
from retrace.pieces import count_values
from retrace.prepared import check_prepared
from retrace.scores import metrics_of, project_metrics


class Plan(NamedTuple):
    """A table, what each column is for, how it is split, and the content of params.yaml, with reasons.

    Attributes:
        raw: the table as it is.
        prepared: the table as the stages prepare it.
        seen: the places in `prepared.rows` of the rows of train and valid, shape (rows,).
        data: the columns' roles and how the table is read.
        split: how it is split.
        parts: how many of `prepared.rows` each part has, by its name.
        forgotten: the options of the last time that are not given now.
        absent: the columns that ids were made from and that the table has no more.
        why_task: why this is what is learned.
        why_positive: why this class is the positive one; empty if there is none.
        doubts: by column, what is doubtful about how its cells are read.
        guessed: the encoding of text files, if their bytes do not prove it.
        params: the content of params.yaml, by section.
    """

    raw: Sampled
    prepared: Sampled
    seen: NDArray[np.intp]
    data: Data
    split: Split
    parts: dict[str, int]
    forgotten: list[str]
    absent: list[str]
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
    is_same_source = was.data.source == source
    with options_named():
        raw, options, doubts, guessed = read(given, arguments, was.data.read if is_same_source else {})
    roles = roles_of(arguments, raw)
    task, why_task = task_of(arguments, raw, doubts.get(arguments.target, []))
    id_columns, absent = id_columns_of(raw, roles, was.data)
    found = {"set": "table", "source": source, "read": options, "task": task, "positive": None}
    data = Data.model_validate(roles | found | {"id_columns": id_columns})
    with options_named(set(raw.rows.columns)):
        table = prepare(raw.table, data, import_module(f"src.datasets.{data.set}"))
        counts = count_values(pieces_of(table, data.target)) if task == "classification" else pd.Series()
        classes = counts.index.tolist()
        positive, why_positive = positive_of(counts, data)
        data = data.model_copy(update={"positive": positive})
        check_prepared(chunks_of(table), data)
    prepared = Sampled.of(table, most_rows(len(raw.rows.columns)))
    is_known = _is_about(was, classes, data)
    same_roles = (was.data.time, was.data.group) == (data.time, data.group)
    kept = was.split if is_known and same_roles else None
    split, parts = choose_split(prepared, data, kept, classes)
    section = old["split"] if split is kept else as_in_params_yaml(split)
    params = params_for(prepared.rows, classes, data, old | {"split": section}, is_known)
    if params["data"]["positive"] != positive:
        data = data.model_copy(update={"positive": params["data"]["positive"]})
        why_positive = "as params.yaml has it"
    return Plan(
        raw=raw,
        prepared=prepared,
        seen=np.concatenate([parts[name][PLACE].to_numpy() for name in ("train", "valid")]),
        data=data,
        split=split,
        parts={name: len(part) for name, part in parts.items()},
        forgotten=[words for words in options_of(was.data) if words not in options_of(data)] if is_same_source else [],
        absent=absent if is_same_source else [],
        why_task=why_task,
        why_positive=why_positive,
        doubts=doubts,
        guessed=guessed,
        params=params,
    )


def _is_about(was: Params, classes: Collection[Label], data: Data) -> bool:
    """Whether params.yaml is about this table and target already, and its metrics and costs suit the target.

    Args:
        was: the parameters as they are.
        classes: those of the target; empty for a number.
        data: the columns' roles.
    """
    kind = Target.of(classes, data).kind
    metrics = metrics_of(kind, was.problem.costs) | project_metrics()
    return (
        all(getattr(was.data, key) == getattr(data, key) for key in ("set", "target", "task"))
        and project.is_present(Path(was.data.source))
        and {was.gate.metric, *was.gate.smallest_difference} <= metrics.keys()
        and (kind == "two classes" or was.problem.costs is None)
    )
