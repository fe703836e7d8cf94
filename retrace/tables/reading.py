"""A table from its files: one file, or a folder of files with the same columns."""

import csv
import zlib
from pathlib import Path

import pandas as pd
import pyarrow as pa

from retrace.errors import PARAMETER, ParameterError, UserError
from retrace.limits import check_table
from retrace.tables.columns import check_names, with_names, without_missing
from retrace.tables.conversion import with_types
from retrace.tables.files import JSON_LINES, TEXT, files_of, is_text_source, kind_of, opened
from retrace.tables.json_lines import read_json_lines
from retrace.tables.messages import reading_error
from retrace.tables.options import ReadOptions
from retrace.tables.pandas_types import to_pandas
from retrace.tables.parquet import read_parquet
from retrace.tables.text_files import read_text_file


class DifferingTypesError(ParameterError):
    """Columns that have other types in other files; `columns` are their names."""

    def __init__(self, columns: list[str], where: str) -> None:
        super().__init__(f"{where}; correct them, or set {PARAMETER}", "data.read.types")
        self.columns = columns


def read_source(source: Path, options: ReadOptions) -> pd.DataFrame:
    """The files of a source as one table of pandas' plain types.

    Args:
        source: a file, or a folder of files.
        options: how they are read.

    Raises:
        UserError: a file cannot be read, or is not such a table; src/datasets/table.py lists the cases.
    """
    if options.thousands == options.decimal:
        raise UserError(
            f"params.yaml: data.read.thousands: must differ from data.read.decimal, which is {options.decimal!r}"
        )
    return to_pandas(load(source, options), source)


def load(source: Path, options: ReadOptions) -> pa.Table:
    """The files of a source as one table of Arrow's types.

    Raises:
        DifferingTypesError: a column has other types in other files.
        UserError: a file cannot be read, or is not such a table.
    """
    tables: list[pa.Table] = []
    units: dict[str, str] = {}
    for file in files_of(source):
        table = _read_file(file, options)
        check_names(file, table.column_names, (tables or [table])[0].column_names, options.types)
        tables.append(without_missing(with_types(table, options, file, units), options))
    if not tables:
        raise UserError(f"{source}: an empty folder; put files of one table into it (data.source)")
    if differing := _differing_columns(tables):
        found = " and ".join(sorted({str(table.schema.field(differing[0]).type) for table in tables}))
        where = f"{source}: column {differing[0]} is {found} in different files"
        raise DifferingTypesError(differing, where)
    return pa.concat_tables(tables, promote_options="permissive")


def cells_as_written(source: Path, options: ReadOptions) -> pa.Table | None:
    """Each cell of text files as its text, even where it means no value; None for other kinds of files."""
    if not is_text_source(source):
        return None
    written = [_read_file(file, options, as_written=True) for file in files_of(source)]
    return pa.concat_tables(written, promote_options="default")  # by name: the order of columns may differ


def _differing_columns(tables: list[pa.Table]) -> list[str]:
    """The columns whose types do not fit together across files."""
    differing = []
    for name in tables[0].column_names if len(tables) > 1 else []:
        schemas = [pa.schema([table.schema.field(name)]) for table in tables]
        try:
            pa.unify_schemas(schemas, promote_options="permissive")
        except pa.ArrowException:
            differing.append(name)
    return differing


def _read_file(file: Path, options: ReadOptions, as_written: bool = False) -> pa.Table:
    """The table of one file, of whatever kind its name says."""
    kind = kind_of(file)
    opened(file).close()  # which raises an error in one line if the file cannot be opened
    try:
        check_table(file)
        if kind == ".parquet":
            return with_names(read_parquet(file), options.strip)
        if kind in JSON_LINES:
            return with_names(read_json_lines(file), options.strip)
        if kind in TEXT:
            return read_text_file(file, options, as_written)
    except (pa.ArrowException, UnicodeError, LookupError, OSError, EOFError, zlib.error, csv.Error) as error:
        raise reading_error(error, file, options) from None
    raise UserError(f"{file}: not a table that can be read; .csv, .tsv, .parquet or .jsonl, please")
