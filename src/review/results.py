"""What a revision holds: its files, the results that evaluate wrote, and what they answer.

A revision is a commit, by any name that Git or `dvc exp` knows, or the folder as it stands.
"""

import io
import json
import math
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, TypeGuard

import pandas as pd
from pydantic import BaseModel, TypeAdapter

from src.core.errors import UserError
from src.core.params import Gate, read_params, read_yaml_text
from src.core.scores import BASELINES

FILES = ["evaluation.json", "slices.json", "bootstrap.csv", "refits.csv"]
SERIES = ["rows", "model", "column", "value", "metric"]
Scores = dict[str, dict[str, dict[str, float | None]]]
Slices = dict[str, dict[str, dict[str, float | None]]]
SCORES, SLICES = TypeAdapter(Scores), TypeAdapter(Slices)


def git(*arguments: str) -> str | None:
    """What a Git command prints, without the last line's end; None where it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True)
    return None if done.returncode else done.stdout.decode("utf-8", "replace").rstrip("\n")


@cache
def _blob(commit: str, path: str) -> bytes | None:
    """A commit's file, read once."""
    done = subprocess.run(["git", "cat-file", "blob", f"{commit}:{path}"], capture_output=True)
    return None if done.returncode else done.stdout


@dataclass(frozen=True)
class Revision:
    """A commit and the name that the user gave it; the folder as it stands where `commit` is None."""

    name: str
    commit: str | None

    @classmethod
    def of(cls, name: str) -> Self:
        """The revision of that name: any that Git knows, or an experiment of DVC's.

        Raises:
            UserError: there is none.
        """
        commit = git("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
        if commit is None:
            refs = (git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps") or "").splitlines()
            found = {ref.split(" ")[0] for ref in refs if ref.split("/", 4)[-1] == name}
            if len(found) > 1:
                raise UserError(
                    f"{name}: {len(found)} experiments have that name; `dvc exp list --all` shows their commits"
                )
            commit = found.pop() if found else None
        if commit is None:
            near = git("rev-parse", "--quiet", "--verify", f"origin/{name}^{{commit}}")
            more = f"there is an origin/{name}" if near else "`git fetch` may bring it"
            if git("rev-parse", "--is-shallow-repository") == "true":
                more = "the clone is shallow, and `git fetch --unshallow` may bring it"
            raise UserError(f"{name}: no such revision in this repository; {more}")
        return cls(name, commit)

    @property
    def short(self) -> str:
        """The commit as people write it."""
        return self.commit[:8] if self.commit else "the folder"

    def read(self, path: str) -> bytes | None:
        """A file's content, None where there is no such file in Git (or in the folder)."""
        if self.commit is None:
            return Path(path).read_bytes() if Path(path).is_file() else None
        return _blob(self.commit, path)

    def files(self, folder: str) -> list[str]:
        """The paths of a folder's files in Git (or in the folder), in their order; none where there is no folder."""
        if self.commit is None:
            return sorted(file.as_posix() for file in Path(folder).rglob("*") if file.is_file())
        return (git("ls-tree", "-r", "--name-only", "-z", self.commit, f"{folder}/") or "").split("\0")[:-1]

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
            content = json.loads(text) if text else {}
        except ValueError:
            raise UserError(f"{self.short}:{path}: not JSON; `make undo` or `dvc repro` mends it") from None
        return content if isinstance(content, dict) else {}

    def readable(self, path: str) -> dict[str, Any]:
        """A YAML or JSON file's content, empty where it can't be read."""
        try:
            return self.json(path) if path.endswith(".json") else self.yaml(path)
        except UserError:
            return {}


FOLDER = Revision("the folder", None)


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
    lines = [f"The threshold {threshold} can't be trusted: the probabilities predicted near it aren't calibrated."]
    for near in decision.calibration.bins:
        low, high = max(0.0, near.observed - near.margin), min(1.0, near.observed + near.margin)
        lines.append(
            f"{near.rows:,} rows: a mean prediction of {near.predicted:.3f}, "
            f"and a share of {near.observed:.3f} is positive ({low:.3f} to {high:.3f})."
        )
    return lines


@dataclass(frozen=True)
class Results:
    """What evaluate wrote: scores by model and metric, slices by column and value, and the scores of each draw.

    `decision` is None where errors have no costs.
    """

    scores: Scores
    slices: Slices
    bootstrap: pd.DataFrame
    refits: pd.DataFrame
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
        content = json.loads(evaluation)
        scores = SCORES.validate_python(content["scores"])
        decision = content.get("decision")
        if decision and "calibration" not in decision:  # of a version that didn't check the threshold
            decision = None
        if not scores.keys() >= {"model", *BASELINES}:
            raise KeyError("model")
        parts = SLICES.validate_python(json.loads(slices))
        if not all("small" in part for values in parts.values() for part in values.values()):
            raise KeyError("small")
        return Results(
            scores,
            parts,
            _draws(bootstrap),
            _draws(refits),
            Decision.model_validate(decision) if decision else None,
        )
    except (ValueError, KeyError, TypeError):
        where = f"{revision.short}:" if revision.commit else ""
        raise UserError(f"{where}metrics: not what evaluate writes; `make undo` or `dvc repro` mends it") from None


def _draws(text: str) -> pd.DataFrame:
    """Series of scores, a column for each draw; a slice's value may look like anything, so only scores are parsed."""
    types: dict[str, type] = dict.fromkeys(SERIES, str)
    table = pd.read_csv(io.StringIO(text), dtype=types, keep_default_na=False, na_values=[""])
    return table.fillna(dict.fromkeys(SERIES, "")).set_index(SERIES).astype(float)


def read_gate(revision: Revision) -> Gate | None:
    """The gate of the folder, or a commit's gate, read by that section's model alone; None where it has none."""
    if revision.commit is None:
        return read_params().gate
    try:
        return Gate.model_validate(revision.yaml("params.yaml")["gate"])
    except (ValueError, KeyError, TypeError, UserError):
        return None


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


def read_sides(here: Revision, base: Revision | None) -> Sides:
    """The results of both sides.

    Raises:
        UserError: there are none here, or they or the parameters can't be read.
    """
    results = read_results(here)
    if results is None:
        raise UserError(f"{f'{here.short}:' if here.commit else ''}metrics: no results yet; `dvc repro` makes them")
    if base is None:
        return Sides(here, base, results, None, "there is no base", broken=False)
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
    ours, theirs = (set(of.bootstrap.index.get_level_values(0)) for of in (results, found))
    why_not = _other_question(here, other, same_rows=bool(ours & theirs))
    return (None, why_not) if why_not else (found, "")


def is_score(value: float | None) -> TypeGuard[float]:
    """Whether there is a score, and it's a number."""
    return value is not None and math.isfinite(value)


def _other_question(here: Revision, base: Revision, same_rows: bool) -> str:
    """Why the scores of two revisions answer different questions; empty where they answer the same.

    Another module for the same rows, with the same ids and targets, is no other question.
    """
    ours, theirs = (flattened(revision.yaml("params.yaml")) for revision in (here, base))
    keys = ["data.target", "data.task", "data.positive", *([] if same_rows else ["data.set"])]
    if theirs.get("gate.metric") == "cost":
        keys += ["problem.costs.false_positive", "problem.costs.false_negative"]
    changed = [key for key in keys if ours.get(key) != theirs.get(key)]
    return f"it answers another question: {', '.join(changed)} changed" if changed else ""


def flattened(content: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        inner = flattened(value) if isinstance(value, dict) and value else {"": value}
        flat |= {f"{key}.{rest}" if rest else str(key): item for rest, item in inner.items()}
    return flat
