"""predictions/watch.html: what `make watch` found, for people. The page runs no script and loads nothing."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import pandas as pd
import vl_convert

alt.data_transformers.disable_max_rows()  # its limit of 5,000 is meant for pages with the data inside
TEMPLATE = Path(__file__).with_name("page.html")
SHOWN = 3  # statistics of a series in its table; the others are folded
BLUE, ORANGE, RED, GREY = "#3d85c6", "#e69138", "#e05252", "#888888"  # they are seen on white and on black


def make_page(content: Mapping[str, Any]) -> str:
    """The page in HTML, from the content of watch.json."""
    template = jinja2.Environment(autoescape=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    watched = [describe_series(series, content["days"]) for series in content["series"]]
    alarms = [(series["name"], alarm) for series in content["series"] for alarm in series["alarms"]]
    scores = content["performance"]["scores"]
    return template.render(
        title=f"{content['model']} {content['version']}",
        period=period_of(content),
        traffic=traffic_of(content),
        alarms=[alarm_text(name, alarm, content["by"]) for name, alarm in alarms if alarm["over"] is None],
        past_alarms=[alarm_text(name, alarm, content["by"]) for name, alarm in alarms if alarm["over"] is not None],
        notes=notes_on(content),
        promise=(
            f"Without any change, the probability of one or more false alarms in a year is at most "
            f"{content['false_alarms']:g}, over everything that is watched."
        ),
        by=content["by"],
        traffic_chart=draw_traffic(content, width=1100),
        narrow_traffic_chart=draw_traffic(content, width=300),
        all_labels_due=content["all_labels_due"] == len(content["days"]),
        performance_note=performance_note(content),
        scores=[
            {"metric": name, **{column: score_text(found[column]) for column in ("test", "served", "estimated")}}
            for name, found in scores.items()
        ],
        gate_metric=content["gate_metric"],
        slices=[
            row | {"rows": f"{row['rows']:,}", "test": score_text(row["test"]), "served": score_text(row["served"])}
            for row in content["performance"]["slices"]
        ],
        watched=watched,
    )


def period_of(content: Mapping[str, Any]) -> str:
    """The days in words."""
    first, last = content["days"][0], content["days"][-1]
    if content["by"] != "day":
        return f"{counted(len(content['days']), content['by'])} (UTC); the first begins on {first}, the last on {last}"
    return f"{counted(len(content['days']), 'day')}, from {first} to {last} (UTC)"


def traffic_of(content: Mapping[str, Any]) -> str:
    """The number of predictions and of labels in words, and days without predictions."""
    rows, labels = sum(content["predictions"]), sum(content["labels"])
    empty = [day for day, count in zip(content["days"], content["predictions"], strict=True) if not count]
    told = f"{counted(rows, 'prediction')}, {labels:,} of them with a label."
    if empty:
        told += f" {counted(len(empty), content['by'])} had no predictions, most recently {empty[-1]}."
    return told


def notes_on(content: Mapping[str, Any]) -> list[str]:
    """What limits the meaning of the numbers."""
    notes = []
    if content["unreadable"]:
        notes.append(
            f"The inputs of {content['unreadable']:,} predictions aren't compared: they are encrypted and "
            "RETRACE_LOG_KEY isn't set, or the package doesn't accept them."
        )
    if outside := outside_range(content):
        notes.append(
            f"On the latest {content['by']} with data, these are lower or higher than on all {content['by']}s of the "
            f"release, which can be chance: {', '.join(outside)}."
        )
    found = content["labelled_rows"]
    if found is not None and found["p_value"] is not None and found["p_value"] < SELECTED:
        notes.append(
            f"Whether a prediction has a label depends on the prediction: in {found['superiority']:.0%} of the pairs "
            f"from the same {content['by']}, the labelled row has the higher one, where chance explains "
            f"{found['low']:.0%} to {found['high']:.0%}. So the scores with labels may be biased."
        )
    return notes


def outside_range(content: Mapping[str, Any]) -> list[str]:
    """The statistics whose last day with rows is lower or higher than all days of the release."""
    return [
        f"{series['name']} ({name})"
        for series in content["series"]
        for name, statistic in series["statistics"].items()
        if statistic["outside_range"]
    ]


SELECTED = 0.001  # the p-value from which the page says that labels are selected


def performance_note(content: Mapping[str, Any]) -> str:
    """What the scores are of."""
    labels = sum(content["labels"])
    if not labels:
        return "No label is known yet. Estimates need two classes, and probabilities that are still calibrated."
    due = counted(content["label_days"], "day")
    return (
        f"With labels: the {counted(labels, 'prediction')} whose label is known. Estimated: all predictions, if their "
        f"probabilities are still calibrated. Alarms that need labels wait until {due} after the prediction."
    )


def counted(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def score_text(found: Mapping[str, float | None] | None) -> str:
    """A score with its interval."""
    if found is None or found["score"] is None:
        return "n/a"
    if found["low"] is None or found["high"] is None:
        return f"{found['score']:.4g}"
    return f"{found['score']:.4g} ({found['low']:.4g} to {found['high']:.4g})"


def alarm_text(name: str, alarm: Mapping[str, Any], by: str) -> str:
    """An alarm in words; `by` is day, week or month."""
    told = (
        f"{name}: {alarm['statistic']} was {alarm['before']:.3g} before, and {alarm['now']:.3g} from {alarm['since']} "
        f"until the alarm was raised on {alarm['raised']}. If nothing had changed, the mean of these {by}s would be "
        f"{alarm['low']:.3g} to {alarm['high']:.3g}, 95 times in 100."
    )
    return f"{told} The alarm was over on {alarm['over']}." if alarm["over"] else told


def has_open_alarm(series: Mapping[str, Any]) -> bool:
    """Whether a series of watch.json has an alarm that isn't over."""
    return any(alarm["over"] is None for alarm in series["alarms"])


