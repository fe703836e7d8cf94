"""What a change changes, from what Git holds of two revisions: parameters, stages' code, packages and data.

How far a column's values have moved is the total variation distance of its two distributions: the share of the rows
that would have to lie elsewhere for the one to become the other, 0 where they are the same and 1 where they have
nothing in common. A missing value is a value here. Few rows differ by luck: `by_luck` is what two samples of one
population, with no row in common, stay below.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter

from src.core.files import KEPT_FROM
from src.core.params import Moment
from src.review.pipeline import cached_files, read_stages
from src.review.results import Revision, flattened, git

GUARDS = (
    *("src/review/", "src/core/", "src/__init__.py", "src/stages/split.py", "src/stages/evaluate.py"),
    *(".github/", ".dvc/", "dvc.yaml", "requirements", "Makefile"),
)
GUARD_KEYS = ("gate.", "split.", "problem.costs", "evaluate.", "train.refits", "data.group")
DRAWS = 4000  # at least, and so many for each column looked at
MORE_DRAWS = 100
BARS = "▁▂▃▄▅▆▇█"
Shares = dict[float | str, float]  # of the rows, by a bin's lower edge or a value's name
Changed = dict[str, tuple[Any, Any]]


class Drift(NamedTuple):
    """How far a column moved, how far luck alone would move it, and both distributions over the same bins."""

    column: str
    distance: float
    by_luck: float
    base: NDArray[np.float64]
    here: NDArray[np.float64]


class Rows(NamedTuple):
    """Examples by id: only here, only in the base, in both with other values, and those only here that `test` has."""

    added: int
    removed: int
    altered: int
    shut: int


def changed_keys(here: Mapping[str, Any], base: Mapping[str, Any]) -> Changed:
    """The dotted keys of two nested mappings whose values differ, as (base, here); None where there is no such key."""
    ours, theirs = flattened(dict(here)), flattened(dict(base))
    return {key: (theirs.get(key), ours.get(key)) for key in sorted(ours | theirs) if ours.get(key) != theirs.get(key)}


def changed_code(here: Revision, base: Revision) -> dict[str, list[str]]:
    """The modules, by stage, that a stage depends on and whose content isn't the base's; a new stage has them all."""
    ours, theirs = read_stages(here), read_stages(base)
    found = {}
    for name, stage in ours.items():
        before = theirs[name].inputs if name in theirs else {}
        paths = [path for path, md5 in stage.inputs.items() if before.get(path) != md5]
        found[name] = [path for path in paths if path.endswith(".py")]
    return {name: paths for name, paths in found.items() if paths}


def changed_files(here: Revision, base: Revision) -> list[str]:
    """Every file in Git that isn't the same."""
    revisions = [str(revision.commit) for revision in (base, here) if revision.commit]
    names = (git("diff", "--name-only", "--no-renames", "-z", *revisions) or "").split("\0")
    return [name for name in names if name]


def guards(files: list[str], params: Changed) -> list[str]:
    """What of a change touches the judging itself."""
    return [
        # Python finds a module in the project's folder before those that the review means to import.
        *(name for name in files if name.startswith(GUARDS) or ("/" not in name and name.endswith(".py"))),
        *(key for key in params if key.startswith(GUARD_KEYS)),
    ]


def packages(revision: Revision) -> dict[str, str]:
    """The version of each package that the stages may import."""
    text = (revision.read("requirements.txt") or b"").decode("utf-8", "replace")
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, flags=re.MULTILINE))


def rows(here: Revision, base: Revision) -> Rows | None:
    """How the examples differ, where both tables are at hand; None where one is in no cache here.

    The tables are large and not in Git: this is known where both revisions have been run, or pulled.
    """
    ours, theirs = _prepared(here), _prepared(base)
    data, split = (here.yaml("params.yaml").get(section, {}) for section in ("data", "split"))
    column = data.get("id") or "row_id"
    if ours is None or theirs is None or column not in ours or column not in theirs:
        return None
    ours, theirs = (table.set_index(column) for table in (ours, theirs))
    both, shared = ours.index.intersection(theirs.index), ours.columns.intersection(theirs.columns)
    hashed = [
        pd.util.hash_pandas_object(table.loc[both, shared].astype("string"), index=False).to_numpy()
        for table in (ours, theirs)
    ]
    shut = 0
    if split.get("by") == "time":  # else added rows are in all parts
        shut = (ours.drop(both)[data["time"]] >= TypeAdapter(Moment).validate_python(split["test_from"])).sum()
    return Rows(len(ours) - len(both), len(theirs) - len(both), int((hashed[0] != hashed[1]).sum()), int(shut))


def _prepared(revision: Revision) -> pd.DataFrame | None:
    """The table of a revision's examples, from the folder or DVC's cache."""
    path = "data/prepared.parquet"
    file: Path | None = Path(path)
    if revision.commit:
        made = [stage.outs[path] for stage in read_stages(revision).values() if path in stage.outs]
        file = cached_files(path, made[0])[path] if made else None
    try:
        return pd.read_parquet(file) if file else None
    except (OSError, ValueError):
        return None


