"""The section about the data: rows, columns, the schema, and the columns whose distribution moved most."""

from typing import Any

from retrace.markdown import bars, code, folded, table
from retrace.review.changes import changed_keys
from retrace.review.drift import Drift, rank_drifts, read_data
from retrace.review.report.change import Change
from retrace.review.report.wording import changed_table, counted
from retrace.review.revision import Revision
from retrace.review.row_changes import compare_rows, count_moved_rows

MOST_DRIFTS = 5


def write_data(change: Change) -> str:
    """Rows, columns, the schema, and the columns whose distribution moved further than chance explains."""
    here, base = change.sides.here, change.sides.base
    if base is None:
        return ""
    data, base_data = read_data(here), read_data(base)
    schema = changed_keys(here.content_or_empty("data/schema.yaml"), base.content_or_empty("data/schema.yaml"))
    if not data or not base_data:
        return "### Data\n\nOne of the two sides doesn't describe its data."
    same_rows = data == base_data and change.sides.has_same_split
    if same_rows and not schema:
        return ""
    parts = []
    if not same_rows:
        parts.append(_describe_rows(here, base, data["rows"], base_data["rows"]))
    if columns := changed_keys(_kinds(data), _kinds(base_data)):
        parts.append(changed_table("column", columns))
    if schema:
        parts.append(folded(f"{counted(len(schema), 'key')} of data/schema.yaml", changed_table("key", schema)))
    if moved := [drift for drift in rank_drifts(data, base_data) if drift.exceeds_chance]:
        parts.append(
            f"{counted(len(moved), 'column')} moved further than sampling explains. The distance is the share of "
            f"rows that must change for the two distributions to be equal.\n\n{_table_of_drifts(moved[:MOST_DRIFTS])}"
        )
    return "### Data\n\n" + "\n\n".join(parts)


def _kinds(data: dict[str, Any]) -> dict[str, str]:
    """What each column in metrics/data.json holds: numbers, text and so on."""
    return {name: column["kind"] for name, column in data["columns"].items()}


def _table_of_drifts(drifts: list[Drift]) -> str:
    rows = []
    for drift in drifts:
        highest = float(max(drift.base.max(), drift.here.max()))
        distributions = [code(bars(shares, highest)) for shares in (drift.base, drift.here)]
        rows.append((code(drift.column), f"{drift.distance:.3f}", f"{drift.by_chance:.3f}", *distributions))
    return table(["column", "distance:", "by sampling:", "base", "this change"], rows)


def _describe_rows(here: Revision, base: Revision, count: int, base_count: int) -> str:
    """How many rows there are, and how many are new, gone, altered and moved where both sides' tables are at hand.

    Otherwise only the numbers of rows in train and valid are known, `count` and `base_count`.
    """
    rows, moved = compare_rows(here, base), count_moved_rows(here, base)
    if rows is None or moved is None:
        why = "which ones can't be said: the base's tables aren't in this machine's cache"
        return f"{base_count:,} rows in train and valid → {count:,} ({count - base_count:+,}; {why})."
    in_test = ""
    if rows.added_to_test:
        in_test = f" ({rows.added_to_test:,} of them in `test`, which is held out: nothing here was scored on it)"
    return (
        f"{rows.base:,} rows → {rows.here:,}: {rows.added:,} added{in_test}, {rows.removed:,} removed, "
        f"{rows.altered:,} with other values, {moved.moved:,} moved between train, valid and test."
    )
