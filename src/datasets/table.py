"""One table of your own, from parameters alone: a CSV, TSV, Parquet or JSON Lines file, or a folder of such files.

How to read it stands under `data.read` in params.yaml: `separator`, `decimal` and `encoding` for CSV and TSV, and under
`types` the columns whose type shouldn't be found from their values: `number`, `text`, `date`, or the format of a date,
such as `"%d.%m.%Y"`. A cell of CSV is missing if it's empty or one of MISSING. A column without a name is called
`Unnamed: 0` if it's the first, as pandas does. Files may end in `.gz` too. A folder's files need the same columns, and
are put one after another in the order of their names.

A row's id is its value of `data.id`, else a hash of its cells in the columns of `data.id_columns`, in that order. The
hash is made from a canonical text of each cell, which stays the same when rows or columns are added, when a column is
renamed (here and in `data.id_columns`), when a column gets another type, and with other versions of the packages:

- a number is its shortest decimal: 1, 1.0, "1", "01" and "1e0" are 1; 007 is 7; -0 is 0; 1,50 is 1.5;
- a boolean is 1 or 0, also where it's the text "true" or "False"; a time of day is its hours;
- a date is what the file holds: written as its format in `data.read.types` says, else in ISO form and UTC, also where
  the column is text; zeros before a day or month don't count;
- a missing cell and one of MISSING are empty;
- any other text is itself, without blanks at its ends.

To the hash belongs the number of equal rows before it in the file, so that exact duplicates have ids of their own.
"""

import hashlib
import re
from contextlib import suppress
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
from pydantic import Field

from src.core.errors import UserError
from src.core.files import as_text, short_moment, shortest_decimal
from src.core.params import Data

