"""What adopt prints before it writes: how the table is read, what each column is for, and the common pitfalls."""

from collections.abc import Iterator
from pathlib import Path

from retrace.adopt.columns import described
from retrace.adopt.pitfalls import pitfalls_of
from retrace.adopt.plan import Plan
from retrace.adopt.roles import FEWEST_ROWS
from retrace.adopt.splitting import as_in_params_yaml
from retrace.errors import one_line
from retrace.params import SplitByTime
from retrace.resamples import content_of
from retrace.tables.files import files_of

MOST_SHOWN = 40  # columns
MOST_TYPES = 8
WIDEST_NAME = 30  # characters


def summary_of(new: Plan, given: Path) -> Iterator[str]:
    """The lines.

    Args:
        new: what is to be done with the table.
        given: the user's file or folder.
    """
    yield from _reading(new, given)
    yield ""
    yield from _columns(new)
    yield ""
    yield f"{new.data.task}: {new.why_task}"
    if new.data.positive is not None:
        yield f"positive class: {new.data.positive}, {new.why_positive}; data.positive in params.yaml changes it"
    yield from _split(new)
    if new.forgotten:
        yield f"warning: given last time, but not now: {', '.join(new.forgotten)}"
    for name in new.absent:
        yield f"warning: {name}: no longer in the table, and row ids were made from it: each row gets another id"
    for pitfall in pitfalls_of(new.raw, new.prepared, new.seen, new.data, new.doubts):
        yield f"warning: {pitfall}"


def _reading(new: Plan, given: Path) -> Iterator[str]:
    """The table's size, and how it is read."""
    files = len(files_of(given))
    size = f"{new.raw.count:,} rows, {len(new.raw.rows.columns)} columns{f', {files} files' if files > 1 else ''}"
    options = ", ".join(f"{key} {value!r}" for key, value in new.data.read.items() if key != "types")
    yield f"{given}: {size}{f'; {options}' if options else ''}"
    if not new.raw.is_whole:
        yield f"sample: most choices and warnings are from {len(new.raw.rows):,} rows, evenly spread over the table"
    types = [f"{name} as {type_}" for name, type_ in new.data.read.get("types", {}).items()]
    if types:
        more = f", and {len(types) - MOST_TYPES} more" if len(types) > MOST_TYPES else ""
        yield f"read: {', '.join(types[:MOST_TYPES])}{more}"
    if new.guessed:
        yield f"warning: the encoding {new.guessed} is a guess; if letters look wrong, name another: --encoding NAME"


def _columns(new: Plan) -> Iterator[str]:
    """A row for each column."""
    names = list(map(str, new.raw.rows))
    found = list(described(new.raw, names[:MOST_SHOWN], new.data))
    width = min(WIDEST_NAME, max(len(one_line(column.name)) for column in found))
    yield f"  {'column':<{width}}  {'kind':<11}  missing  what is done with it"
    for name, kind, missing, role in found:
        share = "<1%" if 0 < missing < 0.01 else f"{missing:.0%}"
        yield f"  {one_line(name)[:width]:<{width}}  {kind:<11}  {share:>7}  {role}"
    if len(names) > MOST_SHOWN:
        yield f"  and {len(names) - MOST_SHOWN:,} more"


def _split(new: Plan) -> Iterator[str]:
    """How the rows are split."""
    if isinstance(new.split, SplitByTime):
        moments = as_in_params_yaml(new.split)
        together = f"; rows of one {new.split.block} share their chance" if new.split.block else ""
        yield f"split by time: valid from {moments['valid_from']}, test from {moments['test_from']}{together}"
        if not (together or new.data.group or isinstance(new.split.valid_from, float)):
            yield "warning: valid spans too few hours to draw whole ones: intervals take each row as independent"
        return
    shares = (f"{rows / len(new.prepared.rows):.0%} {name}" for name, rows in new.parts.items())
    yield f"split by {new.split.by}: {', '.join(shares)}"
    if new.split.by == "random":
        different = content_of(new.prepared.rows[new.data.id_column], new.data.id).nunique()
        if different < FEWEST_ROWS:
            told = f"only {different} rows differ, and equal ones stay in one part, so train and valid differ in kind"
            yield f"warning: {told}; where a column names each row, --id COLUMN splits them one by one"
