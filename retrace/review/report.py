"""What a reviewer is told of a change, as one comment in GitHub's Markdown; the answer comes first.

The folder (or another revision) is compared with a base: the scores with their noise, the gate, what changed in
parameters, code, packages and data, for whom it changed, and whether the committed results can be made again.
"""

import io
import math
import os
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from retrace.errors import UserError
from retrace.git import git, git_bytes, git_or_none, git_status
from retrace.review import changes, lock, noise
from retrace.review.gate import WORDS, Judgement, Rule, judge_change, least_difference
from retrace.review.markdown import block, chart, code, fitted, folded, table
from retrace.review.pipeline import read_stages
from retrace.review.rerun import Rerun
from retrace.review.results import NO_BASE, Revision, Sides, calibration_warning, flattened, is_score, read_sides
from retrace.scores import higher_is_better

MOST_BYTES = 64_000  # a comment holds 65,536 characters, and CML adds its mark
MOST_ROWS = 40  # of a table
MOST_DRIFTS = 5
MOST_PATCH = 40_000  # bytes of a patch in the comment itself
COLOURS = "#2563eb, #9ca3af"  # here, base
BAND = "#9ca3af, #2563eb, #9ca3af"  # low, difference, high

MEANINGS: dict[str, str] = {
    "better": "Better",
    "worse": "Worse",
    "equivalent": "Equivalent",
    "can't tell": "Can't tell",
    "the same": "No difference",
    "not judged": "Not judged",
    "no score": "Not comparable",
}


@dataclass(frozen=True)
class Change(Sides):
    """Everything that the report is made from."""

    judgement: Judgement
    lock: lock.Verdict | None  # None: the pipeline hasn't run again, and nothing says that it should
    rerun: Rerun | None

    @property
    def metric(self) -> str:
        """The one that decides."""
        return self.judgement.gate.metric

    def least(self, metric: str) -> float:
        """The least difference of a metric that matters, by the gate that judges."""
        return least_difference(self.judgement.gate, metric)


def write_report(base: Revision | None, here: Revision, no_base: str = NO_BASE) -> Path:
    """Write report.md, and report.patch where the committed results aren't those that were made; returns the report.

    `no_base` says why there is no base.

    Raises:
        UserError: there are no results, or they or the parameters can't be read.
    """
    file, patch = Path("report.md"), Path("report.patch")
    patch.unlink(missing_ok=True)
    rerun = Rerun.last() if here.commit is None else None
    if rerun and not rerun.succeeded and out_of_date(here):
        sections = broken(rerun, here, base)
    else:
        # What has changed in the folder since the pipeline ran isn't in its results.
        shown = rerun if rerun and rerun.succeeded and not out_of_date(here) else None
        change = gather(base, here, shown, no_base)
        if change.rerun and change.lock and change.lock.word != "reproduced":
            patch.write_bytes(difference_of_results())
        sections = written(change, patch)
    file.write_text(fitted(sections, MOST_BYTES), encoding="utf-8")
    return file


def out_of_date(here: Revision) -> bool:
    """Whether the results aren't those of the inputs, or nobody can say."""
    try:
        return here.read("dvc.lock") is None or bool(lock.stale(here))
    except UserError:
        return True


def gather(base: Revision | None, here: Revision, rerun: Rerun | None, no_base: str) -> Change:
    """Everything that the report is made from.

    Raises:
        UserError: there are no results here, or they or the parameters can't be read.
    """
    sides = read_sides(here, base, no_base)
    if rerun:
        verdict: lock.Verdict | None = lock.verify(Revision.of("HEAD"))
    else:
        verdict = lock.doubts(here)
    return Change(**vars(sides), judgement=judge_change(sides), lock=verdict, rerun=rerun)


