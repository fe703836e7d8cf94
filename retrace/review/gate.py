"""Whether a change passes the gate, and whose gate judges it: that of the base."""

from typing import NamedTuple

from pydantic import ValidationError

from retrace.errors import UserError
from retrace.params import Gate, read_params
from retrace.review.comparable import Sides
from retrace.review.floors import floors
from retrace.review.releases import NO_RELEASE, Release, read_release
from retrace.review.results import Results, has_results
from retrace.review.revision import Revision
from retrace.review.rules import Rule, better_than_baseline, no_loss_against_base, no_loss_against_release, rows_stay
from retrace.scores import check_metric_names, is_judged, is_metric

WORDS = {True: "PASS", False: "FAIL", None: "n/a"}


class Judgement(NamedTuple):
    """The gate's judgement of a change.

    Attributes:
        gate: The gate that judges.
        rules: Its rules.
        own_rules: The rules of the change's own gate, if it has another than the base; they don't decide.
        notes: What a reader must know beside the rules.
    """

    gate: Gate
    rules: list[Rule]
    own_rules: list[Rule] | None
    notes: list[str]

    @property
    def passes(self) -> bool:
        """Whether no rule fails."""
        return all(rule.passes is not False for rule in self.rules)


def judge_change(sides: Sides) -> Judgement:
    """Judge a change by the base's gate, or by its own if the base's can't judge it.

    Raises:
        UserError: neither side has a gate that can be read.
    """
    own_gate, gate, notes = read_gate(sides.here), None, []
    if sides.base:
        gate = read_gate(sides.base)
        if why_own := _why_own_gate(sides, gate):
            gate = None
            notes.append(f"{why_own}: judged by this change's own gate")
    gate = gate or own_gate
    if gate is None:
        raise UserError(f"{sides.here.short}:params.yaml: no gate that can be read; `python -m retrace check` says why")
    release = read_release(sides)
    rules = _judge_sides(gate, sides, release)
    if sides.base:
        rules.insert(-1, rows_stay(sides, sides.base))  # the last rule, about a loss, is the answer
    own_rules = _judge_sides(own_gate, sides, release) if own_gate and own_gate != gate else None
    return Judgement(gate, rules, own_rules, notes)


def _judge_sides(gate: Gate, sides: Sides, release: Release) -> list[Rule]:
    """The rules of a gate; the last one fails if the base's results can't be read."""
    rules = judge(gate, sides.results, sides.base_results, sides.why_not_comparable, release)
    if sides.base_is_broken:
        rules[-1] = rules[-1]._replace(passes=False)
    return rules


def judge(
    gate: Gate,
    here: Results,
    base: Results | None,
    no_base: str = "there is no base",
    release: Release = NO_RELEASE,
) -> list[Rule]:
    """Judge results by each rule of a gate, in the order in which the rules are shown.

    Args:
        gate: The gate.
        here: The results of the change.
        base: Those of what it's to be merged into, if they can be compared.
        no_base: Why they can't.
        release: The last release.
    """
    rules = list(floors(gate, here, base))
    rules += [better_than_baseline(gate, name, here, base) for name in gate.baselines]
    rules.append(no_loss_against_release(gate, here, release))
    rules.append(no_loss_against_base(gate, here, base, no_base))
    return rules


def _why_own_gate(sides: Sides, base_gate: Gate | None) -> str:
    """Why the base's gate can't judge a change; empty if it can."""
    assert sides.base is not None
    if base_gate is None:
        return "the base has no gate that can be read"
    if not has_results(sides.base):
        return "the base has no results"
    is_another_question = sides.base_results is None and not sides.base_is_broken
    if is_another_question and base_gate.metric not in sides.results.scores["model"]:
        reason = f"the base's gate is about {base_gate.metric}, which isn't scored here"
        return f"{sides.why_not_comparable}, and {reason}"
    return ""


def read_gate(revision: Revision) -> Gate | None:
    """A revision's gate; None where it has none that can be read.

    A commit's gate is read without the other sections, since an older version may have written them.

    Raises:
        UserError: the folder's params.yaml is not valid.
    """
    if revision.commit is None:
        params = read_params()
        check_metric_names(params)
        return params.gate
    try:
        gate = Gate.model_validate(revision.yaml("params.yaml").get("gate"))
    except (ValidationError, UserError):
        return None
    # A metric that the change removed was scored on the base, and its rules must fail; one that nobody knows is a typo.
    removed = not is_metric(gate.metric) and gate.metric in revision.content_or_empty("metrics/scores.json")
    return gate if removed or is_judged(gate.metric) else None
