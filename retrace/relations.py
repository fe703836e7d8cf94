"""How much of the target a single feature explains."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.examples import equal_bins, is_number
from retrace.files import FEWEST_ROWS_SHOWN

MOST_BINS = 50  # of a number, to see what it explains
FEWEST_ROWS_PER_BIN = 5  # the mean of one or two rows is nearly the target itself
SUSPICIOUS = 0.9  # of the target's variance; a feature that explains more by itself may be the target in disguise


def groups_of_feature(feature: pd.Series) -> NDArray[np.intp]:
    """The group of each row by the value of a feature, as a number from 0, shape (rows,).

    A number's groups are bins of equal count, and missing values are group 0. A category's groups are its values, and
    group 0 is for missing and rare values.
    """
    if not is_number(feature):
        groups = pd.factorize(feature)[0] + 1
        groups[np.bincount(groups)[groups] < FEWEST_ROWS_SHOWN] = 0
        return groups
    present = feature.notna().to_numpy()
    groups = np.zeros(len(feature), dtype=np.intp)
    if present.any():
        bins = min(MOST_BINS, max(1, int(present.sum()) // FEWEST_ROWS_PER_BIN))
        groups[present] = equal_bins(feature[present].to_numpy(float), bins) + 1
    return groups


def explained(feature: pd.Series, target: pd.Series, task: str) -> float:
    """The share of the target's variance that a feature explains by itself, adjusted for the number of its values.

    This is epsilon squared (Kelley, 1935). The feature's values are grouped by `groups_of_feature`. The target of a
    classification is a column of 0 and 1 for each class, whose variances are added.
    """
    groups = groups_of_feature(feature)
    if task == "regression":
        columns = [target.to_numpy(float)]
    else:
        columns = [(target == value).to_numpy(float) for value in target.unique()]
    group_sizes = np.maximum(np.bincount(groups), 1)
    variation_within_groups = variation = 0.0
    for values in columns:
        group_means = np.bincount(groups, values) / group_sizes
        variation_within_groups += float(((values - group_means[groups]) ** 2).sum())
        variation += float(((values - values.mean()) ** 2).sum())
    rows, group_count = len(groups), len(np.unique(groups))
    if rows <= group_count or variation == 0:
        return 0.0
    return 1 - variation_within_groups / variation * (rows - 1) / (rows - group_count)
