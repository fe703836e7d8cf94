"""How much of the target a single feature explains."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.examples import is_number
from retrace.files import FEWEST_ROWS_SHOWN
from retrace.pieces import Pieces, count_values, each, present_numbers, quantiles_of

MOST_BINS = 50  # of a number, to see what it explains
FEWEST_ROWS_PER_BIN = 5  # the mean of one or two rows is nearly the target itself
SUSPICIOUS = 0.9  # of the target's variance; a feature that explains more by itself may be the target in disguise

Groups = NDArray[np.intp]


def grouping(feature: Pieces) -> tuple[int, Callable[[pd.Series], Groups]]:
    """How many groups a feature's values are in, and a function that returns the group of each row, shape (rows,).

    A number's groups are bins of equal count, and missing values are group 0. A category's groups are its values, and
    group 0 is for missing and rare values.
    """
    if is_number(next(iter(feature))):
        present = each(present_numbers, feature)
        rows = sum(map(len, present))
        bins = min(MOST_BINS, max(1, rows // FEWEST_ROWS_PER_BIN))
        shares = [number / bins for number in range(1, bins)]  # none if few rows have a number
        edges = np.unique(quantiles_of(present, shares)) if shares else np.empty(0)

        def bin_of(values: pd.Series) -> Groups:
            numbers = values.to_numpy(float, na_value=np.nan)
            return np.where(np.isnan(numbers), 0, np.searchsorted(edges, numbers, side="left") + 1)

        return len(edges) + 2, bin_of
    counts = count_values(feature)
    common = counts.index[counts >= FEWEST_ROWS_SHOWN]
    return len(common) + 1, lambda values: common.get_indexer(pd.Index(values)) + 1


def explained(feature: Pieces, target: Pieces, task: str) -> float:
    """The share of the target's variance that a feature explains by itself, adjusted for the number of its values.

    This is epsilon squared (Kelley, 1935). The feature's values are grouped by `grouping`. The target of a
    classification is a column of 0 and 1 for each class, whose variances are added.

    Args:
        feature: the pieces of the feature's column.
        target: those of the target's, with the same rows in each piece.
        task: "classification" or "regression".
    """
    count, group_of = grouping(feature)
    classes = [None] if task == "regression" else count_values(target).index.sort_values()
    rows = np.zeros(count)
    sums = np.zeros((len(classes), count))
    for values, targets in zip(feature, target, strict=True):
        groups = group_of(values)
        rows += np.bincount(groups, minlength=count)
        for number, class_ in enumerate(classes):
            sums[number] += np.bincount(groups, _numbers(targets, class_), minlength=count)
    means, mean = sums / np.maximum(rows, 1), sums.sum(axis=1) / rows.sum()
    within = total = 0.0
    for values, targets in zip(feature, target, strict=True):
        groups = group_of(values)
        for number, class_ in enumerate(classes):
            numbers = _numbers(targets, class_)
            within += float(np.square(means[number, groups] - numbers).sum())
            total += float(np.square(numbers - mean[number]).sum())
    group_count = np.count_nonzero(rows)
    if rows.sum() <= group_count or total == 0:
        return 0.0
    return float(1 - within / total * (rows.sum() - 1) / (rows.sum() - group_count))


def _numbers(targets: pd.Series, class_: object) -> NDArray[np.float64]:
    """The targets as numbers; those of a class as 1, and those of others as 0."""
    return np.asarray(targets if class_ is None else targets == class_, dtype=float)
