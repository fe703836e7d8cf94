"""Would retraining have helped on past data? `python -m retrace backtest` tries it, and `make backtest` calls it.

The rows of train and valid are divided into periods, months by default. One model is trained on the first half of the
periods and kept. Another model is retrained before each later period, on all rows that were known by then. Both are
scored on each later period, and compared on the same rows and resamples.

- In the first of these periods the two models are the same. The mean leaves this period out. It weights the other
  periods by their numbers of rows.
- Only rows from before a period are used for training, and only those whose label was known when the period began:
  `watch.label_days` after the row's time. With `split.purge`, a group with rows in the period isn't used for training.
- The intervals are those of a report. Sampling variation comes from resamples of the units in each period: calendar
  blocks (`split.block`), groups or rows. Training variation comes from the refits in metrics/: the variance of a fit on
  n rows is taken as proportional to 1/n, and the fits as independent of each other.
- The rows of test are not used. Nothing that is written here is part of a commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from retrace.differences import Difference
from retrace.errors import UserError
from retrace.evaluation import choose_metrics
from retrace.examples import Target, features
from retrace.files import FEWEST_ROWS_SHOWN
from retrace.intervals import Noise, noise_of_rows, noise_of_training, total_noise
from retrace.params import Block, Params, SplitByTime
from retrace.parts import Summary, check_part, purged
from retrace.resamples import BLOCKS, blocks, pools, resample
from retrace.review.results import Results, read_results
from retrace.review.revision import FOLDER
from retrace.review.score_differences import series
from retrace.review.split_tables import PARTS
from retrace.sampling import in_sample, share_that_fits
from retrace.scored_rows import FEWEST_UNITS, WHOLE, Rows, Scored, score_whole
from retrace.table_files import read_table
from src.stages.train import fit


@dataclass(frozen=True)
class Period:
    """A period on which both models were scored.

    Attributes:
        name: The month, or the first day of the week or day.
        rows: How many rows it has.
        trained_on: The number of rows on which the retrained model was fitted, before this period.
        kept: The scores of the model that was kept.
        retrained: The scores of the retrained model.
    """

    name: str
    rows: int
    trained_on: int
    kept: Scored
    retrained: Scored


@dataclass(frozen=True)
class Backtest:
    """What a backtest found.

    Attributes:
        by: How long a period is.
        metrics: The names of the metrics that were computed.
        periods: The periods that were scored, the first one with the same model on both sides.
        results: The results of this folder, whose refits show how much training varies.
        train_rows: How many rows the refits' model was trained on.
    """

    by: str
    metrics: list[str]
    periods: list[Period]
    results: Results
    train_rows: int

    def differences(self, metric: str) -> list[Difference]:
        """The difference that retraining made to a metric in each period; none in the first one."""
        first = Difference(0.0, 0.0, 0.0, paired=True)
        return [first, *(self._difference(metric, [period]) for period in self.periods[1:])]

    def mean_difference(self, metric: str) -> Difference:
        """The mean of the differences after the first period, in which each row counts the same."""
        return self._difference(metric, self.periods[1:])

    def mean_score(self, metric: str, *, retrained: bool) -> float:
        """The mean of a model's scores in the same periods."""
        later = self.periods[1:]
        scores = [(period.retrained if retrained else period.kept).scores[metric] for period in later]
        return sum(weight * score for weight, score in zip(_weights(later), scores, strict=True))

    def _difference(self, metric: str, periods: Sequence[Period]) -> Difference:
        """The mean difference over some periods, with its interval."""
        value, noises = 0.0, []
        kept_on = self.periods[0].trained_on
        training = self.train_rows / kept_on  # by how much the training variation exceeds that of the refits' model
        for weight, period in zip(_weights(periods), periods, strict=True):
            kept, retrained = period.kept, period.retrained
            value += weight * (retrained.scores[metric] - kept.scores[metric])
            resampled = retrained.resampled.T[metric] - kept.resampled.T[metric]
            noises.append(_scaled(noise_of_rows(resampled, kept.rows.resamples.units), weight**2))
            training += weight**2 * self.train_rows / period.trained_on
        refits, units = series(self.results.refits, "model", metric)[1], self.results.units
        noises.append(_scaled(noise_of_training(refits, units["train"], units["half"]), training))
        margin = total_noise(noises).margin
        return Difference(value, value - margin, value + margin, paired=True)


def _weights(periods: Sequence[Period]) -> list[float]:
    """The share of the rows that each period has."""
    total = sum(period.rows for period in periods)
    return [period.rows / total for period in periods]


