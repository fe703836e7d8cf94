"""The content of params.yaml for an adopted table: what fits the table stays, the rest gets values to begin with."""

from collections.abc import Collection
from typing import Any

import pandas as pd

from retrace.adopt import columns
from retrace.adopt.splitting import REFITS
from retrace.examples import Kind, Label, Target, features, is_number
from retrace.params import Data, Params
from retrace.placeholders import DECISION_AFTER_ADOPT, question_about

FEW_ROWS = 5_000  # from which on trees may be large
MEMORY = 16  # GB for the rows of a fit: nine million of 19 features
MOST_SLICE_COLUMNS, MOST_SLICES = 2, 10
SMALLEST: dict[Kind, dict[str, float]] = {  # differences that matter; the first metric decides
    "two classes": {"roc_auc": 0.005, "average_precision": 0.01, "log_loss": 0.005, "brier": 0.002},
    "multiclass": {"log_loss": 0.01, "accuracy": 0.01, "f1_macro": 0.01},
    "regression": {"r2": 0.01},
}


def params_for(
    prepared: pd.DataFrame,
    classes: Collection[Label],
    data: Data,
    old: dict[str, Any],
    is_known: bool,
) -> dict[str, Any]:
    """The content of params.yaml, by section.

    Args:
        prepared: the rows of the prepared table that are looked at.
        classes: those of the target; empty for a number.
        data: the columns' roles.
        old: what params.yaml holds now, with the split that was chosen.
        is_known: whether that is about this table and target already.
    """
    roles, positive = data.model_dump(mode="json"), old["data"]["positive"]
    if is_known and data.positive is not None and positive in classes:
        roles["positive"] = positive
    slices = _first_slices(prepared, data)
    if is_known:
        slices = [name for name in old["evaluate"]["slices"] if name in prepared and name not in data.private]
    content = old | {"data": roles, "evaluate": old["evaluate"] | {"slices": slices}}
    if not is_known:
        content |= _first_sections(prepared, classes, data, old["problem"]["name"])
    Params.model_validate(content)
    return content


def _first_sections(prepared: pd.DataFrame, classes: Collection[Label], data: Data, name: str) -> dict[str, Any]:
    """The sections that say what is asked, how it is learned and what must hold, for a new table or target.

    Args:
        prepared: the rows of the prepared table that are looked at.
        classes: those of the target; empty for a number.
        data: the columns' roles.
        name: what releases are called, which stays.
    """
    target, has_few_rows = prepared[data.target], len(prepared) < FEW_ROWS
    smallest = SMALLEST[Target.of(classes, data).kind]
    metric, estimator = next(iter(smallest)), "Regressor" if data.task == "regression" else "Classifier"
    if metric == "roc_auc" and target.value_counts(normalize=True).iloc[0] > columns.NEARLY_ALWAYS:
        metric = "average_precision"
    return {
        "problem": {
            "name": name,
            "question": question_about(data.target),
            "decision": DECISION_AFTER_ADOPT,
            "costs": None,
        },
        "train": {
            "model": f"sklearn.ensemble.HistGradientBoosting{estimator}",
            "arguments": {
                "learning_rate": 0.05 if has_few_rows else 0.1,
                "max_iter": 100,
                "max_leaf_nodes": 8 if has_few_rows else 31,
                "min_samples_leaf": max(2, min(20, len(prepared) // 50)),
                "l2_regularization": 0,
                "early_stopping": False,
            },
            "seed": 1,
            "refits": REFITS,
            "memory": MEMORY,
        },
        "gate": {
            "metric": metric,
            "floor": None,
            "slice_floor": None,
            "baselines": ["prior"],
            "smallest_difference": smallest,
        },
    }


def _first_slices(prepared: pd.DataFrame, data: Data) -> list[str]:
    """The first columns with few categories, by which scores are shown."""
    found = []
    for name in features(prepared, data):
        values = prepared[name]
        is_category = not is_number(values) and name not in data.private
        if is_category and 2 <= values.nunique() <= MOST_SLICES:
            found.append(name)
    return found[:MOST_SLICE_COLUMNS]
