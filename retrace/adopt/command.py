"""Your table becomes this project's data.

    python -m retrace adopt FILE --target COLUMN [OPTION]...

FILE is a CSV, TSV, Parquet or JSON Lines file (.gz too), or a folder of such files with the same columns. adopt finds
out how it is written, and shows what each column is taken for and which common pitfalls it may hold. Then it copies the
table to data/source/ and puts it under DVC, and writes params.yaml and data/schema.yaml; `dvc repro` does the rest.

A mistake changes nothing. Run it again as often as you like, each time with all options that are to apply; what you
changed in other parts of params.yaml stays. Warnings may show values of columns that are not private, on this terminal
only. Rows are counted from the first below the header.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from retrace.adopt import columns, project
from retrace.adopt.plan import FEWEST_ROWS, Plan, moments_of, plan
from retrace.errors import UserError, one_line
from retrace.params import FILE, SplitByTime, complain
from retrace.resamples import content_of
from retrace.schema import write_schema
from src.datasets.table import files_of

MOST_SHOWN = 40  # columns
MOST_TYPES = 8
MOST_KEYS = 2
TYPES = "number, text, date, excel-date, or the format of a date such as %d.%m.%Y"


class Each(argparse.Action):
    """An option that may be repeated. For the value of `--missing=--` older versions of argparse give an empty list."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002  # the interface of argparse
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        """Add the value to those before it."""
        if values == [] and self.type:
            raise argparse.ArgumentError(self, "-- is no value of it")
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), "--" if values == [] else values])


class Once(argparse.Action):
    """An option with a single value, which cannot be given twice."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002  # the interface of argparse
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Keep the value, or stop if there is one already."""
        if self.dest in namespace.given:
            raise UserError(f"{option_string}: given twice; it takes one value")
        if values == [] and (self.type or self.choices):
            raise argparse.ArgumentError(self, "-- is no value of it")
        namespace.given.add(self.dest)
        setattr(namespace, self.dest, "--" if values == [] else values)


def typed(text: str) -> tuple[str, str]:
    """The column and the type of `--type COLUMN=TYPE`."""
    name, _, type_ = text.rpartition("=")
    if not name or not re.fullmatch(r"number|text|date|excel-date|.*%.*", type_):
        raise argparse.ArgumentTypeError(f"{text}: not COLUMN=TYPE, where TYPE is {TYPES}")
    return name, type_


def sign(text: str) -> str:
    """One character of ASCII that is not itself a part of numbers or quotes cells."""
    if len(text) != 1 or not text.isascii() or not text.isprintable() or text.isalnum() or text in '+-"':
        raise argparse.ArgumentTypeError(f"{text}: not a sign such as . or ,")
    return text


def encoding(text: str) -> str:
    """An encoding of text that Python has."""
    try:
        "".encode(text)
    except LookupError:
        raise argparse.ArgumentTypeError(f"{text}: not an encoding of Python's, such as utf-8 or cp1252") from None
    return text


