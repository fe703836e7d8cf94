"""Are the verdicts right? A simulation in which the truth is known.

    python -m tests.calibrate    # prints the tables of docs/review.md; about 40 minutes on one core

Two ways of training differ a little. The truth is the difference of their scores that is expected over new training
rows and new validation rows: the mean over many of both. A trial has one training set and one set of validation rows,
and does with them what `train` and `evaluate` do: a fit, refits on halves, resamples. What `compare` makes of them
should hold the truth in 95 of 100 trials, and `verdict` should say what is so.

- coverage: how often the interval holds the truth, by metric, for linear models and boosting;
- verdicts: another seed, a model that has hardly learned, a useful new feature;
- power: how often a difference is seen, by its size.

A trial's 300 and 3,000 validation rows are the first of its 30,000, so that the same fits serve all three.
"""

import sys
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from src.core.examples import Kind, Target
from src.core.params import Costs, Data
from src.core.resamples import bootstrap, half
from src.core.scores import Array, draws_table, metrics_of, score_draws
from src.review.noise import compare, verdict
from src.review.results import SERIES, Results
from tests.conftest import ROLES

SIZES = (300, 3_000, 30_000)
TRAIN_ROWS, REFITS = 2_000, 5
DATA = Data(**ROLES | {"source": "none", "read": {}, "target": "target", "task": "classification", "id": "id"})
TARGETS: dict[Kind, Target] = {
    "two classes": Target((False, True)),
    "more classes": Target((0, 1, 2)),
    "regression": Target(),
}
KNOWN = {"a": 1, "b": -0.7, "c": 0.5, "d": -0.3, "e": 0.2, "f": 0, "g": 0, "h": 0}  # what each says of the target
NEW = {f"new {weight}": weight for weight in (0, 0.1, 0.2, 0.3, 0.4, 0.6)}


class Way(NamedTuple):
    """A way of training."""

    estimator: BaseEstimator
    features: tuple[str, ...] = tuple(KNOWN)
    seed: int = 1


class Case(NamedTuple):
    """Ways of training, each to be compared with `base`, by these metrics (none: all that apply)."""

    kind: Kind
    base: Way
    ways: Mapping[str, Way]
    metrics: tuple[str, ...] = ()
    resamples: int = 500


def linear(kind: Kind, strength: float = 1) -> BaseEstimator:
    """A linear model; one of little strength is held back a lot."""
    if kind == "regression":
        return Ridge(alpha=1 / strength)
    return LogisticRegression(C=strength, solver="newton-cholesky")


def boosting(kind: Kind, iterations: int, early_stopping: bool = False) -> BaseEstimator:
    """Boosting of small trees; its seed draws the rows that early stopping holds out, and nothing else."""
    model = HistGradientBoostingRegressor if kind == "regression" else HistGradientBoostingClassifier
    return model(max_iter=iterations, max_leaf_nodes=8, early_stopping=early_stopping)


def with_new(way: Way, weight: float) -> Way:
    """The same way with one feature more."""
    return way._replace(features=(*way.features, f"new {weight}"))


