"""The commands of `python -m retrace` that say what results are worth: scores, gate, report and those about the lock.

Exit codes: 0 all is well; 1 it isn't (report: only a mistake that one line tells); 2 unknown arguments.
"""

import argparse
import sys

from retrace.errors import one_line
from retrace.git import require_own_repository
from retrace.review.gate import WORDS, Rule, judge_change
from retrace.review.lock import NOT_MADE, Verdict, doubts, verify
from retrace.review.pipeline import read_stages
from retrace.review.report import write_report
from retrace.review.reproduce import reproduce
from retrace.review.rerun import Rerun, rerun, run_pipeline
from retrace.review.results import FOLDER, NO_BASE, Results, Revision, calibration_warning, find_base, read_sides
from retrace.scores import BASELINES, CONSTANT_ACTIONS

IN_LINE = "`dvc repro`, `git add --all` and `git commit` bring the results in line"
CHECKOUT = "`dvc checkout` brings this commit's"


REVISION = """\
A revision is a commit by any name that Git or DVC knows, such as an experiment's. An empty one, or zeros, is none. A
base by its full hash that isn't in the repository any more, as after a force-push, is none, too, and it's said; in a
pull request it's a mistake.
"""


def print_scores(results: Results) -> None:
    """Each metric on a line: the model's score and interval, then those of the baselines and the constant actions."""
    baselines = [name for name in (*BASELINES, *CONSTANT_ACTIONS) if name in results.scores]
    width = 11 if len(baselines) <= len(BASELINES) else 7  # a terminal has 80 columns
    header = f"{'on valid':<19}{'model':>8}  {'95 % interval':<19}" + "".join(f" {name:>{width}}" for name in baselines)
    print(one_line(header))
    for metric, score in results.scores["model"].items():
        numbers = [_number(score[key]) for key in ("score", "low", "high")]
        others = [results.scores[name].get(metric) for name in baselines]
        interval = f"{numbers[1]} to {numbers[2]}"
        shown = "".join(f" {_number(other['score']) if other else '':>{width}}" for other in others)
        print(one_line(f"{metric:<19}{numbers[0]:>8}  {interval:<19}{shown}".rstrip()))
    if results.decision and (warning := calibration_warning(results.decision)):
        print("", *warning, sep="\n")


def _number(score: float | None) -> str:
    return "n/a" if score is None else f"{score:.4g}"


def print_gate(base: Revision | None, no_base: str = NO_BASE) -> bool:
    """Each rule on a line; returns whether none fails. `no_base` says why there is no base."""
    judgement = judge_change(read_sides(FOLDER, base, no_base))
    if doubt := doubts(FOLDER):
        reasons = {reason for found in doubt.found.values() for reason in found}
        advice = "`dvc repro` brings the results in line"
        if doubt.word == "data of another commit":
            advice = CHECKOUT
        elif reasons == {NOT_MADE}:
            advice = NOT_MADE
        print(one_line(f"FAIL  {doubt.word}: {', '.join(doubt.found)}; {advice}"))
        return False
    for note in judgement.notes:
        print(one_line(note))
    _print_rules(judgement.rules)
    if judgement.own_rules is not None:
        print("\nBy this folder's own gate, which doesn't decide:")
        _print_rules(judgement.own_rules)
    return judgement.holds


def _print_rules(rules: list[Rule]) -> None:
    for rule in rules:
        print(one_line(f"{WORDS[rule.holds]:<6}{rule.rule:<36} {rule.found}"))


def print_lock() -> bool:
    """Whether the folder's results are those of the commit; what differs, and where."""
    verdict = verify(Revision.of("HEAD"))
    if verdict.word == "reproduced" and not Rerun.last():
        print("as committed, and of these inputs; `make reproduce` makes them again to see")
        holds = True
    else:
        holds = print_verdict(verdict)
    for name, stage in read_stages(Revision.of("HEAD")).items():
        if stage.unjudged:
            print(f"not judged: {name} ({stage.unjudged})")
    if holds and (doubt := doubts(FOLDER)):
        if doubt.word == "data of another commit":
            print(one_line(f"but the folder holds {doubt.word}: {', '.join(doubt.found)}; {CHECKOUT}"))
        else:
            print(one_line(f"but the folder has changed since: {', '.join(doubt.found)}; {IN_LINE}"))
        return False
    return holds


