"""What went wrong when a file was read, in one line that shows none of its values."""

import re
from pathlib import Path

import pyarrow as pa

from retrace.errors import PARAMETER, ParameterError, UserError
from retrace.tables.files import JSON_LINES, LONGEST_LINE, kind_of
from retrace.tables.json_lines import broken_line, line_of_another_type
from retrace.tables.options import ReadOptions
from retrace.tables.text_files import ragged_row


def reading_error(error: Exception, file: Path, options: ReadOptions) -> UserError:  # noqa: PLR0911  # one for each cause
    """Why a file could not be read, without the values that the library's error quotes.

    Args:
        error: the library's error.
        file: the file.
        options: how it was read.
    """
    text = str(error)
    if "columns, got" in text:
        where = f"{file}: {ragged_row(file, options)} has more or fewer cells than the header"
        line = f"{where}; correct it, or leave out lines above the header ({PARAMETER}) or at the end ({PARAMETER})"
        return ParameterError(line, "data.read.skip_rows", "data.read.skip_footer")
    if column := re.search(r"Column\(/(.*)\) changed from (\w+) to (\w+)", text):
        line_number = line_of_another_type(file, column[1])
        where = f"another, line {line_number}" if line_number else "another"
        what = f"column {column[1]} holds a {column[2]} in one line and a {column[3]} in {where}"
        return UserError(f"{file}: {what}; correct it")
    if kind_of(file) in JSON_LINES and (found := broken_line(file)):
        return UserError(f"{file}: {found}")
    if column := re.search(r"column #(\d+):.*conversion error", text):
        what = f"column {int(column[1]) + 1} holds values that are not of its type"
        return ParameterError(f"{file}: {what}; see {PARAMETER}", "data.read.types")
    if "straddling" in text or "field larger" in text:
        return UserError(f"{file}: a line is longer than {LONGEST_LINE >> 20} MiB; is a quote never closed?")
    if isinstance(error, UnicodeError | LookupError) or "UTF8" in text:
        return ParameterError(f"{file}: not text in {options.encoding}; see {PARAMETER}", "data.read.encoding")
    if "Empty CSV" in text:
        return UserError(f"{file}: empty; a table needs a header and rows")
    return UserError(f"{file}: not a complete table of the kind that its name says; write it again")


def unusable_type(source: Path, name: str, type_: pa.DataType) -> str:
    """That a column's type cannot be used."""
    return (
        f"{source}: column {name} holds {type_}; only numbers, text, booleans and dates work: leave it out of the file"
    )
