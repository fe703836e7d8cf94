"""The commands of `python -m retrace` that say what results are worth: scores, gate, report and those about the lock.

Exit codes: 0 if all is well; 1 if it isn't (for report: only if there is an error); 2 for unknown arguments.
"""

import argparse
import sys
from pathlib import Path

from retrace.command_line import make_parser
from retrace.errors import one_line
from retrace.git import require_own_repository
from retrace.review.comparable import read_sides
from retrace.review.gate import WORDS, judge_change
from retrace.review.lock import Verdict, find_problem, verify
from retrace.review.pipeline import read_stages
from retrace.review.report.write import write_report
from retrace.review.reproduce import CONDITIONS, reproduce
from retrace.review.rerun import Rerun, rerun, run_pipeline
from retrace.review.rescore import note_on_rescoring, rescore_base
from retrace.review.results import Results, calibration_warning
from retrace.review.revision import FOLDER, NO_BASE, Revision, find_base
from retrace.review.rules import Rule
from retrace.review.verify_only import FILE as VERIFIED
from retrace.review.verify_only import verify_results
from retrace.scores import BASELINES, CONSTANT_ACTIONS

COMMIT_ADVICE = "`dvc repro`, `git add --all` and `git commit` update the committed results"
REPRODUCE_ADVICE = "`dvc repro --force dvc.yaml`, `git add --all` and `git commit` update the committed results"

REVISION = """\
A REV is a commit by any name that Git or DVC knows, such as an experiment's.
With an empty REV, or all zeros, there is no base. The same holds for a
full hash that is no longer in the repository, as after a force-push: the output
says so. In a pull request it is an error.
"""


def print_scores(results: Results) -> None:
    """Print a line for each metric: the model's score and interval, then the baselines and the constant actions."""
    baselines = [name for name in (*BASELINES, *CONSTANT_ACTIONS) if name in results.scores]
    width = 11 if len(baselines) <= len(BASELINES) else 7  # a terminal has 80 columns
    header = f"{'on valid':<19}{'model':>8}  {'95 % interval':<19}" + "".join(f" {name:>{width}}" for name in baselines)
    print(one_line(header))
    for metric, score in results.scores["model"].items():
        interval = f"{_number(score['low'])} to {_number(score['high'])}"
        line = f"{metric:<19}{_number(score['score']):>8}  {interval:<19}"
        for name in baselines:
            other = results.scores[name].get(metric)
            line += f" {_number(other['score']) if other else '':>{width}}"
        print(one_line(line.rstrip()))
    if results.decision and (warning := calibration_warning(results.decision)):
        print("", *warning, sep="\n")
    if name := results.estimator_without_promise:
        print()
        print(one_line(f"The same bytes are not promised for {name} with these arguments: see docs/model.md."))


def _number(score: float | None) -> str:
    return "n/a" if score is None else f"{score:.4g}"


def print_gate(base: Revision | None, no_base: str = NO_BASE, *, rescore: bool = False) -> bool:
    """Print a line for each rule; returns whether none fails.

    Args:
        base: What the change is to be merged into.
        no_base: Why there is no base, if there is none.
        rescore: Whether to score the base's model on the validation rows here.
    """
    sides = read_sides(FOLDER, base, no_base)
    if rescore:
        sides = rescore_base(sides)
    judgement = judge_change(sides)
    if problem := find_problem(FOLDER):
        print(one_line(f"FAIL  {problem.word}: {', '.join(problem.differences)}; {problem.advice}"))
        return False
    for note in [*judgement.notes, *note_on_rescoring(sides)]:
        print(one_line(note))
    _print_rules(judgement.rules)
    if judgement.own_rules is not None:
        print("\nBy this folder's own gate, which doesn't decide:")
        _print_rules(judgement.own_rules)
    return judgement.passes


def _print_rules(rules: list[Rule]) -> None:
    for rule in rules:
        print(one_line(f"{WORDS[rule.passes]:<6}{rule.name:<36} {rule.finding}"))


def print_lock() -> bool:
    """Print whether the folder's results are those of the commit, and what differs; returns whether they are."""
    committed = Revision.of("HEAD")
    verdict = verify(committed)
    if verdict.word == "reproduced" and not Rerun.last():
        print("as committed, and matching the inputs in dvc.lock; `make reproduce` runs the pipeline to check")
    else:
        print_verdict(verdict)
    for name, stage in read_stages(committed).items():
        if stage.why_not_judged:
            print(f"not judged: {name} ({stage.why_not_judged})")
    if not verdict.passes:
        return False
    problem = find_problem(FOLDER)
    if problem is None:
        return True
    names = ", ".join(problem.differences)
    if problem.is_of_another_commit:
        print(one_line(f"but the folder holds {problem.word}: {names}; {problem.advice}"))
    else:
        print(one_line(f"but the folder has changed since: {names}; {COMMIT_ADVICE}"))
    return False


def print_verdict(verdict: Verdict, advice: str = COMMIT_ADVICE) -> bool:
    """Print a verdict on a commit's results, and the advice if they don't pass; returns whether they pass."""
    print("reproduced: the same to the byte" if verdict.word == "reproduced" else verdict.word)
    for name, places in verdict.differences.items():
        print(f"  {one_line(name)}", *map(one_line, places), sep="\n    ")
    if not verdict.passes:
        print(advice)
    return verdict.passes


