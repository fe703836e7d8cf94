"""How much of the target a single feature explains."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.examples import bin_edges, is_number
from retrace.files import FEWEST_ROWS_SHOWN

MOST_BINS = 50  # of a number, to see what it explains
FEWEST_ROWS_PER_BIN = 5  # the mean of one or two rows is nearly the target itself
VALUES_AT_ONCE = 1_000_000  # whose bins are found together
SUSPICIOUS = 0.9  # of the target's variance; a feature that explains more by itself may be the target in disguise


def groups_of_feature(feature: pd.Series) -> NDArray[np.intp]:
    """The group of each row by the value of a feature, as a number from 0, shape (rows,).

    A number's groups are bins of equal count, and missing values are group 0. A category's groups are its values, and
    group 0 is for missing and rare values.
    """
    if not is_number(feature):
        groups = pd.factorize(feature)[0]
        groups += 1
        is_rare = np.bincount(groups) < FEWEST_ROWS_SHOWN
        groups[is_rare[groups]] = 0
        return groups
    present = feature.notna().to_numpy()
    groups = np.zeros(len(feature), dtype=np.intp)
    if present.any():
        bins = min(MOST_BINS, max(1, int(present.sum()) // FEWEST_ROWS_PER_BIN))
        values = feature.to_numpy(float, na_value=np.nan)
        edges = bin_edges(values if present.all() else values[present], bins)
        for start in range(0, len(values), VALUES_AT_ONCE):
            block = slice(start, start + VALUES_AT_ONCE)
            groups[block] = np.searchsorted(edges, values[block], side="left") + 1
        groups[~present] = 0
    return groups


def explained(feature: pd.Series, target: pd.Series, task: str) -> float:
    """The share of the target's variance that a feature explains by itself, adjusted for the number of its values.

    This is epsilon squared (Kelley, 1935). The feature's values are grouped by `groups_of_feature`. The target of a
    classification is a column of 0 and 1 for each class, whose variances are added.
    """
    groups = groups_of_feature(feature)
    group_sizes = np.bincount(groups)
    variation_within_groups = variation = 0.0
    for column in [target] if task == "regression" else (target == value for value in target.unique()):
        within, total = _variations(column, groups, group_sizes)
        variation_within_groups += within
        variation += total
    rows, group_count = len(groups), np.count_nonzero(group_sizes)
    if rows <= group_count or variation == 0:
        return 0.0
    return 1 - variation_within_groups / variation * (rows - 1) / (rows - group_count)


def _variations(column: pd.Series, groups: NDArray[np.intp], group_sizes: NDArray[np.intp]) -> tuple[float, float]:
    """The sums of the squared differences from the means of the groups, and from the mean of all rows.

    Args:
        column: the values.
        groups: the group of each row, shape (rows,).
        group_sizes: the number of rows in each group, shape (groups,).
    """
    values = column.to_numpy(float)
    group_means = np.bincount(groups, values) / np.maximum(group_sizes, 1)
    differences = group_means[groups]
    differences -= values
    within = float(np.square(differences, out=differences).sum())
    np.subtract(values, values.mean(), out=differences)
    return within, float(np.square(differences, out=differences).sum())
