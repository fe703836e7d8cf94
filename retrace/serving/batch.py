"""Predict for the rows of files: `python -m retrace predict`.

The rows are predicted in parts, each of which is written to a folder beside the result. If the command is killed, the
same command goes on after the last part. At the end the parts are joined. Types and row groups don't depend on where a
part ends.
"""

import asyncio
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import from_json, to_json
from tqdm import tqdm

from retrace.command_line import make_parser
from retrace.errors import UserError, one_line
from retrace.files import replacing, write_bytes
from retrace.input_rows import CSV_CELLS, WRONG_TYPE, first_failing_row, shortened
from retrace.registry import PROD
from retrace.serving.model_process import ModelExitedError, ModelProcess
from retrace.serving.packages import Released, find_package
from retrace.table_files import CELLS_IN_ROW_GROUP

BATCH_SIZE = 50_000
ENDINGS = (".csv", ".parquet", ".jsonl")
WARNINGS = ".warnings.json"  # the ending of a file with the warnings about the rows of a part


class Part(NamedTuple):
    """Some rows of a file, one after the other.

    Attributes:
        inputs: the model's input columns.
        rows: with all columns: a table of text from CSV, one with the file's types from Parquet, or a list of objects.
        columns: the names of all columns.
    """

    inputs: pa.Table
    rows: Any
    columns: list[str]


def predict(words: list[str]) -> None:
    """Predict for the rows of a CSV, Parquet or JSON Lines file, or of a folder of such files.

    The result is of the same kind. It has the columns of the rows, and after them the prediction. Nothing is stored in
    the log. At the end, up to 20 categories are listed that fewer than ten rows of train have.
    """
    parser = make_parser("predict", str(predict.__doc__))
    parser.add_argument("source", metavar="FILE", type=Path, help="rows with the model's input columns")
    parser.add_argument("--model", default=PROD, help="a stage (prod by default), a version, or a model.zip")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="with the same ending")
    arguments = parser.parse_args(words)
    out = arguments.out
    files = files_of(arguments.source, out)
    package = find_package(arguments.model)
    folder = out.with_name(f"{out.name}.parts")
    prepare_parts_folder(folder, files, package)
    try:
        rows = asyncio.run(predict_parts(files, package, folder))
    except UserError:
        if not any(folder.glob(f"*{out.suffix}")):
            shutil.rmtree(folder)  # there is nothing to go on from
        raise
    join(sorted(folder.glob(f"*{out.suffix}")), out)
    warnings = read_warnings(folder)
    shutil.rmtree(folder)
    print(f"{out}: {rows:,} predictions by {package.title}")
    for warning in shortened(warnings, "warnings"):
        print(one_line(warning), file=sys.stderr)


def files_of(source: Path, out: Path) -> list[Path]:
    """The file, or those of a folder in the order of their names, without the result of an earlier run.

    Raises:
        UserError: there is none that can be read, or they are of another kind than the result.
    """
    if not source.exists():
        raise UserError(f"{source}: no such file or folder")
    if source.absolute() == out.absolute():
        raise UserError(f"--out {out}: is the file with the rows; name another one")
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    readable = [
        file for file in files if file.suffix in ENDINGS and file.is_file() and file.absolute() != out.absolute()
    ]
    if not readable:
        raise UserError(f"{source}: no file that ends with {' or '.join(ENDINGS)}")
    for file in readable:
        if file.suffix != out.suffix:
            raise UserError(f"{file}: ends with {file.suffix}, and --out with {out.suffix or 'nothing'}; use one kind")
    return readable