def print_verdict(verdict: Verdict, advice: str = IN_LINE) -> bool:
    """A verdict on a commit's results, with what to do if it doesn't let them pass; returns whether it does."""
    print("reproduced: the same to the byte" if verdict.word == "reproduced" else verdict.word)
    for name, found in verdict.found.items():
        print(f"  {one_line(name)}", *map(one_line, found), sep="\n    ")
    if not verdict.holds:
        print(advice)
    return verdict.holds


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    """The parser of a command's arguments."""
    return argparse.ArgumentParser(
        prog=f"python -m retrace {command}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _revision(parser: argparse.ArgumentParser, option: str, told: str) -> None:
    """Add an option that takes a revision, and is refused if it's given twice."""
    parser.add_argument(option, metavar="REV", action="append", help=told)


def _single(parser: argparse.ArgumentParser, option: str, given: list[str] | None) -> str | None:
    """The value of an option that takes one."""
    if given and len(given) > 1:
        parser.error(f"{option}: given twice; it takes one commit")
    return given[0] if given else None


def scores(words: list[str]) -> None:
    """Show each score with its 95 % interval, the baselines and constant actions beside it, and the gate."""
    _parser("scores", str(scores.__doc__)).parse_args(words)
    print_scores(read_sides(FOLDER, None).results)
    print()
    print_gate(None)


def repro(words: list[str]) -> None:
    """Run `dvc repro`, show the scores, and say which inputs changed while it ran, if any."""
    _parser("repro", str(repro.__doc__)).parse_args(words)
    if not run_pipeline():
        sys.exit(1)
    print()
    scores([])


def gate(words: list[str]) -> None:
    """Say what must hold before merging, whether it does, and by how much."""
    parser = _parser("gate", f"{gate.__doc__}\n\n{REVISION}")
    _revision(parser, "--base", "judge by this revision's gate, and compare with its results")
    base, no_base = _base(parser, parser.parse_args(words).base)
    sys.exit(0 if print_gate(base, no_base) else 1)


def report(words: list[str]) -> None:
    """Write all that a reviewer needs into report.md."""
    parser = _parser("report", f"{report.__doc__}\n\n{REVISION}")
    _revision(parser, "--base", "what the change is to be merged into")
    _revision(parser, "--head", "the change, if it isn't the folder as it stands")
    arguments = parser.parse_args(words)
    head = _single(parser, "--head", arguments.head)
    base, no_base = _base(parser, arguments.base)
    file = write_report(base, Revision.of(head) if head else FOLDER, no_base)
    print(file.read_text(encoding="utf-8").partition("\n### ")[0], f"{file} has the rest", sep="\n")


def _base(parser: argparse.ArgumentParser, given: list[str] | None) -> tuple[Revision | None, str]:
    """The revision that `--base` names, and why there is none if it names none."""
    name = _single(parser, "--base", given)
    require_own_repository()
    return find_base(name)


def verify_lock(words: list[str]) -> None:
    """Compare the folder's results with the commit's: reproduced, stale, or where they differ."""
    _parser("verify-lock", str(verify_lock.__doc__)).parse_args(words)
    require_own_repository()
    sys.exit(0 if print_lock() else 1)


def rerun_pipeline(words: list[str]) -> None:
    """Run the pipeline without believing dvc.lock: results come from this run or from DVC's run cache."""
    _parser("rerun", str(rerun_pipeline.__doc__)).parse_args(words)
    require_own_repository()
    sys.exit(0 if rerun() else 1)


def reproduce_commit(words: list[str]) -> None:
    """Make the commit again in another folder, and compare each byte."""
    _parser("reproduce", str(reproduce_commit.__doc__)).parse_args(words)
    require_own_repository()
    sys.exit(0 if print_verdict(reproduce(), IN_LINE.replace("dvc repro", "dvc repro --force")) else 1)
