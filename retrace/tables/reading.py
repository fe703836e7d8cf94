"""A table from its files: one file, or a folder of files with the same columns."""

import csv
import zlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa

from retrace.errors import PARAMETER, ParameterError, UserError
from retrace.limits import check_table
from retrace.table_files import rows_in_chunk
from retrace.tables.columns import check_names, with_names, without_missing
from retrace.tables.conversion import with_types
from retrace.tables.files import JSON_LINES, TEXT, files_of, kind_of, opened
from retrace.tables.json_lines import read_json_lines
from retrace.tables.messages import reading_error
from retrace.tables.options import ReadOptions
from retrace.tables.pandas_types import Facts, chunk_to_pandas, facts_of, plain_types
from retrace.tables.parquet import read_parquet
from retrace.tables.text_files import read_text_file


class DifferingTypesError(ParameterError):
    """Columns that have other types in other files; `columns` are their names."""

    def __init__(self, columns: list[str], where: str) -> None:
        super().__init__(f"{where}; correct them, or set {PARAMETER}", "data.read.types")
        self.columns = columns


def read_source(source: Path, options: ReadOptions) -> Iterator[pd.DataFrame]:
    """The files of a source as one table of pandas' plain types, in chunks.

    A chunk is a text file, or some rows of a Parquet file. The types of the columns are those of the whole table. If it
    has more than one chunk, the files are read twice, unless all chunks fit into one.

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
    schemas: list[pa.Schema] = []
    facts: list[dict[str, Facts]] = []
    kept: list[pa.Table] | None = []  # the chunks, as long as they fit into one
    for chunk in read_files(source, options):
        schemas.append(chunk.schema)
        facts.append(facts_of(chunk))
        if kept is not None:
            kept.append(chunk)
            if len(kept) > 1 and sum(map(len, kept)) > rows_in_chunk(len(chunk.schema)):
                kept = None
    schema = common_schema(schemas, source)
    types = plain_types(schema, facts, source)
    if kept is not None:
        yield chunk_to_pandas(joined(kept, schema, source), types)
        return
    for chunk in read_files(source, options):
        yield chunk_to_pandas(joined([chunk], schema, source), types)


def read_files(source: Path, options: ReadOptions) -> Iterator[pa.Table]:
    """The chunks of a source, in the order of the files' names and of their rows, each with types of its own.

    Raises:
        UserError: a file cannot be read, is not such a table, or has other columns than the first one.
    """
    first: list[str] | None = None
    units: dict[str, str] = {}
    for file in files_of(source):
        rows = 0
        for chunk in _read_file(file, options):
            first = first or chunk.column_names
            check_names(file, chunk.column_names, first, options.types)
            yield without_missing(with_types(chunk, options, file, units, rows), options)
            rows += len(chunk)
    if first is None:
        raise UserError(f"{source}: an empty folder; put files of one table into it (data.source)")


def common_schema(schemas: list[pa.Schema], source: Path) -> pa.Schema:
    """The types that the columns have together.

    Raises:
        DifferingTypesError: there is none for a column.
    """
    if differing := _differing_columns(schemas):
        found = " and ".join(sorted({str(schema.field(differing[0]).type) for schema in schemas}))
        raise DifferingTypesError(differing, f"{source}: column {differing[0]} is {found} in different files")
    return pa.unify_schemas(schemas, promote_options="permissive")


def read_as_written(source: Path, options: ReadOptions) -> Iterator[pa.Table]:
    """The text files of a source with each cell as its text, even where it means no value."""
    for file in files_of(source):
        yield from _read_file(file, options, as_written=True)


def joined(chunks: list[pa.Table], schema: pa.Schema, source: Path) -> pa.Table:
    """The rows of chunks as one table with these types.

    Raises:
        DifferingTypesError: a column has values that its type can't hold, such as whole numbers of too many digits.
    """
    tables = [schema.empty_table(), *chunks]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException:
        for name in schema.names:
            try:
                pa.concat_tables([table.select([name]) for table in tables], promote_options="permissive")
            except pa.ArrowException:
                where = f"{source}: column {name} has values of different types in different files"
                raise DifferingTypesError([name], where) from None
        raise


def _differing_columns(schemas: list[pa.Schema]) -> list[str]:
    """The columns whose types do not fit together."""
    differing = []
    for name in schemas[0].names if len(schemas) > 1 else []:
        types = [pa.schema([schema.field(name)]) for schema in schemas]
        try:
            pa.unify_schemas(types, promote_options="permissive")
        except pa.ArrowException:
            differing.append(name)
    return differing


def _read_file(file: Path, options: ReadOptions, as_written: bool = False) -> Iterator[pa.Table]:
    """The table of one file, of whatever kind its name says; one of Parquet in chunks."""
    kind = kind_of(file)
    opened(file).close()  # which raises an error in one line if the file cannot be opened
    try:
        check_table(file)
        if kind == ".parquet":
            for chunk in read_parquet(file):
                yield with_names(chunk, options.strip)
        elif kind in JSON_LINES:
            yield with_names(read_json_lines(file), options.strip)
        elif kind in TEXT:
            yield read_text_file(file, options, as_written)
        else:
            raise UserError(f"{file}: not a table that can be read; .csv, .tsv, .parquet or .jsonl, please")
    except (pa.ArrowException, UnicodeError, LookupError, OSError, EOFError, zlib.error, csv.Error) as error:
        raise reading_error(error, file, options) from None
