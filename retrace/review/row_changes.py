"""Which rows differ between two revisions, by their ids: added, removed, altered, or moved to another part.

They can be counted only where DVC's cache on this machine has the tables of both revisions.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from retrace.changed_values import differ
from retrace.files import as_text
from retrace.review.dvc_project import Stage
from retrace.review.revision import Revision, flattened
from retrace.review.split_tables import PARTS, id_column, read_tables


class RowChanges(NamedTuple):
    """How many rows two revisions have, and how they differ.

    Attributes:
        base: How many rows the base has.
        here: How many there are here.
        added: How many are only here.
        removed: How many are only in the base.
        altered: How many are in both, with other values.
        added_to_test: How many of the added ones are in `test`.
    """

    base: int
    here: int
    added: int
    removed: int
    altered: int
    added_to_test: int


class MovedRows(NamedTuple):
    """How many rows two revisions share, and how many of these are in another part (train, valid, test) than before."""

    shared: int
    moved: int


def same_split(stages: dict[str, Stage], base_stages: dict[str, Stage] | None) -> bool:
    """Whether train, valid and test are the same to the byte, by what dvc.lock records of two revisions' stages.

    If it isn't known what the base's dvc.lock records (None), they aren't.
    """
    if base_stages is None:
        return False
    hashes, base_hashes = _hashes_of_outputs(stages), _hashes_of_outputs(base_stages)
    return all(hashes.get(path) and hashes[path] == base_hashes.get(path) for path in PARTS.values())


def _hashes_of_outputs(stages: dict[str, Stage]) -> dict[str, str | None]:
    hashes: dict[str, str | None] = {}
    for stage in stages.values():
        hashes |= stage.outs
    return hashes


def same_split_requested(here: Revision, base: Revision) -> bool:
    """Whether params.yaml asks for the same split: its section, and the column that it goes by."""
    return _requested_split(here) == _requested_split(base)


def _requested_split(revision: Revision) -> tuple[dict[str, object], object]:
    """The section `split` of params.yaml, and the column that the split goes by."""
    params = flattened(revision.content_or_empty("params.yaml"))
    section = {key: value for key, value in params.items() if key.startswith("split.")}
    return section, params.get(f"data.{section.get('split.by')}")


def count_moved_rows(here: Revision, base: Revision) -> MovedRows | None:
    """How many rows are in another part than in the base; None where a table of one side isn't at hand."""
    examples, base_examples = _read_examples(here, only_ids=True), _read_examples(base, only_ids=True)
    if examples is None or base_examples is None:
        return None
    (_, parts), (_, base_parts) = examples, base_examples
    shared = parts.index.intersection(base_parts.index)
    return MovedRows(len(shared), int((parts[shared] != base_parts[shared]).sum()))


def compare_rows(here: Revision, base: Revision) -> RowChanges | None:
    """How the rows differ; None where a table of one side isn't at hand."""
    examples, base_examples = _read_examples(here), _read_examples(base)
    if examples is None or base_examples is None:
        return None
    (rows, parts), (base_rows, _) = examples, base_examples
    shared_ids = rows.index.intersection(base_rows.index)
    altered = np.zeros(len(shared_ids), dtype=bool)
    for column in rows.columns.intersection(base_rows.columns):
        altered |= differ(rows.loc[shared_ids, column], base_rows.loc[shared_ids, column])
    return RowChanges(
        base=len(base_rows),
        here=len(rows),
        added=len(rows) - len(shared_ids),
        removed=len(base_rows) - len(shared_ids),
        altered=int(altered.sum()),
        added_to_test=int((parts.drop(shared_ids) == "test").sum()),
    )


def _read_examples(revision: Revision, only_ids: bool = False) -> tuple[pd.DataFrame, pd.Series] | None:
    """All rows of a revision and the part that each is in, both by their ids as text; None if not at hand."""
    column = id_column(revision)
    tables = read_tables(revision, PARTS, [column] if only_ids else None)
    if tables.keys() != PARTS.keys() or not all(column in table for table in tables.values()):
        return None
    examples = pd.concat(tables.values())
    examples = examples.set_index(pd.Index(as_text(examples[column])))
    parts = np.repeat(list(tables), [len(table) for table in tables.values()])
    return examples, pd.Series(parts, index=examples.index)
