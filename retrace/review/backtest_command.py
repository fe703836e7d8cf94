"""Show what a backtest found: a table in the terminal, and a page with a chart in backtest/.

    python -m retrace backtest [--by month|week|day]

retrace/review/backtest.py says what is compared.
"""

import textwrap
from pathlib import Path

import altair as alt
import pandas as pd
import vl_convert

from retrace.command_line import Table, make_parser, print_table
from retrace.differences import Difference, interval_of_difference, signed, verdict
from retrace.errors import one_line
from retrace.files import write_bytes
from retrace.markdown import code, table
from retrace.params import Gate, read_params
from retrace.review.backtest import Backtest, run_backtest
from retrace.review.report.wording import number
from retrace.review.rules import least_difference

PAGE, PICTURE = Path("backtest/backtest.md"), Path("backtest/backtest.svg")
PERIODS = ("month", "week", "day")
KEPT, RETRAINED = "kept", "retrained"
COLORS = {KEPT: "#888888", RETRAINED: "#3d85c6"}
ANSWERS = {
    "better": "Retraining each {by} would have been better than keeping the model",
    "worse": "Retraining each {by} would have been worse than keeping the model",
    "equivalent": "Retraining each {by} and keeping the model would have been equivalent",
}
OPEN_ANSWER = "Can't tell whether retraining each {by} would have been better than keeping the model"


def backtest(words: list[str]) -> None:
    """Would retraining each month have helped on past data? Compare it with a model that is kept.

    It writes a table and a chart to backtest/backtest.md. Only the rows of train and valid are used, and the split must
    be by time.
    """
    parser = make_parser("backtest", str(backtest.__doc__))
    parser.add_argument("--by", choices=PERIODS, default="month", help="how often to retrain")
    by = parser.parse_args(words).by
    params = read_params()
    found = run_backtest(params, by)
    periods, metrics = table_of_periods(found, params.gate), table_of_metrics(found, params.gate)
    write_chart(found, params.gate.metric)
    write_page(found, params.gate, periods, metrics)
    print(f"\n{params.gate.metric} of a model that is kept, and of one that is retrained:")
    print_table(periods)
    print(f"\nMean of the {by}s after the first one, by their rows:")
    print_table(metrics)
    answer = answer_of(found, params.gate, params.gate.metric)
    print("", textwrap.fill(one_line(answer), width=80), f"{PAGE} has a chart", sep="\n")


def table_of_periods(found: Backtest, gate: Gate) -> Table:
    """A line for each period: what both models score on it, and the verdict on the difference."""
    lines = []
    for period, difference in zip(found.periods, found.differences(gate.metric), strict=True):
        scores = [number(side.scores[gate.metric]) for side in (period.kept, period.retrained)]
        lines.append([period.name, f"{period.rows:,}", *scores, *_judged(difference, gate.metric, gate)])
    return [found.by, "rows:", f"{KEPT}:", f"{RETRAINED}:", "difference:", "95 % interval:", "verdict"], lines


def table_of_metrics(found: Backtest, gate: Gate) -> Table:
    """A line for each metric: its mean over the periods in which the models differ, and the verdict."""
    lines = []
    for metric in found.metrics:
        scores = [number(found.mean_score(metric, retrained=retrained)) for retrained in (False, True)]
        lines.append([metric, *scores, *_judged(found.mean_difference(metric), metric, gate)])
    return ["metric", f"{KEPT}:", f"{RETRAINED}:", "difference:", "95 % interval:", "verdict"], lines


def _judged(difference: Difference, metric: str, gate: Gate) -> list[str]:
    """A difference, its interval and the verdict."""
    word = verdict(difference, metric, least_difference(gate, metric))
    interval = "" if word == "the same" else interval_of_difference(difference)
    return [signed(difference.value), interval, word]


def answer_of(found: Backtest, gate: Gate, shown: str) -> str:
    """The verdict on the gate's metric in a sentence, in which the metric is shown by this name."""
    difference = found.mean_difference(gate.metric)
    answer = ANSWERS.get(verdict(difference, gate.metric, least_difference(gate, gate.metric)), OPEN_ANSWER)
    count = len(found.periods) - 1
    where = f"the {found.by}" if count == 1 else f"the {count} {found.by}s"
    interval = f"95 % interval {interval_of_difference(difference)}"
    told = f"{shown} {signed(difference.value)} ({interval}) in {where} after the first one"
    return f"{answer.format(by=found.by)}: {told}."


def write_page(found: Backtest, gate: Gate, periods: Table, metrics: Table) -> None:
    """Write backtest.md."""
    metric = code(gate.metric)
    first = found.periods[0]
    text = f"""# Would retraining each {found.by} have helped?

{answer_of(found, gate, metric)}

![The scores of both models by {found.by}, and the differences]({PICTURE.name})

The model that is kept was trained once, on the {first.trained_on:,} rows that were known before {first.name}. The other
one was retrained before each later {found.by}, on all rows that were known by then. Both are scored on the rows of
each {found.by}.

{metric} by {found.by}:

{table(*periods)}

Mean of the {found.by}s after the first one, by their rows:

{table(*metrics)}

The intervals include sampling and training variation, as in a report on a change.
"""
    write_bytes(text.encode(), PAGE)


def write_chart(found: Backtest, metric: str) -> None:
    """Draw backtest.svg: the scores of both models by period, and below it the differences with their intervals."""
    names = [period.name for period in found.periods]
    scores = pd.concat(
        pd.DataFrame({"period": names, "model": name, "score": [side.scores[metric] for side in sides]})
        for name, sides in (
            (KEPT, [period.kept for period in found.periods]),
            (RETRAINED, [period.retrained for period in found.periods]),
        )
    )
    differences = pd.DataFrame(found.differences(metric)).assign(period=names)
    x = alt.X("period:O", title=None)
    colors = alt.Scale(domain=list(COLORS), range=list(COLORS.values()))
    top = (
        alt.Chart(scores)
        .mark_line(point=True)
        .encode(
            x=x,
            y=alt.Y("score:Q", title=metric, scale=alt.Scale(zero=False)),
            color=alt.Color("model:N", title=None, scale=colors),
        )
    )
    base = alt.Chart(differences).encode(x=x)
    y = alt.Y("value:Q", title="difference")
    intervals = base.transform_filter("isFinite(datum.low)").mark_rule(color=COLORS[RETRAINED], strokeWidth=3)
    zero = alt.Chart(pd.DataFrame({"value": [0]})).mark_rule(color=COLORS[KEPT]).encode(y=y)
    bottom = zero + intervals.encode(y=alt.Y("low:Q"), y2="high:Q") + base.mark_point(filled=True, size=60).encode(y=y)
    size = {"width": 560, "height": 180}
    chart = alt.vconcat(top.properties(**size), bottom.properties(**size)).configure(background="white")
    write_bytes(vl_convert.vegalite_to_svg(chart.to_dict(), allowed_base_urls=[]).encode(), PICTURE)
