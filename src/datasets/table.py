"""One table of your own, from parameters alone: a CSV, TSV, Parquet or JSON Lines file, or a folder of such files.

How to read it stands under `data.read` in params.yaml: `separator`, `decimal` and `encoding` for CSV and TSV, and under
`types` the columns whose type shouldn't be found from their values: `number`, `text`, `date`, or the format of a date,
such as `"%d.%m.%Y"`. A cell of CSV is missing if it's empty or one of MISSING. A column without a name is called
`Unnamed: 0` if it's the first, as pandas does. Files may end in `.gz` too. A folder's files need the same columns, and
are put one after another in the order of their names.
"""

import re
import zlib
from pathlib import Path
from typing import Annotated

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
from pydantic import Field

from src.core.errors import UserError
from src.core.limits import check_rows, check_table
from src.core.params import Data

Sign = Annotated[str, Field(pattern=r"^[\x01-\x7f]$")]
Type = Annotated[str, Field(pattern=r"^(number|text|date|.*%.*)$")]
ARROW = {"number": pa.float64(), "text": pa.string(), "date": pa.timestamp("us")}
TABBED = (".tsv", ".tab")
TEXT = (".csv", *TABBED, ".txt", ".data")
LINES = (".jsonl", ".ndjson")
MOST_COLUMNS = 100_000  # a table of more is one whose rows and columns are exchanged, or of another separator
MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "?"]


def read(
    source: Path,
    *,
    separator: Sign = ",",
    decimal: Sign = ".",
    encoding: str = "utf-8",
    types: dict[str, Type] | None = None,
) -> dict[str, pd.DataFrame]:
    """The raw `table`: numbers, truth values, dates and text, as the file has them.

    Raises:
        UserError: a file is of another kind, cut short, ragged or wrongly encoded; columns differ between files, have
            no name or the same name; a column isn't of the type that `types` gives it, or holds lists.
    """
    types = types or {}
    files = files_of(source)
    tables: list[pa.Table] = []
    for file in files:
        try:
            check_table(file)
            table = _named(_read_file(file, separator, decimal, encoding, types))
        except (pa.ArrowException, UnicodeError, LookupError, OSError, EOFError, zlib.error) as error:
            raise UserError(f"{file}: {_reason(error, encoding)}") from None
        _check_names(file, table.column_names, (tables or [table])[0].column_names, types)
        tables.append(_typed(table, types, file))
    if not tables:
        raise UserError(f"{source}: an empty folder; put files of one table into it (data.source)")
    for name in tables[0].column_names:
        try:
            pa.unify_schemas([one.select([name]).schema for one in tables], promote_options="permissive")
        except pa.ArrowException:
            found = " and ".join(sorted({str(one.schema.field(name).type) for one in tables}))
            told = f"{source}: column {name} is {found} in different files"
            raise UserError(f"{told}; mend them, or name its type in data.read.types") from None
    table = pa.concat_tables(tables, promote_options="permissive")
    return {"table": _plain(table, source)}


def files_of(source: Path) -> list[Path]:
    """The file, or a folder's files in the order of their names, but for hidden ones and other programs' marks."""
    if not source.is_dir():
        return [source]
    shown = (file for file in source.rglob("*") if not re.search(r"(^|/)[._]", file.relative_to(source).as_posix()))
    return sorted(file for file in shown if file.is_file())


def kind_of(file: Path) -> str:
    """The suffix that says what a file is, `.gz` aside; empty where it has none."""
    return next((suffix for suffix in reversed(file.suffixes) if suffix != ".gz"), "").lower()


def _read_file(file: Path, separator: str, decimal: str, encoding: str, types: dict[str, str]) -> pa.Table:
    kind = kind_of(file)
    if kind == ".parquet":
        metadata = pa.parquet.read_metadata(file)
        check_rows(file, metadata.num_rows, metadata.num_columns)
        table = pa.parquet.read_table(file)
    elif kind in LINES:
        table = pa.json.read_json(file)
    elif kind in TEXT:
        table = pa.csv.read_csv(
            file,
            read_options=pa.csv.ReadOptions(encoding=encoding, use_threads=False),
            parse_options=pa.csv.ParseOptions(delimiter="\t" if kind in TABBED else separator, newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types={name: _arrow(type_) for name, type_ in types.items()},
                decimal_point=decimal,
                null_values=MISSING,
                strings_can_be_null=True,
            ),
        )
    else:
        raise UserError(f"{file}: not a table that can be read; .csv, .tsv, .parquet or .jsonl, please")
    return table


def _named(table: pa.Table) -> pa.Table:
    return table.rename_columns(
        [name if name.strip() else f"Unnamed: {n}" for n, name in enumerate(table.column_names)]
    )


def _typed(table: pa.Table, types: dict[str, str], file: Path) -> pa.Table:
    for name, type_ in types.items():
        try:
            column = table.column(name).cast(_arrow(type_))
            if "%" in type_:
                dates = pd.to_datetime(column.to_pandas(), format=type_).astype("datetime64[us]")
                column = pa.chunked_array([pa.Array.from_pandas(dates)])
        except (pa.ArrowException, ValueError):
            raise UserError(f"{file}: column {name} holds values that aren't what data.read.types says") from None
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _arrow(type_: str) -> pa.DataType:
    return ARROW.get(type_, pa.string())


def _check_names(file: Path, names: list[str], first: list[str], types: dict[str, str]) -> None:
    if len(names) > MOST_COLUMNS:
        raise UserError(
            f"{file}: has {len(names):,} columns, and {MOST_COLUMNS:,} are the most; see data.read.separator"
        )
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(
            f"{file}: the column {twice[0]} is there twice; rename one, or put a line of names above the data"
        )
    if differing := sorted(set(names) ^ set(first)):
        raise UserError(f"{file}: the column {differing[0]} isn't in every file of the folder")
    if unknown := sorted(set(types) - set(names)):
        raise UserError(f"{file}: no column {unknown[0]} (data.read.types in params.yaml)")


