"""What the results say: `python -m src.review scores | gate [--base REV] | reproduce`.

    scores      each score with its 95 % interval, the baselines beside it, and the gate
    gate        what must hold, whether it does, by how much; exit 1 where it doesn't
    reproduce   run the commit again elsewhere, and compare each byte; exit 1 where one differs

Exit codes: 0 all is well; 1 it isn't, or a mistake that one line tells; 2 unknown arguments.
"""

import argparse
import sys

from src.core.errors import UserError
from src.review.gate import judge
from src.review.reproduce import reproduce
from src.review.results import Results, commit_of, read_gate, read_results


def print_scores(results: Results) -> None:
    """Each metric on a line: the model's score and interval, then the baselines'."""
    baselines = [name for name in results.scores if name != "model"]
    print(f"{'on valid':<19}{'model':>9}   {'95 % interval':<19}" + "".join(f"{name:>9}" for name in baselines))
    for metric, score in results.scores["model"].items():
        numbers = [_number(score[key]) for key in ("score", "low", "high")]
        others = [_number(results.scores[name][metric]["score"]) for name in baselines]
        interval = f"{numbers[1]} to {numbers[2]}"
        print(f"{metric:<19}{numbers[0]:>9}   {interval:<19}" + "".join(f"{other:>9}" for other in others))


def _number(score: float | None) -> str:
    return "-" if score is None else f"{score:.4g}"


def print_gate(here: Results, revision: str | None) -> bool:
    """Each rule on a line; returns whether all that were judged hold."""
    commit = commit_of(revision) if revision else None
    base = read_results(commit) if commit else None
    gate = read_gate(commit)
    if gate is None:
        print(f"{revision} has no gate that can be read: judged by this folder's")
        gate = read_gate(None)
    assert gate is not None
    if revision and base is None:
        print(f"{revision} has no metrics")
    verdicts = judge(gate, here, base)
    for verdict in verdicts:
        word = {True: "holds", False: "FAILS", None: "-"}[verdict.holds]
        print(f"{word:<7}{verdict.rule:<36} {verdict.found}")
    return all(verdict.holds is not False for verdict in verdicts)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m src.review", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["scores", "gate", "reproduce"])
    parser.add_argument("--base", metavar="REV", help="for gate: the revision that the change is to be merged into")
    arguments = parser.parse_args()
    if arguments.what == "reproduce":
        sys.exit(0 if reproduce() else 1)
    here = read_results(None)
    if here is None:
        raise UserError("metrics: no results yet; `dvc repro` makes them")
    if arguments.what == "scores":
        print_scores(here)
        print()
        print_gate(here, None)
    elif not print_gate(here, arguments.base):
        sys.exit(1)


if __name__ == "__main__":
    main()
