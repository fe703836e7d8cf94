"""How the commands of `python -m retrace` read the words after their name."""

import argparse
import inspect
import textwrap


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
