"""The results that `evaluate` wrote, read from a revision and checked."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeGuard

import pandas as pd
from pydantic import BaseModel, TypeAdapter

from retrace.errors import UserError
from retrace.files import is_pointer
from retrace.limits import read_json
from retrace.review.revision import Revision
from retrace.scores import BASELINES

FILES = ["evaluation.json", "slices.json", "bootstrap.csv", "refits.csv"]
SERIES = ["rows", "model", "column", "value", "metric"]
# The numbers of units, if an older version wrote the results without them: so many that they don't matter.
UNKNOWN_UNITS = {"valid": 1e9, "train": 2e9, "half": 1e9}
Scores = dict[str, dict[str, dict[str, float | None]]]
Slices = dict[str, dict[str, dict[str, float | None]]]
SCORES, SLICES, UNITS = TypeAdapter(Scores), TypeAdapter(Slices), TypeAdapter(dict[str, float])
FINGERPRINTS = TypeAdapter(dict[str, str])


class CalibrationBin(BaseModel):
    """Rows with predictions near the threshold. Chance explains a difference of the two rates of up to `margin`."""

    rows: int
    predicted: float
    observed: float
    margin: float


class ThresholdCheck(BaseModel):
    """Whether the threshold of the decision can be trusted, and the bins by which this is checked."""

    trusted: bool
    bins: list[CalibrationBin]


class Decision(BaseModel):
    """The decision that the costs imply, as evaluate writes it."""

    costs: dict[str, float]
    threshold: float
    best_constant_action: Literal["always", "never"]
    calibration: ThresholdCheck


class Estimator(BaseModel):
    """What was fitted, and whether every machine gives the same bytes with it."""

    name: str
    same_bytes: bool


class Sample(BaseModel):
    """On how many rows the model was fitted, and of how many rows of train they are a sample."""

    rows: int
    of: int


def calibration_warning(decision: Decision) -> list[str]:
    """Why the threshold of a decision can't be trusted, in lines; none where it can."""
    if decision.calibration.trusted:
        return []
    threshold = f"{decision.threshold:.4g}"
    lines = [f"The threshold {threshold} can't be trusted: probabilities near it aren't calibrated."]
    for near in decision.calibration.bins:
        low, high = max(0.0, near.observed - near.margin), min(1.0, near.observed + near.margin)
        lines.append(
            f"{near.rows:,} rows near it: predicted {near.predicted:.3f}, "
            f"observed {near.observed:.3f} (99 %: {low:.3f} to {high:.3f})."
        )
    return lines


@dataclass(frozen=True)
class Results:
    """What evaluate wrote.

    Attributes:
        scores: Each score and its interval, by model and metric.
        slices: The scores of each slice, by column and value.
        bootstrap: The scores of each resample of the validation rows: a line for each series, a column for each draw.
        refits: The scores of each refit on half of the training rows, likewise.
        units: How many groups of rows (or single rows) are drawn from: of `valid`, of `train`, of a `half` of `train`.
        fingerprints: Hashes of the validation rows' `ids`, and of these with their `targets`; empty where unknown.
        decision: The decision that the costs imply; None where errors have no costs.
        estimator: The estimator, and whether the same bytes are promised; None where an older version wrote this.
        sample: The sample of train on which the model was fitted; None where it was fitted on all rows.
    """

    scores: Scores
    slices: Slices
    bootstrap: pd.DataFrame
    refits: pd.DataFrame
    units: dict[str, float] = field(default_factory=lambda: dict(UNKNOWN_UNITS))
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    decision: Decision | None = None
    estimator: Estimator | None = None
    sample: Sample | None = None

    @property
    def estimator_without_promise(self) -> str:
        """The estimator, if the same bytes are not promised for it; else empty."""
        return "" if self.estimator is None or self.estimator.same_bytes else self.estimator.name


def has_results(revision: Revision) -> bool:
    """Whether a revision has any of the files that evaluate writes."""
    return any(revision.read(f"metrics/{name}") is not None for name in FILES)


def read_results(revision: Revision) -> Results | None:
    """The results of a revision; None where it has none.

    Raises:
        UserError: a file isn't what evaluate writes.
    """
    if not has_results(revision):
        return None
    contents = {name: revision.read(f"metrics/{name}") or b"" for name in FILES}
    try:
        return parse_results(contents)
    except (ValueError, KeyError, TypeError):
        where = f"{revision.short}:" if revision.commit else ""
        for name, content in contents.items():
            if is_pointer(content):
                raise UserError(
                    f"{where}metrics/{name}: a pointer of Git LFS, not the file; the review reads results from Git "
                    "alone: take metrics/ out of .gitattributes"
                ) from None
        advice = "" if revision.commit else "; `dvc repro` brings them back"
        raise UserError(f"{where}metrics: not what evaluate writes{advice}") from None


def parse_results(files: Mapping[str, bytes]) -> Results:
    """The results in the files that evaluate writes.

    Args:
        files: The content of each of FILES, by its name.

    Raises:
        ValueError, KeyError, TypeError: they aren't what evaluate writes.
    """
    content = read_json(files["evaluation.json"])
    scores = SCORES.validate_python(content["scores"])
    if not scores.keys() >= {"model", *BASELINES}:
        raise KeyError("a model or baseline has no scores")
    for scores_of_model in scores.values():
        for score in scores_of_model.values():
            if not score.keys() >= {"score", "low", "high"}:
                raise KeyError("a score has no interval")
    units = UNITS.validate_python(content.get("units", UNKNOWN_UNITS))
    if units.keys() != UNKNOWN_UNITS.keys():
        raise KeyError("units aren't counted")
    scores_by_slice = SLICES.validate_python(read_json(files["slices.json"]))
    for values in scores_by_slice.values():
        if not all("small" in scores_of_slice for scores_of_slice in values.values()):
            raise KeyError("nothing says whether a slice is small")
    decision = content.get("decision")
    if decision and "calibration" not in decision:  # an older version wrote it, and didn't check the threshold
        decision = None
    estimator, sample = content.get("estimator"), content.get("sample")
    return Results(
        scores=scores,
        slices=scores_by_slice,
        bootstrap=_read_draws(files["bootstrap.csv"]),
        refits=_read_draws(files["refits.csv"]),
        units=units,
        fingerprints=FINGERPRINTS.validate_python(content.get("fingerprints", {})),
        decision=Decision.model_validate(decision) if decision else None,
        estimator=Estimator.model_validate(estimator) if estimator else None,
        sample=Sample.model_validate(sample) if sample else None,
    )


def _read_draws(content: bytes) -> pd.DataFrame:
    """The scores of draws: a line for each series, a column for each draw.

    Only scores are parsed as numbers, since a slice's value may look like one.
    """
    types: dict[str, type] = dict.fromkeys(SERIES, str)
    table = pd.read_csv(io.BytesIO(content), dtype=types, keep_default_na=False, na_values=[""])
    draws = table.fillna(dict.fromkeys(SERIES, "")).set_index(SERIES).astype(float)
    if draws.index.has_duplicates:
        raise ValueError("two series have the same name")
    return draws


def is_score(value: float | None) -> TypeGuard[float]:
    """Whether there is a score, and it's a number."""
    return value is not None and math.isfinite(value)
