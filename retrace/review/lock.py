"""Are the committed results those that the commit makes?

`stale_stages` gives DVC's answer for a revision: what has changed since its results were made. `find_problem` says what
is wrong with the results, as far as this can be said without running the pipeline. `verify` compares a commit with the
folder in which its pipeline ran again.
"""

import math
from pathlib import Path
from typing import Any, Literal, NamedTuple

from retrace.errors import UserError
from retrace.git import git_status
from retrace.limits import read_json
from retrace.params import as_number
from retrace.review.dvc_project import Stage, recorded_stages
from retrace.review.file_differences import compare_outputs, leaves, read_text_table
from retrace.review.pipeline import Pipeline, read_pipeline
from retrace.review.results import FILES
from retrace.review.revision import Revision

ROUNDING = 5e-4  # README: on other systems the scores agree to about four digits
MADE_BY_NO_STAGE = "no stage in dvc.yaml makes it: delete it"
OTHER_CONTENT = "not the content that dvc.lock records"
NO_LOCK = "dvc.lock: not in the commit; `dvc repro`, `git add --all` and `git commit` bring it in"

Word = Literal[
    "reproduced",
    "the same up to rounding",
    "stale",
    "data of another commit",
    "made from other inputs",
    "not reproduced",
]


class Verdict(NamedTuple):
    """What is known of a revision's results.

    Attributes:
        word: The verdict.
        differences: What it is about: the changed inputs by stage, or the places that differ by file.
    """

    word: Word
    differences: dict[str, list[str]]

    @property
    def passes(self) -> bool:
        """Whether the results may be merged."""
        return self.word in ("reproduced", "the same up to rounding")

    @property
    def is_of_another_commit(self) -> bool:
        """Whether the folder has the data of another commit, as after `git checkout` without `dvc checkout`."""
        return self.word == "data of another commit"

    @property
    def advice(self) -> str:
        """What makes the folder's results those of its inputs; nothing is committed by it."""
        if self.is_of_another_commit:
            return "`dvc checkout` brings this commit's"
        reasons = {reason for reasons in self.differences.values() for reason in reasons}
        if reasons == {MADE_BY_NO_STAGE}:
            return "delete what no stage in dvc.yaml makes"
        return "`dvc repro` updates the results"


def stale_stages(revision: Revision) -> dict[str, list[str]]:
    """The stages that `dvc repro` would run again, and what differs from dvc.lock in each.

    It's the answer of `dvc repro --dry --allow-missing dvc.yaml` in a checkout of the revision, without the stages that
    DVC runs always or never.

    Args:
        revision: A commit, or the folder as it stands.

    Returns:
        The inputs (`cmd`, paths of dependencies, keys of parameters), or the outputs that were edited, by stage.

    Raises:
        UserError: its dvc.yaml, dvc.lock or params.yaml can't be read.
    """
    return read_pipeline(revision).stale_stages


def find_problem(revision: Revision) -> Verdict | None:
    """What is wrong with a revision's results, as far as can be said without running its pipeline; None: nothing.

    Raises:
        UserError: its dvc.yaml, dvc.lock or params.yaml can't be read.
    """
    pipeline = read_pipeline(revision)
    if pipeline.of_another_commit:  # it comes first, since `dvc repro` would take them for new data
        return Verdict("data of another commit", {path: [] for path in pipeline.of_another_commit})
    if pipeline.changed_inputs:
        return Verdict("stale", pipeline.stale_stages)
    edited = _edited_outputs(revision, pipeline)
    return Verdict("not reproduced", edited) if edited else None


def _edited_outputs(revision: Revision, pipeline: Pipeline) -> dict[str, list[str]]:
    """The outputs with another content than in dvc.lock, and the results that are missing or that no stage makes."""
    edited: dict[str, list[str]] = {}
    for outputs_by_stage, reason in (
        (pipeline.edited_outputs, OTHER_CONTENT),
        (pipeline.missing_outputs, "missing"),
    ):
        for stage, paths in outputs_by_stage.items():
            for path in paths:
                edited[f"{stage}: {path}"] = [reason]
    outputs = {path for stage in pipeline.stages.values() for path in stage.outs}
    for path in revision.files("metrics"):
        if not is_output(path, outputs):
            edited[f"metrics: {path}"] = [MADE_BY_NO_STAGE]
    for name in FILES:
        if f"metrics/{name}" not in outputs:
            edited[f"metrics: metrics/{name}"] = ["no stage in dvc.yaml makes it, and the review needs it"]
    return edited


