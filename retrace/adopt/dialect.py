"""How a file is written: for text files the encoding, the separator and the number of lines above the header.

adopt finds these once and writes them to `data.read` in params.yaml, so that the pipeline itself never guesses.
"""

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from retrace.adopt.encodings import WIDE, encoding_of
from retrace.errors import UserError
from retrace.limits import check_table
from retrace.tables.files import JSON_LINES, LONGEST_LINE, TABBED, files_of, kind_of, opened

HEAD = 1 << 20  # bytes that tell the kind, the separator and the header
MOST_ROWS = 1000  # that tell the separator
FEWEST_LINES = 20  # that tell it, if the file has as many
MOST_TITLE_ROWS = 20  # above the header
DEFAULTS = {"separator": ",", "encoding": "utf-8", "skip_rows": 0}
SEPARATORS = ",;\t| "  # a space only if no other separates the cells
STARTS = {
    b"PK\x03\x04": "a spreadsheet or an archive; open it and save the table as CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet; open it and save the table as CSV",
    b"%PDF": "a PDF; save its table as CSV",
    b"[": "one JSON array; write one object per line (`jq --compact-output '.[]'`)",
}
# A declaration, a tag of HTML, or a tag followed by another; a column may be called <TICKER>.
MARKUP = re.compile(rb"<(!|\?xml|(html|head|body|table|div|tr)\b|[\w:-]+( [^<>]*)?>[ \r\n]*<)", re.IGNORECASE)


def understand(source: Path, skip_rows: int | None = None, encoding: str | None = None) -> dict[str, Any]:
    """How a file, or a folder of files alike, is read: the arguments of a data set's `read` that are not defaults.

    Args:
        source: a file or a folder.
        skip_rows: how many lines are above the header, if the user names it.
        encoding: of text files, if the user names it.

    Raises:
        UserError: a file is empty, not a table or incomplete, a quote in it is never closed, or the files differ.
    """
    if not (files := files_of(source)):
        raise UserError(f"{source}: a folder without tables; put files of the same columns into it")
    for file in files:
        if source.is_dir() and "=" in file.relative_to(source).parent.as_posix():
            raise UserError(f"{file}: a folder's name holds a column, which is not read; write it into the files")
    options_of_files = [_understand_file(file, skip_rows, encoding) for file in files]
    common: dict[str, Any] = {}
    for file, options in zip(files, options_of_files, strict=True):
        for key, value in options.items():
            if value is not None and common.setdefault(key, value) != value:
                before = f"{common[key]!r} in the folder's files before it"
                raise UserError(f"{file}: {key} {value!r}, and {before}; make them alike")
    return {key: value for key, value in common.items() if value != DEFAULTS[key]}


def _understand_file(file: Path, skip_rows: int | None, named_encoding: str | None) -> dict[str, Any]:
    """The same for one file, with defaults; a value is None if any value would do."""
    kind = kind_of(file)
    try:
        with opened(file) as stream:
            check_table(file)
            head = stream.read(HEAD)
            if not head.strip():
                raise UserError(f"{file}: empty; a table needs a header and rows")
            if kind == ".parquet":
                return {}
            encoding = named_encoding or encoding_of(file)
            _refuse_other_kinds(file, head, encoding)
            if kind in JSON_LINES:
                return {}
            while len(lines := head.split(b"\n", FEWEST_LINES)) < FEWEST_LINES and (more := stream.read(HEAD)):
                head += more  # of a long cell
            is_whole = len(lines) < FEWEST_LINES or len(head) < HEAD
            text = head.decode(encoding or "utf-8", "ignore").removeprefix("\ufeff")
            options = _layout_of(file, text if is_whole else text[: text.rindex("\n") + 1], skip_rows)
            options["encoding"] = encoding
            _refuse_open_quote(file, encoding or "utf-8", options["separator"])
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(f"{file}: cut short, or not gzip; write it again") from None
    if kind in TABBED:
        del options["separator"]
    return options


