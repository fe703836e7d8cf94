"""One table of your own, from parameters alone: a CSV, TSV, Parquet or JSON Lines file, or a folder of such files.

`data.read` in params.yaml holds the arguments of `read` below. `data.read.types` names the columns whose type must not
be inferred from their values:

- `text`.
- `number`, in any of these forms: 1234.5, 1,234.5 (with `thousands`), 12 kg, $5, 12 %, (5) and 5- for -5, 1.5e3. All
  cells must have the same unit or currency, which is left out; 12 % becomes 12.
- `date`: ISO 8601, such as 2020-12-31 or 2020-12-31T23:59:00+02:00.
- the format of a date, such as `"%d.%m.%Y"`, in Python's codes.
- `excel-date`: days since 1899-12-30, as spreadsheets store dates.

A date with an offset from UTC is read as the clock showed it: 23:59+02:00 is 23:59. A cell of a text file is missing if
it is blank or one of MISSING. A column without a name is called `Unnamed: 0` if it is the first, as pandas does. Files
may end in `.gz`. The files of a folder need the same columns, and are concatenated in the order of their names.

A row's id is its value of `data.id`, else a hash of its cells in the columns of `data.id_columns`: retrace/row_ids.py.
"""

import csv
import gzip
import io
import json
import os
import re
import zlib
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import IO, Annotated, Any, NamedTuple, cast

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
from pydantic import Field

from retrace.errors import UserError
from retrace.files import as_text, is_pointer
from retrace.limits import check_parquet, check_table
from retrace.params import Data
from retrace.row_ids import NO_VALUE, row_ids

Sign = Annotated[str, Field(pattern=r"^[\x01-\x7f]$")]
Type = Annotated[str, Field(pattern=r"^(number|text|date|excel-date|.*%.*)$")]
Count = Annotated[int, Field(ge=0)]
TABBED = (".tsv", ".tab")
TEXT = (".csv", *TABBED, ".txt", ".data")
LINES = (".jsonl", ".ndjson")
BLANKS = [" " * count for count in range(33)]
MISSING = [*BLANKS, *NO_VALUE]
EPOCH = pd.Timestamp("1970-01-01").as_unit("us")  # in nanoseconds, as by default, dates end in 2262
BLOCK = 1 << 26  # bytes; the longest line that can be read

GROUPING = {" ": "[ \u00a0\u2009\u202f]", "'": "['\u2019]"}  # how each of these thousands separators is written
MINUS = "[-\u2212\u2013]"
CURRENCY = r"(?:\p{L}{0,3}\p{Sc}|[A-Z]{3}|Rs\.?|[Kk]r\.?|Fr\.?)"
LETTER = r"[\p{L}%\x{2030}\x{00b0}\p{Sc}\x{00b2}\x{00b3}/.\x{00b7}]"
UNIT = rf"(?:[\p{{L}}%\x{{2030}}\x{{00b0}}\p{{Sc}}]{LETTER}*[23]?(?: [\p{{L}}/]{LETTER}*[23]?)*)"  # kg, km/h, m2, sq ft
ISO_DATE = r"^\s*\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d|\s*$)"
OFFSET = r"(?P<time>:\d\d(?:[.,]\d+)?(?: ?[AaPp][Mm])?)\s*(?P<offset>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$"
MOST_COLUMNS = 100_000  # a table of more is one whose rows and columns are exchanged, or of another separator


class How(NamedTuple):
    """How files are read: the arguments of `read`."""

    separator: str = ","
    decimal: str = "."
    thousands: str | None = None
    encoding: str = "utf-8"
    missing: tuple[str | float, ...] = ()
    strip: bool = False
    skip_rows: int = 0
    skip_footer: int = 0
    types: dict[str, str] = {}  # noqa: RUF012  # never changed


