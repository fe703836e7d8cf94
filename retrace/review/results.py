"""What a revision holds: its files, the results that evaluate wrote, and what they answer.

A revision is a commit, by any name that Git or `dvc exp` knows, or the folder as it stands.
"""

import io
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, TypeGuard

import pandas as pd
from pydantic import BaseModel, TypeAdapter, ValidationError

from retrace.errors import UserError
from retrace.files import as_text, is_pointer
from retrace.git import git, git_bytes, git_names, git_or_none
from retrace.limits import MOST_BYTES, read_json
from retrace.params import Gate, read_params, read_yaml_text
from retrace.resamples import content_of
from retrace.scores import BASELINES, check_metric_names, is_judged, is_metric

FILES = ["evaluation.json", "slices.json", "bootstrap.csv", "refits.csv"]
NO_COMMIT = "0" * 40  # Git's name for none: the state before a branch's first push
NO_BASE = "there is no base"
PARTS = {name: f"data/split/{name}.parquet" for name in ("train", "valid", "test")}
SERIES = ["rows", "model", "column", "value", "metric"]
MANY = {"valid": 1e9, "train": 2e9, "half": 1e9}  # units of results that were written before units were counted
Scores = dict[str, dict[str, dict[str, float | None]]]
Slices = dict[str, dict[str, dict[str, float | None]]]
SCORES, SLICES, UNITS = TypeAdapter(Scores), TypeAdapter(Slices), TypeAdapter(dict[str, float])
FINGERPRINTS = TypeAdapter(dict[str, str])


@cache
def _blob(commit: str, path: str) -> bytes | None:
    """A commit's file, read once; None where it has no such file.

    Raises:
        UserError: it is too large to be parsed.
    """
    entries = git_names("ls-tree", "--long", "-z", commit, "--", path)  # mode, kind, hash and size, then the name
    if not entries:
        return None
    _, kind, content, size = entries[0].partition("\t")[0].split()
    if kind != "blob":
        return None
    if int(size) > MOST_BYTES:
        raise UserError(f"{commit[:8]}:{path}: larger than {MOST_BYTES:,} bytes; no file that a stage writes is")
    return git_bytes("cat-file", "blob", content)


class NoRevisionError(UserError):
    """No commit has that name here."""


