"""Small tables for the tests of how adopt reads them."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from retrace.adopt.command import parse
from retrace.adopt.reading import read

ROWS = 60


def column(cells: list[str]) -> list[str]:
    """The cells again and again, for a table of ROWS rows."""
    return (cells * ROWS)[:ROWS]


def written(folder: Path, separator: str = ",", quote: str = "", **columns: list[str]) -> Path:
    """A CSV file with ROWS rows of these cells, by column."""
    lines = zip(*([name, *column(cells)] for name, cells in columns.items()), strict=True)
    file = folder / "a.csv"
    file.write_text("".join(separator.join(f"{quote}{cell}{quote}" for cell in line) + "\n" for line in lines))
    return file


def understood(file: Path, *words: str, **was: Any) -> tuple[pd.DataFrame, dict[str, Any], list[str]]:
    """A table as adopt reads it, how, and what it warns of."""
    raw, how, doubts, _ = read(file, parse([str(file), "--target", "y", *words]), was)
    return raw.rows, how, [f"{name}: {line}" for name, lines in doubts.items() for line in lines]


def refusal(file: Path, *words: str) -> str:
    """The line with which adopt refuses a table, without the file's name."""
    with pytest.raises(SystemExit) as error:
        understood(file, *words)
    message = str(error.value)
    assert "\n" not in message
    return message.removeprefix(f"{file}: ")
