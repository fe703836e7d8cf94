"""Limits on the size and depth of a file's content, checked before it is parsed.

A file may come from a stranger's commit, which can make a parser crash, run without end or fill the memory: by text
that is nested a hundred thousand levels deep, by YAML's references to references, or by a small file that expands a
thousandfold. Each function here refuses such a file in one line.
"""

import gzip
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute as pc
import pyarrow.parquet
import yaml

from retrace.errors import UserError

MOST_BYTES = 50_000_000  # of a file that Git keeps: ten times the largest that a stage writes
MOST_DEPTH = 50  # of YAML and JSON: ours are at most six deep
MOST_NODES = 1_000_000  # of YAML, with its references written out
MOST_DIGITS = 40  # of a whole number in JSON
MOST_EXPANDED = 200_000_000  # bytes of a table in memory; a larger one may be at most MOST_RATIO times its file
MOST_RATIO = 500  # gzip and Parquet make tables 2 to 100 times smaller, but repetitions 1,000 times and more
MANY_BRACKETS = 100  # open at once in lines of JSON, or in one line; with fewer, no parser is at risk
TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"')  # a text in JSON
CHUNK = 1 << 20  # bytes


def check_yaml(text: str, name: str) -> None:
    """Check how large and deep YAML is, by its events, which libyaml reads without recursion.

    Args:
        text: the YAML.
        name: what the error calls its file.

    Raises:
        UserError: it is too large or deep, a reference contains itself or multiplies what it refers to, or a tag asks
            for another type than YAML infers.
    """
    if len(text) > MOST_BYTES:
        raise UserError(f"{name}: larger than {MOST_BYTES:,} bytes; no file of this project is")
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = [(None, 0)]  # the anchor and size of each open collection
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        anchor, size = getattr(event, "anchor", None), 0  # the size in nodes, with references written out
        if tag := getattr(event, "tag", None):
            raise UserError(f"{name}: the tag {tag}: no file of this project has one; write the plain value")
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append((anchor, 1))
            if len(open_) > MOST_DEPTH:
                raise UserError(f"{name}: nested deeper than {MOST_DEPTH} levels; no file of this project is")
        elif isinstance(event, yaml.AliasEvent):
            if anchor in (other for other, _ in open_):
                raise UserError(f"{name}: the reference *{anchor} contains itself; write it out")
            size = sizes.get(str(anchor), 1)
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_.pop()
        if size and not isinstance(event, yaml.AliasEvent) and anchor is not None:
            sizes[anchor] = size
        outer, sum_ = open_[-1]
        open_[-1] = outer, sum_ + size
        if sum_ + size > MOST_NODES:
            raise UserError(f"{name}: its references multiply what they refer to; write them out")


def read_json(content: bytes | str) -> Any:
    """The content of JSON.

    Raises:
        ValueError: it is not JSON, it is too large or deep, or a number has too many digits.
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"larger than {MOST_BYTES:,} bytes")
    try:
        found = json.loads(content, parse_int=_whole_number)
    except RecursionError:
        raise ValueError("nested too deep") from None
    level = [found]
    for _ in range(MOST_DEPTH):
        inner: list[Any] = []
        for item in level:
            inner += item.values() if isinstance(item, dict) else item if isinstance(item, list) else []
        level = inner
    if level:
        raise ValueError("nested too deep")
    return found


def _whole_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError("a number of too many digits")
    return int(digits)


def check_table(file: Path) -> None:
    """Check that a compressed table does not expand far beyond its file, and that no line of JSON is nested too deep.

    Raises:
        UserError: it does, or one is.
        OSError, EOFError, zlib.error: the file cannot be read, or is not gzip.
    """
    size = file.stat().st_size
    if file.suffix == ".gz" and size * 1100 > MOST_EXPANDED:  # gzip compresses by at most this factor
        with gzip.open(file) as stream:
            expanded = 0
            while chunk := stream.read(CHUNK):
                expanded += len(chunk)
                if expanded > max(MOST_EXPANDED, MOST_RATIO * size):
                    raise UserError(f"{file}: expands more than {MOST_RATIO} times; unpack it if it is a table")
    kind = file.with_suffix("") if file.suffix == ".gz" else file
    if kind.suffix.lower() in (".jsonl", ".ndjson"):
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            if (number := _line_nested_too_deep(stream)) is not None:
                raise UserError(f"{file}: line {number} is nested too deep; it is not a row of a table")


def _line_nested_too_deep(lines: Iterable[bytes]) -> int | None:
    """The number of the first line of JSON that is nested too deep, by itself or with those before it; else None.

    A line that ends inside an object counts with the next one, since a parser may read on. Other mistakes in a line are
    reported where it is read.
    """
    depth = 0
    for number, line in enumerate(lines, start=1):
        if not depth and line.count(b"{") == 1 and b"[" not in line and line.rstrip().endswith(b"}"):
            continue  # an object that holds no other
        without_texts = TEXT.sub(b"", line)
        opened = without_texts.count(b"{") + without_texts.count(b"[")
        closed = without_texts.count(b"}") + without_texts.count(b"]")
        may_be_deep = depth + opened > MANY_BRACKETS
        depth = max(0, depth + opened - closed)
        if depth > MANY_BRACKETS:
            return number
        if may_be_deep:
            try:
                json.loads(line)
            except RecursionError:
                return number
            except ValueError:
                pass  # not valid JSON, which is reported where the line is read
    return None


def check_parquet(file: Path) -> None:
    """Check that the rows that a Parquet file declares can be in it, and that its texts can be written out.

    Raises:
        UserError: in memory they would be far larger than the file.
    """
    most = max(MOST_EXPANDED, MOST_RATIO * file.stat().st_size)
    metadata = pyarrow.parquet.read_metadata(file)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    expanded = max(8 * metadata.num_rows * metadata.num_columns, sum(group.total_byte_size for group in groups))
    if expanded > most:
        told = f"{file}: declares {metadata.num_rows:,} rows of {metadata.num_columns:,} columns"
        raise UserError(f"{told}, more than {MOST_RATIO} times its size; write it again with pandas")
    texts = _dictionary_columns(groups)
    if not texts:
        return
    with pyarrow.parquet.ParquetFile(file, read_dictionary=texts, pre_buffer=False) as parquet:
        for number in range(metadata.num_row_groups):
            expanded += sum(map(_expanded_size, parquet.read_row_group(number, columns=texts).columns))
            if expanded > most:
                told = f"{file}: repeats long texts to more than {MOST_RATIO} times its size"
                raise UserError(f"{told}; shorten them, or write the table as CSV")


def _dictionary_columns(groups: list[Any]) -> list[str]:
    """The text columns of Parquet that are stored as a dictionary: each text once, however many rows refer to it.

    Args:
        groups: the metadata of the file's row groups.
    """
    found = set()
    for group in groups:
        for number in range(group.num_columns):
            chunk = group.column(number)
            if chunk.physical_type == "BYTE_ARRAY" and chunk.has_dictionary_page:
                found.add(chunk.path_in_schema)
    return sorted(found)


def _expanded_size(column: pyarrow.ChunkedArray) -> int:
    """How many bytes the texts of a column take if each row has its own copy."""
    expanded = 0
    for chunk in column.chunks:
        if pyarrow.types.is_dictionary(chunk.type):
            lengths = pc.binary_length(chunk.dictionary)
            expanded += pc.sum(lengths.take(chunk.indices).cast(pyarrow.int64())).as_py() or 0
    return expanded
