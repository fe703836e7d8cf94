"""What README.md and the guide show is what their commands print now, and every link leads somewhere."""

import json
import re
from pathlib import Path

import pytest

from retrace.__main__ import COMMANDS
from tests.conftest import ROOT, check
from tests.links import anchors, broken_links, pages
from tests.readme import CHANGING, PAGES, read_pages, run_pages, steps

SHOWN = {step.command: step.output for text in read_pages().values() for step in steps(text)}
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in pages(ROOT))


@pytest.mark.parametrize("command", ["python -m retrace scores", "dvc dag --mermaid"])
def test_the_numbers_and_the_graph_are_the_current_ones(demo: Path, command: str):
    printed = check("bash", "-c", command, cwd=demo)
    assert SHOWN[command] == "".join(f"{line.rstrip()}\n" for line in printed.splitlines())


@pytest.mark.slow
def test_every_command_runs_and_prints_what_the_page_shows(tmp_path: Path):
    shown = read_pages()
    printed = run_pages(shown, tmp_path)
    for name in PAGES:
        assert CHANGING.sub("", printed[name]) == CHANGING.sub("", shown[name])


def test_every_relative_link_and_anchor_works():
    assert broken_links(ROOT) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "SECURITY.md").write_text("# Two `words`\n\n## Two words\n\n```\n# code\n```\n")
    (tmp_path / "README.md").write_text("[a](SECURITY.md#two-words-1) [b](gone.md) [c](SECURITY.md#code) [d](#none)\n")
    (tmp_path / "docs/a.md").write_text("[a](../README.md) [b](https://example.org/none) ![c](none.png)\n")
    assert anchors(tmp_path / "SECURITY.md") == {"two-words", "two-words-1"}
    assert broken_links(tmp_path) == [
        "README.md: gone.md",
        "README.md: SECURITY.md#code",
        "README.md: #none",
        "docs/a.md: none.png",
    ]


def test_every_command_that_the_pages_name_exists():
    texts = [(ROOT / name).read_text() for name in ("Makefile", "Makefile.jinja")]  # and of projects made from this
    targets = re.findall(r"^(?:<%.*%>)?([a-z-]+):", "\n".join(texts), re.M)
    for target in re.findall(r"`make ([a-z-]+)", TEXT):
        assert target in targets, target
    for command in re.findall(r"python -m retrace ([a-z][a-z-]*)", TEXT):
        assert command in COMMANDS, command


def test_lines_fit_in_a_terminal():
    shown = [line for output in SHOWN.values() for line in output.splitlines() if not line.startswith(">")]
    assert max(map(len, shown)) <= 80


def test_the_development_container_runs_the_command_of_the_front_page_with_the_python_of_the_workflows():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert container["postCreateCommand"] in [step.command for step in steps(read_pages()["README.md"]) if step.typed]
    python = re.fullmatch(r"mcr\.microsoft\.com/devcontainers/python:([\d.]+)-bookworm", container["image"])
    assert python
    for name in ("pipeline", "release", "retrain"):
        workflow = (ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8")
        assert set(re.findall("python-version: '(.*)'", workflow)) == {python[1]}
    assert f"with Python {python[1]}." in TEXT


def test_the_front_page_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200