def written(change: Change, patch: Path) -> list[tuple[str, str]]:
    """The sections, by name, in the order of what matters.

    A base may be of any age, or broken: what can't be read of it costs its section, never the report. A mistake in
    our own code does cost the report: it must be seen.
    """
    sections = []
    for name, write in (
        ("Answer", headline),
        ("Metrics", metrics),
        ("Decision", decision),
        ("Gate", gate_rules),
        ("What changed", what_changed),
        ("Data", data_changed),
        ("For whom", for_whom),
        ("Pictures", pictures),
        ("See it yourself", how_to_see),
    ):
        try:
            sections.append((name, write(change)))
        except UserError as error:
            sections.append((name, f"### {name}\n\nNot told: {code(error, 200)}."))
    sections.append(("Patch", offered(patch)))
    return [(name, text) for name, text in sections if text]


def headline(change: Change) -> str:
    """The three lines that say it all: the difference, whether it may be merged, the lock."""
    metric = change.metric
    score = change.results.scores["model"].get(metric, {})
    if change.rerun is None and change.lock and change.lock.word == "data of another commit":
        lines = [f"## Not comparable: the folder holds {change.lock.word}"]
    elif change.rerun is None and change.lock:
        lines = [
            f"## Not comparable: the results here are {'stale' if change.lock.word == 'stale' else 'edited'}",
            "The scores below aren't what the pipeline makes of these inputs; `dvc repro` brings them in line.",
        ]
    elif change.base_results is None:
        before_it = change.base and change.base.read("metrics/evaluation.json")
        first = "Not comparable" if before_it else "First results"
        now = f"{code(metric)} {number(score.get('score'))}"
        lines = [
            f"## {first}: {now}, 95 % interval {interval_of(score)}",
            f"Nothing to compare with: {code(change.why_not, 200)}.",
        ]
    else:
        found = noise.compare(change.results, change.base_results, metric)
        word = MEANINGS[noise.verdict(found, metric, change.least(metric))]
        before = change.base_results.scores["model"].get(metric, {}).get("score")
        lines = [
            f"## {word}: {code(metric)} {number(before)} → {number(score.get('score'))}",
            f"The difference is {signed(found.value)}, 95 % interval {ends_of(found)}"
            f"{'' if found.paired else ', on other rows'}.",
        ]
    lines.append(may_be_merged(change))
    if touched := touched_guards(change):
        lines.append(touched)
    lines += [f"> [!NOTE]\n> {note}" for note in notes(change)]
    return "\n\n".join(lines)


def may_be_merged(change: Change) -> str:
    """Whether the gate and the lock let the change through, and what stops it."""
    failed = [rule for rule in change.judgement.rules if rule.holds is False]
    verdict = change.lock
    blocked = [f"the gate fails ({', '.join(code(rule.rule) for rule in failed)})"] if failed else []
    if verdict and not verdict.holds:
        blocked.append("the committed results aren't what this commit makes")
    alone = ", as far as it can be judged with nothing to compare with" if change.base_results is None else ""
    holds = f"**May be merged:** the gate passes{alone}."
    answer = f"**May not be merged:** {' and '.join(blocked)}." if blocked else holds
    return f"{answer} {lock_said(change)}"


def lock_said(change: Change) -> str:
    """What is known of the committed results."""
    if change.lock is None:
        return "The results belong to their inputs; nobody has made them again for this report."
    word, found = change.lock
    where = "; ".join(
        code(name) + (f" ({', '.join(code(place, 100) for place in places[:3])})" if places else "")
        for name, places in list(found.items())[:3]
    )
    if word == "data of another commit":
        return f"**Data of another commit:** {where} in the folder. `dvc checkout` brings this commit's."
    if change.rerun is None:
        what = "inputs changed after the results were made" if word == "stale" else "not what the pipeline wrote"
        return f"**{'Stale' if word == 'stale' else 'Edited'}:** {what}: {where}. `dvc repro` brings them in line."
    cached = sum(stage.how == "from a cache" for stage in change.rerun.stages)
    earlier = f" ({counted(cached, 'stage')} from the cache of an earlier run)" if cached else ""
    return {
        "reproduced": f"**Reproduced:** the committed results are, to the byte, what the pipeline makes{earlier}.",
        "the same up to rounding": "**The same up to rounding:** another platform made the committed results; "
        "report.patch has these.",
        "stale": f"**Stale:** inputs changed after the results were made: {where}. The scores here are of a new run; "
        "report.patch mends it.",
        "made from other inputs": f"**Not committed:** these results are of other inputs than the commit's: {where}.",
        "not reproduced": f"**Not reproduced:** the same inputs gave other bytes: {where}.",
    }[word]


