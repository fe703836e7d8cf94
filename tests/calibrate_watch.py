"""Are alarms right? A simulation in which it's known when something changed.

    python -m tests.calibrate_watch [TABLE]...    # writes the tables of docs/monitoring.md, all of them or those named

A trial has a reference and a year of days that are watched. They are counted in bins, as `watch` counts them, and
retrace/monitoring/ finds the alarms.

- alarms: how often a year without a change has a false alarm;
- shuffled: the same for the demo's own days in random order, which needs the data and the model (`make repro`);
- noticed: how many days it takes until a change is noticed, by its size;
- retrained: the same where part of the reference already has the change, as after retraining;
- estimated: how often the interval of an estimated score contains the score of the true labels.

Trials run on all cores. The exit code is 1 if there are more false alarms than promised where the promise holds.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import expit, ndtr
from scipy.stats import binomtest

from retrace.examples import features
from retrace.models import load_model
from retrace.monitoring.alarms import find_alarms, share_level
from retrace.monitoring.column_statistics import (
    Column,
    bin_of_rows,
    count_rows,
    number_of_bins,
    series_of_days,
    series_of_rows,
)
from retrace.monitoring.estimated_scores import estimate_scores, measure_overdispersion
from retrace.monitoring.exchangeability import Counts, Days
from retrace.params import Costs, read_params
from retrace.resamples import blocks
from retrace.scores import metrics_of, score_draws
from retrace.table_files import read_table
from src.stages.describe import describe
from tests.calibrate import Lines, make_tables
from tests.conftest import ROOT

DOCS = ROOT / "docs/monitoring.md"
YEAR = 365
FALSE_ALARMS = 0.1  # what is promised: the default of watch.false_alarms
TRIALS, FEWER_TRIALS = 400, 100
BINS = 16
EDGES = np.linspace(-3, 3, BINS - 1)  # of a number's bins, in standard deviations of its rows
CHANGE_ON = 60  # the day of the year on which something changes
Array = NDArray[np.float64]


class World(NamedTuple):
    """How the rows of each day come about.

    Attributes:
        name: as the table shows it.
        keeps: whether the days are exchangeable, so that the promise must be kept.
        reference: the number of days in the reference, or of rows, if rows are units.
        columns: the number of columns, each of them a series.
        rows: the number of rows of a day.
        watched_rows: the number of rows of a day that is watched, if it's another.
        by_row: whether rows are units.
        day_effect: how much the mean of a day's rows varies between days, in standard deviations of the rows.
        tails: the degrees of freedom of Student's distribution, which the day effects have; 0 for a normal one.
        correlation: of the day effects of a day and the next one.
        weekend: how much lower the mean is on two days of seven.
        season: how far the mean moves up and down within a year.
        common: the share of the day effects' variance that all columns have in common.
        outages: the share of days on which half of the values are missing.
        kind: `number`, `zeros` (nineteen of twenty rows have the same value) or `rare` (a category with a rare value).
    """

    name: str
    keeps: bool = True
    reference: int = 270
    columns: int = 5
    rows: int = 200
    watched_rows: int = 0
    by_row: bool = False
    day_effect: float = 0.0
    tails: float = 0
    correlation: float = 0.0
    weekend: float = 0.0
    season: float = 0.0
    common: float = 0.0
    outages: float = 0.0
    kind: str = "number"


def effects(world: World, days: int, rng: np.random.Generator) -> Array:
    """What moves the mean of each day's rows, shape (days,)."""
    noise = rng.standard_t(world.tails, days + 100) if world.tails else rng.normal(size=days + 100)
    keep = world.correlation
    correlated = lfilter([np.sqrt(1 - keep**2)], [1, -keep], noise)[100:]  # the first 100 days only warm up
    return world.day_effect * correlated


def probabilities(world: World, means: Array) -> Array:
    """The probability of each bin on days with some means, shape (days, bins); the last bin is of missing values."""
    if world.kind == "rare":
        common = 0.6 * expit(means) / expit(0)
        shares = np.column_stack([common, 0.995 - common, np.full((len(means), 2), 0.0025)])
        return np.clip(shares, 0, 1) / np.clip(shares, 0, 1).sum(axis=1, keepdims=True)
    edges = EDGES + (4.6 if world.kind == "zeros" else 0)
    below = ndtr(edges[None, :] - means[:, None])
    present = np.diff(below, axis=1, prepend=0, append=1)
    missing = 0.02 * expit(means[:, None]) / expit(0)
    return np.hstack([present * (1 - missing), missing])