def sample(kind: Kind, rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows whose target hangs on the features by their weights, a product and a square."""
    weights = KNOWN | NEW
    table = pd.DataFrame(rng.normal(size=(rows, len(weights))), columns=list(weights))
    latent = table @ pd.Series(weights) + 0.5 * table["a"] * table["b"] + 0.3 * table["c"] ** 2
    latent += rng.logistic(size=rows)
    target = {"two classes": latent > 1.5, "more classes": np.digitize(latent, [-1, 1.5]), "regression": latent}
    return table.assign(id=range(rows), target=target[kind])


def predict(way: Way, kind: Kind, train: pd.DataFrame, valid: pd.DataFrame, draw: int = 0) -> Array:
    """What a model that was fitted on `train` says of `valid`; a refit's seed is the way's and its number."""
    model = clone(way.estimator).set_params(random_state=way.seed + draw)
    model.fit(train[list(way.features)].to_numpy(), train[DATA.target].to_numpy())
    return TARGETS[kind].predict(model, valid[list(way.features)].to_numpy())


@cache
def halves() -> list[NDArray[np.bool_]]:
    """Which training rows each refit has: the same in all trials, since the ids are."""
    return [half(pd.DataFrame({DATA.id_column: range(TRAIN_ROWS)}), DATA, draw) for draw in range(REFITS)]


@cache
def resamples(rows: int, count: int) -> NDArray[np.int16]:
    """How often each validation row is in each resample: the same in all trials, too."""
    return np.stack(list(bootstrap(pd.DataFrame({DATA.id_column: range(rows)}), DATA, count)), dtype=np.int16)


def scores(case: Case, truth: NDArray[Any], guess: Array, draws: NDArray[np.integer] | None = None) -> pd.DataFrame:
    """The scores of each draw, or of all rows: a line for each metric."""
    metrics = metrics_of(case.kind, Costs(false_positive=1, false_negative=3) if case.kind == "two classes" else None)
    wanted = {name: metrics[name] for name in case.metrics or metrics}
    return score_draws(wanted, truth, guess, np.ones((1, len(truth)), dtype=np.int64) if draws is None else draws)


def results(case: Case, truth: NDArray[Any], guess: Array, refits: list[Array]) -> Results:
    """What `evaluate` writes, from what a model and its refits say of the validation rows."""
    whole = ("model", "", "")
    resampled = {whole: scores(case, truth, guess, resamples(len(truth), case.resamples))}
    refitted = {whole: pd.concat([scores(case, truth, each) for each in refits], axis=1, ignore_index=True)}
    tables = [draws_table("rows", draws).set_index(SERIES) for draws in (resampled, refitted)]
    point = {metric: {"score": score} for metric, score in scores(case, truth, guess)[0].items()}
    return Results({"model": point}, {}, *tables)


def draw_rows(case: Case, rows: int, *seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """New training rows and so many new validation rows."""
    rng = np.random.default_rng(seed)
    return sample(case.kind, TRAIN_ROWS, rng), sample(case.kind, rows, rng)


@threadpool_limits.wrap(limits=1)
def expect(case: Case, fits: int) -> pd.DataFrame:
    """The true differences from the base: a line for each metric, a column for each way."""
    total = dict.fromkeys(case.ways, 0)
    for draw in range(fits):
        train, valid = draw_rows(case, max(SIZES), 1, draw)
        truth = TARGETS[case.kind].truth(valid[DATA.target])
        base = scores(case, truth, predict(case.base, case.kind, train, valid))[0]
        for name, way in case.ways.items():
            total[name] += (scores(case, truth, predict(way, case.kind, train, valid))[0] - base) / fits
    return pd.DataFrame(total)


def run(case: Case, way: Way, train: pd.DataFrame, valid: pd.DataFrame, sizes: tuple[int, ...]) -> dict[int, Results]:
    """What `train` and `evaluate` find, by the number of validation rows."""
    truth = TARGETS[case.kind].truth(valid[DATA.target])
    guess = predict(way, case.kind, train, valid)
    refits = [predict(way, case.kind, train[rows], valid, draw) for draw, rows in enumerate(halves())]
    return {rows: results(case, truth[:rows], guess[:rows], [each[:rows] for each in refits]) for rows in sizes}


@threadpool_limits.wrap(limits=1)  # fits this small are slower with threads, which wait for each other spinning
def trials(case: Case, count: int, sizes: tuple[int, ...] = SIZES) -> pd.DataFrame:
    """What is found: a line for each trial, way, number of validation rows and metric."""
    found = []
    for trial in range(count):
        train, valid = draw_rows(case, max(sizes), 2, trial)
        base = run(case, case.base, train, valid, sizes)
        for name, way in case.ways.items():
            for rows, here in run(case, way, train, valid, sizes).items():
                for metric in here.scores["model"]:
                    difference = compare(here, base[rows], metric)
                    says = verdict(difference, metric, smallest=0)
                    found.append({"way": name, "metric": metric, "rows": rows, "says": says, **difference._asdict()})
    return pd.DataFrame(found)


def of_100(found: pd.DataFrame, so: pd.Series) -> pd.DataFrame:
    """In how many of 100 trials it is so: a line for each way and metric, a column for each number of rows."""
    counted = found.assign(so=so * 100)
    return counted.pivot_table(index=["way", "metric"], columns="rows", values="so", sort=False)


def covered(found: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """In how many of 100 trials the interval holds the truth."""
    true = np.array([truth.loc[metric, way] for metric, way in zip(found["metric"], found["way"], strict=True)])
    return of_100(found, (found["low"] <= true) & (true <= found["high"]))


def telling_changes(iterations: int) -> Case:
    """Changes whose right verdict is known, which ends their names; boosting hangs on the seed by early stopping."""
    base = Way(boosting("two classes", iterations, early_stopping=True))
    ways = {
        "another seed: noise": base._replace(seed=2),
        "a twentieth of the iterations: worse": Way(boosting("two classes", iterations // 20)),
        "a useful feature: better": with_new(base, 0.6),
    }
    return Case("two classes", base, ways, ("roc_auc", "log_loss"))


def right(found: pd.DataFrame) -> pd.DataFrame:
    """In how many of 100 trials the verdict is the right one."""
    return of_100(found, found["says"] == found["way"].str.split(": ").str[1])


def heading(title: str) -> None:
    print(f"\n{title}\n\n| model | change | metric | true difference |", *(f"{rows:,} rows |" for rows in SIZES))
    print("|---|---|---|--:|" + "--:|" * len(SIZES))


def show(model: str, truth: pd.DataFrame, table: pd.DataFrame) -> None:
    """Print lines of a Markdown table, and to stderr how long it took to get there."""
    for (way, metric), counts in table.iterrows():
        cells = [f" {counts[rows]:.3g} |" if rows in counts else " |" for rows in SIZES]
        print(f"| {model} | {way} | {metric} | {truth.loc[metric, way]:+.5f} |" + "".join(cells), flush=True)
    print(f"{time.process_time():.0f} s", file=sys.stderr, flush=True)


def main() -> None:
    heading("In how many of 100 trials the interval holds the truth")
    for kind in TARGETS:
        sizes = (3_000,) if kind == "more classes" else SIZES
        base = Way(linear(kind))
        lines = Case(kind, base, {"a weak feature": with_new(base, 0.2), "held back": Way(linear(kind, 0.003))})
        trees = Case(kind, Way(boosting(kind, 50)), {"half the iterations": Way(boosting(kind, 25))})
        for model, case, count, fits in (("linear", lines, 200, 400), ("boosting", trees, 100, 200)):
            truth, found = expect(case, fits), trials(case, count, sizes)
            show(model, truth, covered(found, truth))

    heading("In how many of 100 trials the verdict is the right one")
    case = telling_changes(iterations=100)
    show("boosting", expect(case, 100), right(trials(case, 100)))

    heading("In how many of 100 trials a feature of this weight is seen to make a difference")
    for model, base, count in (
        ("linear", Way(linear("two classes")), 100),
        ("boosting", Way(boosting("two classes", 50)), 50),
    ):
        case = Case("two classes", base, {str(w): with_new(base, w) for w in NEW.values()}, ("roc_auc", "log_loss"))
        found = trials(case, count)
        show(model, expect(case, 100), of_100(found, found["says"].isin(["better", "worse"])))


if __name__ == "__main__":
    main()
