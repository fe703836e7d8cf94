"""CSV, TSV and other text files in which a line is a row."""

import csv
import io
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from retrace.errors import UserError
from retrace.tables.columns import check_names, column_names, with_column, with_names
from retrace.tables.dates import clock_time
from retrace.tables.files import LONGEST_LINE, TABBED, kind_of, opened
from retrace.tables.options import MISSING, ReadOptions


def read_text_file(file: Path, options: ReadOptions, as_written: bool = False) -> pa.Table:
    """A text file with the types that its cells suggest, or as text where `options.types` names a column.

    Args:
        file: the file.
        options: how it is read.
        as_written: whether each cell is the text that the file has, even where it means no value.
    """
    header, lines_above = _header(file, options)
    names = column_names(header, options.strip)
    check_names(file, names, names, {})  # before the columns are told apart by their names
    texts = names if as_written else [name for name in names if name in options.types]
    missing = [str(value) for value in options.missing]

    def parsed(columns: list[str], texts: list[str]) -> pa.Table:
        return pa.csv.read_csv(
            _without_footer(file, options.skip_footer, options.encoding) if options.skip_footer else file,
            read_options=pa.csv.ReadOptions(
                column_names=names,
                skip_rows=lines_above,
                skip_rows_after_names=1,
                encoding=options.encoding,
                use_threads=False,
                block_size=LONGEST_LINE,
            ),
            parse_options=pa.csv.ParseOptions(delimiter=_delimiter(file, options), newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(texts, pa.string()),
                include_columns=columns,
                decimal_point=options.decimal,
                null_values=[] if as_written else [*MISSING, *missing],
                strings_can_be_null=not as_written,
            ),
        )

    table = parsed([], texts)
    zoned = [field.name for field in table.schema if pa.types.is_timestamp(field.type) and field.type.tz]
    if zoned:  # Arrow has turned these into UTC; the time that the clock showed is in their text
        zoned_texts = parsed(zoned, zoned)
        for name in zoned:
            table = with_column(table, name, clock_time(zoned_texts.column(name)))
    return table if as_written else with_names(table, options.strip)


def ragged_row(file: Path, options: ReadOptions) -> str:
    """Where the first row is that has more or fewer cells than the header; rows are counted from below the header."""
    width = len(_header(file, options)[0])
    with opened(file) as stream, suppress(csv.Error):  # the csv module may stop at another fault before this one
        text = io.TextIOWrapper(stream, encoding=options.encoding, errors="replace", newline="")
        for _ in range(options.skip_rows):
            text.readline()
        reader = csv.reader(text, delimiter=_delimiter(file, options))
        for number, row in enumerate(row for row in reader if row):
            if len(row) != width:
                return f"row {number:,} (line {reader.line_num + options.skip_rows:,} of the file)"
    return "a row"


def _header(file: Path, options: ReadOptions) -> tuple[list[str], int]:
    """The names in a text file's header, as they are written, and how many lines are above it."""
    csv.field_size_limit(LONGEST_LINE)
    lines_above = options.skip_rows
    with opened(file) as stream:
        encoding = "utf-8-sig" if options.encoding == "utf-8" else options.encoding
        text = io.TextIOWrapper(stream, encoding=encoding, errors="surrogateescape", newline="")
        for _ in range(options.skip_rows):
            text.readline()
        for row in csv.reader(text, delimiter=_delimiter(file, options)):
            if row:
                "".join(row).encode()  # which fails if the file has another encoding
                if "\0" in "".join(row):
                    raise UserError(f"{file}: the header holds a NUL character; remove it from the file")
                return row, lines_above
            lines_above += 1
    raise pa.ArrowInvalid("Empty CSV file")


def _delimiter(file: Path, options: ReadOptions) -> str:
    return "\t" if kind_of(file) in TABBED else options.separator


def _without_footer(file: Path, lines: int, encoding: str) -> pa.BufferReader:
    """A text file's content without its last lines; blank ones do not count."""
    with opened(file) as stream:
        text = io.TextIOWrapper(stream, encoding=encoding, newline="").readlines()
    for _ in range(lines):
        while text and not text[-1].strip():
            del text[-1]
        del text[-1:]
    return pa.BufferReader("".join(text).encode(encoding))
