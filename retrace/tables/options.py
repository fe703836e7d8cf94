"""How the files of a table are read: the arguments of `read` in src/datasets/table.py, with their types."""

from typing import Annotated, NamedTuple

from pydantic import Field

from retrace.row_ids import NO_VALUE

Separator = Annotated[str, Field(pattern=r"^[\x01-\x7f]$")]
ColumnType = Annotated[str, Field(pattern=r"^(number|text|date|excel-date|.*%.*)$")]
LineCount = Annotated[int, Field(ge=0)]
BLANKS = [" " * count for count in range(33)]
MISSING = [*BLANKS, *NO_VALUE]  # the cells of a text file that always mean no value


class ReadOptions(NamedTuple):
    """How files are read; src/datasets/table.py describes each option."""

    separator: str = ","
    decimal: str = "."
    thousands: str | None = None
    encoding: str = "utf-8"
    missing: tuple[str | float, ...] = ()
    strip: bool = False
    skip_rows: int = 0
    skip_footer: int = 0
    types: dict[str, str] = {}  # noqa: RUF012  # never changed