@dataclass(frozen=True)
class Revision:
    """A commit and the name that the user gave it; the folder as it stands where `commit` is None."""

    name: str
    commit: str | None

    @classmethod
    def of(cls, name: str) -> Self:
        """The revision of that name: any that Git knows, or an experiment of DVC's.

        Raises:
            NoRevisionError: there is none.
            UserError: there are several.
        """
        commit = git_or_none("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
        if commit is None:
            refs = git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines()
            found = {ref.split(" ")[0] for ref in refs if ref.split("/", 4)[-1] == name}
            if len(found) > 1:
                raise UserError(
                    f"{name}: {len(found)} experiments have that name; `dvc exp list --all` shows their commits"
                )
            commit = found.pop() if found else None
        if commit is None:
            near = git_or_none("rev-parse", "--quiet", "--verify", f"origin/{name}^{{commit}}")
            more = f"there is an origin/{name}" if near else "`git fetch` may bring it"
            if git("rev-parse", "--is-shallow-repository") == "true":
                more = "the clone is shallow, and `git fetch --unshallow` may bring it"
            raise NoRevisionError(f"{name}: no such revision in this repository; {more}")
        return cls(name, commit)

    @property
    def short(self) -> str:
        """The commit as people write it."""
        return self.commit[:8] if self.commit else "the folder"

    def read(self, path: str) -> bytes | None:
        """A file's content, None where there is no such file in Git (or in the folder)."""
        if self.commit is None:
            if not Path(path).is_file():
                return None
            if Path(path).stat().st_size > MOST_BYTES:
                raise UserError(f"{path}: larger than {MOST_BYTES:,} bytes; no file that a stage writes is")
            return Path(path).read_bytes()
        return _blob(self.commit, path)

    def tables(self, paths: Mapping[str, str], columns: list[str] | None = None) -> dict[str, pd.DataFrame]:
        """Parquet files that DVC keeps, or some of their columns, by the names that `paths` gives them.

        They come from the folder or this project's cache, where they are if the revision was run here, or pulled. What
        isn't there, or lacks a column, is left out.
        """
        # DVC is imported only where the data has changed, which is seldom; and pipeline.py imports this module.
        from retrace.review.pipeline import cached_files, read_stages  # noqa: PLC0415

        made = {}
        with suppress(UserError):  # what is wrong with its pipeline is told elsewhere
            if self.commit:
                made = {path: md5 for stage in read_stages(self).values() for path, md5 in stage.outs.items()}
        found = {}
        for name, path in paths.items():
            file = cached_files(path, made.get(path))[path] if self.commit else Path(path)
            with suppress(OSError, ValueError):  # pyarrow's errors are of both kinds
                if file:
                    found[name] = pd.read_parquet(file, columns=columns)
        return found

    def files(self, folder: str) -> list[str]:
        """The paths of a folder's files in Git (or in the folder), in their order; none where there is no folder."""
        if self.commit is None:
            return sorted(file.as_posix() for file in Path(folder).rglob("*") if file.is_file())
        return git_names("ls-tree", "-r", "--name-only", "-z", self.commit, "--", f"{folder}/")

    def yaml(self, path: str) -> dict[str, Any]:
        """A YAML file's content, empty where there is none or it isn't a mapping.

        Raises:
            UserError: it isn't YAML.
        """
        content = read_yaml_text((self.read(path) or b"").decode("utf-8", "replace"), f"{self.short}:{path}")
        return content if isinstance(content, dict) else {}

    def json(self, path: str) -> dict[str, Any]:
        """A JSON file's content, empty where there is none or it isn't an object.

        Raises:
            UserError: it isn't JSON.
        """
        text = self.read(path)
        try:
            content = read_json(text) if text else {}
        except ValueError:
            advice = "" if self.commit else "; `dvc repro` brings it back"
            raise UserError(f"{self.short}:{path}: not JSON{advice}") from None
        return content if isinstance(content, dict) else {}

    def readable(self, path: str) -> dict[str, Any]:
        """A YAML or JSON file's content, empty where it can't be read."""
        try:
            return self.json(path) if path.endswith(".json") else self.yaml(path)
        except UserError:
            return {}


FOLDER = Revision("the folder", None)


def find_base(name: str | None) -> tuple[Revision | None, str]:
    """What a change is to be merged into, or why there is nothing of that name.

    GitHub names a branch's last commit by its full hash, even if a force-push has removed that commit. The next push
    must not fail for it. A pull request must: without its base, its own gate would judge it.

    Raises:
        UserError: there is no such revision.
    """
    if not name or name == NO_COMMIT:
        return None, NO_BASE
    try:
        return Revision.of(name), ""
    except NoRevisionError:
        if not re.fullmatch("[0-9a-f]{40}", name) or os.environ.get("GITHUB_EVENT_NAME") == "pull_request":
            raise
        gone = f"the base {name[:8]} is not in this repository; a force-push has removed it, or `git fetch` brings it"
        return None, gone


class CalibrationBin(BaseModel):
    """Rows with predictions near the threshold; by chance, the two rates may differ by `margin`."""

    rows: int
    predicted: float
    observed: float
    margin: float


class ThresholdCheck(BaseModel):
    """Whether the threshold of the decision can be trusted, and the bins that were looked at."""

    trusted: bool
    bins: list[CalibrationBin]


class Decision(BaseModel):
    """The decision that the costs imply, as evaluate writes it."""

    costs: dict[str, float]
    threshold: float
    best_constant_action: Literal["always", "never"]
    calibration: ThresholdCheck


def calibration_warning(decision: Decision) -> list[str]:
    """Why the threshold of a decision can't be trusted, in lines; none where it can."""
    if decision.calibration.trusted:
        return []
    threshold = f"{decision.threshold:.4g}"
    lines = [f"The threshold {threshold} can't be trusted: probabilities near it aren't calibrated."]
    for near in decision.calibration.bins:
        low, high = max(0.0, near.observed - near.margin), min(1.0, near.observed + near.margin)
        lines.append(
            f"{near.rows:,} rows: mean prediction {near.predicted:.3f}, "
            f"observed rate {near.observed:.3f} (99 %: {low:.3f} to {high:.3f})."
        )
    return lines


@dataclass(frozen=True)
class Results:
    """What evaluate wrote: scores by model and metric, slices by column and value, and the scores of each draw.

    `units` counts what is drawn: of `valid`, of `train`, and of a random `half` of `train`.
    `fingerprints` are hashes of the validation rows' `ids`, and of these with their `targets`; empty where unknown.
    `decision` is None where errors have no costs.
    """

    scores: Scores
    slices: Slices
    bootstrap: pd.DataFrame
    refits: pd.DataFrame
    units: dict[str, float] = field(default_factory=lambda: dict(MANY))
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    decision: Decision | None = None


def has_results(revision: Revision) -> bool:
    """Whether a revision has any of the files that evaluate writes."""
    return any(revision.read(f"metrics/{name}") is not None for name in FILES)


def read_results(revision: Revision) -> Results | None:
    """The results of a revision; None where it has none.

    Raises:
        UserError: a file isn't what evaluate writes.
    """
    try:
        if not has_results(revision):
            return None
        found = [revision.read(f"metrics/{name}") for name in FILES]
        evaluation, slices, bootstrap, refits = ((content or b"").decode("utf-8") for content in found)
        content = read_json(evaluation)
        scores, units = SCORES.validate_python(content["scores"]), UNITS.validate_python(content.get("units", MANY))
        decision = content.get("decision")
        if decision and "calibration" not in decision:  # of a version that didn't check the threshold
            decision = None
        if not scores.keys() >= {"model", *BASELINES} or units.keys() != MANY.keys():
            raise KeyError("model")
        if not all(score.keys() >= {"score", "low", "high"} for of in scores.values() for score in of.values()):
            raise KeyError("score")
        parts = SLICES.validate_python(read_json(slices))
        if not all("small" in part for values in parts.values() for part in values.values()):
            raise KeyError("small")
        return Results(
            scores,
            parts,
            _draws(bootstrap),
            _draws(refits),
            units,
            FINGERPRINTS.validate_python(content.get("fingerprints", {})),
            Decision.model_validate(decision) if decision else None,
        )
    except (ValueError, KeyError, TypeError):
        where, advice = (f"{revision.short}:", "") if revision.commit else ("", "; `dvc repro` brings them back")
        if pointers := [name for name, content in zip(FILES, found, strict=True) if is_pointer(content or b"")]:
            why = f"metrics/{pointers[0]}: a pointer of Git LFS, not the file; the review reads results from Git alone"
            raise UserError(f"{where}{why}: take metrics/ out of .gitattributes") from None
        raise UserError(f"{where}metrics: not what evaluate writes{advice}") from None


def _draws(text: str) -> pd.DataFrame:
    """Series of scores, a column for each draw; a slice's value may look like anything, so only scores are parsed."""
    types: dict[str, type] = dict.fromkeys(SERIES, str)
    table = pd.read_csv(io.StringIO(text), dtype=types, keep_default_na=False, na_values=[""])
    draws = table.fillna(dict.fromkeys(SERIES, "")).set_index(SERIES).astype(float)
    if draws.index.has_duplicates:
        raise ValueError("two series have the same name")
    return draws


def read_gate(revision: Revision) -> Gate | None:
    """The gate of the folder, or a commit's gate, read by that section's model alone; None where it has none."""
    if revision.commit is None:
        params = read_params()
        check_metric_names(params)
        return params.gate
    try:
        gate = Gate.model_validate(revision.yaml("params.yaml").get("gate"))
    except (ValidationError, UserError):
        return None
    # A metric that the change removed was scored on the base, and its rules must fail; one that nobody knows is a typo.
    removed = not is_metric(gate.metric) and gate.metric in revision.readable("metrics/scores.json")
    return gate if removed or is_judged(gate.metric) else None


@dataclass(frozen=True)
class Sides:
    """A change and what it's to be merged into.

    `why_not` says why their scores can't be compared, or is empty where `base_results` are there to compare with;
    `broken` says that the base's can't be read.
    """

    here: Revision
    base: Revision | None
    results: Results
    base_results: Results | None
    why_not: str
    broken: bool


def read_sides(here: Revision, base: Revision | None, no_base: str = NO_BASE) -> Sides:
    """The results of both sides; `no_base` says why there is no base.

    Raises:
        UserError: there are none here, or they or the parameters can't be read.
    """
    results = read_results(here)
    if results is None:
        raise UserError(f"{f'{here.short}:' if here.commit else ''}metrics: no results yet; `dvc repro` makes them")
    if base is None:
        return Sides(here, base, results, None, no_base, broken=False)
    try:
        base_results, why_not = read_comparable(here, results, base, "the base")
    except UserError as error:
        return Sides(here, base, results, None, f"the base can't be read: {error}", broken=True)
    return Sides(here, base, results, base_results, why_not, broken=False)


def read_comparable(here: Revision, results: Results, other: Revision, called: str) -> tuple[Results | None, str]:
    """The results of another revision that can be compared with those here; else None, and why they can't be.

    Raises:
        UserError: they, or the parameters of one side, can't be read.
    """
    found = read_results(other)
    if found is None:
        return None, f"{called} has no metrics yet"
    why_not = _other_question(here, other, results, found)
    return (None, why_not) if why_not else (found, "")


def is_score(value: float | None) -> TypeGuard[float]:
    """Whether there is a score, and it's a number."""
    return value is not None and math.isfinite(value)


def _other_question(here: Revision, base: Revision, results: Results, base_results: Results) -> str:
    """Why the scores of two revisions answer different questions; empty where they answer the same.

    Another module for the same rows, with the same ids and targets, is no other question.
    """
    ours, theirs = (flattened(revision.yaml("params.yaml")) for revision in (here, base))
    hashes, base_hashes = results.fingerprints, base_results.fingerprints
    known = "targets" in hashes and "targets" in base_hashes
    same_rows = known and hashes == base_hashes
    keys = ["data.target", "data.task", "data.positive", *([] if same_rows else ["data.set"])]
    if theirs.get("gate.metric") == "cost":
        keys += ["problem.costs.false_positive", "problem.costs.false_negative"]
    if changed := [key for key in keys if ours.get(key) != theirs.get(key)]:
        return f"it answers another question: {', '.join(changed)} changed"
    if not same_rows:
        same_ids = known and hashes["ids"] == base_hashes["ids"]
        if same_ids or _target_differs(here, base):
            return "the target is defined differently"
    return ""


def _target_differs(here: Revision, base: Revision) -> bool:
    """Whether a row that both sides have in train or valid has another target, as far as the tables are at hand.

    Which of some rows that are equal but for their targets comes first may differ: it's enough if they share a target.
    """
    ours, theirs = _targets(here), _targets(base)
    if ours is None or theirs is None:
        return False
    shared = set(ours["id"]) & set(theirs["id"])
    alike = ours.merge(theirs)  # on both columns
    return shared != set(alike["id"])


def _targets(revision: Revision) -> pd.DataFrame | None:
    """The `id` and the `target` of each row in train and valid as text; None where a table isn't at hand.

    An id is without the number that tells equal rows apart.
    """
    params = flattened(revision.readable("params.yaml"))
    name, target = id_column(revision), str(params.get("data.target"))
    seen = {part: path for part, path in PARTS.items() if part != "test"}
    tables = revision.tables(seen, [name, target])
    if tables.keys() != seen.keys():
        return None
    examples = pd.concat(tables.values())
    ids = content_of(examples[name], params.get("data.id"))
    return pd.DataFrame({"id": ids, "target": as_text(examples[target]).fillna("")}).drop_duplicates()


def id_column(revision: Revision) -> str:
    """The column of the examples' ids in a revision's tables."""
    return str(flattened(revision.readable("params.yaml")).get("data.id") or "row_id")


def flattened(content: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        inner = flattened(value) if isinstance(value, dict) and value else {"": value}
        flat |= {f"{key}.{rest}" if rest else str(key): item for rest, item in inner.items()}
    return flat
