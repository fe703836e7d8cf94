"""Are the verdicts right? A simulation in which the truth is known.

    python -m tests.calibrate [TABLE]...    # writes the tables of docs/review.md, all of them or those that are named

Two ways of training differ a little. The truth is the difference of their scores that is expected over new training
rows and new validation rows: the mean over many of both. A trial has one training set and one set of validation rows,
and does with them what `train` and `evaluate` do: a fit, refits on halves, resamples. The interval that `compare`
gives should cover the truth in 95 of 100 trials, and `verdict` should be right.

- coverage: how often the interval covers the truth, where all rows are independent;
- shared: the same where rows share their chance, in a few groups or in days, and for all slices at once;
- single: how often the interval of a single score covers the score that is expected;
- threshold: how often the threshold of a decision is distrusted, rightly or wrongly;
- moved: how often a column that hasn't changed is said to have moved;
- verdicts: another seed, a model that has hardly learned, a useful new feature;
- power: how often a difference is seen, by its size;
- draws: how often a difference is seen, by the number of refits and resamples, and what they cost.

Trials run on all cores, each in one thread. A table is written to docs/review.md as soon as it's complete, between the
comments with its name, so that an interrupted run can be continued with the other tables. The exit code is 1 if the
interval of a difference covers the truth less often than docs/review.md promises.
"""

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from retrace.decisions import check_threshold
from retrace.differences import Slice, verdict
from retrace.examples import Kind, Target
from retrace.params import Costs, Data
from retrace.resamples import Draws, bootstrap, bootstrap_slices, half
from retrace.review.drift import measure_drift
from retrace.review.results import SERIES, Results
from retrace.review.score_differences import compare, compare_slices
from retrace.scored_rows import interval, is_small
from retrace.scores import Array, draws_table, is_judged, metrics_of, score_draws
from src.stages.describe import describe
from tests.conftest import ROLES, ROOT

DOCS = ROOT / "docs/review.md"
SIZES = (300, 3_000, 30_000)
TRAIN_ROWS, REFITS, RESAMPLES = 2_000, 10, 200
TRIALS, FEWER_TRIALS, FITS = 1_000, 200, 500  # of a line that counts, of others; fits by which the truth is known
PROMISED = 93  # in so many of 100 trials, and mostly in more, the interval of a difference covers the truth
TARGETS: dict[Kind, Target] = {
    "two classes": Target((False, True)),
    "multiclass": Target((0, 1, 2)),
    "regression": Target(),
}
KNOWN = {"a": 1, "b": -0.7, "c": 0.5, "d": -0.3, "e": 0.2, "f": 0, "g": 0, "h": 0}  # the weight of each feature
POPULATIONS = (
    "normal",
    "skewed (log-normal)",
    "two values, one of five rows",
    "thirty values, alike",
    "values by Zipf's law",
)
TOGETHER = 20  # columns that are compared at once
NEW = {f"new {weight}": weight for weight in (0, 0.1, 0.2, 0.3, 0.4, 0.6)}
PLACES, KINDS = (0.5, 0.25, 0.12, 0.08, 0.05), (0.6, 0.3, 0.1)  # the shares of two columns' slices


class Way(NamedTuple):
    """A way of training."""

    estimator: BaseEstimator
    features: tuple[str, ...] = tuple(KNOWN)
    seed: int = 1