def _add_revision_option(parser: argparse.ArgumentParser, option: str, description: str) -> None:
    """Add an option that takes a revision."""
    parser.add_argument(option, metavar="REV", action="append", help=description)


def _add_rescore_option(parser: argparse.ArgumentParser) -> None:
    """Add the option by which the base's model is scored on the validation rows here."""
    description = "score the base's model on this folder's validation rows, and compare with that"
    parser.add_argument("--rescore", action="store_true", help=description)


def _single_value(parser: argparse.ArgumentParser, option: str, values: list[str] | None) -> str | None:
    """The value of an option that may be given once; the command ends if it's given twice."""
    if values and len(values) > 1:
        parser.error(f"{option}: given twice; it takes one commit")
    return values[0] if values else None


def scores(words: list[str]) -> None:
    """Show each score with its 95 % interval, the baselines and constant actions beside it, and the gate."""
    make_parser("scores", str(scores.__doc__)).parse_args(words)
    print_scores(read_sides(FOLDER, None).results)
    print()
    print_gate(None)


def repro(words: list[str]) -> None:
    """Run `dvc repro`, show the scores, and say which inputs changed while it ran, if any."""
    make_parser("repro", str(repro.__doc__)).parse_args(words)
    if not run_pipeline():
        sys.exit(1)
    print()
    scores([])


def gate(words: list[str]) -> None:
    """Check the merge rules, and show by how much each holds or fails."""
    parser = make_parser("gate", f"{gate.__doc__}\n\n{REVISION}")
    _add_revision_option(parser, "--base", "judge by this revision's gate, and compare with its results")
    _add_rescore_option(parser)
    arguments = parser.parse_args(words)
    base, no_base = _find_base(parser, arguments.base)
    sys.exit(0 if print_gate(base, no_base, rescore=arguments.rescore) else 1)


def report(words: list[str]) -> None:
    """Write the pull request report to report.md."""
    parser = make_parser("report", f"{report.__doc__}\n\n{REVISION}")
    _add_revision_option(parser, "--base", "what the change is to be merged into")
    _add_revision_option(parser, "--head", "the change; without it, the working tree")
    _add_rescore_option(parser)
    arguments = parser.parse_args(words)
    head = _single_value(parser, "--head", arguments.head)
    if head and arguments.rescore:
        parser.error("--rescore scores on the validation rows of this folder: leave out --head")
    base, no_base = _find_base(parser, arguments.base)
    file = write_report(base, Revision.of(head) if head else FOLDER, no_base, rescore=arguments.rescore)
    answer = file.read_text(encoding="utf-8").partition("\n### ")[0]
    print(answer, f"{file} has the rest", sep="\n")


def _find_base(parser: argparse.ArgumentParser, values: list[str] | None) -> tuple[Revision | None, str]:
    """The revision that `--base` names, or None and why there is none."""
    name = _single_value(parser, "--base", values)
    require_own_repository()
    return find_base(name)


def verify_lock(words: list[str]) -> None:
    """Check that the commit gives the committed results: reproduced, stale, or where they differ."""
    make_parser("verify-lock", str(verify_lock.__doc__)).parse_args(words)
    require_own_repository()
    sys.exit(0 if print_lock() else 1)


def rerun_pipeline(words: list[str]) -> None:
    """Run the pipeline as CI does, ignoring dvc.lock: results come from this run or from DVC's run cache.

    With --verify-only no stage runs: the commit's results are checked as far as this is possible without a run.
    """
    parser = make_parser("rerun", str(rerun_pipeline.__doc__))
    parser.add_argument("--verify-only", action="store_true", help="check dvc.lock, metrics/ and the storage instead")
    _add_revision_option(parser, "--base", "with --verify-only: what the change is to be merged into")
    arguments = parser.parse_args(words)
    if arguments.base and not arguments.verify_only:
        parser.error("--base: only with --verify-only")
    if arguments.verify_only:
        base, _ = _find_base(parser, arguments.base)
        sys.exit(0 if verify_results(base).passes else 1)
    require_own_repository()
    VERIFIED.unlink(missing_ok=True)
    sys.exit(0 if rerun() else 1)


def reproduce_commit(words: list[str]) -> None:
    """Rerun the commit in a clean folder under other conditions, and compare every file byte by byte."""
    listed = "\n".join(f"  {name:<11} {meaning}" for name, meaning in CONDITIONS.items())
    parser = make_parser("reproduce", str(reproduce_commit.__doc__))
    parser.epilog = f"conditions:\n{listed}"
    parser.add_argument("--only", metavar="NAME,NAME", help="the conditions that differ; without it, all")
    parser.add_argument("--attest", metavar="FOLDER", type=Path, help="write an in-toto statement about each stage")
    arguments = parser.parse_args(words)
    only = arguments.only.split(",") if arguments.only else []
    if unknown := [name for name in only if name not in CONDITIONS]:
        parser.error(f"--only: there is no condition {', '.join(unknown)}; there are {', '.join(CONDITIONS)}")
    require_own_repository()
    sys.exit(0 if print_verdict(reproduce(only, arguments.attest), REPRODUCE_ADVICE) else 1)
