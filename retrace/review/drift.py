"""How far the distribution of each column has moved between two contents of metrics/data.json.

The distance is the total variation distance: the share of the rows that would have to have another value for the two
distributions to be equal. It is 0 where they are equal, and 1 where they have nothing in common. A missing value counts
as a value. Two samples of one population differ, too: `by_chance` is the distance that they stay below.
"""

import math
from typing import Annotated, Any, NamedTuple, NotRequired

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from retrace.errors import UserError
from retrace.files import FEWEST_ROWS_SHOWN
from retrace.review.revision import Revision

DRAWS = 4000  # of two samples, at least
DRAWS_PER_COLUMN = 100  # if that makes more
Shares = dict[float | str, float]  # of the rows, by a bin's lower edge or a value's name
Count = Annotated[int, Field(ge=0)]


class Histogram(TypedDict):
    """As describe writes it."""

    step: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    first: Annotated[float, Field(allow_inf_nan=False)]
    counts: list[Count]
    other_rows: Count


class Column(TypedDict):
    """What describe writes of a column, as far as it's read here."""

    kind: str
    missing: Annotated[float, Field(ge=0, le=1)]
    histogram: NotRequired[Histogram]
    values: NotRequired[dict[str, Count]]
    other_rows: NotRequired[Count]


class Data(TypedDict):
    """What describe writes to metrics/data.json, as far as it's read here."""

    rows: Count
    columns: dict[str, Column]


DATA = TypeAdapter(Data)


class Drift(NamedTuple):
    """How far the distribution of a column moved.

    Attributes:
        column: The column.
        distance: The share of the rows that would have to have another value, from 0 to 1.
        by_chance: The distance that two samples of one population stay below.
        base: The share of the rows in each bin of the base.
        here: The share of the rows in the same bins here.
    """

    column: str
    distance: float
    by_chance: float
    base: NDArray[np.float64]
    here: NDArray[np.float64]

    @property
    def exceeds_chance(self) -> bool:
        """Whether the column moved further than sampling variation explains."""
        return self.distance > self.by_chance


def read_data(revision: Revision) -> dict[str, Any]:
    """The content of metrics/data.json, empty where there is none.

    Raises:
        UserError: it isn't what describe writes.
    """
    content = revision.json("metrics/data.json")
    try:
        if content:
            DATA.validate_python(content)
    except ValidationError:
        where = f"{revision.short}:metrics/data.json"
        raise UserError(f"{where}: not what describe writes; `make undo` or `dvc repro` fixes it") from None
    return content


def rank_drifts(here: dict[str, Any], base: dict[str, Any]) -> list[Drift]:
    """The drift of each column that both contents of metrics/data.json have, the largest excess over chance first."""
    columns, base_columns = here.get("columns", {}), base.get("columns", {})
    shared = [name for name in columns if base_columns.get(name, {}).get("kind") == columns[name]["kind"]]
    if not base["rows"] or not here["rows"]:
        return []
    drifts = []
    for name in shared:
        sides = base_columns[name], columns[name]
        drifts.append(measure_drift(name, sides, (base["rows"], here["rows"]), comparisons=len(shared)))
    return sorted(drifts, key=lambda drift: drift.by_chance - drift.distance)


def measure_drift(
    name: str, sides: tuple[dict[str, Any], dict[str, Any]], sizes: tuple[int, int], comparisons: int = 1
) -> Drift:
    """How far one column moved from the first side to the second.

    What chance explains is simulated: the difference of two samples from both sides pooled, by the normal distribution
    that counts tend to. In 95 of 100 cases all of the compared columns stay below it.

    Args:
        name: The column.
        sides: What metrics/data.json holds of it, in the base and here.
        sizes: The number of rows of each.
        comparisons: How many columns are compared, this one included.
    """
    is_private = not all("histogram" in side or "values" in side for side in sides)  # on one side at least
    if is_private:
        sides = {"missing": sides[0]["missing"]}, {"missing": sides[1]["missing"]}
    step = max((side["histogram"]["step"] for side in sides if "histogram" in side), default=1.0)
    shares, ends = _with_common_ends([_distribution(side, step) for side in sides])
    bins = sorted(shares[0] | shares[1], key=lambda key: (isinstance(key, str), key))
    base, here = (np.array([side.get(key, 0.0) for key in bins]) for side in shares)
    distance = _distance(shares, sizes, bins, ends)
    pooled = (base * sizes[0] + here * sizes[1]) / sum(sizes)
    return Drift(name, distance, _distance_by_chance(pooled, sizes, comparisons), base, here)


