"""How the commands of `python -m retrace` read the words after their name, and print a table."""

import argparse
import inspect
import textwrap
from datetime import UTC, datetime

from retrace.errors import one_line

# The names of the columns, of which those of numbers end with a colon; and the lines.
Table = tuple[list[str], list[list[str]]]


def make_parser(command: str, description: str) -> argparse.ArgumentParser:
    """A parser for the words after the name of a command; options can't be abbreviated.

    Args:
        command: its name.
        description: what `--help` says of it, with empty lines between its paragraphs, such as a docstring.
    """
    paragraphs = inspect.cleandoc(description).split("\n\n")
    return argparse.ArgumentParser(
        prog=f"python -m retrace {command}",
        description="\n\n".join(textwrap.fill(paragraph, width=80) for paragraph in paragraphs),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def utc_time(text: str) -> datetime:
    """A time in UTC, from ISO 8601.

    Raises:
        argparse.ArgumentTypeError: it isn't one.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a time such as 2026-01-31 or 2026-01-31T12:00") from None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def print_table(content: Table) -> None:
    """Print a table, which is at most 80 columns wide if its names are short."""
    header, lines = content
    rows = [[name.removesuffix(":") for name in header], *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for row in rows:
        cells = [
            cell.rjust(width) if name.endswith(":") else cell.ljust(width)
            for cell, width, name in zip(row, widths, header, strict=True)
        ]
        print(one_line("  ".join(cells).rstrip()))
