"""How a file is to be read: for text its encoding, separator and decimal sign, found once.

What is found goes into `data.read` of params.yaml, so that the pipeline itself never guesses.
"""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import pyarrow
import pyarrow.compute as pc
import pyarrow.csv
from charset_normalizer import from_bytes

from src.core.errors import UserError
from src.core.limits import check_table
from src.datasets.table import LINES, TABBED, files_of, kind_of

HEAD = 1 << 20  # bytes that are looked at for the kind, the separator and the decimal sign
MOST_LINES = 1000
DEFAULTS = {"separator": ",", "decimal": ".", "encoding": "utf-8"}
FEWEST_LETTERS = 3  # beyond ASCII, that tell nothing of an alphabet
SEPARATORS = ",;\t| "  # a space only where no other parts the cells
EASTERN = ["cp1251", "koi8_r", "cp932", "euc_jp", "gb18030", "big5", "euc_kr", "cp1253", "cp1255", "cp1256"]
STARTS = {
    b"PK\x03\x04": "a spreadsheet or an archive; open it and save the table as CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet; open it and save the table as CSV",
    b"%PDF": "a PDF; save its table as CSV",
    b"<": "HTML or XML; save its table as CSV",
    b"[": "one JSON array; write one object to a line (`jq --compact-output '.[]'`)",
}


def understand(source: Path) -> dict[str, Any]:
    """The arguments with which `src.datasets.table` reads a file, or a folder of files alike: none where it needs none.

    Raises:
        UserError: a file is missing, empty, no table, cut short, or a quote in it is never closed.
    """
    if not source.exists():
        raise UserError(f"{source}: no such file")
    if not (files := files_of(source)):
        raise UserError(f"{source}: a folder without tables; put files of the same columns into it")
    for file in files:
        if source.is_dir() and "=" in file.relative_to(source).parent.as_posix():
            raise UserError(f"{file}: a folder's name holds a column, which isn't read; write it into the files")
    found = [_understand_file(file) for file in files]
    types = {name: "text" for how in found for name in how.pop("text", [])}
    same: dict[str, Any] = {}
    for file, how in zip(files, found, strict=True):
        for key, value in how.items():
            if value is not None and same.setdefault(key, value) != value:
                raise UserError(f"{file}: {key} {value!r}, and {same[key]!r} in the folder's files before it; mend one")
    how = {key: value for key, value in same.items() if value != DEFAULTS[key]}
    return how | ({"types": types} if types else {})


def _understand_file(file: Path) -> dict[str, Any]:
    """What `understand` returns, but with the defaults too; None where any value would do, `text` for its columns."""
    kind = kind_of(file)
    try:
        check_table(file)
        with _opened(file) as stream:
            head = stream.read(HEAD)
            if not head.strip():
                raise UserError(f"{file}: empty; a table needs a header and rows")
            if kind == ".parquet":
                return {}
            encoding = _encoding(file)
            _refuse_other_kinds(file, head, encoding)
            if kind in LINES:
                return {}
            text = head.decode(encoding or "utf-8", "ignore")
            whole = len(head) < HEAD
            sample = text if whole else text[: text.rindex("\n") + 1] if "\n" in text else text
            how = _of_text(file, sample) | {"encoding": encoding}
            _refuse_open_quote(file, encoding or "utf-8", how["separator"])
            how["text"] = _names_of_things(file, how)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(f"{file}: cut short, or not gzip; write it again") from None
    if kind in TABBED:
        del how["separator"]
    return how


def _opened(file: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(file)) if file.suffix == ".gz" else file.open("rb")


def _refuse_other_kinds(file: Path, head: bytes, encoding: str | None) -> None:
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    for beginning, what in STARTS.items():
        if start.startswith(beginning):
            raise UserError(f"{file}: {what}")
    if encoding != "utf-16" and b"\0" in head:
        raise UserError(f"{file}: binary; .csv, .tsv, .parquet or .jsonl, please")