def verify(committed: Revision, folder: Path = Path()) -> Verdict:
    """Compare a commit's results with those that a run of its pipeline left in the folder.

    Raises:
        UserError: there is no dvc.lock in the commit or the folder, or something can't be read.
    """
    if committed.read("dvc.lock") is None:
        raise UserError(NO_LOCK)
    problem = find_problem(committed)
    if problem and problem.word in ("stale", "data of another commit"):
        return problem
    if not (folder / "dvc.lock").is_file():
        raise UserError("dvc.lock: not in the folder; `dvc repro` makes it")
    committed_stages, stages_here = read_pipeline(committed).stages, recorded_stages(folder)
    if other_inputs := _other_inputs(committed_stages, stages_here):
        return Verdict("made from other inputs", other_inputs)
    differing: dict[str, list[str]] = {}
    for name, stage in committed_stages.items():
        for path, md5 in stage.outs.items():
            if md5 != stages_here[name].outs[path]:
                differing |= compare_outputs(committed, folder, name, path, md5)
    edited = problem.differences if problem else {}
    listed = {name.split(": ", 1)[1] for name in [*edited, *differing]}
    for path in sorted(git_status("metrics", folder=folder).keys() - listed):
        edited[f"metrics: {path}"] = [OTHER_CONTENT]
    if not edited and not differing:
        return Verdict("reproduced", {})
    word: Word = "the same up to rounding" if not edited and _only_rounded(committed, folder) else "not reproduced"
    return Verdict(word, edited | differing)


def is_output(path: str, outputs: set[str]) -> bool:
    """Whether a path is one of the outputs, or lies in one that is a folder."""
    return path in outputs or any(parent.as_posix() in outputs for parent in Path(path).parents)


def _other_inputs(before: dict[str, Stage], after: dict[str, Stage]) -> dict[str, list[str]]:
    """What two pipelines don't share, by stage: inputs that no stage makes, and the paths of outputs."""
    outputs = {path for stage in [*before.values(), *after.values()] for path in stage.outs}
    other: dict[str, list[str]] = {}
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            other[name] = ["only on one side"]
            continue
        old, new = before[name], after[name]
        old_inputs, new_inputs = {"cmd": old.cmd, **old.inputs}, {"cmd": new.cmd, **new.inputs}
        differing = [key for key in sorted(old_inputs | new_inputs) if old_inputs.get(key) != new_inputs.get(key)]
        keys = [key for key in differing if not is_output(key, outputs)]
        keys += sorted(old.outs.keys() ^ new.outs.keys())
        if keys:
            other[name] = keys
    return other


def _only_rounded(committed: Revision, folder: Path) -> bool:
    """Whether another platform made the committed results, and every number of them is the same to README's digits."""
    try:
        before = [_numbers(name, committed.read(f"metrics/{name}") or b"") for name in FILES]
        after = [_numbers(name, (folder / "metrics" / name).read_bytes()) for name in FILES]
        if before[0].pop("platform") == after[0].pop("platform"):
            return False
        return _are_close(before, after)
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def _numbers(name: str, content: bytes) -> Any:
    """A JSON file's content, or a CSV file's columns, whose numbers are converted from text."""
    if name.endswith(".json"):
        return read_json(content)
    table = read_text_table(name, content)
    return {column: [as_number(cell) for cell in cells] for column, cells in table.items()}


def _are_close(before: Any, after: Any) -> bool:
    """Whether two JSON contents have the same keys, and numbers that are the same but for rounding."""
    old, new = dict(leaves(before)), dict(leaves(after))
    return old.keys() == new.keys() and all(_is_close(value, new[key]) for key, value in old.items())


def _is_close(before: Any, after: Any) -> bool:
    if isinstance(before, int | float) and isinstance(after, int | float):
        return math.isclose(before, after, rel_tol=ROUNDING, abs_tol=1e-9)
    return bool(before == after)
