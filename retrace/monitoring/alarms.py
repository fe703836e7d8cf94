"""When is a change certain enough for an alarm?

The promise: over a year of looking each day, the probability of one or more false alarms is at most
`watch.false_alarms`, over everything that is watched together.

**Evidence.** Suppose that something changed on some day. The normal scores of that day and later ones
(retrace/monitoring/exchangeability.py) would then have a mean that isn't 0. How far it is from 0 isn't known, so all
shifts are considered, weighted by a normal distribution (Robbins, 1970). The evidence is how many times more likely the
scores are with such a change than without one. Nor is the day of the change known: the evidence of a year is the mean
over all of its days, on which days that are still to come count as 1. The first day has half of the weight,
because a difference between training and serving exists from the first day on. For simplicity, so has the first day of
each later year, and the one after an alarm.

**Why looking each day is paid for.** Without a change, the expected evidence is at most 1, whenever one looks. By
Ville's inequality (1939) the probability that it ever reaches 1 / level is at most the level. See Shin, Ramdas and
Rinaldo, E-detectors (2023).

**Many things are watched.** A *series* is one thing that can raise an alarm, such as a column. It may have several
statistics, such as its location and its spread; its evidence is the mean of theirs. The levels of all series add up to
`watch.false_alarms`, so the promise holds however the series depend on each other.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from retrace.monitoring.exchangeability import LONGEST_LAG, Array, NormalScores, Shift, Units

SHIFT = 2.0  # the prior standard deviation of a shift, as a multiple of that of the mean of a day's units


class Alarm(NamedTuple):
    """An alarm of a series. Days are counted from 0, on the first day that was watched.

    Attributes:
        statistic: the statistic with the most evidence.
        since: the day on which the change most likely began.
        raised: the day on which the evidence reached 1 / level.
        over: the day after which the alarm is over, or None.
        shift: how far the statistic had moved when the alarm was raised, between `since` and `raised`.
    """

    statistic: str
    since: int
    raised: int
    over: int | None
    shift: Shift


def share_level(false_alarms: float, groups: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Divide the probability of a false alarm equally among groups of series, and in each group among its series.

    So that twenty columns don't make a loss of performance hard to see, performance is a group of its own.

    Args:
        false_alarms: the probability of one or more false alarms in a year.
        groups: the names of the series in each group. Groups without series don't count.

    Returns:
        The level of each series.
    """
    present = [names for names in groups.values() if names]
    return {name: false_alarms / len(present) / len(names) for names in present for name in names}


def log_evidence_by_start(found: NormalScores) -> Array:
    """The logarithm of the evidence, on each day, that something changed on an earlier or the same day.

    If n units came before the change and N before some day, the units of that day are compared with a pool of which
    n / N is from before the change. A shift of size s then moves the score of this day's m units by s times n / N times
    the root of m N / (N + m). The shift has a normal distribution. Its standard deviation is SHIFT times that of the
    mean of the units on the day of the change.

    Args:
        found: the scores of each day.

    Returns:
        Shape (days of the change, days); minus infinity where the change is later.
    """
    days = len(found.scores)
    units, earlier = found.units, found.earlier
    known = (units > 0) & (earlier > 0)
    weight = np.sqrt(np.divide(units, earlier * (earlier + units), out=np.zeros(days), where=known))
    sums = np.append(0, np.cumsum(weight * found.scores))
    start = np.arange(days)[:, None]
    scale = earlier / np.sqrt(np.maximum(units, 1))
    sum_since = scale[:, None] * (sums[1:] - sums[:-1, None])
    lag = np.arange(days) - start
    later = lag >= 0
    growth = np.take_along_axis(found.variance_growth, np.clip(lag, 0, LONGEST_LAG), axis=1)
    variance_since = (scale**2)[:, None] * np.cumsum(np.where(later, weight**2 * growth, 0), axis=1)
    spread = 1 + SHIFT**2 * variance_since
    evidence: Array = np.where(later, (SHIFT * sum_since) ** 2 / (2 * spread) - np.log(spread) / 2, -np.inf)
    return evidence


def log_evidence(by_start: Array, days_per_year: int) -> Array:
    """The logarithm of the evidence on each day that something has changed by then.

    Args:
        by_start: as log_evidence_by_start returns it, for at most a year.
        days_per_year: how many days are watched in a year.
    """
    days = len(by_start)
    to_come = days_per_year - 1 - np.arange(days)
    with np.errstate(divide="ignore"):
        total: Array = np.logaddexp(logsumexp(by_start, axis=0), np.log(to_come))
    return np.asarray(np.logaddexp(by_start[0], total - math.log(days_per_year)) - math.log(2))


def find_alarms(
    reference: Mapping[str, Units], watched: Mapping[str, Units], level: float, days_per_year: int = 365
) -> list[Alarm]:
    """The alarms of a series, in the order of time.

    The evidence begins anew with each year, and when an alarm is over. Later days are not compared with the days of an
    alarm. An alarm is over when the mean of the last days is closer to the mean before the change than to the mean of
    the days between the change and these last days. Their number is twice that of the days that the alarm needed, from
    `since` to `raised`, and all of them are after `raised`.

    Args:
        reference: the units of the reference, for each statistic of the series.
        watched: the days that have been watched, for the same statistics. All have the same number of days.
        level: the probability that this series raises a false alarm within a year.
        days_per_year: how many days are watched in a year.
    """
    alarms: list[Alarm] = []
    days = len(next(iter(watched.values())))
    pools = dict(reference)
    day = 0
    while day < days:
        year_end = (day // days_per_year + 1) * days_per_year
        rest = {name: units.take(slice(day, year_end)) for name, units in watched.items()}
        found = _first_alarm(pools, rest, level, days_per_year)
        if found is None:
            pools = {name: pools[name].append(units) for name, units in rest.items()}
            day = year_end
            continue
        statistic, since, raised = found
        pools = {name: pools[name].append(units.take(slice(since))) for name, units in rest.items()}
        since, raised = day + since, day + raised
        changed = watched[statistic].take(slice(since, raised + 1))
        over = _end_of_alarm(pools[statistic], watched[statistic], since, raised)
        alarms.append(Alarm(statistic, since, raised, over, changed.shift(pools[statistic])))
        if over is None:
            break
        day = over + 1
    return alarms


def _first_alarm(
    pools: Mapping[str, Units], watched: Mapping[str, Units], level: float, days_per_year: int
) -> tuple[str, int, int] | None:
    """The statistic with the most evidence, the day of the change and the day of the alarm; None without an alarm."""
    by_start = {
        name: log_evidence_by_start(units.normal_scores(pools[name])) for name, units in watched.items() if len(units)
    }
    of_statistics = {name: log_evidence(evidence, days_per_year) for name, evidence in by_start.items()}
    of_series = logsumexp(list(of_statistics.values()), axis=0) - math.log(len(of_statistics))
    alarms = np.flatnonzero(of_series >= -math.log(level))
    if not len(alarms):
        return None
    raised = int(alarms[0])
    statistic = max(of_statistics, key=lambda name: of_statistics[name][raised])
    return statistic, int(by_start[statistic][:, raised].argmax()), raised


def _end_of_alarm(before: Units, watched: Units, since: int, raised: int) -> int | None:
    """The day after which an alarm is over, or None."""
    normal = before.mean()
    window = 2 * (raised - since + 1)
    for day in range(raised + window, len(watched)):
        changed = watched.take(slice(since, day - window + 1)).mean()
        recent = watched.take(slice(day - window + 1, day + 1)).mean()
        if abs(recent - normal) < abs(recent - changed):
            return day
    return None