def _encoding(file: Path) -> str | None:
    """UTF-8 or UTF-16 where it is that, None for ASCII; else what the words look like, which needn't be right."""
    strange: list[bytes] = []
    with _opened(file) as stream:
        if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
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


def _of_text(file: Path, sample: str) -> dict[str, Any]:
    """The separator and the decimal sign."""
    candidates = {separator: _rows(sample, separator) for separator in SEPARATORS}
    alike = {
        separator: sum(len(row) == len(rows[0]) for row in rows) / len(rows) if len(rows[0]) > 1 else 0.0
        for separator, rows in candidates.items()
    }
    alike[" "] = float(alike[" "] == 1 and not any(alike[one] > 0.5 for one in SEPARATORS[:-1]))
    separator = max(SEPARATORS, key=lambda one: (alike[one], len(candidates[one][0])))
    rows = candidates[separator]
    if not alike[separator]:
        raise UserError(f"{file}: not a table, or one of a single column; cells are parted by one of , ; tab | space")
    if len(rows) < 2:
        raise UserError(f"{file}: only a header; a table needs rows")
    return {"separator": separator, "decimal": _decimal(rows[1:], separator)}


def _names_of_things(file: Path, how: dict[str, Any]) -> list[str]:
    """The columns where 00042, or more digits than a float keeps, is no number but a name of something."""
    read = pyarrow.csv.ReadOptions(encoding=how["encoding"] or "utf-8", use_threads=False)
    parse = pyarrow.csv.ParseOptions(delimiter=how["separator"], newlines_in_values=True)
    try:
        with pyarrow.csv.open_csv(file, read_options=read, parse_options=parse) as first:
            names = [name for name in first.schema.names if name]
        as_text = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pyarrow.string()))
        found: set[str] = set()
        with pyarrow.csv.open_csv(file, read_options=read, parse_options=parse, convert_options=as_text) as batches:
            for batch in batches:
                for name in set(names) - found:
                    if pc.any(pc.match_substring_regex(batch.column(name), r"^(0\d+|\d{17,})$")).as_py():
                        found.add(name)
    except (pyarrow.ArrowException, KeyError):
        return []  # what is wrong with it is told where it's read
    return [name for name in names if name in found]


def _rows(sample: str, separator: str) -> list[list[str]]:
    def read() -> Iterator[list[str]]:
        try:
            yield from csv.reader(io.StringIO(sample.removeprefix("\ufeff"), newline=""), delimiter=separator)
        except csv.Error:
            return

    return list(islice(filter(None, read()), MOST_LINES)) or [[]]


def _decimal(rows: list[list[str]], separator: str) -> str | None:
    """A comma where more cells are numbers with one than with a point; `1,234` between commas is a thousand.

    None where there is neither.
    """
    cells = [cell.strip() for row in rows for cell in row]
    points = sum(bool(re.fullmatch(r"[+-]?\d*\.\d+", cell)) for cell in cells)
    commas = [cell for cell in cells if re.fullmatch(r"[+-]?\d+,\d+", cell)]
    thousands = separator == "," and all(re.fullmatch(r"[+-]?\d{1,3},\d{3}", cell) for cell in commas)
    if len(commas) > points and not thousands:
        return ","
    return "." if points else None


def _refuse_open_quote(file: Path, encoding: str, separator: str) -> None:
    """A quote that is never closed makes one cell of all that follows; only an odd number of quotes can hold one."""
    with _opened(file) as stream:
        if sum(chunk.count(b'"') for chunk in iter(lambda: stream.read(HEAD), b"")) % 2 == 0:
            return
        stream.seek(0)
        text = io.TextIOWrapper(stream, encoding=encoding, newline="")
        reader, before = csv.reader(text, delimiter=separator, strict=True), 0
        csv.field_size_limit(1 << 30)
        try:
            for _ in reader:
                before = reader.line_num
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise UserError(f"{file}: the quote that opens in line {before + 1} is never closed; mend it") from None