def describe_series(series: Mapping[str, Any], days: Sequence[str]) -> dict[str, Any]:
    """A series as the page shows it, with a chart of the statistic of its last alarm, or that has moved most."""
    names = sorted(series["statistics"], key=lambda name: -series["statistics"][name]["moved"])
    if series["alarms"]:
        names.sort(key=lambda name: name != series["alarms"][-1]["statistic"])
    rows = [statistic_row(name, series["statistics"][name]["shift"]) for name in names]
    shown = rows[:SHOWN]
    if series["median"] is not None:
        shown.append(median_row(**series["median"]))
    since = [alarm["since"] for alarm in series["alarms"] if alarm["statistic"] == names[0]]
    return {
        "name": series["name"],
        "is_open": has_open_alarm(series),
        "shown": names[0],
        "chart": draw_statistic(names[0], series["statistics"][names[0]], days, since),
        "rows": shown,
        "more": rows[SHOWN:],
    }


def statistic_row(name: str, shift: Mapping[str, float | None] | None) -> dict[str, str]:
    """A row of a series' table."""
    if shift is None or None in shift.values():
        return {"name": name, "was": "n/a", "now": "n/a", "range": "n/a"}
    low_to_high = f"{shift['low']:.3g} to {shift['high']:.3g}"
    return {"name": name, "was": f"{shift['before']:.3g}", "now": f"{shift['now']:.3g}", "range": low_to_high}


def median_row(release: float | None, served: float | None) -> dict[str, str]:
    """The row of the median, in the column's own unit; how far chance would move it isn't known."""
    # Written as 12340, and not as 1.234e+04, because it's read in the column's unit.
    was, now = ("n/a" if value is None else f"{float(f'{value:.4g}'):g}" for value in (release, served))
    return {"name": "median, about", "was": was, "now": now, "range": ""}


def draw_statistic(name: str, statistic: Mapping[str, Any], days: Sequence[str], since: Sequence[str]) -> str | None:
    """A chart of a statistic by day with the band of chance, as a data URI; None without values."""
    columns = {key: statistic[key] for key in ("values", "low", "high")}
    table = pd.DataFrame({"day": pd.to_datetime(list(days), utc=True), **columns}).dropna(subset="values")
    if table.empty:
        return None
    base = alt.Chart(table).encode(x=time_axis())
    scale = alt.Scale(zero=False)
    band = base.mark_area(color=GREY, opacity=0.25, interpolate="step").encode(
        y=alt.Y("low:Q", title=name, scale=scale), y2="high:Q"
    )
    line = base.mark_line(color=BLUE, point=alt.OverlayMarkDef(color=BLUE, size=12)).encode(y=alt.Y("values:Q"))
    starts = pd.DataFrame({"day": pd.to_datetime(list(since), utc=True)})
    rules = alt.Chart(starts).mark_rule(color=RED, strokeWidth=2).encode(x=time_axis())
    return picture_of(band + line + rules)


def draw_traffic(content: Mapping[str, Any], width: int) -> str:
    """A chart of the number of predictions and of labels by day, as a data URI.

    The line of labels leaves out the last days, whose labels aren't all due yet: it would look like an outage.
    """
    days = pd.to_datetime(content["days"], utc=True)
    counts = {"predictions": content["predictions"], "labels": content["labels"][: content["all_labels_due"]]}
    table = pd.concat(
        [pd.DataFrame({"day": days[: len(count)], "what": name, "rows": count}) for name, count in counts.items()]
    )
    colors = alt.Scale(domain=list(counts), range=[BLUE, ORANGE])
    chart = (
        alt.Chart(table)
        .mark_line(point=alt.OverlayMarkDef(size=12))
        .encode(x=time_axis(), y=alt.Y("rows:Q", title=None), color=alt.Color("what:N", title=None, scale=colors))
    )
    return picture_of(chart, width)


def time_axis() -> alt.X:
    """The axis of days. Without `utc`, here and where days are read, the chart would depend on the time zone."""
    return alt.X("day:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format="%b %d", tickCount=5))


def picture_of(chart: alt.Chart | alt.LayerChart, width: int = 250) -> str:
    """A chart as an SVG picture in a data URI. Grey text is readable in light and in dark mode."""
    configured = (
        chart.properties(width=width, height=130, background="transparent")
        .configure_axis(labelColor=GREY, titleColor=GREY, gridColor=GREY, gridOpacity=0.3, domainColor=GREY)
        .configure_view(stroke=None)
        .configure_legend(labelColor=GREY, orient="top")
    )
    svg = vl_convert.vegalite_to_svg(configured.to_dict())
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
