"""A table as adopt reads it: with the options that its cells prove, and with what is doubtful about them."""

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.compute as pc

from retrace.adopt.cells import OTHER, Cells, has_match
from retrace.adopt.column_types import NAMES, is_number, types_of
from retrace.adopt.dialect import understand
from retrace.adopt.doubts import swallowed_rows
from retrace.adopt.roles import require_column
from retrace.adopt.sample import Sampled, most_rows, sample_places
from retrace.adopt.shown import Shown, option, typed
from retrace.adopt.signs import signs_of
from retrace.adopt.stored import AnyCells, as_pandas, cell_chunks, cells_as_written, cells_at, load
from retrace.errors import UserError
from retrace.tables.files import is_text_source
from retrace.tables.options import ReadOptions
from retrace.tables.reading import DifferingTypesError


class Reading(NamedTuple):
    """A table, and how it was read.

    Attributes:
        raw: the table, with a sample of its rows if there are many.
        options: the arguments of `read` that are not defaults, for `data.read` in params.yaml.
        doubts: by column, what is doubtful about how its cells are read.
        guessed: the encoding of text files, if their bytes do not prove it.
    """

    raw: Sampled
    options: dict[str, Any]
    doubts: dict[str, list[str]]
    guessed: str | None


def read(given: Path, arguments: argparse.Namespace, was: dict[str, Any]) -> Reading:
    """The user's table, read as its cells and the command line say.

    Args:
        given: the user's file or folder.
        arguments: the command line's.
        was: `data.read` in params.yaml if that is about this table: what the user corrected there is not guessed anew.

    Raises:
        UserError: it cannot be read or has no rows, two readings of it fit, or the column of the times is text.
    """
    if arguments.time in arguments.private:
        raise UserError(f"--private {arguments.time}: --time splits by its values, and params.yaml names two of them")
    options, guessed = _file_options(given, arguments, was)
    table, cell_options, doubts = _interpreted(given, arguments, was, options)
    raw = Sampled.of(as_pandas(table, given), most_rows(len(table.column_names)))
    _refuse_times_as_text(given, arguments.time, raw, doubts)
    return Reading(raw, options | cell_options, doubts, guessed)


def _interpreted(
    given: Path, arguments: argparse.Namespace, was: dict[str, Any], options: dict[str, Any]
) -> tuple[AnyCells, dict[str, Any], dict[str, list[str]]]:
    """The table with the types that its cells mean, the options that gives it these, and by column what is doubtful.

    Args:
        given: the user's file or folder.
        arguments: the command line's.
        was: `data.read` in params.yaml if that is about this table.
        options: those that do not depend on the cells.
    """
    decimal = arguments.decimal or OTHER.get(arguments.thousands or "")
    if arguments.thousands and arguments.thousands == decimal:
        raise UserError(f"{option('--thousands', decimal)}: is --decimal already, and must be another sign")
    table, differ = _load_with_inferred_types(given, options, decimal or ".")
    if not table.num_rows:
        raise UserError(f"{given}: only a header; a table needs rows")
    types = _named_types(given, arguments, was, table.column_names)
    written = cells_as_written(given, ReadOptions(**options))
    _refuse_repeated_header(written, given)
    places = sample_places(table.num_rows, most_rows(len(table.column_names)))
    is_whole = len(places) == table.num_rows
    shown = Shown(frozenset(arguments.private), None if is_whole else places)
    cells = Cells(cells_at(table, places), None if written is None else cells_at(written, places), shown)
    separator = options.get("separator", ",")
    known = {*types, *arguments.drop}
    known_without_signs = known - {name for name, type_ in types.items() if type_ in ("number", "excel-date")}
    with _naming(given):
        signs = signs_of(_without(cells, known_without_signs), separator, decimal, was.get("decimal"))
    if signs.decimal != (decimal or "."):
        table, differ = _load_with_inferred_types(given, options, signs.decimal)
        cells = cells._replace(table=cells_at(table, places))
    thousands = arguments.thousands or signs.thousands or (was.get("thousands") if types else None)
    with _naming(given):
        found = types_of(_without(cells, known), signs.decimal, thousands, arguments.day_first)
    types = found.types | types
    if written is not None and not is_whole:
        types |= _names_among_numbers(table, written, known | types.keys())
    cell_options = _cell_options(signs.decimal, thousands, types)
    if types or differ:
        table = load(given, ReadOptions(**options, **cell_options))
    doubts: dict[str, list[str]] = {}
    if written is not None:
        cells = cells._replace(table=cells_at(table, places))
        doubts = swallowed_rows(cells, separator)
    doubts = {name: doubts.get(name, []) + found.doubts.get(name, []) for name in table.column_names}
    for name, lines in signs.doubts.items():
        if types.get(name) == "number":
            doubts[name] += lines
    return table, cell_options, doubts