def _refuse_other_kinds(file: Path, head: bytes, encoding: str | None) -> None:
    """Refuse what is not text with cells, by its first bytes, and say what to do with it."""
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    for beginning, what in STARTS.items():
        if start.startswith(beginning):
            raise UserError(f"{file}: {what}")
    first = _object(start.partition(b"\n")[0]) if start.startswith(b"{") and kind_of(file) not in JSON_LINES else None
    if first and any(isinstance(value, list | dict) for value in first.values()):
        raise UserError(f"{file}: a JSON object of columns; write an object for each row, one a line, as .jsonl")
    if first is not None:
        raise UserError(f"{file}: JSON Lines; rename it so that it ends in .jsonl")
    if MARKUP.match(start):
        raise UserError(f"{file}: HTML or XML; save its table as CSV")
    if not (encoding or "").startswith(WIDE) and b"\0" in head:
        raise UserError(f"{file}: binary; only .csv, .tsv, .parquet and .jsonl files can be read")


def _object(line: bytes) -> dict[str, Any] | None:
    """The JSON object that a line holds, if it holds one."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _layout_of(file: Path, sample: str, skip_rows: int | None) -> dict[str, Any]:
    """The separator, and how many lines are above the header.

    Args:
        file: the file.
        sample: its first lines.
        skip_rows: how many lines are above the header, if the user names it.
    """
    named = re.match(r'"?sep=(.)"?\r?\n', sample)  # a first line that names the separator for Excel
    separators = named[1] if named else SEPARATORS
    lines = sample.splitlines(keepends=True)
    above = skip_rows if skip_rows is not None else int(named is not None)
    candidates = {separator: _rows("".join(lines[above:]), separator) for separator in separators}
    shares = {separator: _share_of_commonest_width(rows) for separator, rows in candidates.items()}
    if " " in shares:
        others_fit = any(shares[other] > 0.5 for other in separators[:-1])
        shares[" "] = float(shares[" "] == 1 and not others_fit)
    separator = max(separators, key=lambda sign: (shares[sign], len(candidates[sign][-1].cells)))
    rows = candidates[separator]
    if not shares[separator]:
        raise UserError(
            f"{file}: not a table, or one of a single column; cells are separated by one of , ; tab | space"
        )
    title = _title(rows) if skip_rows is None and not named else 0
    if len(rows) - title < 2:
        raise UserError(f"{file}: only a header; a table needs rows")
    return {"separator": separator, "skip_rows": rows[title].line + above if title or above else 0}


class _Row(NamedTuple):
    """The cells of a row, and how many lines are above it."""

    cells: list[str]
    line: int


def _share_of_commonest_width(rows: list[_Row]) -> float:
    """The share of rows that have the commonest number of cells; 0 if that is 1."""
    (width, count), *_ = Counter(len(row.cells) for row in rows).most_common(1)
    return count / len(rows) if width > 1 else 0.0


def _title(rows: list[_Row]) -> int:
    """How many rows are above the header: rows with few cells, before one in which each cell is another name."""
    (width, _), *_ = Counter(len(row.cells) for row in rows).most_common(1)
    for number, row in enumerate(rows[:MOST_TITLE_ROWS]):
        names = [cell.strip() for cell in row.cells if cell.strip()]
        if len(names) > width / 2:
            is_header = len(names) == len(set(names)) == width and not any(map(_is_number, names))
            return number if is_header else 0
    return 0


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[+-]?[\d.,]+%?", cell))


def _rows(sample: str, separator: str) -> list[_Row]:
    """The first rows of a text that are not blank; at least one, which may have no cells."""
    csv.field_size_limit(LONGEST_LINE)
    reader, line, rows = csv.reader(io.StringIO(sample, newline=""), delimiter=separator), 0, []
    try:
        for cells in reader:
            if cells:
                rows.append(_Row(cells, line))
            line = reader.line_num
            if len(rows) == MOST_ROWS:
                break
    except csv.Error:
        pass
    return rows or [_Row([], 0)]


def _refuse_open_quote(file: Path, encoding: str, separator: str) -> None:
    """Refuse a quote that is never closed, which makes one cell of all that follows.

    A file with an even number of quotes has none, and need not be parsed.
    """
    with opened(file) as stream:
        if sum(chunk.count(b'"') for chunk in iter(lambda: stream.read(HEAD), b"")) % 2 == 0:
            return
        stream.seek(0)
        text = io.TextIOWrapper(stream, encoding=encoding, newline="")
        reader, before = csv.reader(text, delimiter=separator, strict=True), 0
        csv.field_size_limit(LONGEST_LINE)
        try:
            for _ in reader:
                before = reader.line_num
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise UserError(
                    f"{file}: the quote that opens in line {before + 1} is never closed; close it"
                ) from None
