"""Whether the scores of two revisions can be compared, and the two sides of a change.

Scores can be compared if they answer the same question: the same target, the same task, the same costs, and the same
target for each row that both revisions have.
"""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from retrace.errors import UserError
from retrace.files import as_text
from retrace.resamples import content_of
from retrace.review import row_changes
from retrace.review.dvc_project import Stage
from retrace.review.pipeline import read_stages
from retrace.review.results import Results, read_results
from retrace.review.revision import NO_BASE, Revision, flattened
from retrace.review.split_tables import PARTS, id_column, read_tables


@dataclass(frozen=True)
class Sides:
    """A change and the base that it's to be merged into.

    Attributes:
        here: The change.
        base: What it's to be merged into; None: there is none.
        results: The results here.
        base_results: The base's results; None where the two can't be compared.
        why_not_comparable: Why they can't be compared; empty where they can.
        base_is_broken: Whether the base has results that can't be read.
        rescored: Whether the base's results are those of its model on the validation rows here (see rescore.py).
        why_not_rescored: Why the requested rescoring can't be done; empty if it can, or if it wasn't requested.
    """

    here: Revision
    base: Revision | None
    results: Results
    base_results: Results | None
    why_not_comparable: str
    base_is_broken: bool
    rescored: bool = False
    why_not_rescored: str = ""

    @cached_property
    def stages(self) -> dict[str, Stage]:
        """What dvc.lock records of each stage here, read once.

        Raises:
            UserError: DVC can't read it.
        """
        return read_stages(self.here)

    @cached_property
    def base_stages(self) -> dict[str, Stage] | None:
        """The same of the base; None where there is no base, or DVC can't read it."""
        if self.base is None:
            return None
        try:
            return read_stages(self.base)
        except UserError:
            return None

    @cached_property
    def has_same_split(self) -> bool:
        """Whether both have the same train, valid and test, by dvc.lock; False where DVC can't read one of them."""
        try:
            return row_changes.same_split(self.stages, self.base_stages)
        except UserError:
            return False


def read_sides(here: Revision, base: Revision | None, no_base: str = NO_BASE) -> Sides:
    """The results of both sides; `no_base` says why there is no base.

    Raises:
        UserError: there are none here, or they or the parameters can't be read.
    """
    results = read_results(here)
    if results is None:
        where = f"{here.short}:" if here.commit else ""
        raise UserError(f"{where}metrics: no results yet; `dvc repro` makes them")
    if base is None:
        return Sides(here, base, results, None, no_base, base_is_broken=False)
    try:
        base_results, why_not = read_comparable(here, results, base, "the base")
    except UserError as error:
        return Sides(here, base, results, None, f"the base can't be read: {error}", base_is_broken=True)
    return Sides(here, base, results, base_results, why_not, base_is_broken=False)


def read_comparable(here: Revision, results: Results, other: Revision, called: str) -> tuple[Results | None, str]:
    """The results of another revision, if they can be compared with those here.

    Args:
        here: The change.
        results: Its results.
        other: The other revision.
        called: What a reader knows it as.

    Returns:
        The results and an empty text; or None, and why they can't be compared.

    Raises:
        UserError: they, or the parameters of one side, can't be read.
    """
    other_results = read_results(other)
    if other_results is None:
        return None, f"{called} has no metrics yet"
    why_not = _why_another_question(here, other, results, other_results)
    return (None, why_not) if why_not else (other_results, "")


def _why_another_question(here: Revision, base: Revision, results: Results, base_results: Results) -> str:
    """Why the scores of two revisions answer different questions; empty where they answer the same.

    Another module for the same rows, with the same ids and targets, is no other question.
    """
    params, base_params = flattened(here.yaml("params.yaml")), flattened(base.yaml("params.yaml"))
    hashes, base_hashes = results.fingerprints, base_results.fingerprints
    are_known = "targets" in hashes and "targets" in base_hashes
    same_rows = are_known and hashes == base_hashes
    keys = ["data.target", "data.task", "data.positive"]
    if not same_rows:
        keys.append("data.set")
    if base_params.get("gate.metric") == "cost":
        keys += ["problem.costs.false_positive", "problem.costs.false_negative"]
    changed = [key for key in keys if params.get(key) != base_params.get(key)]
    if changed:
        return f"it answers another question: {', '.join(changed)} changed"
    same_ids = are_known and hashes["ids"] == base_hashes["ids"]
    if not same_rows and (same_ids or _target_differs(here, base)):
        return "the target is defined differently"
    return ""


def _target_differs(here: Revision, base: Revision) -> bool:
    """Whether a row that both sides have in train or valid has another target, as far as the tables are at hand.

    Rows may be equal except for their targets, and then the order in which they are numbered may differ. So it's enough
    if the rows of one id share a target.
    """
    targets, base_targets = _targets(here), _targets(base)
    if targets is None or base_targets is None:
        return False
    shared_ids = set(targets["id"]) & set(base_targets["id"])
    same = targets.merge(base_targets)  # on both columns
    return shared_ids != set(same["id"])


def _targets(revision: Revision) -> pd.DataFrame | None:
    """The `id` and the `target` of each row in train and valid as text; None where a table isn't at hand.

    An id is without the number that tells equal rows apart.
    """
    params = flattened(revision.content_or_empty("params.yaml"))
    name, target = id_column(revision), str(params.get("data.target"))
    paths = {part: path for part, path in PARTS.items() if part != "test"}
    tables = read_tables(revision, paths, [name, target])
    if tables.keys() != paths.keys():
        return None
    examples = pd.concat(tables.values())
    ids = content_of(examples[name], params.get("data.id"))
    return pd.DataFrame({"id": ids, "target": as_text(examples[target]).fillna("")}).drop_duplicates()
