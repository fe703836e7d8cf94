"""Pictures of a search: the scores over time, what each argument explains, and the arguments of all trials."""

from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from retrace.files import write_bytes
from retrace.params import Choices, Params, Range
from retrace.search.stage import IMPORTANCE
from retrace.search.trials import require_search

FOLDER = Path("search")
BLUE, GREY = "#3d85c6", "#888888"


def draw(trials: pd.DataFrame, params: Params, higher_is_better: bool) -> None:
    """Draw the pictures of a search.

    Args:
        trials: the content of trials.csv; the first line has the present arguments.
        params: the project's parameters.
        higher_is_better: the direction of the gate's metric.
    """
    metric = params.gate.metric
    tried = trials[trials["trial"] > 0].dropna(subset="score").rename(columns={"score": metric})
    present = trials.loc[trials["trial"] == 0, ["score"]].rename(columns={"score": metric})
    charts = {
        "history": draw_history(tried, present, metric, higher_is_better),
        "importance": draw_importance(pd.read_csv(IMPORTANCE)),
        "parallel_coordinates": draw_parallel_coordinates(tried, params, metric, higher_is_better),
    }
    for name, chart in charts.items():
        content = chart.configure(background="white").to_dict()
        write_bytes(vl_convert.vegalite_to_svg(content, allowed_base_urls=[]).encode(), FOLDER / f"{name}.svg")


def draw_history(tried: pd.DataFrame, present: pd.DataFrame, metric: str, higher_is_better: bool) -> alt.LayerChart:
    """The score of each trial, the best one so far, and that of the present arguments as a dashed line."""
    scores = tried[["trial", metric]].assign(
        best=tried[metric].cummax() if higher_is_better else tried[metric].cummin()
    )
    y = alt.Y(f"{metric}:Q", scale=alt.Scale(zero=False))
    points = alt.Chart(scores).mark_point(color=GREY).encode(x="trial:Q", y=y)
    best = alt.Chart(scores).mark_line(color=BLUE, interpolate="step-after").encode(x="trial:Q", y=alt.Y("best:Q"))
    rule = alt.Chart(present).mark_rule(color=GREY, strokeDash=[4, 4]).encode(y=y)
    chart: alt.LayerChart = (points + best + rule).properties(
        width=560, height=240, title="Each trial, and the best one so far"
    )
    return chart


def draw_importance(importance: pd.DataFrame) -> alt.Chart:
    """The share of the scores' variance that each argument explains."""
    chart: alt.Chart = (
        alt.Chart(importance)
        .mark_bar(color=BLUE)
        .encode(x=alt.X("importance:Q", title="share of the variance"), y=alt.Y("argument:N", sort="-x", title=None))
        .properties(width=480, title="What the arguments explain of the scores")
    )
    return chart


def draw_parallel_coordinates(tried: pd.DataFrame, params: Params, metric: str, higher_is_better: bool) -> alt.Chart:
    """A line for each complete trial; each argument goes from its lowest value, or first choice, to its last."""
    space = require_search(params).space
    places = pd.concat(
        pd.DataFrame(
            {"trial": tried["trial"], metric: tried[metric], "argument": name, "place": place_of(tried[name], values)}
        )
        for name, values in space.items()
    )
    scheme = alt.Scale(scheme="viridis", reverse=higher_is_better)
    chart: alt.Chart = (
        alt.Chart(places)
        .mark_line(opacity=0.7)
        .encode(
            x=alt.X("argument:N", sort=list(space), title=None, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("place:Q", title="from the lowest value to the highest", axis=alt.Axis(labels=False, ticks=False)),
            color=alt.Color(f"{metric}:Q", scale=scheme),
            detail="trial:N",
        )
        .properties(width=560, height=240, title="The arguments of each complete trial")
    )
    return chart


def place_of(column: pd.Series, values: Range | Choices) -> pd.Series:
    """Where the values of an argument are in its range or among its choices, from 0 to 1."""
    if isinstance(values, Choices):
        texts = [str(choice) for choice in values.choices]
        numbers, low, high = column.map(texts.index).to_numpy(float), 0.0, float(len(texts) - 1)
    else:
        numbers, low, high = column.to_numpy(float), float(values.low), float(values.high)
        if values.log:
            numbers, low, high = np.log(numbers), np.log(low), np.log(high)
    return pd.Series((numbers - low) / (high - low), index=column.index)
