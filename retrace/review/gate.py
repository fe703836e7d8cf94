"""What must hold before a change is merged, whether it does, and by how much.

A number that is missing fails its rule. A rule that there is nothing to compare with for (no base, no release) isn't
judged. A rule that fails on the base too doesn't block a change, unless the change makes it worse.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from retrace.errors import UserError
from retrace.params import Baseline, Gate
from retrace.review import changes
from retrace.review.noise import (
    WHOLE,
    Difference,
    Slice,
    Verdict,
    beyond,
    compare,
    compare_slices,
    gain,
    score_of,
    series,
    verdict,
)
from retrace.review.releases import last_release
from retrace.review.results import (
    Results,
    Revision,
    Sides,
    has_results,
    is_score,
    read_comparable,
    read_gate,
)
from retrace.scores import higher_is_better

MOST_MOVED = 0.01  # of the rows that both sides have
WORDS = {True: "PASS", False: "FAIL", None: "n/a"}


class Rule(NamedTuple):
    """One rule: what must hold, whether it does (None: it doesn't block, or isn't judged), and what was found."""

    rule: str
    holds: bool | None
    found: str


class Release(NamedTuple):
    """The last release: its tag, and its results, or None and why there is nothing to compare with."""

    name: str
    results: Results | None
    why_not: str


NO_RELEASE = Release("the last release", None, "there is no release yet")


class Judgement(NamedTuple):
    """The gate that judges and its rules, those by the change's own where it has another, and what to say with them."""

    gate: Gate
    rules: list[Rule]
    own_rules: list[Rule] | None
    notes: list[str]

    @property
    def holds(self) -> bool:
        """Whether no rule fails; a change isn't judged by the gate that it brings."""
        return all(rule.holds is not False for rule in self.rules)


def judge_change(sides: Sides) -> Judgement:
    """A change, judged by the gate of what it's to be merged into; by its own, if that one can't judge it.

    Raises:
        UserError: neither side has a gate that can be read.
    """
    own, gate, notes = read_gate(sides.here), None, []
    if sides.base:
        gate = read_gate(sides.base)
        if why_own := _why_own_gate(sides, gate):
            gate = None
            notes.append(f"{why_own}: judged by this change's own gate")
    gate = gate or own
    if gate is None:
        raise UserError(f"{sides.here.short}:params.yaml: no gate that can be read; `python -m retrace check` says why")
    release = read_release(sides)

    def judged(by: Gate) -> list[Rule]:
        rules = judge(by, sides.results, sides.base_results, sides.why_not, release)
        return [*rules[:-1], rules[-1]._replace(holds=False)] if sides.broken else rules

    rules = judged(gate)
    if sides.base:
        rules.insert(-1, _rows_stay(sides.here, sides.base))  # the last one, about a loss, is the answer
    return Judgement(gate, rules, judged(own) if own and own != gate else None, notes)


def _why_own_gate(sides: Sides, base_gate: Gate | None) -> str:
    """Why the base's gate can't judge a change, or nothing if it can."""
    assert sides.base is not None
    if base_gate is None:
        return "the base has no gate that can be read"
    if not has_results(sides.base):
        return "the base has no results"
    other_question = sides.base_results is None and not sides.broken
    if other_question and base_gate.metric not in sides.results.scores["model"]:
        return f"{sides.why_not}, and the base's gate is about {base_gate.metric}, which isn't scored here"
    return ""


def read_release(sides: Sides) -> Release:
    """The last release before a change, with its results if they can be compared.

    A release can't be mended: one without results, or with results that this version can't read, is no obstacle.
    """
    tag = last_release(sides.here)
    if tag is None:
        return NO_RELEASE
    try:
        return Release(tag.name, *read_comparable(sides.here, sides.results, tag, tag.name))
    except UserError as error:
        return Release(tag.name, None, f"{tag.name} can't be read: {error}")


def judge(
    gate: Gate,
    here: Results,
    base: Results | None,
    no_base: str = "there is no base",
    release: Release = NO_RELEASE,
) -> list[Rule]:
    """Every rule of the gate, in the order in which a reader wants them.

    Args:
        gate: the one that judges.
        here: the results of the change.
        base: those of what it's to be merged into, if they can be compared.
        no_base: why they can't.
        release: the last release.
    """
    return [
        *_floors(gate, here, base),
        *(_baseline(gate, name, here, base) for name in gate.baselines),
        _no_loss_against_release(gate, here, release),
        _no_loss_against_base(gate, here, base, no_base),
    ]


