"""How the report writes numbers, intervals, counts and lists."""

from retrace.markdown import code, table
from retrace.review.changes import ChangedKeys
from retrace.review.results import is_score

MOST_ROWS = 40  # of a table


def changed_table(kind: str, changed: ChangedKeys) -> str:
    """A table of keys with their values on both sides; `kind` says what the keys are."""
    rows = []
    for key, values in list(changed.items())[:MOST_ROWS]:
        rows.append((code(key), *("" if value is None else code(value) for value in values)))
    more = f"\n\nand {len(changed) - MOST_ROWS} more" if len(changed) > MOST_ROWS else ""
    return table([kind, "base", "this change"], rows) + more


def number(score: float | None) -> str:
    """A score with four digits."""
    return f"{score:.4g}" if is_score(score) else "no score"


def interval_of_score(score: dict[str, float | None]) -> str:
    """A score's 95 % interval."""
    if not is_score(score.get("low")):
        return "none: too few rows"
    return f"{number(score.get('low'))} to {number(score.get('high'))}"


def counted(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(names: list[str], most: int = 8) -> str:
    """Names in a sentence, and how many there are beyond the first `most`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(code(name) for name in names[:most]) + more