def _scaled(noise: Noise, factor: float) -> Noise:
    """A noise whose variance is multiplied by a factor."""
    return Noise(noise.variance * factor, noise.freedom)


def run_backtest(params: Params, by: Block) -> Backtest:
    """Score a kept model and a retrained model on each later period, as if the period were in the future.

    Raises:
        UserError: the split isn't by dates, there are no results yet, the periods are too short, or they or the rows
            are too few.
    """
    split, data = _split_by_date(params), params.data
    if split.block and list(BLOCKS).index(by) <= list(BLOCKS).index(split.block):
        raise UserError(
            f"--by {by}: must be longer than split.block, which is {split.block}, because its rows are drawn together"
        )
    results = read_results(FOLDER)
    if results is None:
        raise UserError("metrics: no results yet; `dvc repro` makes them")
    train = read_table(Path(PARTS["train"]))
    past = pd.concat([train, read_table(Path(PARTS["valid"]))], ignore_index=True)
    past.attrs = train.attrs
    target = Target.of(past[data.target], data)
    metrics = choose_metrics(target, params)
    period_of_row = blocks(past[data.time], by)
    found: list[Period] = []
    kept = None
    for period in later_half(period_of_row):
        name = str(period.start_time.date()) if by != "month" else str(period)
        rows = past[period_of_row == period].reset_index(drop=True)
        whole = _rows_to_score(params, rows, target, salt=name)
        is_small = len(rows) < FEWEST_ROWS_SHOWN or whole.resamples.units < FEWEST_UNITS
        if is_small or rows[data.target].nunique() < 2:
            print(f"{name}: left out, because it has too few rows or days, or only one value of the target")
            continue
        known = known_rows(params, split, past, rows, period.start_time)
        print(f"{name}: training on the {len(known):,} rows that were known", flush=True)
        model = fit(params.train, data, known, params.train.seed)
        kept = kept or model
        table = rows[features(rows, data)]
        scored = [score_whole(metrics, whole, target.predict(each, table)) for each in (kept, model)]
        found.append(Period(name, len(rows), len(known), *scored))
    if len(found) < 2:
        raise UserError(f"split: train and valid span too few {by}s for a backtest; try a shorter period with --by")
    train_rows = results.sample.rows if results.sample else len(train)
    return Backtest(by, list(metrics), found, results, train_rows)


def _split_by_date(params: Params) -> SplitByTime:
    """The section `split`, if it is by dates.

    Raises:
        UserError: it isn't.
    """
    split = params.split
    if not isinstance(split, SplitByTime):
        raise UserError(f"params.yaml: split.by: a backtest needs a split by time, and this one is {split.by}")
    if isinstance(split.valid_from, float):
        raise UserError(f"params.yaml: data.time: {params.data.time} is a number, and a backtest needs dates")
    return split


def later_half(period_of_row: pd.Series) -> list[pd.Period]:
    """The later half of the periods that have rows, in order of time; with the middle one if their number is odd."""
    periods = sorted(period_of_row.unique())
    return periods[len(periods) // 2 :]


def known_rows(
    params: Params, split: SplitByTime, past: pd.DataFrame, rows: pd.DataFrame, start: pd.Timestamp
) -> pd.DataFrame:
    """The rows on which a model could be trained when a period began, or a sample of them if not all of them fit.

    Args:
        params: The project's parameters.
        split: Their section `split`.
        past: All rows.
        rows: The rows of the period.
        start: When it begins.

    Raises:
        SplitError: they are too few, or have only one class.
    """
    labelled_before = start - pd.Timedelta(days=params.watch.label_days)
    known = past[past[params.data.time] < labelled_before].reset_index(drop=True)
    known.attrs = past.attrs
    if split.purge:
        known = purged({"train": known, "valid": rows, "test": rows.head(0)}, params.data)
    share = share_that_fits(len(known), len(features(known, params.data)), params.train.memory)
    known = known[in_sample(known, params.data, share)].reset_index(drop=True)
    check_part("train", Summary().add(known, params.data), params.data)
    return known


def _rows_to_score(params: Params, rows: pd.DataFrame, target: Target, salt: str) -> Rows:
    """The rows of a period with their resamples, which are drawn anew for each period."""
    resamples = resample(pools(rows, params.data), params.evaluate.resamples, salt)
    return Rows(WHOLE, {}, rows, target.truth(rows[params.data.target]), resamples)
