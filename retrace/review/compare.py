"""Compare several experiments with their base: `python -m retrace compare EXP…`.

retrace/review/experiments.py says how.
"""

import math
import textwrap
from collections.abc import Sequence

from tqdm import tqdm

from retrace.command_line import make_parser, print_table
from retrace.differences import interval_of_difference, signed, verdict
from retrace.errors import UserError, one_line
from retrace.git import require_own_repository
from retrace.params import Gate
from retrace.review.comparable import read_comparable
from retrace.review.experiments import Experiments
from retrace.review.gate import read_gate
from retrace.review.report.wording import number
from retrace.review.results import Results, read_results
from retrace.review.revision import Revision
from retrace.review.rules import have_other_costs, least_difference
from retrace.review.score_differences import score_of, series
from retrace.scores import higher_is_better, is_judged


def compare(words: list[str]) -> None:
    """Compare experiments with their base, by the gate's metric and on the same rows of valid.

    95 times in 100, all intervals contain the true differences at once. 95 times in 100, the best one is among those
    that are marked with a star. The best score of several is partly the best by chance: the last line says what to
    expect of the same arguments with other rows.
    """
    parser = make_parser("compare", str(compare.__doc__))
    parser.add_argument("experiments", metavar="EXP", nargs="+", help="a DVC experiment, a branch or a commit")
    parser.add_argument("--base", metavar="REV", default="HEAD", help="what they are compared with; by default HEAD")
    arguments = parser.parse_args(words)
    require_own_repository()
    base = Revision.of(arguments.base)
    base_results, gate = read_results(base), read_gate(base)
    if base_results is None or gate is None or not is_judged(gate.metric):
        missing = "metrics: no results yet" if base_results is None else "params.yaml: no gate that can be read"
        raise UserError(f"{base.short}:{missing}; --base names another commit")
    found: dict[Revision, Results] = {}
    for name in tqdm(arguments.experiments, disable=None, leave=False):
        experiment = Revision.of(name)
        if experiment.commit not in (base.commit, *(each.commit for each in found)):
            found[experiment] = read_experiment(experiment, base, base_results, gate.metric)
    if not found:
        raise UserError(f"{', '.join(arguments.experiments)}: the base itself; name an experiment to compare with it")
    compared = Experiments(base_results, list(found.values()), gate.metric, higher_is_better(gate.metric))
    for experiment, difference in zip(found, compared.measured, strict=True):
        if difference.noise.freedom <= 0:
            raise not_comparable(experiment, f"too few rows, resamples or refits have a score of {gate.metric}")
    print_comparison(arguments.base, [each.name for each in found], compared, gate)


def read_experiment(experiment: Revision, base: Revision, base_results: Results, metric: str) -> Results:
    """The results of an experiment.

    Raises:
        UserError: there is no such experiment, or it doesn't answer the base's question on the same rows.
    """
    results, why_not = read_comparable(base, base_results, experiment, "it")
    if results is not None:
        why_not = why_not_comparable(results, base_results, metric)
    if results is None or why_not:
        raise not_comparable(experiment, why_not)
    return results


def not_comparable(experiment: Revision, why_not: str) -> UserError:
    """The error that an experiment can't be compared with the base."""
    return UserError(f"{experiment.name}: can't be compared with the base: {why_not}")


def why_not_comparable(results: Results, base_results: Results, metric: str) -> str:
    """Why the scores of an experiment and of its base can't be compared row by row; empty if they can."""
    for called, side in (("it", results), ("the base", base_results)):
        if not math.isfinite(score_of(side, metric)):
            return f"{called} has no score of {metric}, which is the metric of the base's gate"
    if have_other_costs(results, base_results, metric):
        return "its errors have other costs"
    rows, base_rows = (series(side.bootstrap, "model", metric)[0] for side in (results, base_results))
    if rows != base_rows:
        return "it has other rows in valid, or other units; the report on it (docs/review.md) scores both on its rows"
    return ""


def print_comparison(base: str, names: Sequence[str], compared: Experiments, gate: Gate) -> None:
    """Print a line for the base and for each experiment, the best first, and what to expect of the best one."""
    metric = gate.metric
    sign = 1 if compared.higher_is_better else -1
    base_is_marked, *are_marked = ["*" if may_be else "" for may_be in compared.may_be_best()]
    scores = [score_of(results, metric) for results in compared.others]
    lines = [(score_of(compared.base, metric), [f"{base} (base)", base_is_marked, "", "", ""])]
    for name, score, marked, difference in zip(names, scores, are_marked, compared.differences(), strict=True):
        word = verdict(difference, metric, least_difference(gate, metric))
        interval = "" if word == "the same" else interval_of_difference(difference)
        lines.append((score, [name, marked, signed(difference.value), interval, word]))
    lines.sort(key=lambda line: -sign * line[0])
    header = ["experiment", "", f"{metric}:", "difference:", "interval:", "verdict"]
    print_table((header, [[line[0], line[1], number(score), *line[2:]] for score, line in lines]))
    print("\n* may be the best: the best one is among these, 95 times in 100.")
    print("All intervals contain the true difference at once, 95 times in 100.")
    if len(names) > 1:
        best_score, best = max(zip(scores, names, strict=True), key=lambda pair: sign * pair[0])
        shown, expected = number(best_score), number(best_score - sign * compared.selection_bias())
        if shown != expected:
            told = (
                f"{best} has the best {metric} of {len(names)} experiments, {shown}. That is partly chance: expect "
                f"about {expected} of the same arguments with other rows."
            )
            print(textwrap.fill(one_line(told), width=80))
