"""Row ids that stay the same when a table grows, and when its columns are read as other types.

A row's id is a hash of its cells in the columns of `data.id_columns`, in that order. The hash is made from a canonical
text of each cell. It stays the same when rows or columns are added, when a column is renamed (in the table and in
`data.id_columns`), when a column gets another type, and with other versions of the packages:

- a number is its shortest decimal: 1, 1.0, "1", "01" and "1e0" are 1; 007 is 7; -0 is 0; 1,50 is 1.5;
- a boolean is 1 or 0, and so are the texts "true" and "False"; a time of day is its hours;
- a date is as the file has it: in its format in `data.read.types`, else in ISO form without an offset, even if the
  column is text; leading zeros of a day or month don't count;
- a missing cell, and text that means no value, are empty;
- any other text is itself, without blanks at its ends.

The hash is followed by the number of equal rows before this one in the file, so that exact duplicates differ.
"""

import hashlib
import re
from contextlib import suppress
from datetime import datetime, time

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.files import as_text, short_moment, shortest_decimal
from retrace.hashes import StoredHashes

EXCEL_ERRORS = ["#N/A", "#N/A N/A", "#NA", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"]
WORDS = ["NA", "N/A", "n/a", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "?", "\\N"]
WORDS += ["1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"]  # as Microsoft's C library prints them
NO_VALUE = [*WORDS, *EXCEL_ERRORS]  # the texts that mean no value
_NO_VALUE = frozenset(NO_VALUE)
WHOLE_NUMBER = re.compile(r"([+-]?)0*(\d+)", re.ASCII)
NUMBER = re.compile(r"[+-]?((\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?|inf(inity)?)", re.ASCII | re.IGNORECASE)
BOOLEANS = {"true": "1", "false": "0"}
TIME = re.compile(r"\d\d:\d\d(:\d\d)?", re.ASCII)
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)
OTHER_DATE = re.compile(r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}.*", re.ASCII | re.DOTALL)
ROWS_AT_ONCE = 100_000  # how many hashes are made together, which limits the memory


class RowIds:
    """Makes the ids of the rows of a table, which may come in chunks."""

    def __init__(self, hashes: StoredHashes) -> None:
        """Args: the hashes of all rows of the table, as `row_hashes` gives them."""
        self.repeated = hashes.repeated()
        self.rows_before = np.zeros(len(self.repeated), dtype=np.int64)  # that have each of these hashes

    def of(self, hashes: NDArray[np.uint64]) -> list[str]:
        """The ids of the next rows of the table: the hash, and how many rows before have the same one.

        Returns:
            16 hexadecimal digits of BLAKE2b and a number for each row, such as "a3f9c2d47e01b586-0".
        """
        equal_before = np.zeros(len(hashes), dtype=np.int64)
        rows = np.flatnonzero(np.isin(hashes, self.repeated))
        place = np.searchsorted(self.repeated, hashes[rows])
        equal_before[rows] = self.rows_before[place] + pd.Series(place).groupby(place).cumcount().to_numpy()
        self.rows_before += np.bincount(place, minlength=len(self.repeated))
        return [f"{row:016x}-{number}" for row, number in zip(hashes.tolist(), equal_before.tolist(), strict=True)]


def row_ids(table: pd.DataFrame, columns: list[str], types: dict[str, str]) -> list[str]:
    """An id for each row of a table; `row_hashes` has the arguments, and RowIds the form of the ids."""
    hashes = row_hashes(table, columns, types)
    stored = StoredHashes()
    stored.add(hashes)
    return RowIds(stored).of(hashes)


def row_hashes(table: pd.DataFrame, columns: list[str], types: dict[str, str]) -> NDArray[np.uint64]:
    """A hash of each row's cells in `columns`.

    Args:
        table: the raw table, or a chunk of it.
        columns: the columns that tell rows apart; their order matters, their names don't.
        types: `data.read.types`, of which the formats of dates are used.

    Returns:
        64 bits of BLAKE2b for each row, shape (rows,).
    """
    digests: list[bytes] = []
    for start in range(0, len(table), ROWS_AT_ONCE):
        part = table.iloc[start : start + ROWS_AT_ONCE]
        cells = [canonical(part[name], types.get(name, "")) for name in columns]
        for row in zip(*cells, strict=True):
            content = "\x1f".join(row).encode("utf-8", "surrogatepass")  # ASCII's unit separator
            digests.append(hashlib.blake2b(content, digest_size=8).digest())
    return np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)


def canonical(values: pd.Series, date_format: str = "") -> list[str]:
    """The canonical text of each cell of a column; this module's docstring lists the forms.

    Args:
        values: a column of the raw table.
        date_format: the format that the file has dates in, if it is not ISO form.
    """
    codes, distinct = pd.factorize(values)
    different = pd.Series(distinct)
    is_date, has_format = pd.api.types.is_datetime64_any_dtype(values), "%" in date_format
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if is_number or (is_date and not has_format):
        texts = as_text(different).tolist()
    elif is_date:
        texts = [_canonical(text) for text in different.dt.strftime(date_format)]
    else:
        texts = [_canonical(text) for text in as_text(different)]
    return list(np.array([*texts, ""], dtype=object)[codes])  # the code of a missing value is -1, which is the last


def _canonical(text: str) -> str:
    """Text in the form that it would have if its column had the type that it looks like."""
    text = text.strip()
    if text in _NO_VALUE:
        text = ""
    elif whole := WHOLE_NUMBER.fullmatch(text):  # of any length: a float would keep 16 digits
        text = whole[2] if whole[2] == "0" else whole[1].strip("+") + whole[2]
    elif NUMBER.fullmatch(text):
        text = shortest_decimal(float(text.replace(",", ".")))
    elif text.lower() in BOOLEANS:
        text = BOOLEANS[text.lower()]
    else:
        with suppress(ValueError, OverflowError):  # 25:00, or the 31st of a short month, is ordinary text
            text = _canonical_date(text)
    return text


def _canonical_date(text: str) -> str:
    """A date or a time of day in the form that the typed value has; any other text as it is."""
    if TIME.fullmatch(text):
        clock = time.fromisoformat(text)
        return shortest_decimal((clock.hour * 3600 + clock.minute * 60 + clock.second) / 3600)
    if ISO_DATE.fullmatch(text):
        moment = datetime.fromisoformat(text)
        return short_moment(moment.replace(tzinfo=None).isoformat(timespec="microseconds"))
    return re.sub(r"(?<!\d)0+(?=\d)", "", text) if OTHER_DATE.fullmatch(text) else text
