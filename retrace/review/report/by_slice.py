"""The section about slices: for which rows the score changed."""

from retrace.differences import Difference, Slice, interval_of_difference, signed, verdict
from retrace.markdown import chart, code, folded, table
from retrace.review.report.change import Change
from retrace.review.report.wording import counted
from retrace.review.revision import flattened
from retrace.review.score_differences import compare_slices

COLOURS = "#9ca3af, #2563eb, #9ca3af"  # of the lower end, the difference, the upper end


def write_slices(change: Change) -> str:
    """The slices whose score has changed, and a chart of all that were compared."""
    sides, metric = change.sides, change.metric
    if sides.base_results is None:
        return ""
    differences = compare_slices(sides.results, sides.base_results, metric)
    if not differences:
        slices = flattened(sides.here.content_or_empty("params.yaml")).get("evaluate.slices")
        why = "evaluate.slices in params.yaml names no column"
        if slices:
            why = "no slice that is large enough to be judged has this score on both sides"
        return f"### By slice\n\nNot compared: {why}."
    rows = []
    for part, difference in differences:
        word = verdict(difference, metric, smallest=0)
        if word in ("better", "worse"):
            name = f"{code(part.column)} {code(part.value)}"
            rows.append((name, signed(difference.value), interval_of_difference(difference), f"**{word}**"))
    changed = "No slice's interval excludes 0."
    if rows:
        changed = table(["slice", f"{code(metric)}:", "interval", "verdict"], rows) + "\n\n"
    else:
        changed += " "
    compared = f"{counted(len(differences), 'slice')} compared: all of their intervals hold at once, 95 times in 100."
    section = f"### By slice\n\n{changed}{compared}"
    if len(differences) > 1 and any(difference.value for _, difference in differences):
        picture = _chart_of_slices(differences, metric)
        section += "\n\n" + folded("All slices (blue: the difference; grey: its interval)", picture)
    return section


def _chart_of_slices(differences: list[tuple[Slice, Difference]], metric: str) -> str:
    """The difference of each slice, between the ends of its interval."""
    names = [part.value for part, _ in differences]
    lines = [
        [difference.low for _, difference in differences],
        [difference.value for _, difference in differences],
        [difference.high for _, difference in differences],
    ]
    return chart("Difference by slice", names, metric, lines, COLOURS)