def _floors(gate: Gate, here: Results, base: Results | None) -> Iterator[Rule]:
    most = "at least" if higher_is_better(gate.metric) else "at most"
    if gate.floor is not None:
        reached, shown = _floor(gate, gate.floor, here)
        rule = Rule(f"{gate.metric} {most} {gate.floor:g}", reached, shown)
        if base is not None and not _floor(gate, gate.floor, base)[0]:
            rule = _also_fails_on_base(rule, _verdict(gate, here, base, gate.metric))
        yield rule
    if gate.slice_floor is not None:
        yield _slice_floor(f"{gate.metric} of each slice {most} {gate.slice_floor:g}", gate, here, base)


def _floor(gate: Gate, bound: float, results: Results, part: Slice = WHOLE) -> tuple[bool, str]:
    """Whether a score reaches a bound, by the score itself; and the score with its interval."""
    if part == WHOLE:
        found = results.scores["model"].get(gate.metric, {})
        score = found.get("score")
    else:
        found = results.slices[part.column][part.value]
        score = found.get(gate.metric)
    if not is_score(score):
        return False, "no score"
    reached = score >= bound if higher_is_better(gate.metric) else score <= bound
    low, high = found.get("low"), found.get("high")
    # A slice has an interval of one metric, that of its own gate, and the base's gate may be about another.
    known = not series(results.bootstrap, "model", gate.metric, part)[1].empty
    shown = f" ({low:.4g} to {high:.4g})" if known and is_score(low) and is_score(high) else ""
    return reached, f"{score:.4g}{shown}"


def _slice_floor(rule: str, gate: Gate, here: Results, base: Results | None) -> Rule:
    """The rule about the slices, each judged as the whole is, with what was found of the worst one."""
    assert gate.slice_floor is not None
    up, bound = higher_is_better(gate.metric), gate.slice_floor
    parts, base_parts = _judged_slices(here), _judged_slices(base) if base else []
    gone = [part for part in base_parts if part not in parts]
    if lost := {part.column for part in gone} - {part.column for part in parts}:
        return Rule(rule, False, f"{min(lost)} is no longer scored")
    if not parts:
        return Rule(rule, None, "not judged: no slice that isn't small")

    changes_by_slice = {} if base is None else _verdicts_of_slices(gate, here, base)

    def judged(part: Slice) -> Rule:
        reached, shown = _floor(gate, bound, here, part)
        found = Rule(rule, reached, f"{shown} {part.column} {part.value}")
        if base is not None and part in base_parts and not _floor(gate, bound, base, part)[0]:
            found = _also_fails_on_base(found, changes_by_slice.get(part, "no score"))
        return found

    def order(part: Slice) -> tuple[int, float]:
        """What fails comes first, then what fails on the base too; among these, the worst score."""
        score = here.slices[part.column][part.value].get(gate.metric)
        if not is_score(score):
            return 0, -math.inf
        return [False, None, True].index(judged(part).holds), score if up else -score

    worst = judged(min(parts, key=order))
    more = f"; no longer scored, or too small: {', '.join(' '.join(part) for part in gone)}" if gone else ""
    return worst._replace(found=worst.found + more)


def _judged_slices(results: Results) -> list[Slice]:
    """The slices that say enough to be judged."""
    return [
        Slice(column, value)
        for column, values in results.slices.items()
        for value in values
        if not values[value]["small"]
    ]


def _baseline(gate: Gate, name: Baseline, here: Results, base: Results | None) -> Rule:
    """The model must be better than a baseline beyond noise: on the gate's metric, or by what its decisions cost."""
    ahead = _lead(gate, name, here)
    holds = None if math.isinf(ahead.low) else ahead.low > 0  # None: too few units to know the noise
    rule = Rule(f"better than the baseline {name}", holds, _interval(ahead))
    metric: str = gate.metric
    if name == "best_constant_action":
        metric = "cost"
        if here.decision is None:
            no_costs = "no score: problem.costs in params.yaml says no costs"
            return Rule("better than the constant actions", holds, no_costs)
        rule = rule._replace(rule=f"better than {here.decision.best_constant_action} acting")
    if base is not None and _baseline(gate, name, base, None).holds is False and not math.isnan(ahead.value):
        rule = _also_fails_on_base(rule, _verdict(gate, here, base, metric))
    return rule


def _lead(gate: Gate, name: Baseline, results: Results) -> Difference:
    """By how much the model is better than a baseline."""
    if name == "best_constant_action":
        action = results.decision.best_constant_action if results.decision else ""
        return gain(beyond(results, action, "cost"), "cost")
    return gain(beyond(results, name, gate.metric), gate.metric)


