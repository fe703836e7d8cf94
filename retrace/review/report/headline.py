"""The first lines of the report: the difference, whether the change may be merged, and what to know first."""

from retrace.differences import interval_of_difference, signed, verdict
from retrace.errors import UserError
from retrace.git import git, git_or_none, git_status
from retrace.markdown import code
from retrace.review.judging_changes import find_touched
from retrace.review.lock import stale_stages
from retrace.review.report.change import Change
from retrace.review.report.wording import counted, interval_of_score, listed, number
from retrace.review.results import Results
from retrace.review.revision import Revision
from retrace.review.score_differences import compare
from retrace.review.verify_only import Verification

MOST_DIFFERENCES = 3  # stages or files that are named
MEANINGS: dict[str, str] = {
    "better": "Better",
    "worse": "Worse",
    "equivalent": "Equivalent",
    "can't tell": "Can't tell",
    "the same": "No difference",
    "not judged": "Not judged",
    "no score": "Not comparable",
}


def write_headline(change: Change) -> str:
    """The difference, whether the change may be merged, and what to know before reading on."""
    paragraphs = _difference(change)
    paragraphs.append(_may_be_merged(change))
    if warning := _touched_files(change):
        paragraphs.append(warning)
    paragraphs += [f"> [!NOTE]\n> {note}" for note in _notes(change)]
    return "\n\n".join(paragraphs)


def _difference(change: Change) -> list[str]:
    """The title with the verdict on the main metric, and the line below it."""
    sides, lock = change.sides, change.lock
    if change.rerun is None and lock:
        if lock.is_of_another_commit:
            return [f"## Not comparable: the folder holds {lock.word}"]
        return [
            f"## Not comparable: the results here are {'stale' if lock.word == 'stale' else 'edited'}",
            f"The scores below aren't what the pipeline makes of these inputs; {lock.advice}.",
        ]
    score = sides.results.scores["model"].get(change.metric, {})
    if sides.base_results is None:
        base_has_results = sides.base and sides.base.read("metrics/evaluation.json")
        title = "Not comparable" if base_has_results else "First results"
        return [
            f"## {title}: {code(change.metric)} {number(score.get('score'))}, 95 % interval {interval_of_score(score)}",
            f"Nothing to compare with: {code(sides.why_not_comparable, 200)}.",
        ]
    paragraphs = _difference_from_base(change, sides.results, sides.base_results)
    if sides.rescored and sides.base:
        paragraphs.append(
            f"Compared with the model of {code(sides.base.name)}, scored on the validation rows of this change."
        )
    return paragraphs


def _difference_from_base(change: Change, results: Results, base_results: Results) -> list[str]:
    """The same where there are two scores."""
    metric = change.metric
    difference = compare(results, base_results, metric)
    meaning = MEANINGS[verdict(difference, metric, change.least(metric))]
    score, before = (side.scores["model"].get(metric, {}).get("score") for side in (results, base_results))
    other_rows = "" if difference.paired else ", on other rows"
    return [
        f"## {meaning}: {code(metric)} {number(before)} → {number(score)}",
        f"The difference is {signed(difference.value)}, "
        f"95 % interval {interval_of_difference(difference)}{other_rows}.",
    ]


def _may_be_merged(change: Change) -> str:
    """Whether the gate and the lock let the change through, and what blocks it."""
    reasons = []
    failed = [code(rule.name) for rule in change.judgement.rules if rule.passes is False]
    if failed:
        reasons.append(f"the gate fails ({', '.join(failed)})")
    if change.verification and change.verification.word == "not verified":
        reasons.append("the committed results aren't verified")
    elif change.lock and not change.lock.passes:
        reasons.append("the committed results aren't what this commit makes")
    if reasons:
        answer = f"**May not be merged:** {' and '.join(reasons)}."
    elif change.sides.base_results is None:
        answer = "**May be merged:** the gate passes, as far as it can be judged with nothing to compare with."
    else:
        answer = "**May be merged:** the gate passes."
    return f"{answer} {_committed_results(change)}"


def _committed_results(change: Change) -> str:
    """What is known of the committed results."""
    lock, rerun, verification = change.lock, change.rerun, change.verification
    if verification and not (verification.passes and lock):
        return _verified_results(verification)
    if lock is None:
        return "The results match the inputs recorded in dvc.lock. The pipeline wasn't rerun for this report."
    where = _first_differences(lock.differences)
    advice = f"{lock.advice[0].upper()}{lock.advice[1:]}."
    if lock.is_of_another_commit:
        return f"**Data of another commit:** {where} in the folder. {advice}"
    if rerun is None:
        if lock.word == "stale":
            return f"**Stale:** inputs changed after the results were made: {where}. {advice}"
        return f"**Edited:** not what the pipeline wrote: {where}. {advice}"
    cached = sum(stage.how == "from a cache" for stage in rerun.stages)
    from_cache = f" ({counted(cached, 'stage')} from the cache of an earlier run)" if cached else ""
    return {
        "reproduced": f"**Reproduced:** the committed results are, to the byte, what the pipeline makes{from_cache}.",
        "the same up to rounding": "**The same up to rounding:** another platform made the committed results; "
        "report.patch has those of this one.",
        "stale": f"**Stale:** inputs changed after the results were made: {where}. The scores here are of a new run; "
        "report.patch brings its results.",
        "made from other inputs": f"**Not committed:** these results are of other inputs than the commit's: {where}.",
        "not reproduced": f"**Not reproduced:** the same inputs gave other bytes: {where}.",
    }[lock.word]