def read(  # noqa: PLR0913  # each argument is a key of data.read
    source: Path,
    *,
    separator: Sign = ",",
    decimal: Sign = ".",
    thousands: Sign | None = None,
    encoding: str = "utf-8",
    missing: list[str | int | float] | None = None,
    strip: bool = False,
    skip_rows: Count = 0,
    skip_footer: Count = 0,
    types: dict[str, Type] | None = None,
) -> dict[str, pd.DataFrame]:
    """The raw `table`: numbers, booleans, dates and text, as the files have them.

    Args:
        source: a file, or a folder of files with the same columns.
        separator: the delimiter between cells (CSV only; a .tsv file has tabs).
        decimal: the decimal sign of numbers (CSV and TSV).
        thousands: the sign between groups of digits, in columns that `types` calls `number`; a blank also stands for
            the no-break spaces.
        encoding: of text files, by Python's name for it.
        missing: cells that stand for no value besides MISSING, such as -999, compared as text and as numbers.
        strip: whether blanks around names and texts are removed.
        skip_rows: lines above the header that do not belong to the table (CSV and TSV).
        skip_footer: lines at the end that do not belong to the table, such as totals or footnotes (CSV and TSV).
        types: columns whose type is not inferred, with their type.

    Raises:
        UserError: a file is a pointer of Git LFS, cannot be read, or is of another kind, incomplete, ragged or in
            another encoding; columns differ between files, have no name or the same name; a column holds lists, or
            values that are not of the type that `types` gives it.
    """
    if thousands == decimal:
        raise UserError(f"params.yaml: data.read.thousands: must differ from data.read.decimal, which is {decimal!r}")
    how = How(separator, decimal, thousands, encoding, tuple(missing or ()), strip, skip_rows, skip_footer, types or {})
    return {"table": to_pandas(load(source, how), source)}


def load(source: Path, how: How) -> pa.Table:
    """The files of a source as one table of Arrow's types; `read` says how, and what it raises."""
    tables = tables_of(source, how)
    if differing := differing_columns(tables):
        found = " and ".join(sorted({str(table.schema.field(differing[0]).type) for table in tables}))
        where = f"{source}: column {differing[0]} is {found} in different files"
        raise UserError(f"{where}; correct them, or set data.read.types")
    return pa.concat_tables(tables, promote_options="permissive")


def differing_columns(tables: list[pa.Table]) -> list[str]:
    """The columns whose types do not fit together across files."""
    differing = []
    for name in tables[0].column_names if len(tables) > 1 else []:
        schemas = [pa.schema([table.schema.field(name)]) for table in tables]
        try:
            pa.unify_schemas(schemas, promote_options="permissive")
        except pa.ArrowException:
            differing.append(name)
    return differing


def tables_of(source: Path, how: How) -> list[pa.Table]:
    """A table of Arrow's types for each file of a source, all with the same columns."""
    tables: list[pa.Table] = []
    units: dict[str, str] = {}
    for file in files_of(source):
        table = _read_file(file, how)
        _check_names(file, table.column_names, (tables or [table])[0].column_names, how.types)
        tables.append(_without_missing(_typed(table, how, file, units), how))
    if not tables:
        raise UserError(f"{source}: an empty folder; put files of one table into it (data.source)")
    return tables


def cells(source: Path, how: How) -> pa.Table | None:
    """Each cell of text files as it is written, even where it stands for no value; None for other kinds of files."""
    if not is_text(source):
        return None
    written = [_read_file(file, how, as_written=True) for file in files_of(source)]
    return pa.concat_tables(written, promote_options="default")  # by name: the order of columns may differ


def is_text(source: Path) -> bool:
    """Whether the files of a source are text whose lines are rows."""
    return all(kind_of(file) in TEXT for file in files_of(source))


