"""Everything that the report of a change is written from."""

from dataclasses import dataclass

from retrace.errors import UserError
from retrace.review.comparable import Sides, read_sides
from retrace.review.gate import Judgement, judge_change
from retrace.review.lock import Verdict, find_problem, stale_stages, verify
from retrace.review.rerun import Rerun
from retrace.review.rescore import rescore_base
from retrace.review.revision import Revision
from retrace.review.rules import least_difference
from retrace.review.verify_only import Verification


@dataclass(frozen=True)
class Change:
    """Everything that the report of a change is written from.

    Attributes:
        sides: The change and its base, with their results.
        judgement: The gate's judgement of the change.
        lock: What is known of the committed results; None: the pipeline hasn't run again, and nothing seems wrong.
        rerun: What the last run of the pipeline did; None: it hasn't run again.
        verification: What was checked in place of a run; None: nothing was.
    """

    sides: Sides
    judgement: Judgement
    lock: Verdict | None
    rerun: Rerun | None
    verification: Verification | None

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return self.judgement.gate.metric

    def least(self, metric: str) -> float:
        """The least difference of a metric that matters, by the gate that judges."""
        return least_difference(self.judgement.gate, metric)


def read_change(
    base: Revision | None, here: Revision, rerun: Rerun | None, no_base: str, *, rescore: bool = False
) -> Change:
    """Read everything that the report is written from.

    Args:
        base: What the change is to be merged into.
        here: The change.
        rerun: What the last run of the pipeline did, if it counts.
        no_base: Why there is no base, if there is none.
        rescore: Whether to score the base's model on the validation rows here.

    Raises:
        UserError: there are no results here, they or the parameters can't be read, or the base's model is missing.
    """
    sides = read_sides(here, base, no_base)
    if rescore:
        sides = rescore_base(sides)
    verdict = verify(Revision.of("HEAD")) if rerun else find_problem(here)
    verification = Verification.last() if here.commit is None and not rerun else None
    return Change(sides, judge_change(sides), verdict, rerun, verification)


def is_out_of_date(here: Revision) -> bool:
    """Whether the results aren't those of the inputs, or nobody can say."""
    try:
        return here.read("dvc.lock") is None or bool(stale_stages(here))
    except UserError:
        return True
