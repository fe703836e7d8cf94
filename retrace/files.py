"""Canonical files: the same content is the same bytes, and no file is ever half-written.

Numbers have 6 significant digits, lines end with a newline alone, and nothing depends on the clock, the locale or the
machine. Every writer writes to another file first, which then takes the place of the old one.
"""

import io
import json
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

DIGITS = 6
FEWEST_ROWS_SHOWN = 10  # a value that fewer rows hold is never written to a file that Git keeps


def is_pointer(content: bytes) -> bool:
    """Whether the content is that of a pointer of Git LFS, which takes the place of a file that hasn't been fetched."""
    return content.startswith(b"version https://git-lfs.github.com/spec/")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; the file that is written there replaces `path` at the end, unless an error is raised.

    Raises:
        OSError: it can't be written; the error names `path`, which those of pyarrow don't.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        if error.errno is None or (error.filename is not None and Path(error.filename) != part):
            raise  # it's about another file
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        if part.exists():  # in a folder that can only be read, deleting a file that isn't there fails, too
            part.unlink()


def significant(values: ArrayLike, digits: int = DIGITS) -> NDArray[np.float64]:
    """Numbers of any shape, rounded to some significant decimal digits; what isn't finite stays as it is."""
    flat = [float(f"{value:.{digits - 1}e}") for value in np.asarray(values, dtype=float).ravel()]
    return np.asarray(flat).reshape(np.shape(values))


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys, 6 significant digits and a newline at the end; NaN and infinity become null."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple | np.ndarray):
            return [plain(item) for item in value]
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float):
            return float(f"{value:.{DIGITS - 1}e}") if math.isfinite(value) else None
        return value

    text = json.dumps(plain(content), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def write_bytes(content: bytes, path: Path) -> None:
    """Write the content of a file."""
    with replacing(path) as part:
        part.write_bytes(content)


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write JSON as `json_bytes` gives it."""
    write_bytes(json_bytes(content), path)


def zip_content(members: Mapping[str, bytes]) -> bytes:
    """The content of a zip archive; the same members give the same bytes.

    Nothing is compressed, because the bytes of zlib depend on its version.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # the same on every system
            archive.writestr(info, member)
    return content.getvalue()


def write_zip(members: Mapping[str, bytes], path: Path) -> None:
    """Write a zip archive as `zip_content` gives it."""
    write_bytes(zip_content(members), path)


def without_returns(text: str) -> str:
    r"""Text with `\r` in place of carriage returns: whether they are quoted in CSV depends on the version of Python."""
    return text.replace("\r", "\\r")


def as_text(values: pd.Series) -> pd.Series:
    """Values as text that doesn't depend on the column's type, nor on the version of pandas.

    A column of integers becomes one of floats when a cell is empty, so 7 and 7.0 are both "7". Other numbers are the
    shortest decimal that is read back as the same number. Dates are in ISO format, without a time at midnight. Booleans
    are "true" and "false". Text stays as it is, and missing values stay missing.
    """
    if values.dtype == "str":
        return values.rename(None)
    if pd.api.types.is_datetime64_any_dtype(values):
        moments = np.datetime_as_string(values.to_numpy("datetime64[us]"), unit="us")
        texts = [short_moment(str(moment)) for moment in moments]
    elif pd.api.types.is_bool_dtype(values):
        texts = ["true" if value is True else "false" for value in values.tolist()]
    elif pd.api.types.is_float_dtype(values):
        numbers = values.to_numpy(float, na_value=np.nan)
        texts = list(map(repr, numbers.tolist()))
        for place in np.flatnonzero(np.isfinite(numbers) & (numbers == np.trunc(numbers))):
            texts[place] = shortest_decimal(float(numbers[place]))
    else:
        texts = [str(value) for value in values.tolist()]
    return pd.Series(texts, index=values.index, dtype="str").where(values.notna())


def short_moment(iso: str) -> str:
    """A moment in ISO format with microseconds, without microseconds or a time that are zero."""
    return iso.removesuffix(".000000").removesuffix("T00:00:00")


def shortest_decimal(value: float) -> str:
    """The shortest decimal that is read back as the same number; a whole number has no decimal point."""
    return str(int(value)) if value.is_integer() else repr(value)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write CSV with a header, no index and 6 significant digits; missing values are empty cells."""
    table = table.map(lambda cell: without_returns(cell) if isinstance(cell, str) else cell)
    table = table.rename(columns=lambda name: without_returns(str(name)))
    with replacing(path) as part:
        table.to_csv(part, index=False, float_format=f"%.{DIGITS}g", lineterminator="\n", encoding="utf-8")
