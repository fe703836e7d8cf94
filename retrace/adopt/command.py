"""Make your table this project's data.

    python -m retrace adopt FILE --target COLUMN [OPTION]...
    python -m retrace adopt --sql ADDRESS --query FILE.sql --target COLUMN [OPTION]...

FILE is a CSV, TSV, Parquet or JSON Lines file (.gz too), or a folder of such files with the same columns. With --sql,
the table is the result of a query in PostgreSQL, SQLite or DuckDB; docs/databases.md explains it. adopt infers how its
cells are parsed. It shows what each column is used for, and which common pitfalls the table may have. Then it
copies the table to data/source/, puts it under DVC, and writes params.yaml and data/schema.yaml. `dvc repro` runs the
pipeline on it.

If there is an error, no file is changed. Run adopt again as often as you like, each time with all options that are to
apply. It keeps what you changed in other parts of params.yaml. Warnings may show values of columns that are not
private, but only on this terminal. Rows are counted from the first below the header. If a table has more than a
million rows or ten million values, most choices and warnings come from a sample of its rows.
"""

import argparse
import errno
import os
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from retrace.adopt import project
from retrace.adopt.databases import check_address
from retrace.adopt.plan import plan
from retrace.adopt.snapshot import TEMPORARY, Origin, forget_origin, origin_file, query_file, taken, write_origin
from retrace.adopt.stored import temporary_files
from retrace.adopt.summary import summary_of
from retrace.errors import UserError, one_line
from retrace.params import FILE, params_error, read_params
from retrace.problem_page import PAGE, fill_tables, write_numbers
from retrace.schema import write_schema

MOST_KEYS = 2  # of those that changed, that are named
TYPES = "number, text, date, excel-date, or the format of a date such as %d.%m.%Y"


class Repeated(argparse.Action):
    """An option that may be repeated.

    The value of `--missing=--` is an empty list in older versions of argparse.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002  # the interface of argparse
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        """Add the value to those before it."""
        if values == [] and self.type:
            raise argparse.ArgumentError(self, "-- is not a value of it")
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), "--" if values == [] else values])


class Once(argparse.Action):
    """An option with one value, which cannot be given twice."""

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
            raise argparse.ArgumentError(self, "-- is not a value of it")
        namespace.given.add(self.dest)
        setattr(namespace, self.dest, "--" if values == [] else values)


def typed(text: str) -> tuple[str, str]:
    """The column and the type of `--type COLUMN=TYPE`."""
    name, _, type_ = text.rpartition("=")
    if not name or not re.fullmatch(r"number|text|date|excel-date|.*%.*", type_):
        raise argparse.ArgumentTypeError(f"{text}: not COLUMN=TYPE, where TYPE is {TYPES}")
    return name, type_


def sign(text: str) -> str:
    """A sign in numbers: one ASCII character that is not itself part of a number or a quote."""
    if len(text) != 1 or not text.isascii() or not text.isprintable() or text.isalnum() or text in '+-"':
        raise argparse.ArgumentTypeError(f"{text}: not one separator such as . or ,")
    return text


def encoding(text: str) -> str:
    """An encoding of text that Python has."""
    try:
        "".encode(text)
    except LookupError:
        raise argparse.ArgumentTypeError(f"{text}: not an encoding of Python's, such as utf-8 or cp1252") from None
    return text


def count(text: str) -> int:
    """A number of lines."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: not a number of lines")
    return int(text)


