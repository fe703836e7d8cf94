"""Has anything changed since the release? `python -m retrace watch` compares the served predictions with the release.

It reads the log (retrace/serving/log.py) and the reference in the package (retrace/monitoring/reference.py), and
writes watch.json, watch.html and watch.prom to predictions/. docs/monitoring.md says what an alarm means.
"""

import json
import math
import sys
import textwrap
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from retrace.command_line import make_parser, utc_time
from retrace.errors import UserError
from retrace.examples import Target
from retrace.files import write_bytes, write_json
from retrace.monitoring.alarms import Alarm, find_alarms, share_level
from retrace.monitoring.column_statistics import median, reference_counts, within_range
from retrace.monitoring.exchangeability import Array, Counts, Days, Rows, Shift
from retrace.monitoring.inputs import Inputs
from retrace.monitoring.metrics import write_metrics
from retrace.monitoring.notify import notify_github
from retrace.monitoring.page import counted, has_open_alarm, make_page, outside_range, score_text
from retrace.monitoring.performance import finite, finite_values, measure_labels, measure_performance
from retrace.monitoring.running_package import RunningPackage
from retrace.monitoring.series import Series, WatchedModel, read_series
from retrace.monitoring.served import read_served
from retrace.params import Costs, read_params
from retrace.registry import PROD
from retrace.resamples import BLOCKS
from retrace.scored_rows import FEWEST_UNITS
from retrace.serving.log import Log, open_log
from retrace.serving.packages import Released, find_package

RESULT, PAGE, METRICS = (Path(f"predictions/watch.{ending}") for ending in ("json", "html", "prom"))
ALARM = 3  # the exit code if an alarm is open
PERIODS = ("day", "week", "month")  # the shortest comes first
DAYS = {"day": 1, "week": 7, "month": 30}  # in each of them


def watch(words: list[str]) -> None:
    """Compare the served predictions with the release: inputs, predictions and, with labels, performance.

    It writes predictions/watch.html for people, watch.json for programs, and watch.prom for Prometheus. The exit code
    is 3 if an alarm is open.

    If the model has no predictions yet, or its first day isn't over, it says so, writes nothing, and exits with 0.
    """
    parser = make_parser("watch", str(watch.__doc__))
    parser.add_argument("--model", default=PROD, help="a stage (prod by default), a version, or a model.zip")
    parser.add_argument(
        "--since",
        type=utc_time,
        metavar="TIME",
        help="the first day (UTC); by default that of the model's first prediction",
    )
    parser.add_argument(
        "--until", type=utc_time, metavar="TIME", help="the day after the last one (UTC); by default today"
    )
    parser.add_argument("--by", choices=PERIODS, default="day", help="the length of a period")
    parser.add_argument("--notify", choices=["github"], help="open an issue for each alarm, and close it later")
    arguments = parser.parse_args(words)
    package = find_package(arguments.model)
    try:
        with open_log() as log:
            content = compare(log, package, arguments.since, arguments.until, arguments.by)
    except NothingYetError as reason:
        print_wrapped(str(reason))
        return
    page = make_page(content)
    RESULT.parent.mkdir(exist_ok=True)
    write_json(content, RESULT)
    write_bytes(page.encode(), PAGE)
    write_metrics(content, METRICS)
    print_summary(content)
    if arguments.notify == "github":
        notify_github(content)
    if any(map(has_open_alarm, content["series"])):
        sys.exit(ALARM)


class NothingYetError(UserError):
    """There is nothing to compare yet, as after each deployment; that is information, and no failure."""