Sign = Annotated[str, Field(pattern=r"^[\x01-\x7f]$")]
Type = Annotated[str, Field(pattern=r"^(number|text|date|.*%.*)$")]
ARROW = {"number": pa.float64(), "text": pa.string(), "date": pa.timestamp("us")}
TABBED = (".tsv", ".tab")
TEXT = (".csv", *TABBED, ".txt", ".data")
LINES = (".jsonl", ".ndjson")
MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "?"]
WHOLE_NUMBER = re.compile(r"([+-]?)0*(\d+)", re.ASCII)
NUMBER = re.compile(r"[+-]?((\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?|inf(inity)?)", re.ASCII | re.IGNORECASE)
BOOLEANS = {"true": "1", "false": "0"}
TIME = re.compile(r"\d\d:\d\d(:\d\d)?", re.ASCII)
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)
OTHER_DATE = re.compile(r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}.*", re.ASCII | re.DOTALL)
ROWS_AT_ONCE = 100_000  # whose ids are made together, which bounds the memory


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
            table = _named(_read_file(file, separator, decimal, encoding, types))
        except (pa.ArrowException, UnicodeError, LookupError, OSError, EOFError) as error:
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

    The column of ids is `data.id`, or `row_id`, which is made from `data.id_columns`. Of each date the features are
    its month, weekday and hour, and its day counted from 1970 unless it's the time that the table is split by. A group
    stays as it is. Rows without a target are counted in `attrs["dropped"]`.

    Raises:
        UserError: there is no such target or id column, no column is named for the ids, the target is a date, or a
            column has the name of the ids that are to be made, or of what is made of a date.
    """
    raw = tables["table"]
    for role in ("target", "id"):
        column = getattr(data, role)
        if column is not None and column not in raw:
            raise UserError(f"params.yaml: data.{role}: {data.source} has no column {column}")
    if pd.api.types.is_datetime64_any_dtype(raw[data.target]):
        raise UserError(f"params.yaml: data.target: {data.target} is a date, which can't be predicted")
    table = raw.copy()
    if data.id is None:
        table.insert(0, data.id_column, _checked_row_ids(raw, data))
    else:
        table[data.id] = as_text(table[data.id])
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


def _checked_row_ids(raw: pd.DataFrame, data: Data) -> list[str]:
    where = "params.yaml: data.id_columns:"
    if data.id_column in raw:
        raise UserError(f"params.yaml: data.id: the table has a column {data.id_column}; name it here, or rename it")
    if not data.id_columns:
        raise UserError(
            f"{where} empty, and data.id is null; list the columns that tell rows apart (`python -m src.adopt` does)"
        )
    if gone := [name for name in data.id_columns if name not in raw]:
        raise UserError(
            f"{where} {data.source} has no column {gone[0]}; if it was renamed, write its new name there, and the ids "
            "stay; else take it off the list, and every row gets another id"
        )
    return row_ids(raw, data.id_columns, data.read.get("types") or {})


def row_ids(table: pd.DataFrame, columns: list[str], types: dict[str, str]) -> list[str]:
    """An id for each row: a hash of its cells in `columns`, and how many equal rows come before it.

    Args:
        table: the raw table.
        columns: the columns that tell rows apart; their order matters, their names don't.
        types: the formats of dates, by column, among what else `data.read.types` holds.

    Returns:
        16 hexadecimal digits of BLAKE2b and a number for each row, such as "a3f9c2d47e01b586-0".
    """
    hashes: list[str] = []
    for start in range(0, len(table), ROWS_AT_ONCE):
        part = table.iloc[start : start + ROWS_AT_ONCE]
        cells = [canonical(part[name], types.get(name, "")) for name in columns]
        for row in zip(*cells, strict=True):
            content = "\x1f".join(row).encode("utf-8", "surrogatepass")  # ASCII's separator of units
            hashes.append(hashlib.blake2b(content, digest_size=8).hexdigest())
    equal_before = pd.Series(hashes).groupby(hashes, sort=False).cumcount()
    return [f"{row}-{number}" for row, number in zip(hashes, equal_before, strict=True)]


def canonical(values: pd.Series, date_format: str = "") -> list[str]:
    """The canonical text of each cell of a column; the module's docstring lists the forms.

    Args:
        values: a column of the raw table.
        date_format: how the file writes it, if it's a date and not in ISO form.
    """
    codes, distinct = pd.factorize(values)
    different = pd.Series(distinct)
    a_date, written = pd.api.types.is_datetime64_any_dtype(values), "%" in date_format
    a_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if a_number or (a_date and not written):
        texts = as_text(different).tolist()
    else:
        texts = [_canonical(text) for text in (different.dt.strftime(date_format) if a_date else as_text(different))]
    return list(np.array([*texts, ""], dtype=object)[codes])  # a missing value's code is -1, the last


def _canonical(text: str) -> str:
    """Text in the form that it would have if its column had the type that it looks like."""
    text = text.strip()
    if text in MISSING:
        text = ""
    elif whole := WHOLE_NUMBER.fullmatch(text):  # of any length: a float would keep 16 digits
        text = whole[2] if whole[2] == "0" else whole[1].strip("+") + whole[2]
    elif NUMBER.fullmatch(text):
        text = shortest_decimal(float(text.replace(",", ".")))
    elif text.lower() in BOOLEANS:
        text = BOOLEANS[text.lower()]
    else:
        with suppress(ValueError, OverflowError):  # 25:00, or the 31st of a short month, is text like any other
            text = _canonical_date(text)
    return text


def _canonical_date(text: str) -> str:
    """A date or a time of day in the form that the typed value has; any other text as it is."""
    if TIME.fullmatch(text):
        clock = time.fromisoformat(text)
        return shortest_decimal((clock.hour * 3600 + clock.minute * 60 + clock.second) / 3600)
    if ISO_DATE.fullmatch(text):
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        return short_moment(moment.isoformat(timespec="microseconds"))
    return re.sub(r"(?<!\d)0+(?=\d)", "", text) if OTHER_DATE.fullmatch(text) else text


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
