"""The files of a table: which ones there are, what kind each is, and how it is opened."""

import gzip
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from retrace.errors import UserError
from retrace.files import is_pointer

TABBED = (".tsv", ".tab")
TEXT = (".csv", *TABBED, ".txt", ".data")
JSON_LINES = (".jsonl", ".ndjson")
LONGEST_LINE = 1 << 26  # bytes that are parsed at once; a longer line cannot be read


def files_of(source: Path) -> list[Path]:
    """The file, or the files of a folder in the order of their names.

    Hidden files and folders, and those whose names begin with `_`, are left out.

    Raises:
        UserError: a folder cannot be listed, or a file is a pointer of Git LFS.
    """
    if not source.is_dir():
        return [_not_a_pointer(source)]
    files: list[Path] = []
    for parent, folders, names in os.walk(source, onerror=_refuse_folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        files += [Path(parent) / name for name in names if not name.startswith((".", "_"))]
    return [_not_a_pointer(file) for file in sorted(files)]


def _refuse_folder(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read: {error.strerror}")


def _not_a_pointer(file: Path) -> Path:
    """The same file, if it is not a pointer of Git LFS."""
    with suppress(OSError):  # a file that cannot be opened is reported where the table is read
        if file.is_file():
            with file.open("rb") as stream:
                start = stream.read(64)
            if is_pointer(start):
                raise UserError(f"{file}: a pointer of Git LFS, not the table; `git lfs pull` brings it")
    return file


def kind_of(file: Path) -> str:
    """The suffix that says what a file is, in lowercase and without `.gz`; empty if it has none."""
    for suffix in reversed(file.suffixes):
        if suffix.lower() != ".gz":
            return suffix.lower()
    return ""


def is_text_source(source: Path) -> bool:
    """Whether all files of a source are text files, such as CSV, each line of which is a row."""
    return all(kind_of(file) in TEXT for file in files_of(source))


def opened(file: Path) -> IO[bytes]:
    """The bytes of a file, decompressed if its name ends in `.gz`.

    Raises:
        UserError: it cannot be opened, or is not a regular file, such as a pipe, which can be read only once.
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