def compare(log: Log, package: Released, since: datetime | None, until: datetime | None, by: str) -> dict[str, Any]:
    """The content of watch.json.

    Args:
        log: where the predictions are stored.
        package: the released model.
        since: the first day, in UTC; by default that of the model's first prediction.
        until: the day after the last one; by default the present day, which isn't over.
        by: day, week or month, whose rows are compared as a whole.

    Raises:
        NothingYetError: the log has no predictions of the package, or its first day isn't over.
        UserError: there are no predictions between `since` and `until`, or the package has no reference.
        LogError: the log can't be read.
    """
    description, reference = read_reference(package)
    by = max(by, reference["period"] or by, key=PERIODS.index)
    times = log.times_of(package.sha256)
    if times is None:
        raise NothingYetError(f"{log.place}: has no predictions by {package.title}; `make serve` stores them")
    days = days_to_compare(times, since, until, by)
    target = Target(tuple(description["classes"]))
    decision = description["test"]["decision"]
    costs = Costs(**decision["costs"]) if decision else None
    series = [read_series(each) for each in reference["series"]]
    model = WatchedModel(package.sha256, target, costs, series, reference["overdispersion"])
    names = [column["name"] for column in description["columns"]]
    with tqdm(unit=" predictions", disable=None, leave=False) as progress, RunningPackage(package) as running:
        served = read_served(log, model, days, Inputs(running, names), progress.update)
    if served is None:
        raise UserError(f"{log.place}: has no predictions by {package.title} from {days[0]} to {days[-1]}")
    params = read_params()
    label_days = params.watch.label_days
    levels = share_level(params.watch.false_alarms, groups_of(series))
    all_labels_due = max(0, len(days) - math.ceil(label_days / DAYS[by]))
    found = []
    joined_days = DAYS[by] // DAYS[reference["period"] or by]
    for each, released in zip(series, reference["series"], strict=True):
        statistics = compare_statistics(each, released, served.counts[each.name], joined_days)
        scores = each.statistics
        if not statistics:
            continue
        judged = len(days) if each.group in ("inputs", "predictions") else all_labels_due
        level = levels[each.name]
        alarms = find_changes(statistics, judged, level, 365 // DAYS[by])
        found.append(
            {
                "name": each.name,
                "group": each.group,
                "level": level,
                "median": describe_median(each, served.counts[each.name]),
                "alarms": [describe_alarm(alarm, days, scores[alarm.statistic]) for alarm in alarms],
                "statistics": {
                    name: describe_statistic(*compared, judged, scores[name]) for name, compared in statistics.items()
                },
            }
        )
    if not found:
        raise UserError(
            f"--by {by}: the release has fewer than {FEWEST_UNITS} {by}s to compare with; use a shorter period"
        )
    return {
        "model": package.name,
        "version": package.version or package.sha256[:12],
        "package": package.sha256,
        "by": by,
        "days": [day_name(day) for day in days],
        "predictions": np.bincount(served.day_of_row, minlength=len(days)).tolist(),
        "labels": np.bincount(served.day_of_row[served.labelled], minlength=len(days)).tolist(),
        "unreadable": served.unreadable,
        "false_alarms": params.watch.false_alarms,
        "label_days": label_days,
        "all_labels_due": all_labels_due,
        "labelled_rows": measure_labels(served, all_labels_due),
        "gate_metric": description["test"]["gate_metric"],
        "performance": measure_performance(served, model, description["test"]),
        "series": sorted(found, key=worst_first),
    }


def read_reference(package: Released) -> tuple[dict[str, Any], dict[str, Any]]:
    """The description of a package, and what it can be compared with.

    Raises:
        UserError: it has no reference, because it was made by an earlier version of this code.
    """
    with zipfile.ZipFile(package.path) as archive:
        description = json.loads(archive.read("model.json"))
        reference = json.loads(archive.read("reference.json"))
    if "series" not in reference:
        raise UserError(
            f"{package.title}: its package can't be watched, because an earlier version of this code made it"
        )
    return description, reference


def days_to_compare(
    times: tuple[datetime, datetime], since: datetime | None, until: datetime | None, by: str
) -> pd.PeriodIndex:
    """The days, weeks or months that are over.

    Raises:
        NothingYetError: there is none, but later there will be.
        UserError: there is none between `since` and `until`.
    """
    frequency = BLOCKS[by]  # type: ignore[index]  # it's one of PERIODS
    first = pd.Period(since or times[0], frequency)
    end = pd.Period(until or pd.Timestamp.now("UTC").tz_localize(None), frequency)
    days = pd.period_range(first, end - 1, freq=frequency)
    if not len(days):
        if since is None and until is None:
            raise NothingYetError(f"no {by} from {first} on is over yet; `--until` names the day after the last one")
        raise UserError(f"--until: no {by} from {first} on is over by then; --until names the day after the last one")
    return days


def day_name(day: pd.Period) -> str:
    """The first day of a day, week or month, such as 2013-11-01."""
    return str(day.start_time.date())


def groups_of(series: Sequence[Series]) -> dict[str, list[str]]:
    """The names of the series in the groups among which the probability of a false alarm is divided equally.

    Losses on all rows are a group and losses by slice another one, so that many columns don't make them hard to see.
    Labels have their part from the first day on, although they come later: otherwise an alarm could disappear with the
    first label.
    """
    groups: dict[str, list[str]] = {"data": [], "performance": [], "slices": []}
    for each in series:
        groups.get(each.group, groups["data"]).append(each.name)
    return groups


class Compared(NamedTuple):
    """A statistic of the release and of the served days."""

    before: Days | Rows
    now: Days | Rows


def compare_statistics(
    series: Series, released: Mapping[str, Any], counts: Counts, joined_days: int
) -> dict[str, Compared]:
    """The statistics of a series, before and after the release.

    Args:
        series: what is watched.
        released: its part of the reference.
        counts: how many served rows of each day are in each bin, shape (days, bins).
        joined_days: how many periods of the reference make one of the served ones; a month counts as 30 days.
    """
    if "statistics" not in released:
        rows = reference_counts(series.column, released["rows"])
        return {name: Compared(Rows(rows, scores), Rows(counts, scores)) for name, scores in series.statistics.items()}
    now = series.days(counts)
    found = {}
    for name, statistic in released["statistics"].items():
        means, rows = np.array(statistic["means"]), np.array(statistic["rows"])
        before = join_days(Days(means, rows, statistic["row_variance"]), joined_days)
        if len(before.present()) >= FEWEST_UNITS:
            found[name] = Compared(before, now[name])
    return found


def join_days(days: Days, size: int) -> Days:
    """Join days, from the first on, into weeks or months; what is left over at the end is left out.

    Args:
        days: the days.
        size: how many are joined.
    """
    whole = len(days) // size * size
    rows = days.rows[:whole].reshape(-1, size)
    sums = (days.means[:whole] * days.rows[:whole]).reshape(-1, size).sum(axis=1)
    return Days(sums / np.maximum(rows.sum(axis=1), 1), rows.sum(axis=1), days.row_variance)


def find_changes(statistics: Mapping[str, Compared], judged: int, level: float, per_year: int) -> list[Alarm]:
    """The alarms of a series.

    Args:
        statistics: of the release, and of the served days.
        judged: how many of the served days are judged.
        level: the probability of a false alarm of this series within a year.
        per_year: how many days, weeks or months a year has.
    """
    before: Any = {name: compared.before for name, compared in statistics.items()}
    now: Any = {name: compared.now.take(slice(judged)) for name, compared in statistics.items()}
    return find_alarms(before, now, level, per_year) if judged else []


def describe_alarm(alarm: Alarm, days: pd.PeriodIndex, scores: Array) -> dict[str, Any]:
    """An alarm, with the names of its days; `scores` are those of its statistic, shape (bins,)."""
    return {
        "statistic": alarm.statistic,
        "since": day_name(days[alarm.since]),
        "raised": day_name(days[alarm.raised]),
        "over": None if alarm.over is None else day_name(days[alarm.over]),
        **finite_values(within_range(alarm.shift, scores)._asdict()),
    }


def describe_median(series: Series, counts: Counts) -> dict[str, float | None] | None:
    """About where half of the numbers are lower, in the release and on all served days; None without `location`.

    Args:
        series: what is watched.
        counts: how many served rows of each day are in each bin, shape (days, bins).
    """
    if "location" not in series.statistics:
        return None
    released, served = series.column["histogram"]["counts"], counts.sum(axis=0).tolist()
    return {"release": finite(median(series.column, released)), "served": finite(median(series.column, served))}


def describe_statistic(before: Any, now: Any, judged: int, scores: Array) -> dict[str, Any]:
    """A statistic of each day, and how far chance would move it.

    Args:
        before: the statistic in the release.
        now: the statistic of the served days.
        judged: how many of these are judged; labels of later days aren't due yet.
        scores: the statistic's score in each bin, shape (bins,).

    Returns:
        `values` and `rows` of each day, with the range from `low` to `high` in which 95 of 100 days are if nothing has
        changed; `shift`, how far the mean over all days has moved; `moved`, the same as a multiple of what chance
        explains; and `outside_range`, whether the last judged day with rows is lower or higher than all days of the
        release.
    """
    rows = now.rows if isinstance(now, Days) else now.counts[:, np.isfinite(now.scores)].sum(axis=1)
    days = [now.take(slice(day, day + 1)) for day in range(len(now))]
    some = next((day for day, count in zip(days, rows, strict=True) if count), None)
    if some is None:
        shifts: list[dict[str, float]] = [{}] * len(days)
    elif isinstance(now, Days):  # the interval of one day doesn't depend on its number of rows
        of_a_day = within_range(some.shift(before), scores)._asdict()
        shifts = [of_a_day | {"now": mean} if count else {} for mean, count in zip(now.means, rows, strict=True)]
    else:
        shifts = [
            within_range(day.shift(before), scores)._asdict() if count else {}
            for day, count in zip(days, rows, strict=True)
        ]
    shift = None if some is None else now.shift(before)
    is_outside_range = isinstance(now, Days) and is_outside(before, now.take(slice(judged)))
    return {
        "values": [finite(shift.get("now")) for shift in shifts],
        "rows": rows.tolist(),
        "low": [finite(shift.get("low")) for shift in shifts],
        "high": [finite(shift.get("high")) for shift in shifts],
        "shift": None if shift is None else finite_values(within_range(shift, scores)._asdict()),
        "moved": 0.0 if shift is None else moved(shift),
        "outside_range": is_outside_range,
    }


def is_outside(before: Days, now: Days) -> bool:
    """Whether the last day with rows is lower or higher than all days of the release."""
    reference, last = before.present(), now.present()[-1:]
    return bool((last < reference.min()).any() or (last > reference.max()).any())


def moved(shift: Shift) -> float:
    """How far a mean has moved, as a multiple of what chance explains 95 times in 100."""
    margin = shift.high - shift.before
    return float(f"{abs(shift.now - shift.before) / margin:.6g}") if margin > 0 else 0.0


def worst_first(series: Mapping[str, Any]) -> tuple[bool, float, str]:
    """The key by which series are sorted: open alarms, then those that have moved most in proportion to chance."""
    return (
        not has_open_alarm(series),
        -max(statistic["moved"] for statistic in series["statistics"].values()),
        series["name"],
    )


def print_summary(content: Mapping[str, Any]) -> None:
    """Print what a person should know first."""
    rows, labels = sum(content["predictions"]), sum(content["labels"])
    print_wrapped(f"{content['model']} {content['version']}, {content['days'][0]} to {content['days'][-1]}")
    print(f"{counted(rows, 'prediction')}, {labels:,} of them with a label")
    alarms = 0
    for series in content["series"]:
        for alarm in series["alarms"]:
            if alarm["over"] is None:
                alarms += 1
                moved_to = f"{alarm['statistic']} was {alarm['before']:.4g}, and {alarm['now']:.4g}"
                by_chance = f"{alarm['low']:.4g} to {alarm['high']:.4g}"
                print_wrapped(f"ALARM  {series['name']}: {moved_to} since {alarm['since']}", indent=7)
                print(f"       raised on {alarm['raised']}; without a change it would be {by_chance}")
    if not alarms:
        print(f"no open alarm: no change of {len(content['series'])} series is certain enough")
    if outside := outside_range(content):
        print_wrapped(
            f"outside of the range of the release's {content['by']}s, which can be chance: {', '.join(outside)}"
        )
    for metric, found in content["performance"]["scores"].items():
        if found["served"] is not None or found["estimated"] is not None:
            print(f"{metric} on test: {score_text(found['test'])}")
        for name, told in (("served", "with labels"), ("estimated", "estimated without labels")):
            if found[name] is not None:
                print(f"  {told}: {score_text(found[name])}")
    print(f"Details: {PAGE}")


def print_wrapped(line: str, indent: int = 2) -> None:
    """Print a line in lines of at most 80 columns, of which all but the first are indented."""
    print(textwrap.fill(line, 80, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False))
