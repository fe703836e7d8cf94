"""What `python -m retrace challenge` prints, and what it writes as Markdown."""

import textwrap
from datetime import datetime
from typing import NamedTuple

from retrace.differences import Difference, Slice, Verdict, interval_of_difference, signed
from retrace.errors import one_line
from retrace.markdown import code, table

NOTE = (
    "The intervals include sampling variation only. They are about these two models, and not about two ways of "
    "training."
)


class Compared(NamedTuple):
    """A metric of two models on the same rows.

    Attributes:
        metric: its name.
        served: the score of the predictions that were served.
        challenger: the score of the challenger's.
        difference: the challenger's score minus the other.
        verdict: on the difference.
    """

    metric: str
    served: float
    challenger: float
    difference: Difference
    verdict: Verdict


class Challenge(NamedTuple):
    """A comparison of a challenger with the model that was served.

    Attributes:
        served: the name and version of the model that was served.
        challenger: those of the challenger.
        times: of the first and the last prediction that is compared, in UTC.
        labelled: how many predictions are compared.
        unlabelled: how many others have no label.
        overall: each metric on all rows.
        slice_metric: the metric by which slices are compared: the gate's.
        slices: that metric on each slice, the largest difference first.
    """

    served: str
    challenger: str
    times: tuple[datetime, datetime]
    labelled: int
    unlabelled: int
    overall: list[Compared]
    slice_metric: str
    slices: list[tuple[Slice, Compared]]

    @property
    def title(self) -> str:
        """Which two models are compared."""
        return f"{self.challenger}, the challenger, against {self.served}"

    @property
    def rows(self) -> str:
        """Which predictions are compared."""
        first, last = (time.date() for time in self.times)
        return f"{self.labelled:,} predictions from {first} to {last}; {self.unlabelled:,} others have no label"

    @property
    def changed(self) -> list[tuple[Slice, Compared]]:
        """The slices on which one of the models is better."""
        return [(part, found) for part, found in self.slices if found.verdict in ("better", "worse")]

    @property
    def compared_slices(self) -> str:
        """How many slices are compared, and what their intervals mean."""
        if not self.slices:
            return f"By slice: no slice can be compared by {self.slice_metric}."
        count = f"{len(self.slices)} slices compared" if len(self.slices) > 1 else "1 slice compared"
        none = "" if self.changed else "No slice's interval excludes 0. "
        return f"{none}{count} by {self.slice_metric}: all of their intervals hold at once, 95 times in 100."


def show(found: Challenge) -> None:
    """Print a comparison, for a terminal of 80 columns."""
    print(one_line(found.title))
    print(found.rows)
    print(f"\n{'':<17}{'served':>8}{'challenger':>11}{'difference':>11}  {'95 % interval':<20} verdict")
    for each in found.overall:
        print(_line(f"{each.metric:<17}", each))
    print()
    for part, each in found.changed:
        print(one_line(f"{part.column} {part.value}"))
        print(_line(" " * 17, each), end="\n\n")
    for sentence in (found.compared_slices, NOTE):
        print(textwrap.fill(sentence, width=80))


def _line(name: str, each: Compared) -> str:
    served, challenger, difference, interval = _numbers(each)
    interval = interval.removeprefix("no interval: ")
    return f"{name}{served:>8}{challenger:>11}{difference:>11}  {interval:<20} {each.verdict}"


def _numbers(each: Compared) -> tuple[str, str, str, str]:
    """The two scores, the difference and its interval."""
    scores = f"{each.served:.4g}", f"{each.challenger:.4g}"
    return *scores, signed(each.difference.value), interval_of_difference(each.difference)


def write_markdown(found: Challenge) -> str:
    """A comparison as Markdown."""
    header = ["", "served:", "challenger:", "difference:", "95 % interval", "verdict"]
    rows = [(code(each.metric), *_numbers(each), _marked(each)) for each in found.overall]
    parts = [f"# {code(found.challenger)} against {code(found.served)}", f"{found.rows}.", table(header, rows)]
    parts.append("## By slice")
    if found.changed:
        slices = [
            (f"{code(part.column)} {code(part.value)}", *_numbers(each), _marked(each)) for part, each in found.changed
        ]
        parts.append(table(["slice", *header[1:]], slices))
    return "\n\n".join([*parts, found.compared_slices, NOTE]) + "\n"


def _marked(each: Compared) -> str:
    return f"**{each.verdict}**" if each.verdict in ("better", "worse") else each.verdict
