"""What the results say: `python -m src.review scores | gate | report | repro | rerun | lock | reproduce`.

    scores      each score with its 95 % interval, the baselines and the constant actions beside it, and the gate
    gate        what must hold, whether it does, by how much [--base REV: judged by its gate, and compared with it]
    report      all that a reviewer needs, into report.md [--base REV] [--head REV: else the folder as it stands]
    repro       `dvc repro`, the scores, and which inputs changed while it ran, if any
    rerun       the pipeline again, without believing dvc.lock; results come from it or from DVC's run-cache
    lock        the folder's results against the commit's: reproduced, stale, or where they differ
    reproduce   the commit made again elsewhere, and each byte compared

REV is a commit by any name that Git or `dvc exp` knows; an empty one, or zeros, is none. A base by its full hash that
isn't in the repository any more (as after a force-push) is none, too, and it's said; in a pull request it's a mistake.
Exit codes: 0 all is well; 1 it isn't (report: only a mistake that one line tells); 2 unknown arguments.
"""

import argparse
import sys

from src.core.errors import one_line
from src.core.git import require_own_repository
from src.core.scores import BASELINES, CONSTANT_ACTIONS
from src.review.gate import WORDS, Rule, judge_change
from src.review.lock import NOT_MADE, Verdict, doubts, verify
from src.review.pipeline import read_stages
from src.review.report import write_report
from src.review.reproduce import reproduce
from src.review.rerun import Rerun, repro, rerun
from src.review.results import FOLDER, NO_BASE, Results, Revision, calibration_warning, find_base, read_sides

IN_LINE = "`dvc repro`, `git add --all` and `git commit` bring the results in line"
CHECKOUT = "`dvc checkout` brings this commit's"


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


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m src.review", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["scores", "gate", "report", "repro", "rerun", "lock", "reproduce"])
    parser.add_argument(
        "--base", metavar="REV", action="append", help="for gate and report: what the change is to be merged into"
    )
    parser.add_argument("--head", metavar="REV", action="append", help="for report: the change, if it isn't the folder")
    arguments = parser.parse_args()
    for option, takers in (("base", ("gate", "report")), ("head", ("report",))):
        given = getattr(arguments, option) or [None]
        if len(given) > 1:
            parser.error(f"--{option}: given twice; it takes one commit")
        if given != [None] and arguments.what not in takers:
            parser.error(f"--{option} is for {' and '.join(takers)}")
        setattr(arguments, option, given[0])
    if arguments.what == "repro":
        if not repro():
            sys.exit(1)
        print()
    if arguments.what in ("repro", "scores"):
        print_scores(read_sides(FOLDER, None).results)
        print()
        print_gate(None)
        return
    require_own_repository()
    base, no_base = find_base(arguments.base)
    if arguments.what == "report":
        file = write_report(base, Revision.of(arguments.head) if arguments.head else FOLDER, no_base)
        print(file.read_text(encoding="utf-8").partition("\n### ")[0], f"{file} has the rest", sep="\n")
        return
    if arguments.what == "gate":
        done = print_gate(base, no_base)
    elif arguments.what == "rerun":
        done = rerun()
    elif arguments.what == "lock":
        done = print_lock()
    else:
        done = print_verdict(reproduce(), IN_LINE.replace("dvc repro", "dvc repro --force"))
    sys.exit(0 if done else 1)


if __name__ == "__main__":
    main()
