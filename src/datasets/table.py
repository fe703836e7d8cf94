"""Your own table: a CSV, TSV, Parquet or JSON Lines file, or a folder of such files. It needs no code.

params.yaml sets how the table is read: `data.read` holds the arguments of `read` below. `data.read.types` names the
columns whose type must not be inferred from their values, each with one of these types:

- `text`.
- `number`, in any of these forms: 1234.5, 1,234.5 (with `thousands`), 12 kg, $5, 12 %, (5) and 5- for -5, 1.5e3. All
  cells must have the same unit or currency, which is left out; 12 % becomes 12.
- `date`: ISO 8601, such as 2020-12-31 or 2020-12-31T23:59:00+02:00.
- the format of a date, such as `"%d.%m.%Y"`, in Python's codes.
- `excel-date`: days since 1899-12-30, as spreadsheets store dates.

A date with an offset from UTC is read as the clock showed it: 23:59+02:00 is 23:59. A cell of a text file is missing if
it is blank or in the list MISSING of retrace/tables/options.py. A column without a name is called `Unnamed: 0` if it is
the first, as in pandas. Files may end in `.gz`. The files of a folder must have the same columns, and are concatenated
in the order of their names.

A row's id is its value of `data.id`, else a hash of its cells in the columns of `data.id_columns`: retrace/row_ids.py.

The functions in retrace/tables/ do the work, and `make update` improves them. This module is yours: add here what your
table needs, such as further features at the end of `prepare`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from retrace.large_tables import LargeTable
from retrace.params import Data
from retrace.tables.options import ColumnType, LineCount, ReadOptions, Separator
from retrace.tables.preparing import prepare_table
from retrace.tables.reading import read_source

LARGE_TABLE = LargeTable("table")  # it's prepared in chunks, cut anywhere: no row depends on others


def read(  # noqa: PLR0913  # each argument is a key of data.read
    source: Path,
    *,
    separator: Separator = ",",
    decimal: Separator = ".",
    thousands: Separator | None = None,
    encoding: str = "utf-8",
    missing: list[str | int | float] | None = None,
    strip: bool = False,
    skip_rows: LineCount = 0,
    skip_footer: LineCount = 0,
    types: dict[str, ColumnType] | None = None,
) -> dict[str, Iterator[pd.DataFrame]]:
    """The raw `table`, in chunks: numbers, booleans, dates and text, as the files have them.

    Args:
        source: a file, or a folder of files with the same columns.
        separator: the delimiter between cells (CSV only; a .tsv file has tabs).
        decimal: the decimal separator of numbers (CSV and TSV).
        thousands: the thousands separator, in columns that `types` calls `number`; a space also matches no-break
            spaces.
        encoding: of text files, by Python's name for it.
        missing: further values to treat as missing, besides MISSING, such as -999; compared as text and as numbers.
        strip: whether blanks around names and texts are removed.
        skip_rows: how many lines above the header do not belong to the table (CSV and TSV).
        skip_footer: how many lines at the end do not belong to the table, such as totals or footnotes (CSV and TSV).
        types: columns whose type is not inferred, with their type.

    Raises:
        UserError: a file is a pointer of Git LFS, cannot be read, or is of another kind, incomplete, ragged or in
            another encoding; columns differ between files, have no name or the same name; a column holds lists, or
            values that are not of the type that `types` gives it.
    """
    options = ReadOptions(
        separator=separator,
        decimal=decimal,
        thousands=thousands,
        encoding=encoding,
        missing=tuple(missing or ()),
        strip=strip,
        skip_rows=skip_rows,
        skip_footer=skip_footer,
        types=types or {},
    )
    return {"table": read_source(source, options)}


def prepare(tables: dict[str, Any], data: Data) -> pd.DataFrame:
    """The rows that have a target, each with an id; dates become numeric features.

    Args:
        tables: the raw `table`, or a chunk of it with the `row_ids` of its rows.
        data: the section `data` of params.yaml.
    """
    return prepare_table(tables["table"], data, tables.get("row_ids"))
