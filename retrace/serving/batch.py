"""Predict for the rows of files: `python -m retrace predict`.

The rows are predicted in parts, each of which is written to a folder beside the result. If the command is killed, the
same command goes on after the last part. At the end the parts are joined.
"""

import asyncio
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import from_json, to_json
from tqdm import tqdm

from retrace.command_line import make_parser
from retrace.errors import UserError, one_line
from retrace.files import replacing, write_bytes
from retrace.input_rows import CSV_CELLS, first_failing_row, shortened
from retrace.registry import PROD
from retrace.serving.model_process import ModelExitedError, ModelProcess
from retrace.serving.packages import Released, find_package

BATCH_SIZE = 50_000
ENDINGS = (".csv", ".parquet", ".jsonl")
WARNINGS = ".warnings.json"  # the ending of a file with the warnings about the rows of a part


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

    Parts of an interrupted run are kept if the model is the same, and each file's path, size and modification time.
    """
    rows = [[str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    made_from = {"rows": rows, "model": package.sha256}
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
    first_columns: list[Any] | None = None
    model = await ModelProcess.start(package)
    try:
        await model.ready()
        kinds = {column["name"]: column["kind"] for column in model.greeting["description"]["columns"]}
        with tqdm(unit=" rows", disable=None, leave=False) as progress:
            for file in files:
                rows_before = 0  # of this file, in earlier parts
                for table in read_parts(file, kinds):
                    first_columns = first_columns or list(table)
                    if list(table) != first_columns and file.suffix != ".jsonl":
                        raise UserError(f"{file}: has other columns than {files[0]}, or in another order")
                    part = folder / f"{number:08}{file.suffix}"
                    if not part.exists():
                        await predict_part(table, file, rows_before, model, part)
                    number, rows, rows_before = number + 1, rows + len(table), rows_before + len(table)
                    progress.update(len(table))
    finally:
        await model.stop()
    if not rows:
        raise UserError(f"{files[0]}: has no rows")
    return rows


async def predict_part(table: pd.DataFrame, file: Path, rows_before: int, model: ModelProcess, target: Path) -> None:
    """Write rows with their predictions, and beside them the warnings about them.

    Args:
        table: the rows, as `read_parts` gives them.
        file: where they come from.
        rows_before: the number of rows before them in the file.
        model: the running package.
        target: the file of the part; the one with the number 0 has a header.

    Raises:
        UserError: a column has wrong values, or the name of a prediction.
    """
    names = [column["name"] for column in model.greeting["description"]["columns"]]
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        rows, predictions = Path(folder) / "rows.parquet", Path(folder) / "predictions.parquet"
        for name in names:
            try:
                pa.array(table[name], from_pandas=True)
            except (pa.ArrowException, TypeError, OverflowError):  # a whole number may have more than 64 bits
                row = rows_before + first_failing_row(table[name], partial(pa.array, from_pandas=True))
                told = f"{file}: row {row}: column {name}: has another type than the values before it"
                raise UserError(told) from None
        table[names].to_parquet(rows, index=False)
        try:
            answer = await model.ask("file", to_json([str(rows.absolute()), str(predictions.absolute())]))
        except ModelExitedError:
            raise UserError(f"{file}: the model's process has ended; call the command again to go on") from None
        if "errors" in answer:
            raise UserError(*(about_file(message, file, rows_before) for message in answer["errors"]))
        predicted = pd.read_parquet(predictions)
    if taken := set(predicted) & set(table):
        raise UserError(f"{file}: has a column {', '.join(sorted(map(str, taken)))}, as the predictions; rename it")
    warnings = [about_file(message, file, rows_before) for message in answer["warnings"]]
    target.with_suffix(WARNINGS).write_bytes(to_json(warnings))
    with replacing(target) as part:  # only now, because a part that is there isn't predicted again
        write_part(table, predicted, part, target)


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


def write_part(table: pd.DataFrame, predicted: pd.DataFrame, part: Path, target: Path) -> None:
    """Write rows and their predictions to a file.

    Args:
        table: the rows, as `read_parts` gives them.
        predicted: the columns with the predictions.
        part: the file to write.
        target: what it's called later, which says of what kind it is.
    """
    if target.suffix == ".parquet":
        pd.concat([table, predicted], axis=1).to_parquet(part, index=False)
    elif target.suffix == ".csv":
        has_header = int(target.stem) == 0
        pd.concat([table, predicted], axis=1).to_csv(part, index=False, header=has_header, lineterminator="\n")
    else:
        rows = zip(table.attrs["rows"], predicted.to_dict("records"), strict=True)
        part.write_bytes(b"".join(to_json(row | prediction) + b"\n" for row, prediction in rows))


def read_parts(file: Path, kinds: Mapping[str, str]) -> Iterator[pd.DataFrame]:
    """The rows of a file, in parts.

    Args:
        file: ends with .csv, .parquet or .jsonl.
        kinds: the kind of each input column of the model.

    Returns:
        Tables: of CSV with all cells as text, of Parquet with its types, and of JSON Lines with the types of JSON, and
        the rows themselves in `attrs["rows"]`.

    Raises:
        UserError: the file can't be read, or lacks an input column.
    """
    try:
        for table in _read(file):
            if not len(table):
                continue
            if missing := [name for name in kinds if name not in table]:
                raise UserError(f"{file}: has no column {', '.join(missing)}; the model needs it")
            yield table.reset_index(drop=True)
    except (OSError, ValueError, pa.ArrowException):
        raise UserError(f"{file}: can't be read as {file.suffix.removeprefix('.')}") from None


def _read(file: Path) -> Iterator[pd.DataFrame]:
    if file.suffix == ".parquet":
        for batch in pq.ParquetFile(file, pre_buffer=False).iter_batches(BATCH_SIZE):
            yield batch.to_pandas()
    elif file.suffix == ".csv":
        with pd.read_csv(file, chunksize=BATCH_SIZE, **CSV_CELLS) as parts:
            yield from parts
    else:
        with file.open("rb") as lines:
            while some := list(islice(lines, BATCH_SIZE)):
                rows = [from_json(line) for line in some if line.strip()]
                table = pd.DataFrame(rows, dtype=object)
                table.attrs["rows"] = rows
                yield table


def join(parts: list[Path], out: Path) -> None:
    """Make one file of the parts, in their order."""
    with replacing(out) as target:
        if out.suffix == ".parquet":
            schema = pq.read_schema(parts[0])
            with pq.ParquetWriter(target, schema) as writer:
                for part in parts:
                    try:
                        writer.write_table(pq.read_table(part).cast(schema))
                    except (pa.ArrowException, ValueError):
                        raise UserError(f"{out}: the files have columns of the same name with other types") from None
            return
        with target.open("wb") as whole:
            for part in parts:
                with part.open("rb") as lines:
                    shutil.copyfileobj(lines, whole)