def touched_guards(change: Change) -> str:
    """What of the change judges it, and what of it is code; what the base changed since isn't the change's."""
    if change.base is None:
        return ""
    commits = str(change.base.commit), change.here.commit or "HEAD"
    fork = Revision("", git_or_none("merge-base", *commits) or change.base.commit)
    judges, code_files = changes.touched(change.here, fork)
    if not judges:
        return f"> [!NOTE]\n> This change touches code: {listed(code_files)}." if code_files else ""
    more = f" It touches code, too: {listed(code_files)}." if code_files else ""
    return f"> [!WARNING]\n> This change touches what judges it: {listed(judges)}.{more}"


def notes(change: Change) -> list[str]:
    """What a reader must know before the numbers."""
    found = [code(note, 200) for note in change.judgement.notes]
    base, here = change.base, change.here
    if base is None:
        return found
    try:
        inputs = {} if base.read("dvc.lock") is None else lock.stale(base)
    except UserError as error:
        found.append(f"The base can't be read: {code(error, 200)}")
    else:
        told = f"The base's own results are stale ({listed(list(inputs))}): it must be rerun before they count."
        found += [told] if inputs else []
    tip = here.commit or "HEAD"
    fork = git_or_none("merge-base", str(base.commit), tip)
    if fork is None and git("rev-parse", "--is-shallow-repository") == "true":
        found.append("The clone is too shallow to hold their common history; `git fetch --unshallow` brings it.")
    elif fork is None:
        found.append("The two have no common history.")
    elif fork != base.commit:
        behind = int(git("rev-list", "--count", f"{tip}..{base.commit}"))
        what = f"The base has {counted(behind, 'commit')} that this doesn't"
        found.append(f"{what}: below, their changes look as if they were taken back. Merge the base in first.")
    if here.commit is None and change.rerun is None and git_status():
        found.append("Of the folder as it stands, with changes that aren't committed.")
    if unjudged := [f"{name} ({stage.unjudged})" for name, stage in read_stages(here).items() if stage.unjudged]:
        found.append(f"Whether these stages are stale isn't judged: {listed(unjudged)}.")
    if change.rerun and change.rerun.changed:
        changed = listed(change.rerun.changed)
        found.append(f"Inputs changed while the pipeline ran, so results may have been made from others: {changed}.")
    return found


def metrics(change: Change) -> str:
    """Each metric on both sides, and what is to be thought of its difference."""
    ours = change.results.scores["model"]
    if change.base_results is None:
        alone = [(named(name), number(one.get("score")), interval_of(one)) for name, one in ours.items()]
        return "### Metrics\n\n" + table(["", "here:", "95 % interval"], alone)
    theirs, paired = change.base_results.scores["model"], True
    rows = []
    for metric in [*ours, *(metric for metric in theirs if metric not in ours)]:
        found = noise.compare(change.results, change.base_results, metric)
        word: str = noise.verdict(found, metric, change.least(metric))
        shown = [signed(found.value), ends_of(found)]
        if metric == "cost" and costs(change.here) != costs(change.base):
            word, shown = "other costs", ["", ""]
        elif word == "no score":
            word, shown = "new" if metric not in theirs else "gone" if metric not in ours else word, ["", ""]
        else:
            paired &= found.paired
        scores = [number(side.get(metric, {}).get("score")) for side in (theirs, ours)]
        rows.append((named(metric), *scores, *shown, f"**{word}**" if word in ("better", "worse") else word))
    how = (
        "Both sides are scored on the same rows, and compared resample by resample and refit by refit."
        if paired
        else "The two sides are scored on other rows, and compared as independent: small differences can't be seen."
    )
    header = ["", "base:", "here:", "difference:", "95 % interval", "verdict"]
    return f"### Metrics\n\n{table(header, rows)}\n\n{how}"