def described(world: World, counts: Counts) -> Column:
    """What metrics/data.json would hold of a column with such counts, shape (days, bins), in the reference."""
    total = counts.sum(axis=0)
    if world.kind == "rare":
        names = {f"value {number}": int(count) for number, count in enumerate(total[:-2])}
        return {"missing": total[-1] / total.sum(), "values": names, "other_rows": int(total[-2])}
    return {"missing": total[-1] / total.sum(), "histogram": {"first": 0, "step": 1, "counts": total[:-1].tolist()}}


def false_alarm(world: World, *seed: int) -> bool:
    """Whether a year without a change has an alarm."""
    rng = np.random.default_rng(seed)
    days = YEAR + (0 if world.by_row else world.reference)
    shared = effects(world, days, rng)
    day = np.arange(days)
    for _ in range(world.columns):
        own = effects(world, days, rng)
        means = np.sqrt(world.common) * shared + np.sqrt(1 - world.common) * own
        means -= world.weekend * (day % 7 >= 5)
        means += world.season * np.sin(2 * np.pi * (day / YEAR + rng.random()))
        shares = probabilities(world, means)
        if world.outages:
            shares[rng.random(days) < world.outages] *= 0.5
            shares[:, -1] += 1 - shares.sum(axis=1)
        if world.by_row:
            reference = rng.multinomial(world.reference, probabilities(world, np.zeros(1)))
            counts = rng.multinomial(world.rows, shares)
            make = series_of_rows
        else:
            rows = np.full(days, world.rows)
            if world.watched_rows:
                rows[world.reference :] = world.watched_rows
            counts = rng.multinomial(rows, shares)
            reference, counts = counts[: world.reference], counts[world.reference :]
            make = series_of_days
        column = described(world, reference)
        if find_alarms(make(reference, column), make(counts, column), FALSE_ALARMS / world.columns):
            return True
    return False


def parallel(function: Callable[..., Any], *arguments: Any, count: int) -> list[Any]:
    """What a function returns for each of so many seeds, on all cores."""
    return list(Parallel(n_jobs=-1)(delayed(function)(*arguments, number) for number in range(count)))


def of_100(found: list[bool]) -> list[str]:
    """Cells of a table: how many trials there were, of how many in 100 something is true, and the 95 % interval."""
    interval = binomtest(sum(found), len(found)).proportion_ci()
    low, high = (float(f"{100 * bound:.2g}") for bound in interval)
    return [f"{len(found):,}", f"{100 * np.mean(found):.3g}", f"{low:g} to {high:g}"]


WORLDS = [
    World("days that differ by their rows only"),
    World("days that differ by their rows only", reference=30),
    World("days that vary much", day_effect=0.5),
    World("days that vary much", day_effect=0.5, reference=30),
    World("days that vary much, heavy tails", day_effect=0.3, tails=2),
    World("days that vary much, heavy tails", day_effect=0.3, tails=2, reference=30),
    World("days with a tenth of the reference's rows", watched_rows=20, day_effect=0.1),
    World("a tenth of the rows, nineteen of twenty equal", watched_rows=20, kind="zeros", reference=30),
    World("nineteen of twenty rows equal, 20 rows a day", kind="zeros", rows=20),
    World("a category with a rare value, 20 rows a day", kind="rare", rows=20),
    World("an outage on one day in 100", day_effect=0.3, outages=0.01),
    World("an outage on one day in 100", day_effect=0.3, outages=0.01, reference=30),
    World("60 columns that vary together", columns=60, day_effect=0.3, common=0.9, reference=30),
    World("other weekends", day_effect=0.3, weekend=0.5, keeps=False),
    World("other weekends", day_effect=0.3, weekend=0.5, reference=30, keeps=False),
    World("each day like the one before, correlation 0.3", day_effect=0.5, correlation=0.3, keeps=False),
    World("each day like the one before, correlation 0.3", day_effect=0.5, correlation=0.3, reference=30, keeps=False),
    World("each day like the one before, correlation 0.7", day_effect=0.5, correlation=0.7, keeps=False),
    World("each day like the one before, correlation 0.7", day_effect=0.5, correlation=0.7, reference=30, keeps=False),
    World("a season that the reference has in part", day_effect=0.3, season=0.3, keeps=False),
    World("rows as units", by_row=True, reference=1_000),
    World("rows as units", by_row=True, reference=100_000),
    World("rows as units, 20 a day", by_row=True, reference=1_000, rows=20),
    World("rows as units, nineteen of twenty equal, 20 a day", by_row=True, reference=1_000, rows=20, kind="zeros"),
    World("rows as units, a rare value", by_row=True, reference=1_000, kind="rare"),
    World("rows as units, 60 columns", by_row=True, reference=10_000, columns=60),
    World("rows as units, though days vary", by_row=True, reference=100_000, day_effect=0.1, keeps=False),
]


