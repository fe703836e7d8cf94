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
from typing import Annotated, Any, NamedTuple, NotRequired

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from retrace.errors import UserError
from retrace.files import KEPT_FROM, as_text
from retrace.git import git_names
from retrace.review.pipeline import read_stages
from retrace.review.results import PARTS, Revision, flattened, id_column
from retrace.row_ids import canonical

# What of a change is known to be harmless; anything else is named to the reviewer, as code or as what judges.
HARMLESS_FILES = re.compile(
    r"""
    dvc\.lock
  | (?:[^/.][^/]*/)*[^/.][^/]*\.md
  | docs/(?:[^/.][^/]*/)*[^/.][^/]*\.(?:gif|jpe?g|pdf|png|rst|svg|txt)
  | metrics/(?:[^/.][^/]*/)*[^/.][^/]*\.(?:csv|json|tsv)
  | data/source/(?:[^/.][^/]*/)*[^/.][^/]*\.(?:csv|dvc|gz|jsonl|ndjson|parquet|sha256|tsv|txt)
    """,
    re.VERBOSE,
)
HARMLESS_PARAMS = re.compile(r"data\.(source|read(\..*)?)|train\.(?!refits$).*", re.DOTALL)
CODE = re.compile(r"src/(?:[^/.][^/]*/)*[^/.][^/]*\.py|requirements[\w-]*\.(in|txt)", re.DOTALL)
# A name without its ending, since Python takes a folder or a compiled module before a `.py` of that name.
JUDGING_CODE = re.compile(
    r"src/(__init__|stages/(__init__|split|evaluate|validate))[./].*|src/stages\..*", re.DOTALL | re.IGNORECASE
)
LINKS = ("120000", "160000")  # Git's modes of a symbolic link and of a submodule
DRAWS = 4000  # at least, and so many for each column looked at
MORE_DRAWS = 100
BARS = "▁▂▃▄▅▆▇█"
Shares = dict[float | str, float]  # of the rows, by a bin's lower edge or a value's name
Changed = dict[str, tuple[Any, Any]]


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
    """How far a column moved, how far luck alone would move it, and both distributions over the same bins."""

    column: str
    distance: float
    by_luck: float
    base: NDArray[np.float64]
    here: NDArray[np.float64]


class Rows(NamedTuple):
    """How many examples there are, and how they differ by their ids.

    `added` and `removed` are only here and only in the base, `altered` in both with other values; `shut` are those of
    the added that `test` has.
    """

    base: int
    here: int
    added: int
    removed: int
    altered: int
    shut: int


class Moved(NamedTuple):
    """How many examples both sides have, and how many of these are in another part (train, valid, test) than before."""

    shared: int
    moved: int


class Touched(NamedTuple):
    """What of a change a person must look at: files and parameters that judge it, and code that the pipeline runs."""

    judges: list[str]
    code: list[str]


def changed_keys(here: Mapping[str, Any], base: Mapping[str, Any]) -> Changed:
    """The dotted keys of two nested mappings whose values differ, as (base, here); None where there is no such key."""
    ours, theirs = flattened(dict(here)), flattened(dict(base))
    return {key: (theirs.get(key), ours.get(key)) for key in sorted(ours | theirs) if ours.get(key) != theirs.get(key)}


def changed_code(here: Revision, base: Revision) -> dict[str, list[str]]:
    """The modules, by stage, that a stage depends on and whose content isn't the base's; a new stage has them all."""
    ours = read_stages(here)
    try:
        theirs = read_stages(base)
    except UserError:  # DVC can't read the base, which this change may mend: by Git, then
        changed = changed_files(here, base)
        by_git = {name: [path for path in stage.inputs if path in changed] for name, stage in ours.items()}
        return {name: code for name, paths in by_git.items() if (code := [p for p in paths if p.endswith(".py")])}
    found = {}
    for name, stage in ours.items():
        before = theirs[name].inputs if name in theirs else {}
        paths = [path for path, md5 in stage.inputs.items() if before.get(path) != md5]
        found[name] = [path for path in paths if path.endswith(".py")]
    return {name: paths for name, paths in found.items() if paths}


def changed_files(here: Revision, base: Revision) -> list[str]:
    """Every file in Git that isn't the same."""
    revisions = [str(revision.commit) for revision in (base, here) if revision.commit]
    return sorted(git_names("diff", "--name-only", "--no-renames", "-z", *revisions, "--"))


def touched(here: Revision, base: Revision) -> Touched:
    """What of a change isn't known to be harmless."""
    params = changed_keys(*(side.readable("params.yaml") for side in (here, base)))
    found = Touched([], [])
    for name, is_link in _changed_kinds(here, base).items():
        if name == "params.yaml" and not is_link:
            if not all(side.readable(name) for side in (here, base)):
                found.judges.append(name)
        elif not is_link and HARMLESS_FILES.fullmatch(name) and (name[-4:] != ".dvc" or _only_points(here, name)):
            continue
        elif not is_link and CODE.fullmatch(name) and not JUDGING_CODE.fullmatch(name):
            found.code.append(name)
        else:
            found.judges.append(name)
    found.judges.extend(key for key in params if not HARMLESS_PARAMS.fullmatch(key))
    return found


def _changed_kinds(here: Revision, base: Revision) -> dict[str, bool]:
    """Every file that isn't the same, new ones that Git doesn't have yet included; whether it is or was a link."""
    revisions = [str(revision.commit) for revision in (base, here) if revision.commit]
    shown = ["--raw", "--no-renames", "--no-relative", "--ignore-submodules=none", "-z"]
    fields = git_names("diff", *shown, *revisions, "--")  # `:mode mode hash hash status`, then the name
    kinds = {
        name: bool({mode.removeprefix(":") for mode in modes.split(" ")[:2]} & set(LINKS))
        for modes, name in zip(fields[0::2], fields[1::2], strict=False)
    }
    if here.commit is None:
        new = git_names("ls-files", "--others", "--exclude-standard", "-z")
        kinds |= {name: Path(name).is_symlink() for name in new}
    return kinds