def _distance_by_chance(pooled: NDArray[np.float64], sizes: tuple[int, int], comparisons: int) -> float:
    """The distance that two samples of these sizes stay below, in each of so many columns at once, 95 times in 100.

    Args:
        pooled: The share of the population in each bin.
        sizes: The number of rows of each sample.
        comparisons: How many columns are compared.
    """
    root = np.sqrt(pooled / pooled.sum(), dtype=np.float32)
    shape = max(DRAWS, DRAWS_PER_COLUMN * comparisons), len(pooled)
    noise = root * np.random.default_rng(DRAWS).standard_normal(shape, dtype=np.float32)
    noise -= root**2 * noise.sum(axis=1, keepdims=True)  # the shares of all bins add up to 1
    distances = np.abs(noise).sum(axis=1) / 2
    scale = math.sqrt(sum(1 / size for size in sizes))
    return float(np.quantile(distances, 1 - 0.05 / comparisons) * scale)


def _with_common_ends(sides: list[Shares]) -> tuple[list[Shares], list[float]]:
    """Both sides with the end bins of the narrower histogram, and the edges of these bins.

    An end bin takes in all that lies beyond it, so the bins of the wider histogram beyond it are added to it.
    """
    numbers = [[key for key in side if not isinstance(key, str)] for side in sides]
    if not all(numbers):
        return sides, []
    low = max(min(edges) for edges in numbers)
    high = min(max(edges) for edges in numbers)
    if not low < high:
        return sides, []
    return [_with_ends(side, low, high) for side in sides], [low, high]


def _with_ends(side: Shares, low: float, high: float) -> Shares:
    """A distribution whose numbers lie between two bins; what lies beyond is added to these."""
    shares: Shares = {}
    for key, share in side.items():
        bounded = key if isinstance(key, str) else min(max(key, low), high)
        shares[bounded] = shares.get(bounded, 0) + share
    return shares


def _distance(sides: list[Shares], sizes: tuple[int, int], bins: list[float | str], ends: list[float]) -> float:
    """The least total variation distance that fits what is known.

    A bin or value that fewer than 10 rows hold is counted among `other`, where an end bin may have more of its rows.
    If there are fewer than 10 such rows in all, they are counted with the largest bin or value.
    """
    more = less = 0.0
    for key in bins:
        if key != "other":
            low, high = _bounds(sides[0], key, sizes[0], ends)
            low_here, high_here = _bounds(sides[1], key, sizes[1], ends)
            more += max(0.0, low_here - high)
            less += max(0.0, low - high_here)
    return max(more, less)


def _bounds(side: Shares, key: float | str, size: int, ends: list[float]) -> tuple[float, float]:
    """The least and the most that the share of a bin or value can be, by what is known of one side."""
    share, other = side.get(key, 0.0), side.get("other", 0.0)
    if key == "missing":
        return share, share
    hidden = (FEWEST_ROWS_SHOWN - 1) / size  # the most that a value may have without being shown
    low = max(0.0, share - hidden) if key == _largest(side) and not other else share
    if key in ends:
        return low, share + other
    return low, share or min(other or hidden, hidden)


def _largest(side: Shares) -> float | str:
    """The bin or value with the largest share."""
    shown = [key for key in side if key not in ("other", "missing")]
    return max(shown, key=side.__getitem__, default="")


def _distribution(column: dict[str, Any], step: float) -> Shares:
    """The share of the rows in each bin of width `step`, of each value, and of missing and unnamed values."""
    counts: Shares = {}
    if "histogram" in column:
        shown = column["histogram"]
        for index, count in enumerate(shown["counts"]):
            edge = math.floor((shown["first"] + index * shown["step"]) / step) * step
            counts[edge] = counts.get(edge, 0) + count
        counts["other"] = shown["other_rows"]
    elif "values" in column:
        counts = {f"value {value}": count for value, count in column["values"].items()}
        counts["other"] = column.get("other_rows", 0)
    total = sum(counts.values())
    present = 1 - column["missing"]
    shares: Shares = {"not shown": present}
    if total:
        shares = {key: count / total * present for key, count in counts.items()}
    shares["missing"] = column["missing"]
    return {key: share for key, share in shares.items() if share}
