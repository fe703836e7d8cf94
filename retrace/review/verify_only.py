"""Check a commit's results without running its stages, where these are too heavy for CI.

    python -m retrace rerun --verify-only [--base REV]

The verdict is "verified, not rerun" if dvc.lock isn't stale, each result in Git is the one that dvc.lock records, no
merge has mixed two versions of a stage in dvc.lock, and the storage has everything, whole. More can't be known without
a run: dvc.lock is believed, so the results are never called reproduced. `.dvc/tmp/verified.json` keeps the verdict for
`report`.
"""

import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ValidationError

from retrace.errors import UserError, one_line
from retrace.files import write_json
from retrace.git import git, git_status, head
from retrace.review import rerun
from retrace.review.lock import NO_LOCK, find_problem
from retrace.review.revision import Revision
from retrace.review.verify import check_storage

FILE = Path(".dvc/tmp/verified.json")
STORAGE_ERROR = "STORAGE_ERROR"  # the variable by which retrace/storage.py says that the SSH server doesn't answer
VERIFIED: Literal["verified, not rerun"] = "verified, not rerun"
UNFINISHED = {"the check": ["it didn't end; its log says why"]}
MERGE_AGAIN = (
    "dvc.lock has one side's results beside inputs of both, so no run may have made them: `git reset --hard {}^1` "
    "takes the branch back to before that merge, without the commits since; then merge on your machine, as "
    'docs/review.md says under "When two pull requests change results". If a run did make them, rebase the branch '
    "instead of merging"
)


class Verification(BaseModel):
    """What is known of a commit's results without a run.

    Attributes:
        commit: The commit that was checked out.
        lock: The hash of its dvc.lock.
        word: The verdict.
        differences: What it is about: the findings by stage or file.
        advice: What to do about it.
    """

    commit: str
    lock: str
    word: Literal["verified, not rerun", "stale", "not verified"]
    differences: dict[str, list[str]]
    advice: list[str]

    @property
    def passes(self) -> bool:
        """Whether the results may be merged."""
        return self.word == VERIFIED

    @classmethod
    def last(cls) -> Self | None:
        """The last verdict, if it's about the commit that is checked out, and nothing has run since.

        A good one counts only as long as no file in Git has changed.
        """
        try:
            record = cls.model_validate_json(FILE.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        is_latest = record.commit == head() and record.lock == rerun.hash_of_lock()
        return record if is_latest and not (record.passes and _changed_files()) else None


def verify_results(base: Revision | None) -> Verification:
    """Check the commit that is checked out, print the verdict, and keep it for `report`.

    Args:
        base: What the change is to be merged into; merges that it has already aren't judged.
    """
    rerun.FILE.unlink(missing_ok=True)  # `report` is to tell what was done last
    verification = Verification(
        commit=str(head()), lock=rerun.hash_of_lock(), word="not verified", differences=UNFINISHED, advice=[]
    )
    write_json(verification.model_dump(), FILE)  # it remains if this process is killed
    try:
        verification = verification.model_copy(update=_verify(Revision("HEAD", verification.commit), base))
    except UserError as error:
        verification = verification.model_copy(update={"differences": {"the check": [str(error)]}})
    write_json(verification.model_dump(), FILE)
    print(verification.word)
    for name, findings in verification.differences.items():
        print(f"  {one_line(name)}", *map(one_line, findings), sep="\n    ")
    print(*map(one_line, verification.advice), sep="\n", end="\n" * bool(verification.advice))
    return verification


def _verify(committed: Revision, base: Revision | None) -> dict[str, Any]:
    """The verdict on a commit, as Verification has it: `word`, `differences` and `advice`.

    Args:
        committed: The commit.
        base: What it is to be merged into.

    Raises:
        UserError: DVC can't read its pipeline.
    """
    if committed.read("dvc.lock") is None:
        raise UserError(NO_LOCK)
    problem = find_problem(committed)
    advice = [f"{problem.advice}; commit that, and push what is new to the storage"] if problem else []
    if problem and problem.word == "stale":
        return {"word": "stale", "differences": problem.differences, "advice": advice}
    differences = dict(problem.differences) if problem else {}
    for name in _changed_files():
        differences[name] = ["changed, and not committed"]
    for name, merge in mixed_stages(committed, base).items():
        differences[f"{name}: dvc.lock"] = [f"probably merged line by line in {merge[:8]}"]
        advice.append(MERGE_AGAIN.format(merge[:8]))
    try:
        if reason := os.environ.get(STORAGE_ERROR):
            raise UserError(reason)
        problems, unanswered = check_storage(is_required=True)
    except UserError as error:
        problems, unanswered = [], [str(error)]
    if unanswered:
        differences["the storage"] = [f"not checked: {line}" for line in unanswered]
    for each in problems:
        differences[each.recorded.path] = [each.finding]
        advice.append(each.advice)
    word = "not verified" if differences else VERIFIED
    return {"word": word, "differences": differences, "advice": list(dict.fromkeys(advice))}


def _changed_files() -> list[str]:
    """The files in Git that differ from the last commit."""
    return sorted(name for name, letters in git_status().items() if letters != "??")


def mixed_stages(committed: Revision, base: Revision | None) -> dict[str, str]:
    """The stages that a merge gave an entry in dvc.lock which no run has made, and that merge.

    GitHub's buttons merge dvc.lock line by line. An entry can then have the inputs of both sides, and results that were
    made from others. It isn't stale. It's recognized because each of its outputs is a side's, and the whole isn't.

    Args:
        committed: The commit whose entries count.
        base: What it is to be merged into; merges that it has aren't looked at. None: all merges are.
    """
    entries = _lock_entries(committed)
    mixed: dict[str, str] = {}
    excluded = [f"^{base.commit}"] if base else []
    # With a path, Git leaves out merges whose file is that of a parent.
    for merge in git("rev-list", "--merges", str(committed.commit), *excluded, "--", "dvc.lock").split():
        parents = [_lock_entries(_commit(parent)) for parent in git("rev-parse", f"{merge}^@").split()]
        for name, entry in _lock_entries(_commit(merge)).items():
            sides = [parent[name] for parent in parents if name in parent]
            if entry != entries.get(name) or entry in sides:
                continue
            known = [out for side in sides for out in _outputs(side)]
            outputs = _outputs(entry)
            if outputs and all(out in known for out in outputs):
                mixed[name] = merge
    return mixed


def _commit(identity: str) -> Revision:
    return Revision(identity, identity)


def _lock_entries(revision: Revision) -> dict[str, dict[str, Any]]:
    """What a commit's dvc.lock has for each stage; empty where it can't be read."""
    stages = revision.content_or_empty("dvc.lock").get("stages")
    return stages if isinstance(stages, dict) else {}


def _outputs(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The path and the hash of each output in a stage's entry."""
    sizes = ("size", "nfiles")
    return [{key: value for key, value in out.items() if key not in sizes} for out in entry.get("outs", [])]
