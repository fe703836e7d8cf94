"""The rules of the gate: what must hold before a change is merged.

A number that is missing fails its rule. A rule that there is nothing to compare with for (no base, no release) isn't
judged. A rule that fails on the base too doesn't block a change, unless the change makes it worse.
"""

import math
from typing import NamedTuple

from retrace.differences import Difference, Slice, Verdict, gain, verdict
from retrace.params import Baseline, Gate
from retrace.review import row_changes
from retrace.review.comparable import Sides
from retrace.review.releases import Release
from retrace.review.results import Results, is_score
from retrace.review.revision import Revision
from retrace.review.score_differences import compare, compare_slices, lead_over_baseline, score_of

MOST_MOVED = 0.01  # of the rows that both sides have


class Rule(NamedTuple):
    """A rule of the gate.

    Attributes:
        name: What must hold.
        passes: Whether it does; None: it doesn't block, or isn't judged.
        finding: What was found.
    """

    name: str
    passes: bool | None
    finding: str


def better_than_baseline(gate: Gate, baseline: Baseline, here: Results, base: Results | None) -> Rule:
    """The rule that the interval of the lead over a baseline excludes 0.

    Compared is the gate's metric, or what the decisions cost where the baseline is a constant action.
    """
    metric: str = gate.metric
    name = f"{metric} better than baseline {baseline}"
    opponent: str = baseline
    if baseline == "best_constant_action":
        metric = "cost"
        if here.decision is None:
            no_costs = "no score: problem.costs in params.yaml is null"
            return Rule("cost lower than the constant actions", False, no_costs)
        opponent = here.decision.best_constant_action
        name = f"cost lower than {opponent} acting"
    lead = gain(lead_over_baseline(here, opponent, metric), metric)
    passes = None if math.isinf(lead.low) else lead.low > 0  # None: too few units, so the interval has no end
    rule = Rule(name, passes, _describe(lead))
    if base is not None and not math.isnan(lead.value):
        fails_on_base = better_than_baseline(gate, baseline, base, None).passes is False
        if fails_on_base:
            rule = also_fails_on_base(rule, verdict_by_gate(gate, here, base, metric))
    return rule


def verdict_by_gate(gate: Gate, here: Results, base: Results, metric: str) -> Verdict:
    """The verdict on a change's difference, by the smallest difference that matters to a gate."""
    if have_other_costs(here, base, metric):
        return "no score"
    return verdict(compare(here, base, metric), metric, least_difference(gate, metric))


def verdicts_of_slices(gate: Gate, here: Results, base: Results) -> dict[Slice, Verdict]:
    """The same of each slice that can be compared, by intervals that all hold at once."""
    if have_other_costs(here, base, gate.metric):
        return {}
    least = least_difference(gate, gate.metric)
    compared = compare_slices(here, base, gate.metric)
    return {part: verdict(difference, gate.metric, least) for part, difference in compared}


def have_other_costs(here: Results, base: Results, metric: str) -> bool:
    """Whether a metric is the cost, and errors cost something else on the two sides."""
    if metric != "cost" or here.decision is None or base.decision is None:
        return False
    return here.decision.costs != base.decision.costs


def least_difference(gate: Gate, metric: str) -> float:
    """The smallest difference of a metric that matters."""
    return {str(name): least for name, least in gate.smallest_difference.items()}.get(metric, 0.0)


def also_fails_on_base(rule: Rule, change: Verdict) -> Rule:
    """A rule that fails on the base: to fail it here too doesn't block, unless the change is worse, or isn't judged."""
    if rule.passes is not False or change in ("no score", "not judged"):
        return rule
    if change == "worse":
        return rule._replace(finding=f"{rule.finding}; fails on the base too, and is worse here")
    return rule._replace(passes=None, finding=f"{rule.finding}; fails on the base too")


def no_loss_against_base(gate: Gate, here: Results, base: Results | None, no_base: str) -> Rule:
    """The rule that the change isn't worse than the base, and doesn't have fewer refits to show it."""
    if base is not None:
        refits, base_refits = len(here.refits.columns), len(base.refits.columns)
        if refits < base_refits:
            fewer = f"{refits} refits, and the base has {base_refits}: with fewer a loss can hide"
            return Rule("no loss against the base", False, fewer)
    return _no_loss(gate, here, base, "the base", no_base)


def no_loss_against_release(gate: Gate, here: Results, release: Release) -> Rule:
    """The rule that the change isn't worse than the last release.

    A release can't be changed, so one that has no such score, or one of other costs, blocks nothing.
    """
    results, why_not = release.results, release.why_not_comparable
    if results is not None and is_score(score_of(here, gate.metric)):
        if not is_score(score_of(results, gate.metric)):
            results, why_not = None, f"{release.name} has no score {gate.metric}"
        elif have_other_costs(here, results, gate.metric):
            results, why_not = None, f"errors have other costs in {release.name}"
    return _no_loss(gate, here, results, release.name, why_not)


def _no_loss(gate: Gate, here: Results, other: Results | None, called: str, why_not: str) -> Rule:
    """The rule that the change isn't worse than other results."""
    name = f"no loss against {called}"
    if other is None:
        return Rule(name, None, f"not judged: {why_not}")
    difference = gain(compare(here, other, gate.metric), gate.metric)
    if verdict_by_gate(gate, here, other, gate.metric) in ("worse", "no score"):
        return Rule(name, False, _describe(difference))
    finding = _describe(difference)
    if difference.low < 0 and math.isfinite(difference.low):
        finding += f"; a loss of up to {-difference.low:.2g} can't be ruled out"
    return Rule(name, True, finding)


def rows_stay(sides: Sides, base: Revision) -> Rule:
    """The rule that few rows move between train, valid and test, unless params.yaml asks for another split."""
    name = f"at most {MOST_MOVED:.0%} of rows change split"
    if sides.has_same_split:
        return Rule(name, True, "none did: train, valid and test have the same rows")
    rows = row_changes.count_moved_rows(sides.here, base)
    if rows is None:
        return Rule(name, None, "not judged: the rows of one side aren't in this machine's cache")
    if not rows.shared:
        return Rule(name, None, "not judged: no row of the base is here, or all have other ids")
    finding = f"{rows.moved:,} of {rows.shared:,} rows changed split"
    if not row_changes.same_split_requested(sides.here, base):
        return Rule(name, None, f"not judged: params.yaml asks for another split; {finding}")
    return Rule(name, rows.moved <= MOST_MOVED * rows.shared, finding)


def _describe(difference: Difference) -> str:
    """A difference with its interval."""
    if math.isnan(difference.value):
        return "no score"
    if math.isinf(difference.low):
        return f"{difference.value:+.2g} (no interval: too few rows to draw from)"
    paired = "" if difference.paired else ", other rows"
    return f"{difference.value:+.2g} ({difference.low:+.2g} to {difference.high:+.2g}{paired})"