def costs(revision: Revision | None) -> object:
    """What an error costs by a revision's parameters."""
    params = flattened(revision.readable("params.yaml")) if revision else {}
    return {key: value for key, value in params.items() if key.startswith("problem.costs")}


def named(metric: str) -> str:
    """A metric with its direction."""
    return f"{code(metric)} {'↑' if higher_is_better(metric) else '↓'}"


def decision(change: Change) -> str:
    """What the decisions by the threshold cost, beside the two constant actions, and whether it can be trusted."""
    found = change.results.decision
    if found is None:
        return ""
    rows = []
    model = f"act from a probability of {found.threshold:.4g} on"
    for name, action in (("model", model), ("always", "always act"), ("never", "never act")):
        scored = [side.scores.get(name, {}).get("cost", {}) for side in (change.base_results, change.results) if side]
        best = " (the better of the two on train)" if name == found.best_constant_action else ""
        ahead = ""
        if name != "model":
            saved = noise.gain(noise.beyond(change.results, name, "cost"), "cost")
            ahead = f"{signed(saved.value)}, {ends_of(saved)}"
        shown = [number(score.get("score")) for score in scored]
        rows.append((f"{action}{best}", *shown, interval_of(scored[-1]), ahead))
    header = ["", *(["base:"] if change.base_results else []), "here:", "95 % interval here", "the model saves here"]
    said = f"### Decision\n\nWhat an example costs on average:\n\n{table(header, rows)}"
    if not (warning := calibration_warning(found)):
        return said
    first, *bins = warning
    return "\n> ".join([f"{said}\n\n> [!WARNING]", first, "", *(f"- {line}" for line in bins)])


def gate_rules(change: Change) -> str:
    """The rules and what was found; by both gates where the change brings another."""

    def drawn(rules: list[Rule]) -> str:
        words = WORDS | {False: f"**{WORDS[False]}**"}
        return table(["rule", "", "found"], [(code(r.rule), words[r.holds], code(r.found, 160)) for r in rules])

    if change.judgement.own_rules is None:
        return f"### Gate\n\n{drawn(change.judgement.rules)}"
    return (
        f"### Gate\n\nBy the base's gate, which decides:\n\n{drawn(change.judgement.rules)}\n\n"
        f"By the gate that this change brings:\n\n{drawn(change.judgement.own_rules)}"
    )


def what_changed(change: Change) -> str:
    """Parameters, stages' code, packages, and the other files."""
    here, base = change.here, change.base
    if base is None:
        return ""
    parts = []
    if found := changes.changed_keys(*(side.readable("params.yaml") for side in (here, base))):
        parts.append(changed_table("parameter", found))
    modules = changes.changed_code(here, base)
    if modules:
        rows = [(code(stage), listed(paths)) for stage, paths in modules.items()]
        parts.append(folded(f"Code of {counted(len(modules), 'stage')}", table(["stage", "modules"], rows)))
    if found := changes.changed_keys(*(changes.packages(side) for side in (here, base))):
        parts.append(folded(f"{counted(len(found), 'package')}", changed_table("package", found)))
    told = {path for paths in modules.values() for path in paths} | {"params.yaml", "requirements.txt", "dvc.lock"}
    others = [
        name for name in changes.changed_files(here, base) if name not in told and not name.startswith("metrics/")
    ]
    if others:
        parts.append(folded(counted(len(others), "other file"), listed(others, 30)))
    return "### What changed\n\n" + ("\n\n".join(parts) or "Nothing that a stage depends on.")


