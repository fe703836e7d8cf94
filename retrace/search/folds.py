"""The folds of cross-validation within train, divided as `split` divides all rows."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import TimeSeriesSplit

from retrace.errors import UserError
from retrace.examples import features
from retrace.files import FEWEST_ROWS_SHOWN, as_text
from retrace.params import Data, SplitByShare, SplitByTime
from retrace.parts import places
from retrace.resamples import blocks, content_of


class Fold(NamedTuple):
    """Rows of train to fit on, and others to score.

    Attributes:
        fit: whether each row is fitted on, shape (rows,).
        score: whether each row is scored, shape (rows,).
    """

    fit: NDArray[np.bool_]
    score: NDArray[np.bool_]


def make_folds(train: pd.DataFrame, data: Data, split: SplitByTime | SplitByShare, count: int) -> list[Fold]:
    """The folds, of which each has its own rows to score.

    If the split is by time, each fold has the rows of a period to score, and all earlier rows to fit on. Rows of a
    calendar block or time are in the same period. With `split.purge`, a group with rows to score isn't fitted on.
    Otherwise the folds are drawn: whole groups, or rows, of which rows of equal content stay together.

    Args:
        train: the rows of train.
        data: which columns hold the target, the id, the time and the group.
        split: the section `split` of params.yaml.
        count: how many folds.

    Raises:
        UserError: a fold has too few rows, or a class or every value of the features is missing in it.
    """
    if isinstance(split, SplitByTime):
        folds = by_time(train, data, split, count)
    else:
        folds = at_random(train, data, split, count)
    for fold in folds:
        check_fold(fold, train, data)
    return folds


def by_time(train: pd.DataFrame, data: Data, split: SplitByTime, count: int) -> list[Fold]:
    """Folds in the order of time; for the arguments see `make_folds`."""
    times = train[data.time]
    place_of_row, moments = pd.factorize(blocks(times, split.block) if split.block else times, sort=True)
    if len(moments) <= count:
        what = f"{split.block}s" if split.block else "different times"
        raise UserError(f"params.yaml: search.folds: train has {len(moments)} {what}, too few for {count} folds")
    folds = []
    for earlier, later in TimeSeriesSplit(count).split(moments):
        fit, score = np.isin(place_of_row, earlier), np.isin(place_of_row, later)
        if split.purge:
            fit &= ~train[data.group].isin(train.loc[score, data.group]).to_numpy()
        folds.append(Fold(fit, score))
    return folds


def at_random(train: pd.DataFrame, data: Data, split: SplitByShare, count: int) -> list[Fold]:
    """Folds that are drawn; for the arguments see `make_folds`."""
    names = as_text(train[data.group]) if split.by == "group" else content_of(train[data.id_column], data.id)
    # With the split's own seed, the places of all rows of train would be below its share.
    fold_of_row = np.floor(places(names, split.seed + 1) * count)
    return [Fold(fold_of_row != number, fold_of_row == number) for number in range(count)]


def check_fold(fold: Fold, train: pd.DataFrame, data: Data) -> None:
    """Check that a model can be fitted and scored.

    Raises:
        UserError: it can't.
    """
    advice = "use fewer folds (params.yaml: search.folds)"
    for rows, what in ((fold.fit, "fitted on"), (fold.score, "scored")):
        if rows.sum() < FEWEST_ROWS_SHOWN:
            raise UserError(
                f"a fold has {rows.sum()} rows to be {what}, and {FEWEST_ROWS_SHOWN} are the least; {advice}"
            )
    fitted = train[fold.fit]
    if data.task == "classification" and fitted[data.target].nunique() < train[data.target].nunique():
        raise UserError(f"column {data.target}: a class is missing in the rows that a fold is fitted on; {advice}")
    if train.loc[fold.score, data.target].nunique() < 2:
        raise UserError(f"column {data.target}: has only one value in the rows that a fold scores; {advice}")
    if fitted[features(train, data)].isna().all(axis=None):
        raise UserError(f"no feature has a value in the rows that a fold is fitted on; {advice}")