def _reason(error: Exception, encoding: str) -> str:
    """What went wrong, without the values that the library quotes."""
    text = str(error)
    if "columns, got" in text:
        row = re.search(r"Row #(\d+)", text)
        where = f"row {row[1]}" if row else "a row"
        return f"{where} has more or fewer cells than the header; mend it, or see data.read.separator"
    if column := re.search(r"Column\(/(.*)\) changed from (\w+) to (\w+)", text):
        return f"column {column[1]} holds a {column[2]} in one line and a {column[3]} in another; mend it"
    if column := re.search(r"column #(\d+):.*conversion error", text):
        return (
            f"column {int(column[1]) + 1} holds values that aren't of its type; see data.read.types, data.read.decimal"
        )
    if isinstance(error, UnicodeError | LookupError) or "UTF8" in text:
        return f"not text in {encoding}; see data.read.encoding"
    if "Empty CSV" in text:
        return "empty; a table needs a header and rows"
    return "not a whole table of the kind that its name says; write it again"


def _plain(table: pa.Table, source: Path) -> pd.DataFrame:
    """The table in pandas' plain types: int64, float64, bool, str and datetime64[us]; a time of day in hours."""
    columns = {}
    for name, given in zip(table.column_names, table.columns, strict=True):
        hours = pa.types.is_time(given.type)
        column = pc.divide(given.cast(pa.time64("us"), safe=False).cast(pa.int64()), 3.6e9) if hours else given
        type_ = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_boolean(type_):
            target = pa.string() if column.null_count else type_
        elif pa.types.is_integer(type_):
            target = pa.float64() if column.null_count else pa.int64()
        elif pa.types.is_floating(type_) or pa.types.is_decimal(type_):
            target = pa.float64()
        elif pa.types.is_date(type_) or pa.types.is_timestamp(type_):
            target = pa.timestamp("us")
        elif pa.types.is_string(type_) or pa.types.is_large_string(type_):
            target = pa.string()
        elif pa.types.is_null(type_):
            target = pa.float64()
        elif pa.types.is_binary(type_):
            raise UserError(f"{source}: column {name} isn't text in the encoding that data.read.encoding names")
        else:
            told = f"{source}: column {name} holds {type_}; only numbers, text, truth values and dates work"
            raise UserError(f"{told}: leave it out of the file")
        try:
            columns[name] = column.cast(target, safe=not pa.types.is_timestamp(target)).to_pandas()
        except pa.ArrowException:  # a whole number of more digits than a float keeps names something
            columns[name] = column.cast(pa.string()).to_pandas()
    return pd.DataFrame(columns)


def prepare(tables: dict[str, pd.DataFrame], data: Data) -> pd.DataFrame:
    """One row per row that has a target; dates become numbers that a model can use.

    A row's id is its value of `data.id`, else a hash of the whole raw row and how often it came before, so that it
    stays the same when rows are added or reordered. Of each date the features are its month, weekday and hour, and its
    day counted from 1970 unless it's the time that the table is split by. An id and a group stay as they are.
    Rows without a target are counted in `attrs["dropped"]`.

    Raises:
        UserError: there is no such target or id column, the target is a date, or a column has the name of the ids
            that are to be made, or of what is made of a date.
    """
    raw = tables["table"]
    for role in ("target", "id"):
        column = getattr(data, role)
        if column is not None and column not in raw:
            raise UserError(f"params.yaml: data.{role}: {data.source} has no column {column}")
    if pd.api.types.is_datetime64_any_dtype(raw[data.target]):
        raise UserError(f"params.yaml: data.target: {data.target} is a date, which can't be predicted")
    if data.id is None and data.id_column in raw:
        raise UserError(f"params.yaml: data.id: the table has a column {data.id_column}; name it here, or rename it")
    table = raw.copy()
    if data.id is None:
        same = pd.util.hash_pandas_object(raw, index=False)
        table.insert(
            0, data.id_column, [f"{row:016x}-{n}" for row, n in zip(same, same.groupby(same).cumcount(), strict=True)]
        )
    else:
        table[data.id] = table[data.id].astype("str")
    labelled = table[data.target].notna()
    table = table[labelled].reset_index(drop=True)
    if data.task == "classification":
        table[data.target] = _labels(table[data.target])
    for name in raw.columns:
        if name in (data.id, data.group, *data.drop) or not pd.api.types.is_datetime64_any_dtype(raw[name]):
            continue
        parts = _date_features(table[name], name != data.time)
        if taken := [part for part in parts if part in table]:
            raise UserError(f"column {taken[0]}: is made of {name}, too; rename one of them, or data.drop: [{name}]")
        table = pd.concat([table, parts], axis=1)
        if name != data.time:
            table = table.drop(columns=name)
    table.attrs["dropped"] = {"no target": int((~labelled).sum())}
    return table


def _labels(target: pd.Series) -> pd.Series:
    """Classes that came as decimals only because some were missing, as whole numbers."""
    if pd.api.types.is_float_dtype(target) and (target % 1 == 0).all():
        return target.astype("int64")
    return target


def _date_features(dates: pd.Series, with_day: bool) -> pd.DataFrame:
    parts = {"month": dates.dt.month, "weekday": dates.dt.day_of_week, "hour": dates.dt.hour}
    if with_day:
        parts["day"] = (dates - pd.Timestamp(0)) / pd.Timedelta(days=1)
    return pd.DataFrame({f"{dates.name} ({part})": values.astype("float64") for part, values in parts.items()})