def changed_table(what: str, found: changes.Changed) -> str:
    """Keys with their values on both sides."""
    rows = [(code(key), *("" if value is None else code(value) for value in pair)) for key, pair in found.items()]
    more = f"\n\nand {len(rows) - MOST_ROWS} more" if len(rows) > MOST_ROWS else ""
    return table([what, "base", "here"], rows[:MOST_ROWS]) + more


def data_changed(change: Change) -> str:
    """Rows, columns, the schema, and the columns that moved most."""
    if change.base is None:
        return ""
    here, base = (changes.read_data(side) for side in (change.here, change.base))
    schema = changes.changed_keys(*(side.readable("data/schema.yaml") for side in (change.here, change.base)))
    same_rows = here == base and changes.same_split(change.here, change.base)
    if not base or not here or (same_rows and not schema):
        return "" if here and base else "### Data\n\nOne of the two sides doesn't describe its data."
    parts = [] if same_rows else [rows_said(change, here["rows"], base["rows"])]
    ours, theirs = ({name: side["kind"] for name, side in content["columns"].items()} for content in (here, base))
    if columns := changes.changed_keys(ours, theirs):
        parts.append(changed_table("column", columns))
    if schema:
        parts.append(folded(f"{counted(len(schema), 'key')} of data/schema.yaml", changed_table("key", schema)))
    if moved := [one for one in changes.drifts(here, base) if one.distance > one.by_luck]:
        rows = []
        for one in moved[:MOST_DRIFTS]:
            highest = float(max(one.base.max(), one.here.max()))
            drawn = [code(changes.bars(shares, highest)) for shares in (one.base, one.here)]
            rows.append((code(one.column), f"{one.distance:.3f}", f"{one.by_luck:.3f}", *drawn))
        parts.append(
            f"{counted(len(moved), 'column')} moved further than sampling explains. The distance is the share of "
            "rows that must change for the two distributions to be equal.\n\n"
            + table(["column", "distance:", "by sampling:", "base", "here"], rows)
        )
    return "### Data\n\n" + "\n\n".join(parts)


def rows_said(change: Change, here: int, base: int) -> str:
    """How many examples there are, and how many are new, gone, altered and moved where both sides' are at hand.

    Else `here` and `base` say how many are in train and valid.
    """
    assert change.base is not None
    found, moved = changes.rows(change.here, change.base), changes.moved(change.here, change.base)
    if found is None or moved is None:
        why = "which ones can't be said: the base's tables aren't in this machine's cache"
        return f"{base:,} rows in train and valid → {here:,} ({here - base:+,}; {why})."
    shut = f" ({found.shut:,} of them in `test`, which nothing here was scored on)" if found.shut else ""
    return (
        f"{found.base:,} rows → {found.here:,}: {found.added:,} added{shut}, {found.removed:,} removed, "
        f"{found.altered:,} with other values, {moved.moved:,} moved between train, valid and test."
    )


def for_whom(change: Change) -> str:
    """The slices that moved beyond noise, and a picture of all that were looked at."""
    if change.base_results is None:
        return ""
    metric = change.metric
    found = noise.compare_slices(change.results, change.base_results, metric)
    if not found:
        named = flattened(change.here.yaml("params.yaml")).get("evaluate.slices")
        why = "no slice has this score on both sides" if named else "evaluate.slices in params.yaml names no column"
        return f"### For whom\n\nNot compared: {why}."
    judged = [(part, difference, noise.verdict(difference, metric, 0)) for part, difference in found]
    rows = [
        (f"{code(part.column)} {code(part.value)}", signed(difference.value), ends_of(difference), f"**{word}**")
        for part, difference, word in judged
        if word in ("better", "worse")
    ]
    said = (
        table(["slice", f"{code(metric)}:", "interval", ""], rows) + "\n\n" if rows else "No slice moved beyond noise. "
    )
    said += f"{counted(len(found), 'slice')} compared: all of their intervals hold at once, 95 times in 100."
    if len(found) > 1 and any(difference.value for _, difference in found):
        lines = [[getattr(difference, key) for _, difference in found] for key in ("low", "value", "high")]
        picture = chart("Difference by slice", [part.value for part, _ in found], metric, lines, BAND)
        said += "\n\n" + folded("Every slice (blue: the difference; grey: its interval)", picture)
    return f"### For whom\n\n{said}"