class Case(NamedTuple):
    """Ways of training, each to be compared with `base`.

    Attributes:
        kind: of the target.
        base: the way that the others are compared with.
        ways: the others, by name.
        metrics: which to compare; none: all that apply.
        sizes: numbers of validation rows. The fewer are the first of the most, so that the same fits serve all.
        units: what rows share their chance in: nothing, groups, or days.
        valid_units: how many of these there are among the validation rows.
        train_units: and among the training rows.
        resamples: of the validation rows.
        refits: on halves of the training rows.
        other_rows: whether the base has training and validation rows of its own, as with new data.
    """

    kind: Kind
    base: Way
    ways: Mapping[str, Way]
    metrics: tuple[str, ...] = ()
    sizes: tuple[int, ...] = SIZES
    units: str = "rows"
    valid_units: int = 0
    train_units: int = 0
    resamples: int = RESAMPLES
    refits: int = REFITS
    other_rows: bool = False

    @property
    def data(self) -> Data:
        """The columns' roles."""
        role = {"rows": {}, "groups": {"group": "unit"}, "days": {"time": "unit"}}[self.units]
        task = "regression" if self.kind == "regression" else "classification"
        return Data(**ROLES | {"source": "none", "read": {}, "target": "target", "task": task, "id": "id"} | role)


def linear(kind: Kind, strength: float = 1) -> BaseEstimator:
    """A linear model; the lower its strength, the more it is regularized."""
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


