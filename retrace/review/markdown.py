"""GitHub's Markdown, in which text from data, parameters, branches and files can only ever be text.

Such text stands in code spans: there GitHub makes no mention, link, reference, image or HTML of it.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from retrace.errors import one_line

LONGEST = 60  # characters of a name; more says nothing more


def code(value: object, longest: int = LONGEST) -> str:
    """Any value as a code span on one line: what can't be seen is escaped, what is too long is cut."""
    text = one_line(str(value).strip())
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return f"{fence}{pad}{text or '(empty)'}{pad}{fence}"


def block(text: str, language: str = "text") -> str:
    """Text as it stands, fenced so that nothing in it ends the fence."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text.removesuffix(chr(10))}\n{fence}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; columns whose heading ends in a colon are aligned right.

    A bar in a cell is drawn as a broken one: an escaped bar still ends the cell where a backslash stands before it.
    """
    lines = [[name.removesuffix(":") for name in header], ["--:" if name.endswith(":") else "---" for name in header]]
    lines += [[cell.replace("|", "¦") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def folded(summary: str, body: str) -> str:
    """A part that opens on a click; `summary` must be ours."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def chart(
    title: str, x: list[str] | tuple[float, float], y: str, lines: Sequence[Sequence[float]], colours: str
) -> str:
    """Lines over categories, or over a range, as a Mermaid chart; `colours` are CSS hex codes, comma-separated.

    Mermaid draws no legend: the text beside the chart has to name the colours.
    """
    low, high = min(map(min, lines)), max(map(max, lines))
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    axis = f"[{', '.join(_distinct(x))}]" if isinstance(x, list) else f"{_plain(x[0])} --> {_plain(x[1])}"
    drawn = [f"    line [{', '.join(map(_plain, line))}]" for line in lines]
    return "\n".join(
        [
            "```mermaid",
            f'%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{colours}"}}}}}}}}%%',
            "xychart-beta",
            f"    title {_label(title)}",
            f"    x-axis {axis}",
            f"    y-axis {_label(y)} {_plain(low - room)} --> {_plain(high + room)}",
            *drawn,
            "```",
        ]
    )


def _plain(value: float) -> str:
    """A number with five digits and no exponent, which Mermaid doesn't read."""
    return np.format_float_positional(value, precision=5, fractional=False, trim="-")


def _label(text: object) -> str:
    """A quoted text for Mermaid, of letters, digits and what can mean nothing there."""
    kept = "".join(c if c.isalnum() or c in " .,:_-+=/" else " " for c in str(text))
    return f'"{" ".join(kept.split())[:30] or "?"}"'


def _distinct(names: list[str]) -> list[str]:
    """Labels, numbered where two look alike: Mermaid would draw them at one place."""
    labels = [_label(name) for name in names]
    return [_label(f"{at} {label}") if labels.count(label) > 1 else label for at, label in enumerate(labels, start=1)]


def fitted(sections: Sequence[tuple[str, str]], most: int) -> str:
    """The sections (name and text) from the top, as many as fit in `most` bytes, and the names of those left out."""
    whole = "\n\n".join(text for _, text in sections) + "\n"
    if len(whole.encode()) <= most:
        return whole
    for kept in range(len(sections) - 1, -1, -1):
        names = ", ".join(name for name, _ in sections[kept:])
        note = f"_Left out, since a comment holds no more: {names}._"
        whole = "\n\n".join([*(text for _, text in sections[:kept]), note]) + "\n"
        if len(whole.encode()) <= most:
            break
    return whole