def _verified_results(verification: Verification) -> str:
    """What is known of the committed results where they were checked in place of a run."""
    if verification.passes:
        return (
            "**Verified, not rerun:** dvc.lock, the results in Git and the storage agree, but the results are those of "
            "the committer's machine, and nobody else has run the pipeline."
        )
    where = _first_differences(verification.differences)
    if (more := len(verification.differences) - MOST_DIFFERENCES) > 0:
        where += f"; and {more:,} more"
    is_stale = verification.word == "stale"
    title = "**Stale:** inputs changed after the results were made:" if is_stale else "**Not verified:**"
    advice = [f"{line[0].upper()}{line[1:]}." for line in verification.advice]
    return " ".join([f"{title} {where}.", *advice])


def _first_differences(differences: dict[str, list[str]]) -> str:
    """The first three stages or files that differ, each with its first three places."""
    parts = []
    for name, places in list(differences.items())[:MOST_DIFFERENCES]:
        shown = ", ".join(code(place, 100) for place in places[:3])
        parts.append(f"{code(name)} ({shown})" if places else code(name))
    return "; ".join(parts)


def _touched_files(change: Change) -> str:
    """What of the change affects how it is judged, and what of it is code.

    What the base has changed since the two diverged isn't part of the change.
    """
    here, base = change.sides.here, change.sides.base
    if base is None:
        return ""
    common = git_or_none("merge-base", str(base.commit), here.commit or "HEAD")
    touched = find_touched(here, Revision("", common or base.commit))
    if touched.judging:
        code_too = f" It modifies code, too: {listed(touched.code)}." if touched.code else ""
        return f"> [!WARNING]\n> This change affects how it is judged: {listed(touched.judging)}.{code_too}"
    if touched.code:
        return f"> [!NOTE]\n> This change modifies code: {listed(touched.code)}."
    return ""


def _notes(change: Change) -> list[str]:
    """What a reader must know before the numbers."""
    notes = [code(note, 200) for note in change.judgement.notes]
    if why := change.sides.why_not_rescored:
        notes.append(
            f"The base's model can't be scored on the validation rows here, so its own scores count: {code(why, 200)}."
        )
    if name := change.sides.results.estimator_without_promise:
        notes.append(f"The same bytes are not promised for {code(name)} with these arguments: see docs/model.md.")
    here, base, rerun = change.sides.here, change.sides.base, change.rerun
    if base is None:
        return notes
    notes += _notes_on_base(here, base)
    if here.commit is None and rerun is None and git_status():
        notes.append("This report is about the working tree, including uncommitted changes.")
    not_judged = []
    for name, stage in change.sides.stages.items():
        if stage.why_not_judged:
            not_judged.append(f"{name} ({stage.why_not_judged})")
    if not_judged:
        notes.append(f"Whether these stages are stale isn't judged: {listed(not_judged)}.")
    if rerun and rerun.changed:
        changed = listed(rerun.changed)
        notes.append(f"Inputs changed while the pipeline ran, so results may have been made from others: {changed}.")
    return notes


def _notes_on_base(here: Revision, base: Revision) -> list[str]:
    """What a reader must know of the base: whether it is stale, and whether it has gone on."""
    notes = []
    try:
        stale = {} if base.read("dvc.lock") is None else stale_stages(base)
    except UserError as error:
        notes.append(f"The base can't be read: {code(error, 200)}")
    else:
        if stale:
            names = listed(list(stale))
            notes.append(f"The base's own results are stale ({names}): its pipeline must run before they count.")
    tip = here.commit or "HEAD"
    common = git_or_none("merge-base", str(base.commit), tip)
    if common is None and git("rev-parse", "--is-shallow-repository") == "true":
        notes.append("The clone is too shallow to hold their common history; `git fetch --unshallow` brings it.")
    elif common is None:
        notes.append("The two have no common history.")
    elif common != base.commit:
        behind = counted(int(git("rev-list", "--count", f"{tip}..{base.commit}")), "commit")
        notes.append(
            f"The base has {behind} that this change doesn't have: below, they look as if they were taken back. "
            "Merge the base in first."
        )
    return notes
