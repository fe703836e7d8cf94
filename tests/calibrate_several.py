"""Is what `compare` says of several experiments right? A simulation in which the truth is known.

    python -m tests.calibrate_several    # writes the table `several` of docs/review.md

The base and each experiment are linear models of the same rows. They have the features of tests/calibrate.py in common,
and each has one feature of its own: the weight that it has in the target decides how good the model is. So those with
features of the same weight are equally good. A trial has one training set and one set of validation rows, and does with
them what `train` and `evaluate` do. Then retrace/review/experiments.py says what `compare` prints.

The fits and the scores of all models are computed together, which takes a hundredth of the time. A test compares them
with those of tests/calibrate.py.

Trials run on all cores, each in one thread. The exit code is 1 if all intervals hold, or the best one is marked, less
often than docs/review.md promises.
"""

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from retrace.resamples import half
from retrace.review.experiments import Experiments
from retrace.review.results import SERIES, Results
from tests.calibrate import (
    DOCS,
    FITS,
    KNOWN,
    PROMISED,
    REFITS,
    TRAIN_ROWS,
    Array,
    Case,
    Lines,
    Way,
    linear,
    make_tables,
    resamples,
    sample,
)

TRIALS = 500
VALID_ROWS, MANY_ROWS, MANY_UNITS = 3_000, 500_000, 5_000  # the many are those by which the truth is known
COUNTS = (2, 5, 20)  # of experiments
USEFUL, MOST_USEFUL = 0.2, 0.4  # the weight of a model's own feature; of the strongest other one it's 1
UNITS = {"rows alone": ("rows", 0), "30 days": ("days", 30), "10 groups": ("groups", 10)}  # of the validation rows
INDEX = pd.MultiIndex.from_tuples([("rows", "model", "", "", "rmse")], names=SERIES)


class Sides(NamedTuple):
    """A base and its experiments.

    Attributes:
        units: what rows share their chance in: nothing, days, or groups.
        valid_units: how many of these there are among the validation rows, and half as many as in train.
        weights: the weight of each model's own feature; the first one is the base's.
    """

    units: str
    valid_units: int
    weights: tuple[float, ...]

    @property
    def case(self) -> Case:
        """The base and the experiments as tests/calibrate.py describes them."""
        base, *ways = (Way(linear("regression"), (*KNOWN, name)) for name in self.own)
        train_units = 2 * self.valid_units
        named = dict(zip(list(self.own)[1:], ways, strict=True))
        sizes = (VALID_ROWS,)
        return Case("regression", base, named, ("rmse",), sizes, self.units, self.valid_units, train_units)

    @property
    def own(self) -> dict[str, float]:
        """The weight of each model's own feature, by its name."""
        return {f"own {number}": weight for number, weight in enumerate(self.weights)}


class Trial(NamedTuple):
    """What is found in one trial; more is better in all of it.

    Attributes:
        scores: of the base and the experiments, shape (sides,).
        lows: the lower ends of the intervals of the experiments' differences from the base, shape (experiments,).
        highs: the upper ends.
        marked: whether each side may be the best, shape (sides,).
        bias: by how much the best experiment is said to be too good.
    """

    scores: Array
    lows: Array
    highs: Array
    marked: NDArray[np.bool_]
    bias: float


