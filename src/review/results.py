"""The committed results of a revision, or those in the folder."""

import io
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from src.core.errors import UserError
from src.core.params import Gate, read_params, read_yaml_text
from src.core.scores import BASELINES

FILES = ["evaluation.json", "slices.json", "bootstrap.csv", "refits.csv"]
SERIES = ["rows", "model", "column", "value", "metric"]
Scores = dict[str, dict[str, dict[str, float | None]]]
Slices = dict[str, dict[str, dict[str, float | None]]]
SCORES, SLICES = TypeAdapter(Scores), TypeAdapter(Slices)


@dataclass(frozen=True)
class Results:
    """What evaluate wrote: scores by model and metric, slices by column and value, and the scores of each draw."""

    scores: Scores
    slices: Slices
    bootstrap: pd.DataFrame
    refits: pd.DataFrame


def commit_of(revision: str) -> str:
    """The commit that a revision names.

    Raises:
        UserError: there is no such revision.
    """
    done = subprocess.run(
        ["git", "rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise UserError(f"{revision}: no such revision in this repository; `git fetch` may bring it")
    return done.stdout.strip()


def read_text(path: str, commit: str | None) -> str | None:
    """A file of a commit, or of the folder for None; None where there is no such file."""
    if commit is None:
        try:
            return Path(path).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
    done = subprocess.run(["git", "show", f"{commit}:{path}"], capture_output=True)
    return done.stdout.decode("utf-8") if done.returncode == 0 else None


def read_results(commit: str | None) -> Results | None:
    """The results of a commit, or of the folder for None; None where it has none.

    Raises:
        UserError: a file isn't what evaluate writes.
    """
    where = f"{commit[:8]}:" if commit else ""
    try:
        texts = {name: read_text(f"metrics/{name}", commit) for name in FILES}
        if all(text is None for text in texts.values()):
            return None
        evaluation, slices = (json.loads(texts[name] or "") for name in FILES[:2])
        bootstrap, refits = (_draws(texts[name] or "") for name in FILES[2:])
        scores = SCORES.validate_python(evaluation["scores"])
        if scores.keys() < {"model", *BASELINES}:
            raise KeyError("model")
        return Results(scores, SLICES.validate_python(slices), bootstrap, refits)
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{where}metrics: not what evaluate writes; `make undo` or `dvc repro` mends it") from None


def _draws(text: str) -> pd.DataFrame:
    """Series of scores, a column for each draw; a slice's value may look like anything, so only scores are parsed."""
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False).set_index(SERIES)
    return table.replace("", None).astype(float)


def read_gate(commit: str | None) -> Gate | None:
    """The gate of the folder, or a commit's gate, read by that section's model alone; None where it has none."""
    if commit is None:
        return read_params().gate
    content = read_yaml_text(read_text("params.yaml", commit) or "", f"{commit[:8]}:params.yaml")
    try:
        return Gate.model_validate(content["gate"])
    except (ValueError, KeyError, TypeError):
        return None
