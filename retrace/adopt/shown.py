"""How adopt prints values, options and numbers of rows: no value of a private column, and each name in one line."""

import shlex
from collections.abc import Container
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

LONGEST = 40  # characters of a value


class Shown(NamedTuple):
    """Which cells may be shown, and how rows are told.

    Attributes:
        private: the columns of which no cell may be shown.
        places: of the rows that are looked at, if these are a sample; shape (rows,).
    """

    private: frozenset[str]
    places: NDArray[np.intp] | None = None

    def cell(self, name: str, value: str, column: pa.ChunkedArray) -> str:
        """A value with the first row that has it; only the row, if the column is private."""
        row = self.row(pc.index(column, pa.scalar(value, column.type)).as_py())
        return f"a cell in {row}" if name in self.private else f"{shorten(value)} in {row}"

    def row(self, place: int) -> str:
        """The number of a row in the table, counted from below the header."""
        return f"row {(place if self.places is None else self.places[place]) + 1:,}"

    def rows(self, count: int) -> str:
        """A number of rows in words."""
        return rows(count, self.places is not None)


def shorten(value: str) -> str:
    """A value in quotes, shortened if it is long."""
    return repr(value if len(value) <= LONGEST else value[:LONGEST] + "…")


def rows(count: int, of_sample: bool = False) -> str:
    """A number of rows in words, with whether only a sample of the rows was counted."""
    return f"{count:,} row{'s' if count > 1 else ''}{' of the sample' if of_sample else ''}"


def option(name: str, value: str) -> str:
    """An option with its value, as a shell and adopt take them."""
    return f"{name}={quoted(value)}" if value.startswith("-") else f"{name} {quoted(value)}"


def drop_option(feature: str, columns: Container[str]) -> str:
    """The option that leaves a feature out: its column, or the date that it is made of.

    Args:
        feature: a column of the prepared table.
        columns: the names of the raw table's columns.
    """
    return option("--drop", feature if feature in columns else feature.rpartition(" (")[0])


def typed(name: str, type_: str) -> str:
    """The option that gives a column its type."""
    return option("--type", f"{name}={type_}")


def quoted(text: str) -> str:
    """A text as a shell takes it; what is not visible is written as its bytes, which bash and zsh read in $'...'."""
    if text.isprintable():
        return shlex.quote(text)
    parts = (char if char.isprintable() and char not in "\\'" else _as_bytes(char) for char in text)
    return f"$'{''.join(parts)}'"


def _as_bytes(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