def pictures(change: Change) -> str:
    """Learning curve and calibration, blue here and grey in the base."""
    sides = [change.here] if change.base is None or change.base_results is None else [change.here, change.base]
    drawn = []
    for title, path, x, y in (
        ("Learning curve on valid", "metrics/learning/plots/metrics/valid/loss.tsv", "step", "loss"),
        ("Calibration", "metrics/curves/calibration.csv", "predicted", "observed"),
    ):
        lines = [points for side in sides if len(points := curve(side, path, x, y)) > 1]
        if len(lines) == len(sides):
            ends = float(min(line.index[0] for line in lines)), float(max(line.index[-1] for line in lines))
            drawn.append(chart(title, ends, y, [even(line, *ends) for line in lines], COLOURS))
    title = "Pictures (blue: here; grey: base; level where a curve has ended)"
    return folded(title, "\n\n".join(drawn)) if drawn else ""


def curve(revision: Revision, path: str, x: str, y: str) -> pd.Series:
    """One column of a table of points over another; empty where there is none."""
    try:
        points = pd.read_csv(io.BytesIO(revision.read(path) or b""), sep="\t" if path.endswith(".tsv") else ",")
        return points[[x, y]].astype(float).dropna().set_index(x)[y].sort_index()
    except (ValueError, KeyError):
        return pd.Series(dtype=float)


def even(points: pd.Series, low: float, high: float, count: int = 31) -> list[float]:
    """A curve at evenly spread places, as Mermaid draws it, straight between its points."""
    at = [low + (high - low) * step / (count - 1) for step in range(count)]
    whole = points[~points.index.duplicated()]
    whole = whole.reindex(whole.index.union(at)).interpolate("index", limit_direction="both")
    return [float(value) for value in whole.loc[at]]


def how_to_see(change: Change) -> str:
    """Commands, commits, versions and, where the pipeline ran again, what each stage took."""
    commit = change.here.commit or git("rev-parse", "HEAD")
    dirty = change.here.commit is None and change.rerun is None and git_status()
    sides = [f"here is {f'the folder, with changes to {code(commit[:12])}' if dirty else code(commit[:12])}"]
    fetched = [f"git fetch origin {commit}"] if "GITHUB_RUN_ID" in os.environ else []
    commands = ["make repro"] if dirty else [*fetched, f"git checkout {commit}", "make repro"]
    if change.base:
        sides.append(f"the base is {code(str(change.base.commit)[:12])} ({code(change.base.name)})")
        commands.append(f"make report BASE={change.base.commit}")
    made_on = change.here.readable("metrics/evaluation.json").get("platform", "unknown")
    learn = changes.packages(change.here).get("scikit-learn", "unknown")
    said = f"{'; '.join(sides)}. Python {platform.python_version()}, scikit-learn {code(learn)}, {code(made_on)}."
    ran = f"\n\n{stages_ran(change.rerun)}" if change.rerun else ""
    shown = "\n".join(commands)
    return f"### See it yourself\n\n```console\n{shown}\n```\n\n{said[0].upper()}{said[1:]}{ran}"


def stages_ran(rerun: Rerun) -> str:
    """What each stage of a rerun did and took."""
    rows = [(code(stage.name), stage.how, f"{stage.seconds:.1f} s") for stage in rerun.stages]
    cached = sum(stage.how == "from a cache" for stage in rerun.stages)
    said = f"{counted(len(rows) - cached, 'stage')} ran, {cached} came from a cache."
    return folded(said, table(["stage", "", "time:"], rows))


