"""The links of a folder's README.md, SECURITY.md and docs/*.md that don't work, as GitHub reads them."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

MARKDOWN = MarkdownIt("commonmark").enable("table")


def pages(folder: Path) -> list[Path]:
    """README.md, SECURITY.md and the manual."""
    return [folder / "README.md", folder / "SECURITY.md", *sorted((folder / "docs").glob("*.md"))]


def broken_links(folder: Path) -> list[str]:
    """Each relative link and each anchor that leads nowhere, with the page that it's on."""
    broken = []
    for page in pages(folder):
        for address in addresses(page):
            if re.match(r"[a-z]+:", address):
                continue
            name, _, anchor = address.partition("#")
            target = (page.parent / name).resolve() if name else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{page.relative_to(folder)}: {address}")
    return broken


def addresses(page: Path) -> list[str]:
    """Where the links and images of a page lead."""
    tokens = MARKDOWN.parse(page.read_text(encoding="utf-8"))
    parts = [child for token in tokens for child in token.children or []]
    return [str(part.attrs.get("href") or part.attrs["src"]) for part in parts if part.type in ("link_open", "image")]


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    tokens = MARKDOWN.parse(page.read_text(encoding="utf-8"))
    found: set[str] = set()
    times: Counter[str] = Counter()
    for token, content in pairwise(tokens):
        if token.type != "heading_open":
            continue
        words = "".join(child.content for child in content.children or [] if child.type in ("text", "code_inline"))
        name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(f"{name}-{times[name]}" if times[name] else name)
        times[name] += 1
    return found
