"""What must hold before a change is merged, whether it does, and by how much.

A number that is missing fails its rule. A rule that nothing can be held against (no base, no floor) isn't judged.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from src.core.errors import UserError
from src.core.params import Gate
from src.core.scores import BASELINES, HIGHER_IS_BETTER
from src.review.noise import Difference, beyond, compare, gain, verdict
from src.review.results import Results, Sides, is_score, read_gate


class Rule(NamedTuple):
    """One rule: what must hold, whether it does (None: not judged), and what was found."""

    rule: str
    holds: bool | None
    found: str


class Judgement(NamedTuple):
    """The gate that judges and its rules, those by the change's own where it has another, and what to say with them."""

    gate: Gate
    rules: list[Rule]
    own_rules: list[Rule] | None
    notes: list[str]

    @property
    def holds(self) -> bool:
        """Whether all of the rules hold that were judged; a change isn't judged by the gate that it brings."""
        return all(rule.holds is not False for rule in self.rules)


def judge_change(sides: Sides) -> Judgement:
    """A change, judged by the gate of what it's to be merged into.

    Raises:
        UserError: neither side has a gate that can be read.
    """
    own, gate, notes = read_gate(sides.here), read_gate(sides.base) if sides.base else None, []
    if sides.base and gate is None:
        notes.append("the base has no gate that can be read: judged by this one's own")
    gate = gate or own
    if gate is None:
        raise UserError(
            f"{sides.here.short}:params.yaml: no gate that can be read; `python -m src.core.params` says why"
        )

    def judged(by: Gate) -> list[Rule]:
        rules = judge(by, sides.results, sides.base_results, sides.why_not)
        return [*rules[:-1], rules[-1]._replace(holds=False)] if sides.broken else rules

    return Judgement(gate, judged(gate), judged(own) if own and own != gate else None, notes)


def judge(gate: Gate, here: Results, base: Results | None, no_base: str = "there is no base") -> list[Rule]:
    """Every rule of the gate, in the order in which a reader wants them; `no_base` says why there is none."""
    return [*_floors(gate, here, base), *_baselines(gate, here), _no_loss(gate, here, base, no_base)]


def _floors(gate: Gate, here: Results, base: Results | None) -> Iterator[Rule]:
    up = HIGHER_IS_BETTER[gate.metric]
    most = "at least" if up else "at most"
    if gate.floor is not None:
        score = here.scores["model"].get(gate.metric, {}).get("score")
        yield _floor(f"{gate.metric} {most} {gate.floor:g}", score, gate.floor, up)
    if gate.slice_floor is not None:
        judged = _judged_slices(here)
        scored = [(here.slices[column][value].get(gate.metric), f"{column} {value}") for column, value in judged]
        worst = min(
            scored, key=lambda item: (item[0] if up else -item[0]) if is_score(item[0]) else -math.inf, default=None
        )
        rule = f"{gate.metric} of each slice {most} {gate.slice_floor:g}"
        gone = [slice_ for slice_ in _judged_slices(base) if slice_ not in judged] if base else []
        if lost := {column for column, _ in gone} - {column for column, _ in judged}:
            yield Rule(rule, False, f"{min(lost)} is no longer scored")
        elif not worst:
            yield Rule(rule, None, "not judged: no slice that isn't small")
        else:
            note = f"lowest: {worst[1]}" if up else f"highest: {worst[1]}"
            more = f"; no longer scored, or too small: {', '.join(' '.join(slice_) for slice_ in gone)}" if gone else ""
            yield _floor(rule, worst[0], gate.slice_floor, up, note + more)


def _judged_slices(results: Results) -> list[tuple[str, str]]:
    """The slices that say enough to be judged, as column and value."""
    return [
        (column, value) for column, values in results.slices.items() for value in values if not values[value]["small"]
    ]


def _floor(rule: str, score: float | None, bound: float, up: bool, note: str = "") -> Rule:
    if not is_score(score):
        return Rule(rule, False, " ".join(["no score", note]).strip())
    margin = score - bound if up else bound - score
    return Rule(rule, margin >= 0, f"{score:.4g} ({margin:+.2g}) {note}".strip())


def _baselines(gate: Gate, here: Results) -> Iterator[Rule]:
    for name in BASELINES:
        ahead = gain(beyond(here, name, gate.metric), gate.metric)
        holds = None if math.isinf(ahead.low) else ahead.low > 0
        yield Rule(f"better than the baseline {name}", holds, _interval(ahead))


def _no_loss(gate: Gate, here: Results, base: Results | None, no_base: str) -> Rule:
    rule = f"no loss beyond noise and {gate.smallest_difference[gate.metric]:g}"
    if base is None:
        return Rule(rule, None, f"not judged: {no_base}")
    for what, ours, theirs in (("resamples", here.bootstrap, base.bootstrap), ("refits", here.refits, base.refits)):
        if len(ours.columns) < len(theirs.columns):
            fewer = f"{len(ours.columns)} {what}, and the base has {len(theirs.columns)}"
            return Rule(rule, False, f"{fewer}: with fewer a loss can hide")
    difference = compare(here, base, gate.metric)
    gained = gain(difference, gate.metric)
    word = verdict(difference, gate.metric, gate.smallest_difference[gate.metric])
    if word in ("worse", "no score"):
        return Rule(rule, False, _interval(gained))
    loss = (
        "" if gained.low >= 0 or math.isinf(gained.low) else f"; a loss of up to {-gained.low:.2g} can't be ruled out"
    )
    return Rule(rule, True, _interval(gained) + loss)


def _interval(difference: Difference) -> str:
    if math.isnan(difference.value):
        return "no score"
    if math.isinf(difference.low):
        return f"{difference.value:+.2g} (no interval: too few rows to draw from)"
    paired = "" if difference.paired else ", other rows"
    return f"{difference.value:+.2g} ({difference.low:+.2g} to {difference.high:+.2g}{paired})"
