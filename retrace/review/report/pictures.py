"""The section with charts: the learning curve and the calibration of both sides."""

import io

import pandas as pd

from retrace.markdown import chart, folded
from retrace.review.report.change import Change
from retrace.review.revision import Revision

COLOURS = "#2563eb, #9ca3af"  # here, base
CURVES = (  # title, file, column of x, column of y
    ("Learning curve on valid", "metrics/learning/plots/metrics/valid/loss.tsv", "step", "loss"),
    ("Calibration", "metrics/curves/calibration.csv", "predicted", "observed"),
)


def write_pictures(change: Change) -> str:
    """Learning curve and calibration, blue here and grey in the base; a curve that one side lacks isn't drawn."""
    sides = [change.sides.here]
    if change.sides.base and change.sides.base_results:
        sides.append(change.sides.base)
    charts = []
    for title, path, x, y in CURVES:
        curves = [read_curve(side, path, x, y) for side in sides]
        if all(len(curve) > 1 for curve in curves):
            start = float(min(curve.index[0] for curve in curves))
            end = float(max(curve.index[-1] for curve in curves))
            lines = [interpolated(curve, start, end) for curve in curves]
            charts.append(chart(title, (start, end), y, lines, COLOURS))
    title = "Pictures (blue: here; grey: base; level where a curve has ended)"
    return folded(title, "\n\n".join(charts)) if charts else ""


def read_curve(revision: Revision, path: str, x: str, y: str) -> pd.Series:
    """One column of a table of points, indexed by another; empty where the table is missing or can't be read."""
    separator = "\t" if path.endswith(".tsv") else ","
    try:
        points = pd.read_csv(io.BytesIO(revision.read(path) or b""), sep=separator)
        return points[[x, y]].astype(float).dropna().set_index(x)[y].sort_index()
    except (ValueError, KeyError):
        return pd.Series(dtype=float)


def interpolated(curve: pd.Series, start: float, end: float, count: int = 31) -> list[float]:
    """The values of a curve at evenly spaced places, as Mermaid draws it; straight between the curve's points."""
    places = [start + (end - start) * step / (count - 1) for step in range(count)]
    distinct = curve[~curve.index.duplicated()]
    filled = distinct.reindex(distinct.index.union(places)).interpolate("index", limit_direction="both")
    return [float(value) for value in filled.loc[places]]