def prepare_parts_folder(folder: Path, files: list[Path], package: Released) -> None:
    """Make the folder of the parts.

    Parts of an interrupted run are kept if the model and the number of rows in a part are the same, and each file's
    path, size and modification time.
    """
    rows = [[str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    made_from = {"rows": rows, "model": package.sha256, "batch": BATCH_SIZE}
    kept = folder / "made-from.json"
    if kept.is_file() and json.loads(kept.read_text(encoding="utf-8")) == made_from:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_bytes(json.dumps(made_from).encode(), kept)


async def predict_parts(files: list[Path], package: Released, folder: Path) -> int:
    """Write each part with its predictions, unless it's there already; returns the number of rows.

    Raises:
        UserError: the rows can't be read, lack a column, or there are none.
    """
    number = rows = 0
    first_columns: list[str] | None = None
    model = await ModelProcess.start(package)
    try:
        await model.ready()
        kinds = {column["name"]: column["kind"] for column in model.greeting["description"]["columns"]}
        with tqdm(unit=" rows", disable=None, leave=False) as progress:
            for file in files:
                rows_before = 0  # of this file, in earlier parts
                for part in read_parts(file, kinds):
                    first_columns = first_columns or part.columns
                    if part.columns != first_columns and file.suffix != ".jsonl":
                        raise UserError(f"{file}: has other columns than {files[0]}, or in another order")
                    target = folder / f"{number:08}{file.suffix}"
                    if not target.exists():
                        await predict_part(part, file, rows_before, model, target)
                    size = len(part.inputs)
                    number, rows, rows_before = number + 1, rows + size, rows_before + size
                    progress.update(size)
    finally:
        await model.stop()
    if not rows:
        raise UserError(f"{files[0]}: has no rows")
    return rows


async def predict_part(part: Part, file: Path, rows_before: int, model: ModelProcess, target: Path) -> None:
    """Write rows with their predictions, and beside them the warnings about them.

    Args:
        part: the rows.
        file: where they come from.
        rows_before: the number of rows before them in the file.
        model: the running package.
        target: the file of the part; the one with the number 0 has a header.

    Raises:
        UserError: a column has wrong values, or the name of a prediction.
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        rows, predictions = Path(folder) / "rows.parquet", Path(folder) / "predictions.parquet"
        pq.write_table(part.inputs, rows)
        try:
            answer = await model.ask("file", to_json([str(rows.absolute()), str(predictions.absolute())]))
        except ModelExitedError:
            raise UserError(f"{file}: the model's process has ended; call the command again to go on") from None
        if "errors" in answer:
            raise UserError(*(about_file(message, file, rows_before) for message in answer["errors"]))
        predicted = pd.read_parquet(predictions)
    if taken := set(predicted) & set(part.columns):
        raise UserError(f"{file}: has a column {', '.join(sorted(map(str, taken)))}, as the predictions; rename it")
    warnings = [about_file(message, file, rows_before) for message in answer["warnings"]]
    target.with_suffix(WARNINGS).write_bytes(to_json(warnings))
    with replacing(target) as written:  # only now, because a part that is there isn't predicted again
        write_part(part, predicted, written, target)


def about_file(message: str, file: Path, rows_before: int) -> str:
    """A message of the model's process, which counts the rows of a part, as one that counts the rows of the file.

    Args:
        message: begins with `row NUMBER`, if it's about a row.
        file: the file, which is named first.
        rows_before: the number of rows in the file before those of the part.
    """
    return f"{file}: " + re.sub(r"^row (\d+)", lambda row: f"row {rows_before + int(row[1])}", message)


def read_warnings(folder: Path) -> list[str]:
    """The warnings about the rows of all parts in a folder, in the order of the rows; of each part at most 20."""
    warnings: list[str] = []
    for file in sorted(folder.glob(f"*{WARNINGS}")):
        warnings += json.loads(file.read_bytes())
    return warnings


def write_part(part: Part, predicted: pd.DataFrame, written: Path, target: Path) -> None:
    """Write rows and their predictions to a file.

    Args:
        part: the rows.
        predicted: the columns with the predictions.
        written: the file to write.
        target: what it's called later, which says of what kind it is.
    """
    if target.suffix == ".parquet":
        table = part.rows
        for name, values in predicted.items():
            table = table.append_column(str(name), pa.array(values))
        pq.write_table(table, written)
    elif target.suffix == ".csv":
        has_header = int(target.stem) == 0
        pd.concat([part.rows, predicted], axis=1).to_csv(written, index=False, header=has_header, lineterminator="\n")
    else:
        rows = zip(part.rows, predicted.to_dict("records"), strict=True)
        written.write_bytes(b"".join(to_json(row | prediction) + b"\n" for row, prediction in rows))


def read_parts(file: Path, kinds: Mapping[str, str]) -> Iterator[Part]:
    """The rows of a file, in parts.

    Args:
        file: ends with .csv, .parquet or .jsonl.
        kinds: the kind of each input column of the model.

    Raises:
        UserError: the file can't be read, lacks an input column or a value, or has the same column twice.
    """
    read = {".parquet": _read_parquet, ".csv": _read_csv, ".jsonl": _read_json_lines}[file.suffix]
    try:
        yield from read(file, kinds)
    except (OSError, ValueError, pa.ArrowException):
        raise UserError(f"{file}: can't be read as {file.suffix.removeprefix('.')}") from None


def _check_columns(file: Path, columns: Sequence[str], kinds: Mapping[str, str]) -> None:
    """Check that a file has each input column, and no column twice."""
    if missing := [name for name in kinds if name not in columns]:
        raise UserError(f"{file}: has no column {', '.join(missing)}; the model needs it")
    if len(set(columns)) < len(columns):
        twice = next(name for number, name in enumerate(columns) if name in columns[:number])
        raise UserError(f"{file}: has the column {twice} twice; rename one")


def _read_parquet(file: Path, kinds: Mapping[str, str]) -> Iterator[Part]:
    # Without a buffer, which would keep in memory all that has been read of the file.
    with pq.ParquetFile(file, pre_buffer=False) as parquet:
        schema = parquet.schema_arrow
        index = [name for name in (schema.pandas_metadata or {}).get("index_columns", []) if isinstance(name, str)]
        for batch in parquet.iter_batches(BATCH_SIZE):
            rows = pa.Table.from_batches([batch]).drop_columns([name for name in index if name in schema.names])
            _check_columns(file, rows.column_names, kinds)
            for number, field in enumerate(rows.schema):
                if pa.types.is_dictionary(field.type):  # its codes depend on the rows of the part
                    rows = rows.set_column(number, field.name, rows.column(number).cast(field.type.value_type))
            inputs = rows.select(list(kinds)).replace_schema_metadata(None)
            yield Part(_with_texts(inputs, kinds), rows, rows.column_names)


def _read_csv(file: Path, kinds: Mapping[str, str]) -> Iterator[Part]:
    with pd.read_csv(file, chunksize=BATCH_SIZE, **CSV_CELLS) as parts:
        for rows in parts:
            if len(rows):
                _check_columns(file, list(map(str, rows)), kinds)
                inputs = pa.Table.from_pandas(rows[list(kinds)], preserve_index=False)
                yield Part(inputs, rows.reset_index(drop=True), list(map(str, rows)))


def _read_json_lines(file: Path, kinds: Mapping[str, str]) -> Iterator[Part]:
    rows_before = 0
    firsts: dict[str, list[Any]] = {name: [] for name in kinds}  # the first value of each column, if there is one
    with file.open("rb") as lines:
        while some := list(islice(lines, BATCH_SIZE)):
            rows = [from_json(line) for line in some if line.strip()]
            _check_objects(file, rows_before, rows, kinds)
            inputs = {}
            for name in kinds:
                first, values = firsts[name], [row[name] for row in rows]
                try:
                    inputs[name] = pa.array([*first, *values], from_pandas=True)[len(first) :]
                except (pa.ArrowException, TypeError, OverflowError):  # a whole number may have more than 64 bits
                    column = pd.Series([*first, *values], dtype=object)
                    row = rows_before - len(first) + first_failing_row(column, partial(pa.array, from_pandas=True))
                    told = f"{file}: row {row}: column {name}: has another type than the values before it"
                    raise UserError(told) from None
                firsts[name] = first or inputs[name].drop_null()[:1].to_pylist()
            if rows:
                yield Part(_with_texts(pa.table(inputs), kinds), rows, list(set().union(*rows)))
            rows_before += len(rows)


def _check_objects(file: Path, rows_before: int, rows: Sequence[Any], kinds: Mapping[str, str]) -> None:
    """Check that each row from a file in JSON Lines is an object with a value for each input column."""
    for number, row in enumerate(rows, start=rows_before + 1):
        if not isinstance(row, dict):
            raise UserError(f"{file}: row {number}: {WRONG_TYPE['dict_type']}")
        if missing := [name for name in kinds if name not in row]:
            raise UserError(f"{file}: row {number}: column {missing[0]}: {WRONG_TYPE['missing']}")


def _with_texts(inputs: pa.Table, kinds: Mapping[str, str]) -> pa.Table:
    """Rows with text in place of whole numbers and booleans in columns of text.

    Elsewhere their type, in pandas, depends on whether a value is missing in the part.
    """
    for number, (name, kind) in enumerate(kinds.items()):
        type_ = inputs.schema.field(name).type
        if kind == "text" and (pa.types.is_integer(type_) or pa.types.is_boolean(type_)):
            inputs = inputs.set_column(number, name, inputs.column(name).cast(pa.string()))
    return inputs


def join(parts: list[Path], out: Path) -> None:
    """Make one file of the parts, in their order."""
    with replacing(out) as target:
        if out.suffix == ".parquet":
            _join_parquet(parts, out, target)
            return
        with target.open("wb") as whole:
            for part in parts:
                with part.open("rb") as lines:
                    shutil.copyfileobj(lines, whole)


def _join_parquet(parts: list[Path], out: Path, target: Path) -> None:
    """Write the rows of Parquet files to a file, whose row groups have a size of their own.

    Args:
        parts: the files.
        out: the file that messages name.
        target: the file to write.
    """
    first = pq.read_schema(parts[0])
    described = pa.Schema.from_pandas(first.empty_table().to_pandas(), preserve_index=False).metadata
    schema = pa.schema(zip(first.names, first.types, strict=True), {b"pandas": described[b"pandas"]})
    size = max(1, CELLS_IN_ROW_GROUP // len(schema))
    waiting = schema.empty_table()
    with pq.ParquetWriter(target, schema) as writer:
        for part in parts:
            try:
                rows = pq.read_table(part).cast(schema)
            except (pa.ArrowException, ValueError):
                raise UserError(f"{out}: the files have columns of the same name with other types") from None
            waiting = pa.concat_tables([waiting, rows])
            while len(waiting) >= size or (part == parts[-1] and len(waiting)):
                # The pages of a file end where the pieces of a column do, so a column is made one piece.
                writer.write_table(waiting.slice(0, size).combine_chunks(), row_group_size=size)
                waiting = waiting.slice(size)