def unit_of_rows(case: Case, rows: int, count: int) -> pd.Series:
    """The group or the day of each row, in as many units; of any kind, where rows are alone."""
    number = pd.Series(np.arange(rows) * max(count, 1) // rows)
    return pd.Timestamp("2020-01-01") + pd.to_timedelta(number, unit="D") if case.units == "days" else number


def slices_of_rows(rows: int) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """The slices of two columns, as `slices` finds them; which row is in which is the same in all trials."""
    rng = np.random.default_rng(3)
    columns = {"place": rng.choice(len(PLACES), rows, p=PLACES), "kind": rng.choice(len(KINDS), rows, p=KINDS)}
    slices = {}
    for name, column in columns.items():
        for value in np.unique(column):
            slices[name, str(value)] = column == value
    return dict(sorted(slices.items(), key=lambda item: -item[1].sum()))


def sample(case: Case, rows: int, count: int, rng: np.random.Generator, new: Mapping[str, float] = NEW) -> pd.DataFrame:
    """Rows whose target depends on the features by their weights, a product and a square.

    Each unit has an effect of its own on one feature, on the target, and on the weight of the new features.

    Args:
        case: the kind of the target, and what rows share their chance in.
        rows: how many.
        count: in how many units.
        rng: draws them.
        new: the weight of each new feature.
    """
    weights = KNOWN | new
    table = pd.DataFrame(rng.normal(size=(rows, len(weights))), columns=list(weights))
    table["unit"] = unit_of_rows(case, rows, count)
    codes = pd.factorize(table["unit"])[0]
    feature_effect, target_effect, weight_effect = (
        rng.normal(size=(3, count or 1))[:, codes] if count else np.zeros((3, rows))
    )
    table["a"] += 0.5 * feature_effect
    latent = table[list(KNOWN)] @ pd.Series(KNOWN) + (1 + 0.5 * weight_effect) * (table[list(new)] @ pd.Series(new))
    latent += 0.5 * table["a"] * table["b"] + 0.3 * table["c"] ** 2 + 0.7 * target_effect + rng.logistic(size=rows)
    target = {"two classes": latent > 1.5, "multiclass": np.digitize(latent, [-1, 1.5]), "regression": latent}
    table = table.assign(id=range(rows), target=target[case.kind])
    table.attrs["block"] = "day" if case.units == "days" else None
    return table


def predict(way: Way, case: Case, train: pd.DataFrame, valid: pd.DataFrame, draw: int = 0) -> Array:
    """What a model that was fitted on `train` predicts for `valid`; a refit's seed is the way's and its number."""
    model = clone(way.estimator).set_params(random_state=way.seed + draw)
    model.fit(train[list(way.features)].to_numpy(), train["target"].to_numpy())
    return TARGETS[case.kind].predict(model, valid[list(way.features)].to_numpy())


class Drawn(NamedTuple):
    """Resamples that are drawn once for all trials.

    Attributes:
        units: how many units are drawn from.
        weights: how often each row is in each resample, shape (resamples, rows).
    """

    units: int
    weights: NDArray[np.int16]

    @classmethod
    def of(cls, draws: Draws) -> Self:
        """All resamples of some rows."""
        return cls(draws.units, np.stack([weights.astype(np.int16) for weights in draws]))


@cache
def resamples(
    units: str, rows: int, count: int, draws: int, sliced: bool
) -> tuple[Drawn, dict[tuple[str, str], Drawn]]:
    """The resamples of the whole and of the slices: the same in all trials, since the ids are."""
    case = Case("regression", Way(Ridge()), {}, units=units)
    table = pd.DataFrame({"id": range(rows), "unit": unit_of_rows(case, rows, count)})
    table.attrs["block"] = "day" if units == "days" else None
    whole = bootstrap(table, case.data, draws)
    parts = bootstrap_slices(slices_of_rows(rows), whole) if sliced else {}
    return Drawn.of(whole), {name: Drawn.of(part) for name, part in parts.items()}


def scores(case: Case, truth: NDArray[Any], guess: Array, weights: NDArray[np.integer] | None = None) -> pd.DataFrame:
    """The scores of each draw, or of all rows: a line for each metric."""
    metrics = metrics_of(case.kind, Costs(false_positive=1, false_negative=3) if case.kind == "two classes" else None)
    wanted = {name: metrics[name] for name in case.metrics or metrics}
    return score_draws(wanted, truth, guess, np.ones((1, len(truth)), dtype=np.int64) if weights is None else weights)


def results(
    case: Case, truth: NDArray[Any], guess: Array, refits: list[Array], *, sliced: bool, rows_hash: str
) -> Results:
    """What `evaluate` writes, from what a model and its refits predict for the validation rows."""
    whole, parts = resamples(case.units, len(truth), case.valid_units, case.resamples, sliced)
    slices = slices_of_rows(len(truth)) if sliced else {}
    resampled = {("model", "", ""): scores(case, truth, guess, whole.weights)}
    refitted = {("model", "", ""): [scores(case, truth, refit) for refit in refits]}
    points: dict[str, dict[str, Any]] = {}
    for (column, value), rows in slices.items():
        name, draws = ("model", column, value), parts[column, value]
        resampled[name] = scores(case, truth[rows], guess[rows], draws.weights)
        refitted[name] = [scores(case, truth[rows], refit[rows]) for refit in refits]
        points.setdefault(column, {})[value] = {
            **scores(case, truth[rows], guess[rows])[0],
            "units": draws.units,
            "small": is_small(TARGETS[case.kind], truth[rows], draws.units),
        }
    joined = {name: pd.concat(draws, axis=1, ignore_index=True) for name, draws in refitted.items()}
    tables = [draws_table(rows_hash, draws).set_index(SERIES) for draws in (resampled, joined)]
    point = {metric: {"score": score} for metric, score in scores(case, truth, guess)[0].items()}
    train_units = case.train_units or TRAIN_ROWS
    units = {"valid": whole.units, "train": train_units, "half": (train_units + 1) // 2}
    return Results({"model": point}, points, *tables, units)


def draw_rows(case: Case, rows: int, *seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """New training rows and so many new validation rows."""
    rng = np.random.default_rng(seed)
    return sample(case, TRAIN_ROWS, case.train_units, rng), sample(case, rows, case.valid_units, rng)


def expected_once(case: Case, draw: int, sliced: bool) -> pd.DataFrame:
    """The differences from the base for one draw of rows, on many of new units: of a metric or of a slice, by way."""
    many = case._replace(valid_units=100 * bool(case.valid_units))
    train, valid = draw_rows(many, max(SIZES), 1, draw)
    truth = TARGETS[case.kind].truth(valid["target"])
    slices = slices_of_rows(len(valid)) if sliced else {}
    found: dict[str, dict[Any, float]] = {}
    base = predict(case.base, case, train, valid)
    for name, way in case.ways.items():
        guess = predict(way, case, train, valid)
        found[name] = dict(scores(case, truth, guess)[0] - scores(case, truth, base)[0])
        for part, rows in slices.items():
            difference = scores(case, truth[rows], guess[rows])[0] - scores(case, truth[rows], base[rows])[0]
            found[name][part] = difference.iloc[0]
    return pd.DataFrame(found)


def run(
    case: Case, way: Way, train: pd.DataFrame, valid: pd.DataFrame, *, sliced: bool, rows_hash: str = "rows"
) -> dict[int, Results]:
    """What `train` and `evaluate` find, by the number of validation rows."""
    truth = TARGETS[case.kind].truth(valid["target"])
    guess = predict(way, case, train, valid)
    halves = [half(train, case.data, draw) for draw in range(case.refits)]
    refits = [predict(way, case, train[drawn.rows], valid, draw) for draw, drawn in enumerate(halves)]
    by_size = {}
    for rows in case.sizes:
        first = [refit[:rows] for refit in refits]
        by_size[rows] = results(case, truth[:rows], guess[:rows], first, sliced=sliced, rows_hash=rows_hash)
    return by_size


def trial(case: Case, number: int, sliced: bool) -> list[dict[str, Any]]:
    """What is found in one trial: a line for each way, number of validation rows and metric (or slice)."""
    found = []
    train, valid = draw_rows(case, max(case.sizes), 2, number)
    if case.other_rows:
        base = run(case, case.base, *draw_rows(case, max(case.sizes), 3, number), sliced=sliced, rows_hash="other rows")
    else:
        base = run(case, case.base, train, valid, sliced=sliced)
    for name, way in case.ways.items():
        for rows, here in run(case, way, train, valid, sliced=sliced).items():
            compared = (
                compare_slices(here, base[rows], case.metrics[0])
                if sliced
                else [(metric, compare(here, base[rows], metric)) for metric in here.scores["model"]]
            )
            for what, difference in compared:
                says = "" if isinstance(what, Slice) else verdict(difference, what, smallest=0)
                line = {"trial": number, "way": name, "metric": what, "rows": rows, "says": says}
                found.append(line | difference._asdict())
    return found


def parallel(function: Callable[..., Any], case: Case, count: int, sliced: bool = False) -> list[Any]:
    """What a function returns for each of so many draws of a case, each in one thread, on all cores."""

    def single(number: int) -> Any:
        with threadpool_limits(limits=1):  # fits this small are slower with threads, which wait for each other spinning
            return function(case, number, sliced)

    return list(Parallel(n_jobs=-1)(delayed(single)(number) for number in range(count)))


def expect(case: Case, fits: int, sliced: bool = False) -> pd.DataFrame:
    """The true differences from the base: a line for each metric (and slice), a column for each way."""
    return sum(parallel(expected_once, case, fits, sliced)) / fits


def trials(case: Case, count: int, sliced: bool = False) -> pd.DataFrame:
    """What is found in so many trials: a line for each trial, way, number of validation rows and metric (or slice)."""
    return pd.DataFrame([line for lines in parallel(trial, case, count, sliced) for line in lines])


def of_100(found: pd.DataFrame, is_true: pd.Series) -> pd.DataFrame:
    """In how many of 100 trials something is true: a line for each way and metric, a column for each number of rows."""
    counted = found.assign(of_100=is_true * 100)
    return counted.pivot_table(index=["way", "metric"], columns="rows", values="of_100", sort=False)


def covers_truth(found: pd.DataFrame, truth: pd.DataFrame) -> pd.Series:
    """Whether each interval covers the truth; all of them must have ends, since one without would cover anything."""
    assert np.isfinite(found[["low", "high"]].to_numpy()).all()
    true = np.array(
        [truth.loc[[metric], way].iloc[0] for metric, way in zip(found["metric"], found["way"], strict=True)]
    )
    return (found["low"] <= true) & (true <= found["high"])


def covered(found: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """In how many of 100 trials the interval covers the truth."""
    return of_100(found, covers_truth(found, truth))


def covered_at_once(found: pd.DataFrame, truth: pd.DataFrame) -> float:
    """In how many of 100 trials the intervals of all slices cover their truths."""
    return 100 * float(covers_truth(found, truth).groupby([found["trial"], found["way"]]).all().mean())


def telling_changes(iterations: int) -> Case:
    """Changes whose right verdict is known, which ends their names; boosting depends on the seed by early stopping."""
    base = Way(boosting("two classes", iterations, early_stopping=True))
    ways = {
        "another seed: can't tell": base._replace(seed=2),
        "a twentieth of the iterations: worse": Way(boosting("two classes", iterations // 20)),
        "a useful feature: better": with_new(base, 0.6),
    }
    return Case("two classes", base, ways, ("roc_auc", "log_loss"))


def right(found: pd.DataFrame) -> pd.DataFrame:
    """In how many of 100 trials the verdict is the right one."""
    return of_100(found, found["says"] == found["way"].str.split(": ").str[1])


def linear_changes(**more: Any) -> Case:
    """Changes of a linear model: a weak new feature, and much more regularization."""
    kind = more.get("kind", "two classes")
    base = Way(linear(kind))
    ways = {"a weak feature": with_new(base, 0.2), "strong regularization": Way(linear(kind, 0.003))}
    return Case(base=base, ways=ways, **{"kind": kind} | more)


def shared_chance(units: str, count: int) -> Case:
    """Changes of a linear model where rows share their chance in so many units, twice as many in train."""
    return linear_changes(
        units=units, valid_units=count, train_units=2 * count, sizes=(3_000,), metrics=("roc_auc", "log_loss", "brier")
    )


def sliced(units: str, count: int) -> Case:
    """Changes of a linear model that are judged by slice."""
    return shared_chance(units, count)._replace(metrics=("log_loss",), train_units=4 * count)


Lines = list[list[str]]


def lines_of(model: str, truth: pd.DataFrame, table: pd.DataFrame, count: int, sizes: tuple[int, ...] = SIZES) -> Lines:
    """Lines of a Markdown table: how it was trained, what changed, the metric, the truth, how many trials of it were
    made, and what was counted."""
    return [
        [model, way, metric, f"{truth.loc[metric, way]:+.5f}", f"{count:,}"]
        + [f"{counts[rows]:.3g}" if rows in counts else "" for rows in sizes]
        for (way, metric), counts in table.iterrows()
    ]


BY_SIZE = ["model", "change", "metric", "true difference:", "trials:", *(f"{rows:,} rows:" for rows in SIZES)]


def coverage() -> tuple[list[str], Lines]:
    """In how many of 100 trials the interval covers the truth, where all rows are independent."""
    lines = []
    for kind in TARGETS:
        sizes = (3_000,) if kind == "multiclass" else SIZES
        ways = {"half the iterations": Way(boosting(kind, 25))}
        trees = Case(kind, Way(boosting(kind, 50)), ways, sizes=sizes)
        cases = (
            ("linear", linear_changes(kind=kind, sizes=sizes), TRIALS),
            ("boosting", trees, TRIALS if kind == "two classes" else FEWER_TRIALS),
        )
        for model, case, count in cases:
            truth = expect(case, FITS)
            lines += lines_of(model, truth, covered(trials(case, count), truth), count)
    case = linear_changes(other_rows=True, metrics=("roc_auc", "log_loss", "brier"))
    truth = expect(case, FITS)
    lines += lines_of("linear, base on other rows", truth, covered(trials(case, TRIALS), truth), TRIALS)
    return BY_SIZE, lines


def shared() -> tuple[list[str], Lines]:
    """In how many of 100 trials the interval covers the truth, where rows share their chance, and for all slices."""
    lines = []
    for units, count in (("groups", 5), ("groups", 10), ("groups", 30), ("days", 30)):
        case = shared_chance(units, count)
        truth = expect(case, FITS)
        lines += lines_of(f"{count} {units}", truth, covered(trials(case, TRIALS), truth), TRIALS, case.sizes)
    case = shared_chance("days", 30)._replace(other_rows=True)
    truth = expect(case, FITS)
    lines += lines_of("30 days, base on others", truth, covered(trials(case, TRIALS), truth), TRIALS, case.sizes)
    for units, count in (("rows", 0), ("days", 30), ("groups", 30)):
        case = sliced(units, count)
        found, truth = trials(case, TRIALS, sliced=True), expect(case, FITS, sliced=True)
        for way, part in found.groupby("way", sort=False):
            what = f"all slices at once, {f'{count} {units}' if count else 'rows alone'}"
            lines.append([what, str(way), case.metrics[0], "", f"{TRIALS:,}", f"{covered_at_once(part, truth):.3g}"])
    return ["drawn together", "change", "metric", "true difference:", "trials:", "of 100:"], lines


def too_low(lines: Lines) -> Lines:
    """The lines of `coverage` and `shared` with fewer of 100 trials than promised, by two standard errors or more.

    A metric that isn't judged has no promise.
    """
    found = []
    for line in lines:
        if not is_judged(line[2]):
            continue
        count = int(line[4].replace(",", ""))
        least = PROMISED - 2 * np.sqrt(PROMISED * (100 - PROMISED) / count)
        if any(float(cell) < least for cell in line[5:] if cell):
            found.append(line)
    return found


def calibrated(case: Case, rows: int, shape: tuple[float, float], *seed: int) -> tuple[NDArray[np.bool_], Array]:
    """The truth of rows, and probabilities that are right on average over new units: of a beta distribution.

    The rows of a unit tend to be positive together: of what decides a row, three tenths of the variance is its unit's.
    """
    rng = np.random.default_rng(seed)
    likely = rng.beta(*shape, rows)
    decides = rng.normal(size=rows)
    if count := case.valid_units:
        of_unit = rng.normal(size=count)[unit_of_rows(case, rows, count)]
        decides = np.sqrt(0.3) * of_unit + np.sqrt(0.7) * decides
    return norm.cdf(decides) < likely, likely


def drawn_from(rows: int, groups: int) -> str:
    """So many rows, in groups or alone, as a line names them."""
    return f"{rows:,} rows in {groups} groups" if groups else f"{rows:,} rows alone"


def single() -> tuple[list[str], Lines]:
    """In how many of 100 trials the interval of a single score covers the score of very many rows."""
    metrics = {name: metrics_of("two classes", None)[name] for name in ("roc_auc", "log_loss", "brier")}
    lines = []
    for count, rows, shape in (
        (5, 3_000, (1, 4)),
        (10, 3_000, (1, 4)),
        (30, 3_000, (1, 4)),
        (0, 88, (1, 4)),
        (0, 300, (1, 4)),
        (0, 1_000, (1, 4)),
        (0, 100, (0.1, 0.3)),
    ):
        case = Case(
            "two classes", Way(linear("two classes")), {}, tuple(metrics), (rows,), "groups" if count else "rows"
        )
        expected = scores(case, *calibrated(case, 1_000_000, shape, 4))[0]
        case = case._replace(valid_units=count)
        drawn, _ = resamples(case.units, rows, count, RESAMPLES, sliced=False)
        covered_trials = dict.fromkeys(metrics, 0)
        for number in range(TRIALS):
            truth, guess = calibrated(case, rows, shape, 5, number)
            resampled, point = scores(case, truth, guess, drawn.weights), scores(case, truth, guess)[0]
            for name, metric in metrics.items():
                found = interval(point[name], resampled.loc[name], drawn.units, metric)
                covered_trials[name] += found["low"] <= expected[name] <= found["high"]
        lines += [
            [drawn_from(rows, count), name, f"{expected[name]:.3f}", f"{TRIALS:,}", f"{100 * count / TRIALS:.3g}"]
            for name, count in covered_trials.items()
        ]
    return ["rows", "metric", "true score:", "trials:", "of 100:"], lines


def threshold() -> tuple[list[str], Lines]:
    """In how many of 100 trials the threshold is distrusted, by whether probabilities are right."""
    lines = []
    for count, rows in ((0, 300), (0, 1_000), (0, 5_000), (8, 5_000), (30, 5_000)):
        case = Case("two classes", Way(linear("two classes")), {}, (), (rows,), "groups" if count else "rows", count)
        drawn, _ = resamples(case.units, rows, count, RESAMPLES, sliced=False)
        line = [drawn_from(rows, count), f"{TRIALS:,}"]
        for limit, off in ((0.1, 0), (0.25, 0), (0.5, 0), (0.25, 0.08)):
            distrusted = 0
            for number in range(TRIALS):
                truth, guess = calibrated(case, rows, (1, 4), 6, number)
                guess = (guess + off).clip(max=1)
                distrusted += not check_threshold(limit, truth, guess, drawn.weights, drawn.units)["trusted"]
            line.append(f"{100 * distrusted / TRIALS:.3g}")
        lines.append(line)
    rightly = [f"right, threshold {limit}:" for limit in (0.1, 0.25, 0.5)]
    return ["rows", "trials:", *rightly, "too high by 0.08, threshold 0.25:"], lines


def draw_column(population: str, rows: int, rng: np.random.Generator) -> NDArray[Any]:
    """A column of so many rows from a population."""
    if population == "normal":
        return rng.normal(size=rows)
    if population == "skewed (log-normal)":
        return rng.lognormal(size=rows)
    if population == "two values, one of five rows":
        return rng.choice(["a", "b"], rows, p=[0.8, 0.2])
    if population == "thirty values, alike":
        return rng.integers(0, 30, rows).astype(str)
    return rng.zipf(2, rows).astype(str)


def is_flagged(population: str, rows: int, comparisons: int, *seed: int) -> bool:
    """Whether two samples of one population are said to differ by more than chance explains."""
    rng = np.random.default_rng(seed)
    base, here = (describe([pd.Series(draw_column(population, rows, rng))], private=False) for _ in range(2))
    return measure_drift(population, (base, here), (rows, rows), comparisons).exceeds_chance


def moved() -> tuple[list[str], Lines]:
    """In how many of 100 trials a column is said to have moved between two samples of one population."""
    lines = []
    for name in POPULATIONS:
        counts = []
        for rows in SIZES:
            flagged = [is_flagged(name, rows, 1, 7, number) for number in range(TRIALS)]
            counts.append(f"{100 * np.mean(flagged):.3g}")
        any_flagged = []
        for number in range(FEWER_TRIALS):
            columns = range(TOGETHER)
            any_flagged.append(any(is_flagged(name, SIZES[1], TOGETHER, 8, number, column) for column in columns))
        lines.append([name, f"{TRIALS:,}", *counts, f"{FEWER_TRIALS:,}", f"{100 * np.mean(any_flagged):.3g}"])
    by_size = [f"{rows:,} rows:" for rows in SIZES]
    return ["column", "trials:", *by_size, "trials:", f"any of {TOGETHER}, {SIZES[1]:,} rows:"], lines


def verdicts() -> tuple[list[str], Lines]:
    """In how many of 100 trials the verdict is the right one."""
    case = telling_changes(iterations=100)
    return BY_SIZE, lines_of("boosting", expect(case, 200), right(trials(case, FEWER_TRIALS)), FEWER_TRIALS)


def power() -> tuple[list[str], Lines]:
    """In how many of 100 trials a feature of some weight is seen to make a difference."""
    lines = []
    for model, estimator, count in (
        ("linear", linear("two classes"), FEWER_TRIALS),
        ("boosting", boosting("two classes", 50), FEWER_TRIALS // 4),
    ):
        base = Way(estimator)
        ways = {f"weight {weight}": with_new(base, weight) for weight in NEW.values()}
        case = Case("two classes", base, ways, ("roc_auc", "log_loss"))
        found = trials(case, count)
        lines += lines_of(model, expect(case, 200), of_100(found, found["says"].isin(["better", "worse"])), count)
    return BY_SIZE, lines


def draws() -> tuple[list[str], Lines]:
    """In how many of 100 trials a loss is seen in 30,000 rows, by the number of refits and of resamples."""
    case = telling_changes(iterations=100)._replace(sizes=(30_000,), refits=20, resamples=1_000)
    case = case._replace(ways={name: way for name, way in case.ways.items() if name.endswith(": worse")})
    found = pd.DataFrame([line for lines in parallel(trial_by_draws, case, FEWER_TRIALS) for line in lines])
    lines = []
    for (refits, resampled), part in found.groupby(["refits", "resamples"]):
        seen = part.assign(worse=100 * (part["says"] == "worse")).groupby("metric")["worse"].mean()
        # A refit is half a fit: the rest of `train` is one fit, and the baselines.
        cost = 1 + refits / 2
        lines.append(
            [
                f"{refits}",
                f"{resampled:,}",
                *(f"{seen[metric]:.3g}" for metric in case.metrics),
                f"{cost:g} fits",
                f"{seen[case.metrics[0]] / cost:.3g}",
            ]
        )
    header = [
        "refits:",
        "resamples:",
        "seen by roc_auc, of 100:",
        "by log_loss:",
        "training:",
        "seen by roc_auc a fit:",
    ]
    return header, lines


def trial_by_draws(case: Case, number: int, by_slice: bool) -> list[dict[str, Any]]:
    """A trial's verdicts by the first so many refits and resamples of it."""
    train, valid = draw_rows(case, case.sizes[0], 2, number)
    (way,) = case.ways.values()
    both = [run(case, side, train, valid, sliced=by_slice)[case.sizes[0]] for side in (way, case.base)]
    found = []
    for refits in (5, 10, 20):
        for count in (200, 500, 1_000):
            here, base = (
                Results(side.scores, {}, side.bootstrap.iloc[:, :count], side.refits.iloc[:, :refits], side.units)
                for side in both
            )
            for metric in case.metrics:
                says = verdict(compare(here, base, metric), metric, smallest=0)
                found.append({"refits": refits, "resamples": count, "metric": metric, "says": says})
    return found


TABLES = {table.__name__: table for table in (coverage, shared, single, threshold, moved, verdicts, power, draws)}


def write(name: str, header: list[str], lines: Lines, page: Path) -> None:
    """Put a table in its place in a page of docs/; a column whose name ends in a colon holds numbers."""
    rule = ["--:" if column.endswith(":") else "---" for column in header]
    written = [[column.removesuffix(":") for column in header], rule, *lines]
    table = "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in written)
    text = page.read_text(encoding="utf-8")
    place = re.compile(rf"(<!-- calibrate: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    assert place.search(text), f"{page} has no place for the table {name}"
    page.write_text(place.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text), encoding="utf-8")
    print(f"\n{table}", flush=True)


def make_tables(tables: Mapping[str, Callable[[], tuple[list[str], Lines]]], page: Path) -> Iterator[tuple[str, Lines]]:
    """Make the tables that the command line names, or all, and put each in its place in a page.

    Args:
        tables: the functions that make them, by name.
        page: of docs/.

    Returns:
        The name and the lines of each table, after it's written.
    """
    for name in sys.argv[1:] or tables:
        start = time.monotonic()
        header, lines = tables[name]()
        write(name, header, lines, page)
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        yield name, lines


def main() -> None:
    broken = []
    for name, lines in make_tables(TABLES, DOCS):
        if name in ("coverage", "shared"):
            broken += too_low(lines)
    if broken:
        sys.exit("\n".join(["The interval covers the truth too seldom:", *(", ".join(line) for line in broken)]))


if __name__ == "__main__":
    # A worker process finds the functions by the name of this module, not as those of __main__.
    from tests import calibrate  # noqa: PLW0406

    calibrate.main()