def _verdict(gate: Gate, here: Results, base: Results, metric: str) -> Verdict:
    """What a change's difference is, by the smallest one that matters to a gate."""
    if _other_costs(here, base, metric):
        return "no score"
    return verdict(compare(here, base, metric), metric, least_difference(gate, metric))


def _verdicts_of_slices(gate: Gate, here: Results, base: Results) -> dict[Slice, Verdict]:
    """The same of each slice that can be compared, by intervals that all hold at once."""
    if _other_costs(here, base, gate.metric):
        return {}
    least = least_difference(gate, gate.metric)
    compared = compare_slices(here, base, gate.metric)
    return {part: verdict(difference, gate.metric, least) for part, difference in compared}


def _other_costs(here: Results, base: Results, metric: str) -> bool:
    if metric != "cost" or here.decision is None or base.decision is None:
        return False
    return here.decision.costs != base.decision.costs


def least_difference(gate: Gate, metric: str) -> float:
    """The smallest difference of a metric that matters."""
    return {str(name): least for name, least in gate.smallest_difference.items()}.get(metric, 0.0)


def _also_fails_on_base(rule: Rule, change: Verdict) -> Rule:
    """A rule that fails on the base: to fail it here too doesn't block, unless the change is worse, or isn't judged."""
    if rule.holds is not False or change in ("no score", "not judged"):
        return rule
    if change == "worse":
        return rule._replace(found=f"{rule.found}; fails on the base too, and is worse here")
    return rule._replace(holds=None, found=f"{rule.found}; fails on the base too")


def _no_loss_against_base(gate: Gate, here: Results, base: Results | None, no_base: str) -> Rule:
    if base is not None:
        ours, theirs = len(here.refits.columns), len(base.refits.columns)
        if ours < theirs:
            fewer = f"{ours} refits, and the base has {theirs}: with fewer a loss can hide"
            return Rule("no loss against the base", False, fewer)
    return _no_loss(gate, here, base, "the base", no_base)


def _no_loss_against_release(gate: Gate, here: Results, release: Release) -> Rule:
    """A release can't be changed, so one that has no such score, or one of other costs, is no obstacle."""
    results, why_not = release.results, release.why_not
    if results is not None and is_score(score_of(here, gate.metric)):
        if not is_score(score_of(results, gate.metric)):
            results, why_not = None, f"{release.name} has no score {gate.metric}"
        elif _other_costs(here, results, gate.metric):
            results, why_not = None, f"errors have other costs in {release.name}"
    return _no_loss(gate, here, results, release.name, why_not)


def _no_loss(gate: Gate, here: Results, other: Results | None, called: str, why_not: str) -> Rule:
    rule = f"no loss against {called}"
    if other is None:
        return Rule(rule, None, f"not judged: {why_not}")
    word = _verdict(gate, here, other, gate.metric)
    gained = gain(compare(here, other, gate.metric), gate.metric)
    if word in ("worse", "no score"):
        return Rule(rule, False, _interval(gained))
    unseen = gained.low < 0 and math.isfinite(gained.low)
    loss = f"; a loss of up to {-gained.low:.2g} can't be ruled out" if unseen else ""
    return Rule(rule, True, _interval(gained) + loss)


def _rows_stay(here: Revision, base: Revision) -> Rule:
    """That hardly a row has moved between train, valid and test, unless params.yaml asks for another split."""
    rule = f"at most {MOST_MOVED:.0%} of rows change their part"
    if changes.same_split(here, base):
        return Rule(rule, True, "the same rows in each")
    found = changes.moved(here, base)
    if found is None:
        return Rule(rule, None, "not judged: the rows of one side aren't in this machine's cache")
    if not found.shared:
        return Rule(rule, None, "not judged: no row of the base is here, or all have other ids")
    told = f"{found.moved:,} of {found.shared:,} rows moved"
    if not changes.same_split_asked(here, base):
        return Rule(rule, None, f"not judged: params.yaml asks for another split; {told}")
    return Rule(rule, found.moved <= MOST_MOVED * found.shared, told)


def _interval(difference: Difference) -> str:
    if math.isnan(difference.value):
        return "no score"
    if math.isinf(difference.low):
        return f"{difference.value:+.2g} (no interval: too few rows to draw from)"
    paired = "" if difference.paired else ", other rows"
    return f"{difference.value:+.2g} ({difference.low:+.2g} to {difference.high:+.2g}{paired})"