def alarms() -> tuple[list[str], Lines]:
    """Of how many years in 100 without a change there is a false alarm."""
    lines = []
    for number, world in enumerate(WORLDS):
        found = parallel(false_alarm, world, number, count=TRIALS if world.columns < 60 else FEWER_TRIALS)
        lines.append(
            [
                world.name,
                f"{world.reference:,} {'rows' if world.by_row else 'days'}",
                f"{world.columns}",
                "yes" if world.keeps else "no",
                *of_100(found),
            ]
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return [
        "without a change",
        "reference",
        "columns:",
        "promised",
        "years:",
        "with a false alarm, of 100:",
        "95 %:",
    ], lines


Series = dict[str, Days]


def days_of_values(values: Array, days: NDArray[np.intp], count: int) -> Days:
    """The mean by day of a number that each row has.

    Args:
        values: finite, shape (rows,).
        days: the day of each row as a number from 0, shape (rows,).
        count: the number of days, each of which has rows.
    """
    rows = np.bincount(days, minlength=count)
    means = np.bincount(days, values, minlength=count) / rows
    return Days(means, rows, float(((values - means[days]) ** 2).mean()))


def demo() -> tuple[dict[str, tuple[Column, Counts]], dict[str, Series]]:
    """The demo's days: each column's counts by day with its description, and the series that have one number a day."""
    params = read_params()
    table = pd.concat([read_table(ROOT / f"data/split/{part}.parquet") for part in ("train", "valid", "test")])
    table = table.sort_values(params.data.time, kind="stable").reset_index(drop=True)
    days, names = pd.factorize(blocks(table[params.data.time], "day"), sort=True)
    columns = features(table, params.data)
    predicted = load_model(ROOT / "models/model.skops").predict_proba(table[columns])[:, 1]
    table["predictions"] = predicted
    counted = {}
    for name in [*columns, "predictions"]:
        column = describe([table[name]], private=False)
        shape = len(names), number_of_bins(column)
        counted[name] = column, count_rows(bin_of_rows(table[name], column), days, shape)
    truth = table[params.data.target].to_numpy(bool)
    loss = -np.log(np.where(truth, predicted, 1 - predicted).clip(1e-15))
    values: dict[str, Series] = {
        "loss": {"mean": days_of_values(loss, days, len(names))},
        "rows": {"number": Days(np.bincount(days).astype(float), np.ones(len(names), dtype=np.int64), 0.0)},
    }
    for origin in sorted(table["origin"].unique()):
        rows = (table["origin"] == origin).to_numpy()
        values[f"loss of {origin}"] = {"mean": days_of_values(loss[rows], days[rows], len(names))}
    return counted, values


def with_counts(column: Column, counts: Counts) -> Column:
    """A column's description with the counts of some days, shape (days, bins), in place of its own."""
    total = counts.sum(axis=0)
    if "histogram" in column:
        return {**column, "histogram": {**column["histogram"], "counts": total[:-1].tolist()}}
    return {**column, "values": dict(zip(column["values"], total[:-2].tolist(), strict=True))}


def false_alarm_of_demo(
    counted: dict[str, tuple[Column, Counts]], values: dict[str, Series], reference: int, together: int, number: int
) -> bool:
    """Whether the demo's days have an alarm in random order, in which so many days stay together."""
    days = np.arange(len(values["loss"]["mean"]))
    pieces = np.split(days, np.arange(together, len(days), together))
    shuffled_pieces = np.random.default_rng((1, number)).permutation(len(pieces))
    order = np.concatenate([pieces[piece] for piece in shuffled_pieces])
    series = dict(values)
    for name, (column, counts) in counted.items():
        series[name] = series_of_days(counts, with_counts(column, counts[order[:reference]]))
    of_loss = [name for name in values if name.startswith("loss of")]
    levels = share_level(FALSE_ALARMS, {"performance": ["loss"], "slices": of_loss, "inputs": [*counted, "rows"]})
    for name, statistics in series.items():
        before = {key: days.take(order[:reference]) for key, days in statistics.items()}
        after = {key: days.take(order[reference:]) for key, days in statistics.items()}
        if find_alarms(before, after, levels[name]):
            return True
    return False


def shuffled() -> tuple[list[str], Lines]:
    """Of how many random orders in 100 of the demo's days there is a false alarm."""
    counted, values = demo()
    days = len(values["loss"]["mean"])
    lines = []
    for together, name in ((1, "days"), (7, "weeks")):
        for reference in (30, 150):
            found = parallel(false_alarm_of_demo, counted, values, reference, together, count=FEWER_TRIALS)
            sizes = f"{reference} days", f"{days - reference} days", f"{len(counted) + len(values)}"
            lines.append([name, "yes" if together == 1 else "no", *sizes, *of_100(found)])
    header = ["in random order", "promised", "reference", "watched", "series:", "orders:"]
    return [*header, "with a false alarm, of 100:", "95 %:"], lines


class Change(NamedTuple):
    """A change of one of 20 columns.

    Attributes:
        name: as the table shows it.
        size: how far the mean moves, in standard deviations of the days' means, or of the rows if rows are units.
        over_days: how many days it takes.
        level: the level of the series.
        day: the day of the year on which it begins.
        known: how many of the last days of the reference have the change already.
    """

    name: str
    size: float
    over_days: int = 1
    level: float = FALSE_ALARMS / 3 / 22
    day: int = CHANGE_ON
    known: int = 0


def days_until_noticed(world: World, change: Change, *seed: int) -> float:
    """How many days after a change there is an alarm; infinite if there is none within the year."""
    rng = np.random.default_rng(seed)
    deviation = np.sqrt(world.day_effect**2 + 1 / world.rows)
    moved = change.size * np.clip((np.arange(YEAR) - change.day + 1) / change.over_days, 0, 1)
    if world.by_row:
        reference = rng.multinomial(world.reference, probabilities(world, np.zeros(1)))
        counts = rng.multinomial(world.rows, probabilities(world, moved))
        make = series_of_rows
    else:
        means = effects(world, world.reference + YEAR, rng)
        means[world.reference :] += deviation * moved
        means[world.reference - change.known : world.reference] += deviation * change.size
        counts = rng.multinomial(world.rows, probabilities(world, means))
        reference, counts = counts[: world.reference], counts[world.reference :]
        make = series_of_days
    column = described(world, reference)
    found = find_alarms(make(reference, column), make(counts, column), change.level)
    noticed = [alarm.raised for alarm in found if alarm.raised >= change.day]
    return noticed[0] - change.day + 1 if noticed else np.inf


def noticed() -> tuple[list[str], Lines]:
    """After how many days a change is noticed, by its size."""
    performance = FALSE_ALARMS / 3
    by_day = [
        *(Change(f"by {size:g} of the days' standard deviation", size) for size in (0.5, 1, 2, 5)),
        Change("by 2 of the days' standard deviation, within 90 days", 2, over_days=90),
        Change("by 1 of the days' standard deviation, at the level of performance", 1, level=performance),
        Change("by 2 of the days' standard deviation, at the level of performance", 2, level=performance),
    ]
    by_row = [Change(f"by {size:g} of the rows' standard deviation", size) for size in (0.01, 0.03, 0.1, 0.3)]
    similar = [Change(f"by {size:g} of the days' standard deviation", size) for size in (2, 5, 20)]
    worlds = [(World("independent", reference=reference, day_effect=0.3), by_day) for reference in (30, 90, 270)]
    for correlation in (0.3, 0.6):
        world = World(f"correlation {correlation}", reference=270, day_effect=0.5, correlation=correlation)
        worlds.append((world, similar))
    worlds += [
        (World("1,000 rows each", reference=size, by_row=True, rows=1_000), by_row) for size in (10_000, 100_000)
    ]
    lines = []
    for world, changes in worlds:
        for change in changes:
            found = np.array(parallel(days_until_noticed, world, change, 1, count=FEWER_TRIALS))
            quantiles = np.quantile(found, [0.5, 0.9], method="higher")
            lines.append(
                [
                    f"{world.reference:,} {'rows' if world.by_row else 'days'}",
                    world.name,
                    change.name,
                    f"{len(found)}",
                    *(f"{days:.0f}" if np.isfinite(days) else f"over {YEAR - CHANGE_ON}" for days in quantiles),
                ]
            )
    noticed_after = ["half are noticed after days:", "nine in ten after days:"]
    return ["reference", "days", "the mean moves", "years:", *noticed_after], lines


def retrained() -> tuple[list[str], Lines]:
    """After how many days there is an alarm about a change that part of the reference has."""
    lines = []
    for reference in (90, 270):
        world = World("", reference=reference, day_effect=0.3)
        for share in (0.05, 0.1, 0.2, 0.5):
            change = Change("", 5, day=0, known=round(share * reference))
            found = np.array(parallel(days_until_noticed, world, change, 4, count=FEWER_TRIALS))
            within = [f"{100 * np.mean(found <= days):.0f}" for days in (30, 90, YEAR)]
            lines.append([f"{reference} days", f"{change.known} days", f"{len(found)}", *within])
    header = ["reference", "of them with the change", "years:"]
    return [*header, "alarm within 30 days, of 100:", "within 90 days:", "within the year:"], lines


class Labels(NamedTuple):
    """How labels come about.

    Attributes:
        name: as the table shows it.
        rows: the number of predictions.
        days: how many days they are from; rows of one day share their chance; 0: all rows are independent.
        measured: whether the overdispersion is measured on 30 labelled days before.
        off: by how much the probabilities are too high.
    """

    name: str
    rows: int
    days: int = 0
    measured: bool = False
    off: float = 0.0


COSTS = Costs(false_positive=1, false_negative=3)


def draw_labels(rows: int, days: int, rng: np.random.Generator) -> tuple[NDArray[np.bool_], Array, NDArray[np.intp]]:
    """Labels, their probabilities, and the day of each row."""
    likely = rng.beta(1, 4, rows)
    day_of_row = np.arange(rows) * max(days, 1) // rows
    shared = 0.05 if days else 0.0  # of the variance of what decides a row
    decides = np.sqrt(shared) * rng.normal(size=max(days, 1))[day_of_row] + np.sqrt(1 - shared) * rng.normal(size=rows)
    return ndtr(decides) < likely, likely, day_of_row


def intervals_cover(labels: Labels, *seed: int) -> dict[str, bool]:
    """Whether the interval of each estimated score contains the score of the true labels."""
    rng = np.random.default_rng(seed)
    overdispersion = None
    if labels.measured:
        before = draw_labels(30 * labels.rows // labels.days, 30, rng)
        overdispersion = measure_overdispersion(before[0], before[1], before[2], COSTS)
    truth, likely, _ = draw_labels(labels.rows, labels.days, rng)
    guess = np.clip(likely + labels.off, 0, 1)
    metrics = metrics_of("two classes", COSTS)
    estimates = estimate_scores(guess, COSTS, overdispersion)
    wanted = {name: metrics[name] for name in estimates}
    scores = score_draws(wanted, truth, guess, np.ones((1, labels.rows), dtype=np.int64))[0]
    return {name: bool(found.low <= scores[name] <= found.high) for name, found in estimates.items()}


def estimated() -> tuple[list[str], Lines]:
    """In how many of 100 trials the interval of an estimated score contains the score of the true labels."""
    cases = [
        *(Labels("calibrated", rows) for rows in (100, 1_000, 10_000)),
        Labels("rows of one day share their chance, 10 days", 1_000, 10),
        Labels("the same, overdispersion measured on 30 days", 1_000, 10, measured=True),
        Labels("probabilities too high by 0.01", 1_000, off=0.01),
        Labels("probabilities too high by 0.01", 10_000, off=0.01),
        Labels("probabilities too high by 0.05", 1_000, off=0.05),
    ]
    lines = []
    for number, labels in enumerate(cases):
        found = pd.DataFrame(parallel(intervals_cover, labels, 2, number, count=TRIALS))
        lines.append(
            [labels.name, f"{labels.rows:,}", f"{TRIALS:,}", *(f"{100 * found[name].mean():.3g}" for name in found)]
        )
    return ["probabilities", "rows:", "trials:", *(f"{name}:" for name in found)], lines


TABLES = {table.__name__: table for table in (alarms, shuffled, noticed, retrained, estimated)}


def broken(name: str, lines: Lines) -> Lines:
    """The lines with more false alarms than promised, where even the low end of the interval is above the promise."""
    if name not in ("alarms", "shuffled"):
        return []
    promised = [line for line in lines if "yes" in line]
    return [line for line in promised if float(line[-1].split(" to ")[0]) > 100 * FALSE_ALARMS]


def main() -> None:
    too_many = []
    for name, lines in make_tables(TABLES, DOCS):
        too_many += broken(name, lines)
    if too_many:
        sys.exit("\n".join(["More false alarms than promised:", *(", ".join(line) for line in too_many)]))


if __name__ == "__main__":
    # A worker process finds the functions by the name of this module, not as those of __main__.
    from tests import calibrate_watch  # noqa: PLW0406

    calibrate_watch.main()