def offered(patch: Path) -> str:
    """The patch that makes the committed results those that were made here, or where to find it."""
    if not patch.exists():
        return ""
    if run := os.environ.get("GITHUB_RUN_ID"):
        brought = f"gh run download {run} --name report && git apply --index report.patch && git commit"
    else:
        brought = "git add --all && git commit # this folder holds what the patch brings"
    said = f"### The patch\n\n```console\n{brought}\n```"
    text = patch.read_bytes().decode("utf-8", "replace")
    return f"{said}\n\n{folded('report.patch', block(text, 'diff'))}" if len(text) <= MOST_PATCH else said


def difference_of_results() -> bytes:
    """dvc.lock and metrics/ in the folder against the commit, as a patch; the index stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        git("read-tree", "HEAD", index=index)
        git("add", "--", "dvc.lock", "metrics", index=index)
        # Unlike `diff`, this command heeds no setting of the user's (prefixes, colours, lines of context).
        how = ["--patch", "--binary", "--unified=3", "--no-color", "--no-renames", "--no-ext-diff", "--no-textconv"]
        return git_bytes("diff-index", "--cached", *how, "HEAD", "--", index=index)


def broken(rerun: Rerun, here: Revision, base: Revision | None) -> list[tuple[str, str]]:
    """The report of a pipeline that didn't run to its end."""
    failed = next((stage.name for stage in rerun.stages if stage.how == "failed"), "")
    title = f"The pipeline breaks{f' in the stage {code(failed)}' if failed else ''}"
    hint = ""
    if failed.endswith(".dvc") and any("missing data" in line for line in rerun.tail):
        title = f"The data isn't here: {code(failed.removesuffix('.dvc'))}"
        hint = (
            "Git has its hash, and no storage that this run may read has the file. Whoever has it shares it: by "
            "`make push` in a project that was made with a storage, else by `dvc push` once it has one. "
            "For a fork or Dependabot no storage is read. Someone who may write to the repository reads the changed "
            "code first, since it runs beside the storage's credentials, then pushes the branch to the repository and "
            "runs the workflow on it.\n\n"
        )
    commit = git("rev-parse", "HEAD")
    printed = block("\n".join(rerun.tail))
    last = f"The last lines:\n\n{printed}" if rerun.tail else "It was ended from outside before it printed anything."
    sections = [
        ("the answer", f"## {title}\n\n**May not be merged:** there are no results.\n\n{hint}{last}"),
        ("how to see it", f"```console\ngit fetch origin {commit}\ngit checkout {commit}\nmake repro\n```"),
        ("stages", stages_ran(rerun)),
    ]
    if base:
        params = changes.changed_keys(*(side.readable("params.yaml") for side in (here, base)))
        sections += [("parameters", changed_table("parameter", params))] if params else []
        sections.append(("files", f"Changed files: {listed(changes.changed_files(here, base), 30)}"))
    return sections


def number(score: float | None) -> str:
    """A score with four digits."""
    return f"{score:.4g}" if is_score(score) else "no score"


def interval_of(score: dict[str, float | None]) -> str:
    """A score's 95 % interval."""
    if not is_score(score.get("low")):
        return "none: too few rows"
    return f"{number(score.get('low'))} to {number(score.get('high'))}"


def ends_of(difference: noise.Difference) -> str:
    """A difference's 95 % interval, or that there is none."""
    if not math.isfinite(difference.low):
        return "no interval: too few rows" if math.isinf(difference.low) else "no interval"
    return f"{signed(difference.low)} to {signed(difference.high)}"


def signed(value: float) -> str:
    """A difference with two digits and its sign."""
    return "no score" if math.isnan(value) else f"{value:+.2g}"


def counted(count: int, word: str) -> str:
    """A count with its noun."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def listed(names: list[str], most: int = 8) -> str:
    """Names in a sentence, cut after `most`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(code(name) for name in names[:most]) + more