def count(text: str) -> int:
    """How many lines are left out."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: not a number of lines")
    return int(text)


def parse(words: list[str]) -> argparse.Namespace:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m retrace adopt",
        usage="python -m retrace adopt FILE --target COLUMN [OPTION]...",
        description=__doc__.replace("%", "%%"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(given=set(), day_first=None)
    parser.add_argument("file", metavar="FILE", type=Path, help="the table")
    roles = parser.add_argument_group("what the columns are")
    for name, told in (
        ("--target", "the column to predict"),
        ("--time", "the time of a row: learn from the past, compare on what came later"),
        ("--group", "what a row belongs to; without --time, rows of one group stay in one part of the split"),
        ("--id", "what names a row, in this version of the table and the next"),
        ("--weight", "the weight of a row in training"),
    ):
        roles.add_argument(name, metavar="COLUMN", help=told, required=name == "--target", action=Once)
    tasks = ["classification", "regression"]
    roles.add_argument("--task", choices=tasks, action=Once, help="what to learn, where adopt's choice is wrong")
    repeated: dict[str, Any] = {"action": Each, "default": []}
    roles.add_argument("--drop", metavar="COLUMN", help="not a feature; may be repeated", **repeated)
    roles.add_argument("--private", metavar="COLUMN", help="no value of it is shown; may be repeated", **repeated)
    cells = parser.add_argument_group("how the cells are written, where the cells themselves do not prove it")
    cells.add_argument("--decimal", metavar="SIGN", type=sign, action=Once, help="the decimal sign: . or ,")
    cells.add_argument("--thousands", metavar="SIGN", type=sign, action=Once, help="the sign between thousands")
    order = cells.add_mutually_exclusive_group()
    order.add_argument("--dayfirst", dest="day_first", action="store_true", default=None, help="03/04/2020 is 3 April")
    order.add_argument("--monthfirst", dest="day_first", action="store_false", default=None, help="it is 4 March")
    cells.add_argument(
        "--type", metavar="COLUMN=TYPE", type=typed, help=f"{TYPES}; may be repeated".replace("%", "%%"), **repeated
    )
    cells.add_argument("--missing", metavar="VALUE", help="stands for no value; may be repeated", **repeated)
    cells.add_argument("--strip", action="store_true", help="remove blanks around names and texts")
    told = "of text files, by Python's name for it, such as cp1250"
    cells.add_argument("--encoding", metavar="NAME", type=encoding, action=Once, help=told)
    lines: dict[str, Any] = {"metavar": "N", "type": count, "action": Once}
    cells.add_argument("--skip-rows", help="lines above the header", **lines)
    cells.add_argument("--skip-footer", help="lines at the end, such as totals", **lines)
    return parser.parse_args(words)


def told(new: Plan, given: Path) -> Iterator[str]:
    """What was understood, and which pitfalls there may be."""
    files, how = len(files_of(given)), ", ".join(f"{k} {v!r}" for k, v in new.data.read.items() if k != "types")
    types = [f"{name} as {type_}" for name, type_ in new.data.read.get("types", {}).items()]
    size = f"{len(new.raw):,} rows, {len(new.raw.columns)} columns{f', {files} files' if files > 1 else ''}"
    yield f"{given}: {size}{f'; {how}' if how else ''}"
    if types:
        more = f", and {len(types) - MOST_TYPES} more" if len(types) > MOST_TYPES else ""
        yield f"read: {', '.join(types[:MOST_TYPES])}{more}"
    if new.guessed:
        yield f"warning: the encoding {new.guessed} is a guess; where letters look wrong, name another: --encoding NAME"
    yield ""
    found = list(columns.described(new.raw.iloc[:, :MOST_SHOWN], new.data))
    width = min(30, max(len(one_line(column.name)) for column in found))
    yield f"  {'column':<{width}}  {'kind':<11}  missing  what is done with it"
    for name, kind, missing, role in found:
        share = "<1%" if 0 < missing < 0.01 else f"{missing:.0%}"
        yield f"  {one_line(name)[:width]:<{width}}  {kind:<11}  {share:>7}  {role}"
    if len(new.raw.columns) > MOST_SHOWN:
        yield f"  and {len(new.raw.columns) - MOST_SHOWN:,} more"
    yield ""
    yield f"{new.data.task}: {new.why_task}"
    if new.data.positive is not None:
        yield f"positive class: {new.data.positive}, {new.why_positive}; data.positive in params.yaml changes it"
    moments = moments_of(new.split)
    if isinstance(new.split, SplitByTime):
        together = f"; rows of one {new.split.block} share their chance" if new.split.block else ""
        yield f"split by time: valid from {moments['valid_from']}, test from {moments['test_from']}{together}"
        if not (together or new.data.group or isinstance(new.split.valid_from, float)):
            yield "warning: valid spans too few hours to draw whole ones: intervals take each row as independent"
    else:
        shares = (f"{rows / len(new.prepared):.0%} {name}" for name, rows in new.parts.items())
        yield f"split by {new.split.by}: {', '.join(shares)}"
    if new.split.by == "random":
        different = content_of(new.prepared[new.data.id_column], new.data.id).nunique()
        if different < FEWEST_ROWS:
            told = f"only {different} rows differ, and equal ones stay in one part, so train and valid differ in kind"
            yield f"warning: {told}; where a column names each row, --id COLUMN splits them one by one"
    if new.forgotten:
        yield f"warning: given last time, but not now: {', '.join(new.forgotten)}"
    for name in new.gone:
        yield f"warning: {name}: gone from the table, and row ids were made from it: each row gets another id"
    yield from (
        f"warning: {warning}" for warning in columns.warnings(new.raw, new.prepared, new.seen, new.data, new.doubts)
    )


def listed(keys: list[str]) -> str:
    more = f" and {len(keys) - MOST_KEYS} more" if len(keys) > MOST_KEYS else ""
    return f"{', '.join(keys[:MOST_KEYS])}{more} changed" if keys else "unchanged"


def adopt(words: list[str]) -> None:
    """Make a table this project's data, as the first lines of this module say.

    Raises:
        UserError: the table or an option can't be right, or the project has uncommitted changes.
    """
    arguments = parse(words)
    try:
        project.require_clean(arguments.file)
        new = plan(arguments)
    except ValidationError as error:
        raise complain(error, {}, FILE) from None
    except OSError as error:
        raise UserError(f"{error.filename or arguments.file}: cannot be read: {error.strerror or error}") from None
    for line in told(new, arguments.file):
        print(one_line(line))
    place = Path(new.data.source)
    text, changed = project.written(new.params)
    first = project.first_schema(new.raw, new.data.private)
    keeper = project.put(arguments.file, place)
    project.write_params(text)
    if first:
        write_schema({"table": first})
    hidden = project.keep_out_of_git(arguments.file)
    project.remember(place)
    print(f"\n{one_line(place)}: under {keeper}")
    if hidden:
        print(one_line(hidden))
    for other in sorted(set(project.SOURCE.glob("*.dvc")) - {place.with_name(f"{place.name}.dvc")}):
        print(one_line(f"{other}: the pointer of another table; if it is not needed, `dvc remove {other}`"))
    print(one_line(f"params.yaml: {listed(changed)}"))
    print(f"data/schema.yaml: {'written; widen what is too narrow in it' if first else 'unchanged'}")
    print("\nNext: `dvc repro`, then `git add --all` and `git commit`.")