def _cell_options(decimal: str, thousands: str | None, types: dict[str, str]) -> dict[str, Any]:
    """The options that depend on the cells, without those that have their default value."""
    options: dict[str, Any] = {}
    if decimal != ".":
        options["decimal"] = decimal
    if thousands and "number" in types.values():
        options["thousands"] = thousands
    if types:
        options["types"] = types
    return options


def _file_options(given: Path, arguments: argparse.Namespace, was: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The options that do not depend on the cells, and the encoding if it is a guess."""
    options = understand(given, arguments.skip_rows, arguments.encoding)
    _require_text_for_lines(arguments)
    found = options.get("encoding", "utf-8")
    decided = {key for key in ("skip_rows", "encoding") if getattr(arguments, key)}
    options |= {key: value for key, value in was.items() if key in options.keys() - decided}
    encoding = options.get("encoding", "utf-8")
    is_guess = encoding == found and not (arguments.encoding or encoding.startswith("utf-"))
    for key in ("missing", "strip", "skip_footer"):
        if value := getattr(arguments, key):
            options[key] = value
    return options, encoding if is_guess else None


def _require_text_for_lines(arguments: argparse.Namespace) -> None:
    """Check that lines are left out of text files alone; other kinds have no lines."""
    for words, count in (("--skip-rows", arguments.skip_rows), ("--skip-footer", arguments.skip_footer)):
        if count and not is_text_source(arguments.file):
            raise UserError(f"{words} {count}: only for CSV and TSV files; leave the rows out of {arguments.file}")


def _load_with_inferred_types(given: Path, options: dict[str, Any], decimal: str) -> tuple[AnyCells, bool]:
    """A table with the types that its cells suggest, or text where its files differ, and whether they do."""
    read_options = ReadOptions(**options, decimal=decimal)
    try:
        return load(given, read_options), False
    except DifferingTypesError as error:
        return load(given, read_options._replace(types=dict.fromkeys(error.columns, "text"))), True


def _named_types(given: Path, arguments: argparse.Namespace, was: dict[str, Any], names: list[str]) -> dict[str, str]:
    """The types of columns that the user names, now or in params.yaml.

    Types of dates in params.yaml do not count if the user says now whether day or month comes first.
    """
    for name, _ in arguments.type:
        require_column("type", name, names, given)
    types: dict[str, str] = {}
    for name, type_ in was.get("types", {}).items():
        is_in_question = arguments.day_first is not None and re.search(r"%d\W+%m|%m\W+%d", type_)
        if name in names and not is_in_question:
            types[name] = type_
    return types | dict(arguments.type)


def _names_among_numbers(table: AnyCells, written: AnyCells, known: set[str]) -> dict[str, str]:
    """`text` for the columns that are read as numbers, but have a cell such as 00042 in any row, which is a name.

    Args:
        table: as it is read.
        written: the text of each cell.
        known: the columns whose type is known.
    """
    numbers = [name for name in table.column_names if name not in known and is_number(table.schema.field(name).type)]
    types: dict[str, str] = {}
    for chunk in cell_chunks(written):
        for name in [name for name in numbers if name not in types]:
            if has_match(chunk.column(name), NAMES):
                types[name] = "text"
    return types


def _refuse_repeated_header(written: AnyCells | None, given: Path) -> None:
    """Refuse a row that repeats the names of the columns, as in files that were joined: each column would be text."""
    start = 0
    for chunk in cell_chunks(written) if written is not None else ():
        repeats = None
        for name in chunk.column_names:
            same = pc.equal(pc.utf8_trim_whitespace(chunk.column(name)), name.strip())
            repeats = same if repeats is None else pc.and_(repeats, same)
            if not pc.any(repeats).as_py():
                break
        else:
            if repeats is not None:
                row = start + pc.index(repeats, True).as_py() + 1
                raise UserError(f"{given}: row {row:,} of the data repeats the header; take such lines out of the file")
        start += len(chunk)


def _refuse_times_as_text(given: Path, time: str | None, raw: Sampled, doubts: dict[str, list[str]]) -> None:
    if time is not None and time in raw.rows and pd.api.types.is_string_dtype(raw.rows[time]):
        why = "; ".join(doubts[time]) or f"text; {typed(time, 'FORMAT')} says how its dates are written"
        raise UserError(f"{given}: column {time}: {why}; --time needs dates or numbers")


def _without(cells: Cells, names: set[str]) -> Cells:
    """The cells of all columns but these."""
    rest = [name for name in cells.table.column_names if name not in names]
    written = cells.written.select(rest) if cells.written is not None else None
    return cells._replace(table=cells.table.select(rest), written=written)


@contextmanager
def _naming(given: Path) -> Iterator[None]:
    """Put the file's name before an error about its columns."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{given}: {error}") from None
