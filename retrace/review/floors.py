"""The rules about floors: the score of all rows, and that of each slice, must reach a bound."""

import math
from collections.abc import Iterator

from retrace.differences import Slice
from retrace.params import Gate
from retrace.review.results import Results, is_score
from retrace.review.rules import Rule, also_fails_on_base, verdict_by_gate, verdicts_of_slices
from retrace.review.score_differences import WHOLE, series
from retrace.scores import higher_is_better


def floors(gate: Gate, here: Results, base: Results | None) -> Iterator[Rule]:
    """The rules about the floors for the score and for the slices, if the gate has them."""
    bound = "at least" if higher_is_better(gate.metric) else "at most"
    if gate.floor is not None:
        rule = _score_floor(f"{gate.metric} {bound} {gate.floor:g}", gate, gate.floor, here)
        if base is not None and not _score_floor(rule.name, gate, gate.floor, base).passes:
            rule = also_fails_on_base(rule, verdict_by_gate(gate, here, base, gate.metric))
        yield rule
    if gate.slice_floor is not None:
        name = f"{gate.metric} of each slice {bound} {gate.slice_floor:g}"
        yield _slice_floor(name, gate, gate.slice_floor, here, base)


def _score_floor(name: str, gate: Gate, floor: float, results: Results, part: Slice = WHOLE) -> Rule:
    """Whether the score of all rows, or of a slice, reaches a floor; the score itself decides, not its interval."""
    if part == WHOLE:
        scores = results.scores["model"].get(gate.metric, {})
        score = scores.get("score")
    else:
        scores = results.slices[part.column][part.value]
        score = scores.get(gate.metric)
    if not is_score(score):
        return Rule(name, False, "no score")
    reached = score >= floor if higher_is_better(gate.metric) else score <= floor
    low, high = scores.get("low"), scores.get("high")
    # A slice has an interval of one metric, that of its own gate, and the base's gate may be about another.
    has_interval = not series(results.bootstrap, "model", gate.metric, part)[1].empty
    interval = f" ({low:.4g} to {high:.4g})" if has_interval and is_score(low) and is_score(high) else ""
    return Rule(name, reached, f"{score:.4g}{interval}")


def _slice_floor(name: str, gate: Gate, floor: float, here: Results, base: Results | None) -> Rule:
    """The rule about the slices: each is judged as the whole is, and the worst one is shown."""
    slices, base_slices = _judged_slices(here), _judged_slices(base) if base else []
    gone = [part for part in base_slices if part not in slices]
    gone_columns = {part.column for part in gone} - {part.column for part in slices}
    if gone_columns:
        return Rule(name, False, f"{min(gone_columns)} is no longer scored")
    if not slices:
        return Rule(name, None, "not judged: no slice that isn't small")

    verdicts = {} if base is None else verdicts_of_slices(gate, here, base)
    rules = {}
    for part in slices:
        rule = _score_floor(name, gate, floor, here, part)
        rule = rule._replace(finding=f"{rule.finding} {part.column} {part.value}")
        fails_on_base = base and part in base_slices and not _score_floor(name, gate, floor, base, part).passes
        if fails_on_base:
            rule = also_fails_on_base(rule, verdicts.get(part, "no score"))
        rules[part] = rule
    worst = rules[min(slices, key=lambda part: _order_of_slices(gate, here, part, rules[part]))]
    if gone:
        names = ", ".join(f"{part.column} {part.value}" for part in gone)
        return worst._replace(finding=f"{worst.finding}; no longer scored, or too small: {names}")
    return worst


def _order_of_slices(gate: Gate, results: Results, part: Slice, rule: Rule) -> tuple[int, float]:
    """The place of a slice: first what fails, then what fails on the base too, and among these the worst score."""
    score = results.slices[part.column][part.value].get(gate.metric)
    if not is_score(score):
        return 0, -math.inf
    return [False, None, True].index(rule.passes), score if higher_is_better(gate.metric) else -score


def _judged_slices(results: Results) -> list[Slice]:
    """The slices that have enough rows to be judged."""
    slices = []
    for column, values in results.slices.items():
        slices += [Slice(column, value) for value, scores in values.items() if not scores["small"]]
    return slices