def files_of(source: Path) -> list[Path]:
    """The file, or a folder's files in the order of their names, without hidden ones and those of other programs."""
    if not source.is_dir():
        return [_whole(source)]
    files: list[Path] = []
    for parent, folders, names in os.walk(source, onerror=_refuse_folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        files += [Path(parent) / name for name in names if not name.startswith((".", "_"))]
    return [_whole(file) for file in sorted(files)]


def _refuse_folder(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read: {error.strerror}")


def _whole(file: Path) -> Path:
    """The file itself, if it's no pointer of Git LFS."""
    with suppress(OSError):  # told where the table is read
        if file.is_file():
            with file.open("rb") as stream:
                begin = stream.read(64)
            if is_pointer(begin):
                raise UserError(f"{file}: a pointer of Git LFS, not the table; `git lfs pull` brings it")
    return file


def kind_of(file: Path) -> str:
    """The suffix that says what a file is, without `.gz`; empty where it has none."""
    return next((suffix for suffix in map(str.lower, reversed(file.suffixes)) if suffix != ".gz"), "")


def opened(file: Path) -> IO[bytes]:
    """A file's bytes, decompressed where its name ends in .gz.

    Raises:
        UserError: it cannot be opened, or is no regular file, such as a pipe, which can be read only once.
    """
    if file.suffix != ".gz" and file.suffix.lower() == ".gz":
        raise UserError(f"{file}: rename it so that it ends in .gz, in lowercase")
    try:
        if not file.is_file():
            file.stat()
            raise UserError(f"{file}: not a regular file but a pipe or a device; save its content to a file first")
        return cast(IO[bytes], gzip.open(file)) if file.suffix == ".gz" else file.open("rb")
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None


def _header(file: Path, how: How) -> tuple[list[str], int]:
    """The names in a text file's header, as they are written, and how many lines are above it."""
    csv.field_size_limit(BLOCK)
    above = how.skip_rows
    with opened(file) as stream:
        encoding = "utf-8-sig" if how.encoding == "utf-8" else how.encoding
        text = io.TextIOWrapper(stream, encoding=encoding, errors="surrogateescape", newline="")
        for _ in range(how.skip_rows):
            text.readline()
        for row in csv.reader(text, delimiter=_separator(file, how)):
            if row:
                "".join(row).encode()  # which fails where the encoding is another
                return row, above
            above += 1
    raise pa.ArrowInvalid("Empty CSV file")


def _separator(file: Path, how: How) -> str:
    return "\t" if kind_of(file) in TABBED else how.separator


def _read_file(file: Path, how: How, as_written: bool = False) -> pa.Table:
    kind = kind_of(file)
    opened(file).close()  # says it in one line where that fails
    try:
        check_table(file)
        if kind == ".parquet":
            _check_schema(file)
            check_parquet(file)
            return _named(_unwrapped(pa.parquet.read_table(file)), how)
        if kind in LINES:
            return _named(_read_lines(file), how)
        if kind in TEXT:
            return _read_csv(file, how, as_written)
    except (pa.ArrowException, UnicodeError, LookupError, OSError, EOFError, zlib.error, csv.Error) as error:
        raise UserError(f"{file}: {_reason(error, file, how)}") from None
    raise UserError(f"{file}: not a table that can be read; .csv, .tsv, .parquet or .jsonl, please")


def _read_csv(file: Path, how: How, as_written: bool) -> pa.Table:
    """A text file with the types that its cells suggest, or as text where `how.types` names a column."""
    header, above = _header(file, how)
    names = _names(header, how)
    _check_names(file, names, names, {})  # before the columns are told apart by their names
    texts = names if as_written else [name for name in names if name in how.types]
    missing = [str(value) for value in how.missing]

    def parsed(columns: list[str], texts: list[str]) -> pa.Table:
        return pa.csv.read_csv(
            _without_footer(file, how.skip_footer, how.encoding) if how.skip_footer else file,
            read_options=pa.csv.ReadOptions(
                column_names=names,
                skip_rows=above,
                skip_rows_after_names=1,
                encoding=how.encoding,
                use_threads=False,
                block_size=BLOCK,
            ),
            parse_options=pa.csv.ParseOptions(delimiter=_separator(file, how), newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(texts, pa.string()),
                include_columns=columns,
                decimal_point=how.decimal,
                null_values=[] if as_written else [*MISSING, *missing],
                strings_can_be_null=not as_written,
            ),
        )

    table = parsed([], texts)
    zoned = [field.name for field in table.schema if pa.types.is_timestamp(field.type) and field.type.tz]
    if zoned:  # which are in UTC by now, but for the clock's time the offsets are needed
        as_text = parsed(zoned, zoned)
        for name in zoned:
            table = _with(table, name, clock_time(as_text.column(name)))
    return table if as_written else _named(table, how)


def _without_footer(file: Path, lines: int, encoding: str) -> pa.BufferReader:
    """A text file's content without its last lines; blank ones do not count."""
    with opened(file) as stream:
        text = io.TextIOWrapper(stream, encoding=encoding, newline="").readlines()
    for _ in range(lines):
        while text and not text[-1].strip():
            del text[-1]
        del text[-1:]
    return pa.BufferReader("".join(text).encode(encoding))


def _read_lines(file: Path) -> pa.Table:
    """A JSON Lines file; what Arrow takes for a time is read from its text, since Arrow forgets the offset."""
    options = pa.json.ReadOptions(use_threads=False, block_size=BLOCK)
    table = pa.json.read_json(file, read_options=options)
    times = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
    if times:
        schema = pa.schema([(name, pa.string()) for name in times])
        parse = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        texts = pa.json.read_json(file, read_options=options, parse_options=parse)
        for name in times:
            table = _with(table, name, clock_time(texts.column(name)))
    return table


def _check_schema(file: Path) -> None:
    schema = pa.parquet.read_schema(file)
    _check_names(file, schema.names, schema.names, {})
    for field in schema:
        if pa.types.is_nested(field.type):
            raise UserError(_unusable(file, field.name, field.type))


def _unwrapped(table: pa.Table) -> pa.Table:
    """The values in place of dictionaries, and floats of 32 bits in place of 16, with which Arrow can compute."""
    for number, field in enumerate(table.schema):
        type_ = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        type_ = pa.float32() if pa.types.is_float16(type_) else type_
        if type_ != field.type:
            table = table.set_column(number, field.name, table.column(number).cast(type_))
    return table


def _with(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)


def _names(header: list[str], how: How) -> list[str]:
    """The columns' names: without the blanks around them if `strip` is true, and `Unnamed: n` where one is blank."""
    names = [name.strip() if how.strip else name for name in header]
    return [name if name.strip() else f"Unnamed: {number}" for number, name in enumerate(names)]


def _named(table: pa.Table, how: How) -> pa.Table:
    """The table with a name for each column; without the blanks around names and texts if `strip` is true."""
    table = table.rename_columns(_names(table.column_names, how))
    for number, field in enumerate(table.schema if how.strip else []):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            table = table.set_column(number, field.name, _stripped(table.column(number)))
    return table


def _stripped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text without the blanks around it; what is then nothing is missing."""
    text = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(text, pa.array(MISSING, text.type)), None, text)


def _without_missing(table: pa.Table, how: How) -> pa.Table:
    """The table without the values that `missing` names, compared as text and as numbers."""
    if not how.missing:
        return table
    texts = pa.array([str(value) for value in how.missing])
    numbers = [number for value in how.missing if (number := _float(value)) is not None]
    for field in table.schema:
        column = table.column(field.name)
        if pa.types.is_floating(field.type) or pa.types.is_integer(field.type):
            gone = pc.is_in(column.cast(pa.float64(), safe=False), pa.array(numbers, pa.float64()))
        elif pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            gone = pc.is_in(column, texts.cast(field.type))
        else:
            continue
        table = _with(table, field.name, pc.if_else(gone, None, column))
    return table


def _float(value: str | float) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _typed(table: pa.Table, how: How, file: Path, units: dict[str, str]) -> pa.Table:
    """The table with the columns of `types` as that says; `units` are those of the files before it, by column.

    Raises:
        UserError: a cell is not of its column's type, which the line names by its row, without its value.
    """
    for name, type_ in how.types.items():
        try:
            column, unit = _converted(table.column(name), type_, how)
        except _NotOfTypeError as error:
            raise UserError(
                f"{file}: column {name}, row {error.args[0] + 1} of the data: {error.args[1]} (data.read.types)"
            ) from None
        except (pa.ArrowException, ValueError):
            raise UserError(f"{file}: column {name} holds values that are not {type_} (data.read.types)") from None
        if unit is not None and units.setdefault(name, unit) != unit:
            what = "numbers of another unit than in the files before it, or only some files have a unit"
            raise UserError(f"{file}: column {name}: {what} (data.read.types)")
        table = _with(table, name, column)
    return table


class _NotOfTypeError(Exception):
    """The place of a cell, counted from 0, and what it should be."""


def _converted(column: pa.ChunkedArray, type_: str, how: How) -> tuple[pa.ChunkedArray, str | None]:
    """A column as its type, and the unit of its numbers: empty if they have none, None if that isn't known."""
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if type_ == "text":
        return column.cast(pa.string()), None
    if type_ == "number" and not text:
        return column.cast(pa.float64()), _unit_of_bare(column.cast(pa.float64()))
    if type_ == "date" and not text:
        return column.cast(pa.timestamp("us")), None
    if type_ in ("number", "excel-date"):
        found = numbers(column.cast(pa.string()), how.decimal, how.thousands)
        _require(column, found.values, "not a number")
        units = pc.unique(found.units.drop_null()).to_pylist()
        if len(units) > 1:
            other = pc.index(found.units, units[1]).as_py()
            raise _NotOfTypeError(other, "a number with another unit than those before it")
        if units:
            bare = pc.and_(pc.is_null(found.units), pc.not_equal(found.values, 0))
            if (place := pc.index(bare, True).as_py()) >= 0:
                raise _NotOfTypeError(place, "a number without the unit that others have")
        unit = units[0] if units else _unit_of_bare(found.values)
        return excel_dates(found.values) if type_ == "excel-date" else found.values, unit
    iso = pc.if_else(pc.match_substring_regex(column.cast(pa.string()), ISO_DATE), column, None)
    dates = clock_time(iso) if type_ == "date" else dates_of(column.cast(pa.string()), type_)
    _require(column, dates, f"not a date as {type_}" if "%" in type_ else "not a date")
    return dates, None


def _unit_of_bare(values: pa.ChunkedArray) -> str | None:
    """None where all numbers are 0, which needs no unit; else numbers without a unit have none."""
    return "" if pc.any(pc.not_equal(values, 0)).as_py() else None


def _require(column: pa.ChunkedArray, converted: pa.ChunkedArray, what: str) -> None:
    """Every cell that has a value has one after its conversion, too."""
    lost = pc.and_(pc.is_valid(column), pc.is_null(converted))
    if (place := pc.index(lost, True).as_py()) >= 0:
        raise _NotOfTypeError(place, what)


class Numbers(NamedTuple):
    """Cells as numbers, and the unit or currency of each; null where a cell is no number, or has no unit."""

    values: pa.ChunkedArray
    units: pa.ChunkedArray


def number_pattern(figure: str) -> str:
    """The pattern of a number with a unit, a currency and a sign in any place, around the figure's own pattern."""
    return (
        rf"^\s*(?P<first>{CURRENCY})?\s*(?P<open>\()?\s*(?P<sign>\+|{MINUS})?\s*(?P<before>{CURRENCY})?\s*"
        rf"(?P<inner>{MINUS})?(?P<figure>{figure})(?P<exponent>[eE][+-]?\d+)?(?P<end>[.,][-\x{{2013}}\x{{2014}}]*)?\s*"
        rf"(?P<after>{UNIT})?\s*(?P<trailing>{MINUS})?(?P<close>\))?\s*(?P<last>{UNIT})?\s*$"
    )


def figure_pattern(decimal: str, thousands: str | None) -> str:
    """The pattern of a figure without a sign; groups have three digits, or two as in India, and the last one three."""
    point = re.escape(decimal)
    figure = rf"\d+(?:{point}\d+)?|{point}\d+"
    if thousands:
        group = GROUPING.get(thousands, re.escape(thousands))
        figure = rf"\d{{1,3}}(?:{group}\d{{2,3}})*{group}\d{{3}}(?:{point}\d+)?|{figure}"
    return figure


def numbers(text: pa.ChunkedArray, decimal: str, thousands: str | None) -> Numbers:
    """Text as numbers: with thousands separators, a unit or a currency, and each way to write a negative one."""
    pattern = number_pattern(figure_pattern(decimal, thousands))
    found = pc.extract_regex(text, pattern)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()

    def part(name: str) -> Any:
        return pc.struct_field(found, name)

    plain = part("figure")
    if thousands:
        plain = pc.replace_substring_regex(plain, GROUPING.get(thousands, re.escape(thousands)), "")
    plain = pc.binary_join_element_wise(pc.replace_substring(plain, decimal, "."), part("exponent"), "")
    opened_, closed = (pc.equal(part(name), sign) for name, sign in (("open", "("), ("close", ")")))
    # A sign at the end, as in 5.- or 5., follows a whole number: 01.03. is a day.
    ended_twice = pc.and_(pc.not_equal(part("end"), ""), pc.match_substring(part("figure"), decimal))
    proper = pc.and_(pc.equal(opened_, closed), pc.invert(ended_twice))
    values = pc.if_else(proper, plain, None).cast(pa.float64())
    signs = [pc.fill_null(pc.match_substring_regex(part(name), MINUS), False) for name in ("sign", "inner", "trailing")]
    negative = pc.fill_null(opened_, False)
    for sign in signs:
        negative = pc.xor(negative, sign)
    values = pc.if_else(negative, pc.negate(values), values)
    units = pc.binary_join_element_wise(*(part(name) for name in ("first", "before", "after", "last")), "")
    units = pc.utf8_lower(pc.utf8_rtrim(units, "."))
    units = pc.if_else(pc.equal(units, ""), None, units)
    return Numbers(pa.chunked_array([values]), pa.chunked_array([units]))


def clock_time(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text in ISO 8601 as times, without the offset from UTC; a fraction of a second is cut to microseconds."""
    plain = pc.replace_substring_regex(text.cast(pa.string()), OFFSET, r"\1")
    return pc.replace_substring_regex(plain, r"(\.\d{6})\d+$", r"\1").cast(pa.timestamp("us"))


def dates_of(text: pa.ChunkedArray, format_: str) -> pa.ChunkedArray:
    """Text as dates of a format, null where it is none; an offset from UTC (`%z`) is left out."""
    if format_.endswith("%z"):
        text, format_ = pc.replace_substring_regex(text, OFFSET, r"\1"), format_.removesuffix("%z").rstrip()
    dates = pd.to_datetime(text.to_pandas(), format=format_, errors="coerce")
    return pa.chunked_array([pa.Array.from_pandas(dates.astype("datetime64[us]"))])


def excel_dates(days: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days since 1899-12-30, as spreadsheets store dates, as dates to the second."""
    seconds = pc.round(pc.multiply(pc.subtract(days, 25569.0), 86400.0)).cast(pa.int64())
    return seconds.cast(pa.timestamp("s")).cast(pa.timestamp("us"))


def _check_names(file: Path, names: list[str], first: list[str], types: dict[str, str]) -> None:
    if len(names) > MOST_COLUMNS:
        raise UserError(
            f"{file}: has {len(names):,} columns, and {MOST_COLUMNS:,} are the most; see data.read.separator"
        )
    if duplicates := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(
            f"{file}: the column {duplicates[0]} is duplicated; rename one, or put a line of names above the data"
        )
    if differing := sorted(set(names) ^ set(first)):
        raise UserError(f"{file}: the column {differing[0]} is not in every file of the folder")
    if unknown := sorted(set(types) - set(names)):
        raise UserError(f"{file}: no column {unknown[0]} (data.read.types in params.yaml)")


def _reason(error: Exception, file: Path, how: How) -> str:  # noqa: PLR0911  # one for each cause
    """What went wrong, without the values that the library quotes."""
    text = str(error)
    if "columns, got" in text:
        where = _ragged_row(file, how)
        told = f"{where} has more or fewer cells than the header; correct it, or leave out lines above the header"
        return f"{told} (data.read.skip_rows) or at the end (data.read.skip_footer)"
    if column := re.search(r"Column\(/(.*)\) changed from (\w+) to (\w+)", text):
        line = _changing_line(file, column[1])
        where = f"another, line {line}" if line else "another"
        return f"column {column[1]} holds a {column[2]} in one line and a {column[3]} in {where}; correct it"
    if kind_of(file) in LINES and (found := _broken_line(file)):
        return found
    if column := re.search(r"column #(\d+):.*conversion error", text):
        return f"column {int(column[1]) + 1} holds values that are not of its type; see data.read.types"
    if "straddling" in text or "field larger" in text:
        return f"a line is longer than {BLOCK >> 20} MiB; is a quote never closed?"
    if isinstance(error, UnicodeError | LookupError) or "UTF8" in text:
        return f"not text in {how.encoding}; see data.read.encoding"
    if "Empty CSV" in text:
        return "empty; a table needs a header and rows"
    return "not a complete table of the kind that its name says; write it again"


def _ragged_row(file: Path, how: How) -> str:
    """The first row, counted from the first below the header, that has more or fewer cells than the header."""
    width = len(_header(file, how)[0])
    with opened(file) as stream, suppress(csv.Error):  # which tells another fault than the one that was met
        text = io.TextIOWrapper(stream, encoding=how.encoding, errors="replace", newline="")
        for _ in range(how.skip_rows):
            text.readline()
        reader = csv.reader(text, delimiter=_separator(file, how))
        for number, row in enumerate(row for row in reader if row):
            if len(row) != width:
                return f"row {number:,} (line {reader.line_num + how.skip_rows:,} of the file)"
    return "a row"


def _changing_line(file: Path, name: str) -> int | None:
    """The first line of a JSON Lines file in which a column's value is of another type than before."""
    before = None
    with opened(file) as stream, suppress(ValueError, AttributeError, RecursionError):  # a line that is no object
        for number, line in enumerate(stream, 1):
            value = json.loads(line).get(name) if line.strip() else None
            kind = float if type(value) in (int, float) else type(value)
            if value is not None and kind != (before := before or kind):
                return number
    return None


def _broken_line(file: Path) -> str | None:
    """The first line of a JSON Lines file that is no object, or has a key twice."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = Counter(key for key, _ in pairs)
        if repeated := [key for key, count in keys.items() if count > 1]:
            raise KeyError(repeated[0])
        return dict(pairs)

    with opened(file) as stream:
        for number, line in enumerate(stream, 1):
            try:
                if line.strip() and not isinstance(json.loads(line, object_pairs_hook=distinct), dict):
                    return f'line {number} is not a JSON object, such as {{"column": 1}}'
            except KeyError as error:
                return f"line {number} has the key {error.args[0]} twice; correct it"
            except (ValueError, RecursionError):
                return f"line {number} is not valid JSON; is the file complete?"
    return None


def to_pandas(table: pa.Table, source: Path) -> pd.DataFrame:
    """The table in pandas' plain types: int64, float64, bool, str and datetime64[us]; a time of day in hours."""
    columns = [_plain(table.column(name), name, source) for name in table.column_names]
    frame: pd.DataFrame = pa.table(columns, names=table.column_names).to_pandas()
    return frame


def _plain(column: pa.ChunkedArray, name: str, source: Path) -> pa.ChunkedArray:
    """A column as one of five types: 64-bit integers and floats, booleans, text, microseconds.

    Raises:
        UserError: it holds something else.
    """
    given = column.type
    column = _decoded(column)
    type_ = column.type
    is_text = pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)
    target = None
    if pa.types.is_boolean(type_):
        target = pa.string() if column.null_count else type_
    elif pa.types.is_integer(type_) or (pa.types.is_decimal(type_) and type_.scale <= 0):
        target = pa.float64() if column.null_count else pa.int64()
    elif pa.types.is_floating(type_) or pa.types.is_decimal(type_) or pa.types.is_null(type_):
        target = pa.float64()
    elif pa.types.is_date(type_) or pa.types.is_timestamp(type_):
        target = pa.timestamp("us")
    elif is_text:
        target = pa.string()
    elif given == pa.binary():
        raise UserError(f"{source}: column {name} is not text in the encoding that data.read.encoding names")
    if target is None:
        raise UserError(_unusable(source, name, given))
    if column.type == target:
        return column
    try:
        whole_numbers = pa.types.is_decimal(type_) and type_.scale <= 0
        if whole_numbers:  # a cast from decimals to floats would not say that digits are lost
            column = column.cast(pa.int64())
        elif pa.types.is_decimal(type_):  # nor give the nearest float: of 1.13 it makes 1.1300000000000001
            column = column.cast(pa.string())
        return column.cast(target, safe=not pa.types.is_timestamp(target))
    except pa.ArrowException:  # an integer of more digits than a float keeps names something
        return column.cast(pa.string())


def _unusable(source: Path, name: str, type_: pa.DataType) -> str:
    return (
        f"{source}: column {name} holds {type_}; only numbers, text, booleans and dates work: leave it out of the file"
    )


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values themselves, where Arrow wraps them: dictionaries, extensions, run lengths, zones, times of day."""
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if pa.types.is_run_end_encoded(column.type):
        column = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], column.type.value_type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type) and column.type.tz:
        column = pc.local_timestamp(column)
    if pa.types.is_time(column.type):
        microseconds = column.cast(pa.time64("us"), safe=False).cast(pa.int64())
        column = pc.divide(microseconds.cast(pa.float64()), 3.6e9)
    return column


def prepare(tables: dict[str, pd.DataFrame], data: Data) -> pd.DataFrame:
    """One row per row that has a target; dates become numbers that a model can use.

    The column of ids is `data.id`, or `row_id`, which is made from `data.id_columns`. Of each date the features are
    its month, weekday and hour, and its day counted from 1970 unless it's the time that the table is split by. A group
    stays as it is. Rows without a target are counted in `attrs["dropped"]`.

    Raises:
        UserError: there is no such target or id column, no column is named for the ids, the target is a date, or a
            column has the name of the ids that are to be made, or of what is made of a date.
    """
    raw = tables["table"]
    for role in ("target", "id"):
        column = getattr(data, role)
        if column is not None and column not in raw:
            raise UserError(f"params.yaml: data.{role}: {data.source} has no column {column}")
    if pd.api.types.is_datetime64_any_dtype(raw[data.target]):
        raise UserError(f"params.yaml: data.target: {data.target} is a date, which can't be predicted")
    table = raw.copy()
    if data.id is None:
        table.insert(0, data.id_column, _checked_row_ids(raw, data))
    else:
        table[data.id] = as_text(table[data.id])
    labelled = table[data.target].notna()
    table = table[labelled].reset_index(drop=True)
    if data.task == "classification":
        table[data.target] = _labels(table[data.target])
    for name in raw.columns:
        if name in (data.id, data.group, *data.drop) or not pd.api.types.is_datetime64_any_dtype(raw[name]):
            continue
        parts = _date_features(table[name], name != data.time)
        if taken := [part for part in parts if part in table]:
            raise UserError(f"column {taken[0]}: is made of {name}, too; rename one of them, or data.drop: [{name}]")
        table = pd.concat([table, parts], axis=1)
        if name != data.time:
            table = table.drop(columns=name)
    table.attrs["dropped"] = {"no target": int((~labelled).sum())}
    return table


def _checked_row_ids(raw: pd.DataFrame, data: Data) -> list[str]:
    where = "params.yaml: data.id_columns:"
    if data.id_column in raw:
        raise UserError(f"params.yaml: data.id: the table has a column {data.id_column}; name it here, or rename it")
    if not data.id_columns:
        raise UserError(
            f"{where} empty, and data.id is null; list the columns that tell rows apart: `python -m retrace adopt` does"
        )
    if gone := [name for name in data.id_columns if name not in raw]:
        raise UserError(
            f"{where} {data.source} has no column {gone[0]}; if it was renamed, write its new name there, and the ids "
            "stay; else take it off the list, and every row gets another id"
        )
    return row_ids(raw, data.id_columns, data.read.get("types") or {})


def _labels(target: pd.Series) -> pd.Series:
    """Classes that came as decimals only because some were missing, as whole numbers."""
    if pd.api.types.is_float_dtype(target) and (target % 1 == 0).all():
        return target.astype("int64")
    return target


def _date_features(dates: pd.Series, with_day: bool) -> pd.DataFrame:
    parts = {"month": dates.dt.month, "weekday": dates.dt.day_of_week, "hour": dates.dt.hour}
    if with_day:
        parts["day"] = (dates - EPOCH) / pd.Timedelta(days=1)
    return pd.DataFrame({f"{dates.name} ({part})": values.astype("float64") for part, values in parts.items()})