def draw_rows(sides: Sides, *seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """New training rows and new validation rows."""
    case, rng = sides.case, np.random.default_rng(seed)
    train = sample(case, TRAIN_ROWS, case.train_units, rng, sides.own)
    return train, sample(case, VALID_ROWS, case.valid_units, rng, sides.own)


def fit(sides: Sides, rows: Array) -> Array:
    """Fit a ridge regression for each side.

    Args:
        sides: the base and the experiments.
        rows: the features and the target, as `as_array` returns them.

    Returns:
        The weights of the features, 0 for those that a side doesn't have; then the intercept; then -1 for the target.
        So a row's product with them is what its prediction exceeds the truth by. Shape (sides, features + 2).
    """
    known, own = np.arange(len(KNOWN)), len(KNOWN) + np.arange(len(sides.weights))
    columns = np.column_stack([np.tile(known, (len(own), 1)), own])  # of each side, shape (sides, features of a side)
    means = rows.mean(axis=0)
    means[-2] = 0  # of the column of ones
    products = (rows - means).T @ (rows - means)
    penalty = sides.case.base.estimator.get_params()["alpha"]
    within = products[columns[:, :, None], columns[:, None, :]] + penalty * np.eye(columns.shape[1])
    fitted = np.zeros((len(own), rows.shape[1]))
    np.put_along_axis(fitted, columns, np.linalg.solve(within, products[columns, -1][:, :, None])[:, :, 0], axis=1)
    fitted[:, -2:] = np.column_stack([means[-1] - fitted @ means, np.full(len(own), -1)])
    return fitted


def as_array(sides: Sides, table: pd.DataFrame) -> Array:
    """The features, a column of ones for the intercept, and the target, shape (rows, features + 2)."""
    return table.assign(ones=1.0)[[*KNOWN, *sides.own, "ones", "target"]].to_numpy()


def mean_products(rows: Array) -> Array:
    """The mean over the rows of the product of any two columns, shape (columns, columns)."""
    return np.asarray(rows.T @ rows / len(rows))


def rmse(fitted: Array, products: Array) -> Array:
    """The root of the mean squared error of each fit, on rows with these mean products; shape (sides,)."""
    return np.asarray(np.sqrt(((fitted @ products) * fitted).sum(axis=1)))


@cache
def halves(units: str, train_units: int) -> list[NDArray[np.bool_]]:
    """Which training rows are in each half: the same in all trials, since the ids are."""
    sides = Sides(units, train_units // 2, (0.0,))
    train, _ = draw_rows(sides, 0)
    return [half(train, sides.case.data, draw).rows for draw in range(REFITS)]


def run(sides: Sides, train: pd.DataFrame, valid: pd.DataFrame) -> list[Results]:
    """What `train` and `evaluate` find for each side."""
    case = sides.case
    drawn, _ = resamples(case.units, len(valid), case.valid_units, case.resamples, sliced=False)
    train_rows, valid_rows = as_array(sides, train), as_array(sides, valid)
    fitted, products = fit(sides, train_rows), mean_products(valid_rows)
    scores = rmse(fitted, products)
    weights = drawn.weights.astype(float)
    resampled = np.sqrt(weights @ (valid_rows @ fitted.T) ** 2 / weights.sum(axis=1, keepdims=True))
    drawn_halves = halves(case.units, case.train_units)
    refitted = np.array([rmse(fit(sides, train_rows[rows]), products) for rows in drawn_halves])
    train_units = case.train_units or TRAIN_ROWS
    units = {"valid": drawn.units, "train": train_units, "half": (train_units + 1) // 2}
    return [
        Results(
            {"model": {"rmse": {"score": float(scores[side])}}},
            {},
            pd.DataFrame(resampled[:, [side]].T, index=INDEX),
            pd.DataFrame(refitted[:, [side]].T, index=INDEX),
            units,
        )
        for side in range(len(scores))
    ]


def trial(sides: Sides, number: int) -> Trial:
    """What `compare` says of new rows."""
    base, *others = run(sides, *draw_rows(sides, 2, number))
    found = Experiments(base, others, "rmse", higher_is_better=False)
    losses = [side.scores["model"]["rmse"]["score"] for side in (base, *others)]
    differences = found.differences()
    return Trial(
        -np.array(losses, dtype=float),
        -np.array([difference.high for difference in differences]),
        -np.array([difference.low for difference in differences]),
        np.array(found.may_be_best()),
        found.selection_bias(),
    )


def fit_once(sides: Sides, number: int) -> Array:
    """The fits on new training rows."""
    case = sides.case
    train = sample(case, TRAIN_ROWS, case.train_units, np.random.default_rng([1, number]), sides.own)
    return fit(sides, as_array(sides, train))


def expect(sides: Sides) -> Array:
    """The score that is expected of each side; those with features of the same weight have the same. Shape (sides,)."""
    if len(set(sides.weights)) == 1:
        return np.zeros(len(sides.weights))
    units = MANY_UNITS * bool(sides.valid_units)
    many = sample(sides.case, MANY_ROWS, units, np.random.default_rng([3]), sides.own)
    products = mean_products(as_array(sides, many))
    losses = np.mean([rmse(fitted, products) for fitted in parallel(fit_once, sides, FITS)], axis=0)
    return -pd.Series(losses).groupby(list(sides.weights)).transform("mean").to_numpy()


def parallel(function: Callable[[Sides, int], Any], sides: Sides, count: int) -> list[Any]:
    """What a function returns for each of so many draws, each in one thread, on all cores."""

    def single(number: int) -> Any:
        with threadpool_limits(limits=1):
            return function(sides, number)

    return list(Parallel(n_jobs=-1)(delayed(single)(number) for number in range(count)))


def summarize(trials: list[Trial], truth: Array) -> list[float]:
    """How good the statements of some trials are.

    Args:
        trials: of the same sides.
        truth: the score that is expected of each side, shape (sides,).

    Returns:
        In how many of 100 trials all intervals hold; in how many the best is marked, which is the mean over those that
        are equally good; how many sides are marked on average; by how much the best experiment is too good on average;
        and by how much it's said to be.
    """
    gains = truth[1:] - truth[0]
    best = truth == truth.max()
    noise = np.array([each.scores - truth for each in trials])[:, 1:]
    noise -= noise.mean(axis=1, keepdims=True)  # what moves all experiments is nearly as often up as down
    chosen = [int(each.scores[1:].argmax()) for each in trials]
    return [
        100 * float(np.mean([((each.lows <= gains) & (gains <= each.highs)).all() for each in trials])),
        100 * float(np.mean([each.marked[best].mean() for each in trials])),
        float(np.mean([each.marked.sum() for each in trials])),
        float(noise[np.arange(len(trials)), chosen].mean()),
        float(np.mean([each.bias for each in trials])),
    ]


def weights_of(count: int, units: str) -> dict[str, list[float]]:
    """The weights of the own features of the base and of so many experiments, by what they are like."""
    kinds = {
        "as good as the base": [USEFUL] * (count + 1),
        "one is better": [USEFUL] * count + [MOST_USEFUL],
        "all differ": [USEFUL, *np.linspace(0, MOST_USEFUL, count)],
    }
    return kinds | ({"features of no use": [0.0] * (count + 1)} if units == "rows" else {})


def several() -> tuple[list[str], Lines]:
    """What `compare` says of several experiments, and how often it's right."""
    lines = []
    for drawn_together, (units, valid_units) in UNITS.items():
        for name in weights_of(0, units):
            for count in COUNTS:
                sides = Sides(units, valid_units, tuple(weights_of(count, units)[name]))
                holds, marked, number, bias, expected = summarize(parallel(trial, sides, TRIALS), expect(sides))
                counted = [f"{holds:.3g}", f"{marked:.3g}", f"{number:.3g} of {count + 1}"]
                lines.append(
                    [drawn_together, name, f"{count}", f"{TRIALS:,}", *counted, f"{bias:.4f}", f"{expected:.4f}"]
                )
                print(", ".join(lines[-1]), file=sys.stderr, flush=True)
    header = ["drawn together", "experiments", "how many:", "trials:", "all intervals hold, of 100:"]
    return [*header, "the best is marked, of 100:", "marked:", "the best is too good by:", "estimated:"], lines


def too_low(lines: Lines) -> Lines:
    """The lines in which either promise holds in fewer trials than PROMISED says, by two standard errors or more."""
    least = PROMISED - 2 * np.sqrt(PROMISED * (100 - PROMISED) / TRIALS)
    return [line for line in lines if min(float(cell) for cell in line[4:6]) < least]


def main() -> None:
    for _, lines in make_tables({"several": several}, DOCS):
        if broken := too_low(lines):
            sys.exit("\n".join(["compare is right too seldom:", *(", ".join(line) for line in broken)]))


if __name__ == "__main__":
    # A worker process finds the functions by the name of this module, not as those of __main__.
    from tests import calibrate_several  # noqa: PLW0406

    calibrate_several.main()