def drifts(here: dict[str, Any], base: dict[str, Any]) -> list[Drift]:
    """The columns that both contents of metrics/data.json have, the one that moved furthest beyond luck first."""
    ours, theirs = here.get("columns", {}), base.get("columns", {})
    shared = [name for name, column in ours.items() if theirs.get(name, {}).get("kind") == column["kind"]]
    sizes = base["rows"], here["rows"]
    found = [drift(name, (theirs[name], ours[name]), sizes, len(shared)) for name in shared] if all(sizes) else []
    return sorted(found, key=lambda one: -(one.distance - one.by_luck))


def drift(name: str, sides: tuple[dict[str, Any], dict[str, Any]], sizes: tuple[int, int], looked_at: int = 1) -> Drift:
    """How far one column moved from the first side to the second, of so many rows each.

    Luck is drawn: the difference of two samples from both sides pooled, by the normal distribution that counts tend
    to, and what 95 in 100 of them stay below in every one of `looked_at` columns at once.
    """
    if not all({"histogram", "values"} & side.keys() for side in sides):  # private, on one side at least
        sides = {"missing": sides[0]["missing"]}, {"missing": sides[1]["missing"]}
    step = max((side["histogram"]["step"] for side in sides if "histogram" in side), default=1.0)
    shares, ends = _with_common_ends([_distribution(side, step) for side in sides])
    bins = sorted(shares[0] | shares[1], key=lambda key: (isinstance(key, str), key))
    base, here = (np.array([side.get(key, 0.0) for key in bins]) for side in shares)
    pooled = (base * sizes[0] + here * sizes[1]) / sum(sizes)
    root = np.sqrt(pooled / pooled.sum(), dtype=np.float32)
    shape = max(DRAWS, MORE_DRAWS * looked_at), len(bins)
    noise = root * np.random.default_rng(DRAWS).standard_normal(shape, dtype=np.float32)
    noise -= root**2 * noise.sum(axis=1, keepdims=True)
    by_luck = np.quantile(np.abs(noise).sum(axis=1) / 2, 1 - 0.05 / looked_at) * math.sqrt(sum(1 / n for n in sizes))
    return Drift(name, _distance(shares, sizes, bins, ends), float(by_luck), base, here)


def _with_common_ends(sides: list[Shares]) -> tuple[list[Shares], list[float]]:
    """Both sides with a histogram's end bins, which take in all that lies beyond, where the narrower one has them."""
    numbers = [[key for key in side if not isinstance(key, str)] for side in sides]
    low, high = (max(map(min, numbers)), min(map(max, numbers))) if all(numbers) else (0.0, 0.0)
    if not low < high:
        return sides, []
    moved: list[Shares] = [{}, {}]
    for number, side in enumerate(sides):
        for key, share in side.items():
            at = key if isinstance(key, str) else min(max(key, low), high)
            moved[number][at] = moved[number].get(at, 0) + share
    return moved, [low, high]


def _distance(sides: list[Shares], sizes: tuple[int, int], bins: list[float | str], ends: list[float]) -> float:
    """The least total variation distance that fits what is known.

    A bin or value that fewer than 10 rows hold is counted among `other`, where an end bin may have more of its rows.
    """

    def bounds(side: Shares, size: int, key: float | str) -> tuple[float, float]:
        share, other = side.get(key, 0.0), side.get("other", 0.0)
        if key in ends:
            return share, share + other
        return share, share or (0.0 if key == "missing" else min(other, (KEPT_FROM - 1) / size))

    more = less = 0.0
    for key in bins:
        if key != "other":
            (low, high), (low_here, high_here) = (bounds(*of, key) for of in zip(sides, sizes, strict=True))
            more, less = more + max(0.0, low_here - high), less + max(0.0, low - high_here)
    return max(more, less)


def _distribution(column: dict[str, Any], step: float) -> Shares:
    """The share of the rows in each bin of width `step`, of each value, and of missing and unnamed values."""
    counts: Shares = {}
    if "histogram" in column:
        shown = column["histogram"]
        for index, count in enumerate(shown["counts"]):
            at = math.floor((shown["first"] + index * shown["step"]) / step) * step
            counts[at] = counts.get(at, 0) + count
        counts["other"] = shown["other_rows"]
    elif "values" in column:
        counts = {f"value {value}": count for value, count in column["values"].items()}
        counts["other"] = column["other_rows"]
    total = sum(counts.values())
    shares: Shares = {key: count / total * (1 - column["missing"]) for key, count in counts.items() if total}
    if not total:
        shares = {"not shown": 1 - column["missing"]}
    return {key: share for key, share in {**shares, "missing": column["missing"]}.items() if share}


def bars(shares: NDArray[np.float64], highest: float, most: int = 24) -> str:
    """A distribution as a row of bars, as high as its share of `highest`."""
    levels = np.ceil(shares[:most] / highest * (len(BARS) - 1)).astype(int)
    return "".join(BARS[level] for level in levels)