def parse(words: list[str]) -> argparse.Namespace:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m retrace adopt",
        usage="python -m retrace adopt {FILE | --sql ADDRESS --query FILE.sql} --target COLUMN [OPTION]...",
        description=__doc__.replace("%", "%%"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(given=set(), day_first=None)
    parser.add_argument("file", metavar="FILE", type=Path, nargs="?", help="the table")
    database = parser.add_argument_group("a table in a database, in place of FILE")
    told = "the database, such as postgresql://user@host/database; the password is in the variable PGPASSWORD"
    database.add_argument("--sql", metavar="ADDRESS", action=Once, help=told)
    told = "the file with the query; the snapshot of its result is called like it"
    database.add_argument("--query", metavar="FILE.sql", type=Path, action=Once, help=told)
    roles = parser.add_argument_group("what the columns are")
    for name, told in (
        ("--target", "the column to predict"),
        ("--time", "the column with the time of a row: the model learns from earlier rows and is scored on later ones"),
        (
            "--group",
            "the grouping column, such as the patient; "
            "without --time, a group is never divided between train, valid and test",
        ),
        ("--id", "the column with a unique row id that stays the same in later versions"),
        ("--weight", "the column with the weight of a row in training"),
    ):
        roles.add_argument(name, metavar="COLUMN", help=told, required=name == "--target", action=Once)
    tasks = ["classification", "regression"]
    roles.add_argument("--task", choices=tasks, action=Once, help="the kind of model, if adopt chooses the wrong one")
    repeated: dict[str, Any] = {"action": Repeated, "default": []}
    roles.add_argument(
        "--drop", metavar="COLUMN", help="a column that must not be a feature; may be repeated", **repeated
    )
    roles.add_argument(
        "--private", metavar="COLUMN", help="a column of which no value is shown; may be repeated", **repeated
    )
    cells = parser.add_argument_group("how cells are parsed, if adopt can't infer it")
    cells.add_argument("--decimal", metavar="CHAR", type=sign, action=Once, help="the decimal separator: . or ,")
    cells.add_argument("--thousands", metavar="CHAR", type=sign, action=Once, help="the thousands separator")
    order = cells.add_mutually_exclusive_group()
    order.add_argument("--dayfirst", dest="day_first", action="store_true", default=None, help="03/04/2020 is 3 April")
    order.add_argument(
        "--monthfirst", dest="day_first", action="store_false", default=None, help="03/04/2020 is 4 March"
    )
    cells.add_argument(
        "--type", metavar="COLUMN=TYPE", type=typed, help=f"{TYPES}; may be repeated".replace("%", "%%"), **repeated
    )
    cells.add_argument("--missing", metavar="VALUE", help="treat VALUE as missing; may be repeated", **repeated)
    cells.add_argument(
        "--strip", action="store_true", help="remove leading and trailing whitespace from names and texts"
    )
    told = "the encoding of text files, by Python's name for it, such as cp1250"
    cells.add_argument("--encoding", metavar="NAME", type=encoding, action=Once, help=told)
    lines: dict[str, Any] = {"metavar": "N", "type": count, "action": Once}
    cells.add_argument("--skip-rows", help="lines above the header", **lines)
    cells.add_argument("--skip-footer", help="lines at the end, such as totals", **lines)
    arguments = parser.parse_args(words)
    if (arguments.sql is None) != (arguments.query is None) or (arguments.sql is None) == (arguments.file is None):
        parser.error("name either FILE, or both --sql ADDRESS and --query FILE.sql")
    return arguments


def listed(keys: list[str]) -> str:
    """The keys of params.yaml that changed, in words."""
    more = f" and {len(keys) - MOST_KEYS} more" if len(keys) > MOST_KEYS else ""
    return f"{', '.join(keys[:MOST_KEYS])}{more} changed" if keys else "unchanged"


def adopt(words: list[str]) -> None:
    """Make a table this project's data, as this module's docstring describes.

    Raises:
        UserError: the table or an option can't be right, or the project has uncommitted changes.
    """
    arguments = parse(words)
    try:
        project.require_clean(arguments.query or arguments.file)
    except OSError as error:
        raise unreadable(error, arguments.query or arguments.file) from None
    if arguments.sql is None:
        with temporary_files():
            adopt_table(arguments, None)
        return
    check_address(arguments.sql, "--sql")
    name = f"{arguments.query.stem}.parquet"
    source = project.place_of(TEMPORARY / name)
    key = Origin.of(source).key if origin_file(source).is_file() else []
    origin = Origin(arguments.sql, [arguments.id] if arguments.id else key)
    with taken(name, origin, arguments.query) as arguments.file, temporary_files():
        adopt_table(arguments, origin)


def unreadable(error: OSError, file: Path) -> UserError:
    """The line about a file that can't be read, or about temporary files that can't be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return UserError(f"{error.filename or TEMPORARY}: cannot be written: {os.strerror(error.errno)}")
    return UserError(f"{error.filename or file}: cannot be read: {error.strerror or error}")


def adopt_table(arguments: argparse.Namespace, origin: Origin | None) -> None:
    """Make the table in a file this project's data.

    Args:
        arguments: the command line's, with the file.
        origin: where it comes from, if it's the snapshot of a database.
    """
    try:
        new = plan(arguments)
    except ValidationError as error:
        raise params_error(error, {}, FILE) from None
    except OSError as error:
        raise unreadable(error, arguments.file) from None
    for line in summary_of(new, arguments.file):
        print(one_line(line))
    place = Path(new.data.source)
    text, changed = project.written(new.params)
    if PAGE.is_file():
        fill_tables(PAGE.read_text(encoding="utf-8"), read_params())  # its mistakes are told before anything is written
    first = project.first_schema(new.raw, new.data.private, new.data.id)
    is_new_file = origin is None and arguments.file.resolve() != place.resolve()
    keeper = project.put(arguments.file, place)
    if origin:
        write_origin(place, origin, arguments.query)
    forgotten = forget_origin(place) if is_new_file and place.suffix == ".parquet" else []
    project.write_params(text)
    if PAGE.is_file():
        write_numbers(read_params())
    if first:
        write_schema({"table": first})
    hidden = project.keep_out_of_git(arguments.file)
    project.remember(place)
    print(f"\n{one_line(place)}: under {keeper}")
    if origin:
        print(one_line(f"{query_file(place)}, {origin_file(place)}: where it comes from; `make refresh` reads them"))
    for file in forgotten:
        print(one_line(f"{file}: deleted, since the table doesn't come from a database any more"))
    if hidden:
        print(one_line(hidden))
    for other in sorted(set(project.SOURCE.glob("*.dvc")) - {project.pointer_of(place)}):
        print(one_line(f"{other}: the pointer of another table; if it is not needed, `dvc remove {other}`"))
    print(one_line(f"params.yaml: {listed(changed)}"))
    print(f"data/schema.yaml: {'written; widen what is too narrow in it' if first else 'unchanged'}")
    print("\nNext: `dvc repro`, then `git add --all` and `git commit`.")
