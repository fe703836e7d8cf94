"""GitHub's Markdown, in which text from data, parameters, branches and files is never more than text.

Such text is put into code spans, in which GitHub doesn't recognise mentions, links, references, images or HTML.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from retrace.errors import one_line

BARS = "▁▂▃▄▅▆▇█"
LONGEST = 60  # characters of a name


def code(value: object, longest: int = LONGEST) -> str:
    """Any value as a code span on one line: what can't be seen is escaped, and what is too long is truncated."""
    text = one_line(str(value).strip())
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    fence = "`" * (1 + _longest_run_of_backticks(text))
    pad = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return f"{fence}{pad}{text or '(empty)'}{pad}{fence}"


def _longest_run_of_backticks(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def block(text: str, language: str = "text") -> str:
    """Text as it is in a code block, whose fence nothing in the text can end."""
    fence = "`" * max(3, 1 + _longest_run_of_backticks(text))
    return f"{fence}{language}\n{text.removesuffix(chr(10))}\n{fence}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; columns whose heading ends in a colon are aligned right.

    A bar in a cell is replaced by a broken bar, because an escaped bar still ends the cell if a backslash precedes it.
    """
    lines = [[name.removesuffix(":") for name in header], ["--:" if name.endswith(":") else "---" for name in header]]
    lines += [[cell.replace("|", "¦") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def folded(summary: str, body: str) -> str:
    """A part that opens on a click; `summary` is written as it is, so it must not hold text from data or files."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def chart(
    title: str, x: list[str] | tuple[float, float], y: str, lines: Sequence[Sequence[float]], colours: str
) -> str:
    """Lines over categories, or over a range, as a Mermaid chart; `colours` are CSS hex codes, comma-separated.

    Mermaid draws no legend: the text beside the chart has to name the colours.
    """
    low, high = min(map(min, lines)), max(map(max, lines))
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    axis = f"[{', '.join(_distinct(x))}]" if isinstance(x, list) else f"{_plain(x[0])} --> {_plain(x[1])}"
    drawn = [f"    line [{', '.join(map(_plain, line))}]" for line in lines]
    return "\n".join(
        [
            "```mermaid",
            f'%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{colours}"}}}}}}}}%%',
            "xychart-beta",
            f"    title {_label(title)}",
            f"    x-axis {axis}",
            f"    y-axis {_label(y)} {_plain(low - margin)} --> {_plain(high + margin)}",
            *drawn,
            "```",
        ]
    )


def _plain(value: float) -> str:
    """A number with five digits and without an exponent, which Mermaid doesn't understand."""
    return np.format_float_positional(value, precision=5, fractional=False, trim="-")


def _label(text: object) -> str:
    """A quoted text for Mermaid, of letters, digits and characters that have no meaning for it."""
    kept = "".join(c if c.isalnum() or c in " .,:_-+=/" else " " for c in str(text))
    return f'"{" ".join(kept.split())[:30] or "?"}"'


def _distinct(names: list[str]) -> list[str]:
    """Labels, numbered where two look alike, since Mermaid would draw these at the same place."""
    labels = [_label(name) for name in names]
    distinct = []
    for number, label in enumerate(labels, start=1):
        distinct.append(_label(f"{number} {label}") if labels.count(label) > 1 else label)
    return distinct


def join_sections(sections: Sequence[tuple[str, str]], most: int) -> str:
    """The sections (name and text) from the top, as many as fit in `most` bytes, and the names of those omitted."""
    whole = "\n\n".join(text for _, text in sections) + "\n"
    if len(whole.encode()) <= most:
        return whole
    for kept in range(len(sections) - 1, -1, -1):
        names = ", ".join(name for name, _ in sections[kept:])
        note = f"_Omitted, because a comment can hold no more: {names}._"
        whole = "\n\n".join([*(text for _, text in sections[:kept]), note]) + "\n"
        if len(whole.encode()) <= most:
            break
    return whole


def bars(shares: NDArray[np.float64], highest: float, most: int = 24) -> str:
    """A distribution as a row of bars, as high as its share of `highest`."""
    levels = np.ceil(shares[:most] / highest * (len(BARS) - 1)).astype(int)
    return "".join(BARS[level] for level in levels)