def _only_points(revision: Revision, name: str) -> bool:
    """Whether a `.dvc` file only says which data lie beside it: it could also hold a command, or another folder."""
    content = revision.readable(name)
    outs = content.get("outs", [])
    plain = isinstance(outs, list) and all(isinstance(out, dict) and "/" not in str(out.get("path")) for out in outs)
    return plain and (set(content) == {"outs"} or revision.read(name) is None)


def packages(revision: Revision) -> dict[str, str]:
    """The version of each package that the stages may import."""
    text = (revision.read("requirements.txt") or b"").decode("utf-8", "replace")
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, flags=re.MULTILINE))


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
        raise UserError(f"{where}: not what describe writes; `make undo` or `dvc repro` mends it") from None
    return content


def same_split(here: Revision, base: Revision) -> bool:
    """Whether train, valid and test are the same to the byte, by dvc.lock."""
    made: list[dict[str, str | None]] = []
    for side in (here, base):
        try:
            stages = read_stages(side).values()
        except UserError:
            return False
        made.append({path: md5 for stage in stages for path, md5 in stage.outs.items()})
    return all(made[0].get(path) and made[0][path] == made[1].get(path) for path in PARTS.values())


def same_split_asked(here: Revision, base: Revision) -> bool:
    """Whether params.yaml asks for the same split: its section, and the column that it goes by."""
    asked = []
    for side in (here, base):
        params = flattened(side.readable("params.yaml"))
        how = {key: value for key, value in params.items() if key.startswith("split.")}
        asked.append((how, params.get(f"data.{how.get('split.by')}")))
    return asked[0] == asked[1]


def moved(here: Revision, base: Revision) -> Moved | None:
    """How many examples are in another part than in the base; None where a part of one side isn't at hand."""
    sides = _examples(here, only_ids=True), _examples(base, only_ids=True)
    if sides[0] is None or sides[1] is None:
        return None
    (_, ours), (_, theirs) = sides[0], sides[1]
    shared = ours.index.intersection(theirs.index)
    return Moved(len(shared), int((ours[shared] != theirs[shared]).sum()))


def rows(here: Revision, base: Revision) -> Rows | None:
    """How the examples differ; None where a part of one side isn't at hand."""
    sides = _examples(here), _examples(base)
    if sides[0] is None or sides[1] is None:
        return None
    (ours, part), (theirs, _) = sides[0], sides[1]
    both, shared = ours.index.intersection(theirs.index), ours.columns.intersection(theirs.columns)
    altered = np.zeros(len(both), dtype=bool)
    for name in shared:
        altered |= _differ(ours.loc[both, name], theirs.loc[both, name])
    return Rows(
        base=len(theirs),
        here=len(ours),
        added=len(ours) - len(both),
        removed=len(theirs) - len(both),
        altered=int(altered.sum()),
        shut=int((part.drop(both) == "test").sum()),
    )


def _examples(revision: Revision, only_ids: bool = False) -> tuple[pd.DataFrame, pd.Series] | None:
    """All examples of a revision and the part that each is in, both by their ids as text; None if not at hand."""
    column = id_column(revision)
    tables = revision.tables(PARTS, [column] if only_ids else None)
    if tables.keys() != PARTS.keys() or not all(column in table for table in tables.values()):
        return None
    examples = pd.concat(tables.values())
    examples = examples.set_index(pd.Index(as_text(examples[column])))
    parts = np.repeat(list(tables), [len(table) for table in tables.values()])
    return examples, pd.Series(parts, index=examples.index)


def _differ(ours: pd.Series, theirs: pd.Series) -> NDArray[np.bool_]:
    """Whether each value is another; the same value in a column of another type isn't."""
    if ours.dtype != theirs.dtype:
        ours, theirs = (pd.Series(canonical(side), index=side.index).replace("", None) for side in (ours, theirs))
    return ~((ours == theirs) | (ours.isna() & theirs.isna())).to_numpy(bool)


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
    If there are fewer than 10 such rows in all, they are counted with the largest bin or value.
    """
    largest = [
        max((key for key in side if key not in ("other", "missing")), key=side.__getitem__, default="")
        for side in sides
    ]

    def bounds(number: int, key: float | str) -> tuple[float, float]:
        side, least = sides[number], (KEPT_FROM - 1) / sizes[number]
        share, other = side.get(key, 0.0), side.get("other", 0.0)
        if key == "missing":
            return share, share
        low = max(0.0, share - least) if key == largest[number] and not other else share
        if key in ends:
            return low, share + other
        return low, share or min(other or least, least)

    more = less = 0.0
    for key in bins:
        if key != "other":
            (low, high), (low_here, high_here) = (bounds(number, key) for number in (0, 1))
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
        counts["other"] = column.get("other_rows", 0)
    total = sum(counts.values())
    shares: Shares = {key: count / total * (1 - column["missing"]) for key, count in counts.items() if total}
    if not total:
        shares = {"not shown": 1 - column["missing"]}
    return {key: share for key, share in {**shares, "missing": column["missing"]}.items() if share}


def bars(shares: NDArray[np.float64], highest: float, most: int = 24) -> str:
    """A distribution as a row of bars, as high as its share of `highest`."""
    levels = np.ceil(shares[:most] / highest * (len(BARS) - 1)).astype(int)
    return "".join(BARS[level] for level in levels)
