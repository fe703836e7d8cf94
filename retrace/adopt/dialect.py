"""How a file is written: for text its encoding, separator and the lines above its header, found once.

What is found goes into `data.read` of params.yaml, so that the pipeline itself never guesses.
"""

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from charset_normalizer import from_bytes

from retrace.errors import UserError
from retrace.limits import check_table
from src.datasets.table import BLOCK, LINES, TABBED, files_of, kind_of, opened

HEAD = 1 << 20  # bytes that are looked at for the kind, the separator and the header
MOST_ROWS = 1000
MOST_LINES = 1000  # whose encoding is guessed
FEWEST_LINES = 20
MOST_TITLE_ROWS = 20
DEFAULTS = {"separator": ",", "encoding": "utf-8", "skip_rows": 0}
FEWEST_LETTERS = 3  # beyond ASCII, that tell nothing of an alphabet
HEAD_OF_TEXT = 4000  # bytes that tell UTF-16 and UTF-32
WIDE = ("utf-16", "utf-32")
CONTROLS = re.compile(r"[\0-\x08]")  # which text does not hold
MARKS = {  # the longer first, as that of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SEPARATORS = ",;\t| "  # a space only where no other separates the cells
SYMBOLS = "€£¥§©®°±²³µ·¼½¾\u00a0".encode("cp1252")  # that a table without other letters may hold
EASTERN = ["cp1251", "koi8_r", "cp932", "euc_jp", "gb18030", "big5", "euc_kr", "cp1253", "cp1255", "cp1256"]
STARTS = {
    b"PK\x03\x04": "a spreadsheet or an archive; open it and save the table as CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet; open it and save the table as CSV",
    b"%PDF": "a PDF; save its table as CSV",
    b"[": "one JSON array; write one object per line (`jq --compact-output '.[]'`)",
}
# A declaration, a tag of HTML, or a tag that another follows; a column may be called <TICKER>.
MARKUP = re.compile(rb"<(!|\?xml|(html|head|body|table|div|tr)\b|[\w:-]+( [^<>]*)?>[ \r\n]*<)", re.IGNORECASE)


def understand(source: Path, skip_rows: int | None = None, encoding: str | None = None) -> dict[str, Any]:
    """How a file is read, or a folder of files alike: the arguments of `src.datasets.table.read` that are not defaults.

    Args:
        source: a file or a folder.
        skip_rows: lines above the header, where the user says how many.
        encoding: of text files, where the user says it.

    Raises:
        UserError: a file is missing, empty, no table, cut short, or a quote in it is never closed.
    """
    if not source.exists():
        raise UserError(f"{source}: no such file")
    if not (files := files_of(source)):
        raise UserError(f"{source}: a folder without tables; put files of the same columns into it")
    for file in files:
        if source.is_dir() and "=" in file.relative_to(source).parent.as_posix():
            raise UserError(f"{file}: a folder's name holds a column, which is not read; write it into the files")
    found = [_understand_file(file, skip_rows, encoding) for file in files]
    same: dict[str, Any] = {}
    for file, how in zip(files, found, strict=True):
        for key, value in how.items():
            if value is not None and same.setdefault(key, value) != value:
                before = f"{same[key]!r} in the folder's files before it"
                raise UserError(f"{file}: {key} {value!r}, and {before}; make them alike")
    return {key: value for key, value in same.items() if value != DEFAULTS[key]}


def _understand_file(file: Path, skip_rows: int | None, said: str | None) -> dict[str, Any]:
    """What `understand` returns, but with the defaults too; None where any value would do."""
    kind = kind_of(file)
    try:
        with opened(file) as stream:
            check_table(file)
            head = stream.read(HEAD)
            if not head.strip():
                raise UserError(f"{file}: empty; a table needs a header and rows")
            if kind == ".parquet":
                return {}
            encoding = said or _encoding(file)
            _refuse_other_kinds(file, head, encoding)
            if kind in LINES:
                return {}
            while len(lines := head.split(b"\n", FEWEST_LINES)) < FEWEST_LINES and (more := stream.read(HEAD)):
                head += more  # a long cell
            whole = len(lines) < FEWEST_LINES or len(head) < HEAD
            text = head.decode(encoding or "utf-8", "ignore").removeprefix("\ufeff")
            how = _of_text(file, text if whole else text[: text.rindex("\n") + 1], skip_rows)
            how["encoding"] = encoding
            _refuse_open_quote(file, encoding or "utf-8", how["separator"])
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(f"{file}: cut short, or not gzip; write it again") from None
    if kind in TABBED:
        del how["separator"]
    return how


def _refuse_other_kinds(file: Path, head: bytes, encoding: str | None) -> None:
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    for beginning, what in STARTS.items():
        if start.startswith(beginning):
            raise UserError(f"{file}: {what}")
    first = _object(start.partition(b"\n")[0]) if start.startswith(b"{") and kind_of(file) not in LINES else None
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


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, by the mark at the start or by the zeros that most letters then have."""
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
            text = head.decode(encoding, "ignore")
            if not CONTROLS.search(text) and 4 * sum(map(str.isascii, text)) > len(head) / 2:
                return encoding
    return None


def _encoding(file: Path) -> str | None:
    """UTF-8 or UTF-16 where it is that, None for ASCII; else what the words look like, which needn't be right."""
    strange: list[bytes] = []
    with opened(file) as stream:
        if wide := _wide_encoding(stream.read(HEAD_OF_TEXT)):
            return wide
        stream.seek(0)
        decoder, ascii_only = codecs.getincrementaldecoder("utf-8")(), True
        try:
            for chunk in iter(lambda: stream.read(HEAD), b""):
                ascii_only = ascii_only and chunk.isascii()
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            pass
        else:
            return None if ascii_only else "utf-8"
        stream.seek(0)
        strange = list(islice((line for line in stream if not line.isascii()), MOST_LINES))
    sample = b"".join(strange)
    if set(sample) - set(range(128)) <= set(SYMBOLS):
        return "cp1252"
    letters = sum(chr(byte).isalpha() for byte in sample if byte < 128)
    if sum(byte > 127 for byte in sample) > max(letters, FEWEST_LETTERS):
        found = from_bytes(sample, cp_isolation=EASTERN).best()
        if found:
            return found.encoding
    try:
        sample.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _of_text(file: Path, sample: str, skip_rows: int | None) -> dict[str, Any]:
    """The separator, and how many lines are above the header."""
    told = re.match(r'"?sep=(.)"?\r?\n', sample)  # a first line by which Excel knows the separator
    separators = told[1] if told else SEPARATORS
    lines = sample.splitlines(keepends=True)
    above = skip_rows if skip_rows is not None else int(told is not None)
    candidates = {separator: _rows("".join(lines[above:]), separator) for separator in separators}
    alike = {separator: _alike(rows) for separator, rows in candidates.items()}
    if " " in alike:
        alike[" "] = float(alike[" "] == 1 and not any(alike[one] > 0.5 for one in separators[:-1]))
    separator = max(separators, key=lambda one: (alike[one], len(candidates[one][-1].cells)))
    rows = candidates[separator]
    if not alike[separator]:
        raise UserError(
            f"{file}: not a table, or one of a single column; cells are separated by one of , ; tab | space"
        )
    title = _title(rows) if skip_rows is None and not told else 0
    if len(rows) - title < 2:
        raise UserError(f"{file}: only a header; a table needs rows")
    return {"separator": separator, "skip_rows": rows[title].line + above if title or above else 0}


class _Row(NamedTuple):
    """The cells of a row, and how many lines are above it."""

    cells: list[str]
    line: int


def _alike(rows: list[_Row]) -> float:
    """The share of rows that have the commonest number of cells, 0 where that is 1."""
    (width, count), *_ = Counter(len(row.cells) for row in rows).most_common(1)
    return count / len(rows) if width > 1 else 0.0


def _title(rows: list[_Row]) -> int:
    """How many rows are above the header: lines of few cells, above one where each cell has another name."""
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
    """The first rows of text that are not blank; at least one."""
    csv.field_size_limit(BLOCK)
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
    """A quote that is never closed makes one cell of all that follows; only an odd number of quotes can hold one."""
    with opened(file) as stream:
        if sum(chunk.count(b'"') for chunk in iter(lambda: stream.read(HEAD), b"")) % 2 == 0:
            return
        stream.seek(0)
        text = io.TextIOWrapper(stream, encoding=encoding, newline="")
        reader, before = csv.reader(text, delimiter=separator, strict=True), 0
        csv.field_size_limit(BLOCK)
        try:
            for _ in reader:
                before = reader.line_num
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise UserError(
                    f"{file}: the quote that opens in line {before + 1} is never closed; close it"
                ) from None
