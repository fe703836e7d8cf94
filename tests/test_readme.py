"""What README.md shows is what its commands print now."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT, check
from tests.readme import CHANGING, README, run_all, steps, written

PAGE = README.read_text(encoding="utf-8")
QUICK = ["python -m retrace scores", "dvc dag --mermaid"]


@pytest.mark.parametrize("command", QUICK)
def test_the_numbers_and_the_graph_are_the_current_ones(demo: Path, command: str):
    shown = next(output for known, output in steps(PAGE) if known == command)
    printed = check("bash", "-c", command, cwd=demo)
    assert shown == "".join(f"{line.rstrip()}\n" for line in printed.splitlines())


@pytest.mark.slow
def test_every_command_runs_and_prints_what_the_page_shows(tmp_path: Path):
    printed = run_all([command for command, _ in steps(PAGE)], tmp_path)
    assert CHANGING.sub("", written(PAGE, printed)) == CHANGING.sub("", PAGE)


def test_every_file_and_target_that_the_page_names_is_there():
    for link in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / link).exists(), link
    texts = [(ROOT / name).read_text() for name in ("Makefile", "Makefile.jinja")]  # and of projects made from this
    targets = re.findall(r"^(?:<%.*%>)?([a-z-]+):", "\n".join(texts), re.M)
    for target in re.findall(r"`make ([a-z-]+)", PAGE):
        assert target in targets, target


def test_lines_fit_in_a_terminal():
    shown = [line for _, output in steps(PAGE) for line in output.splitlines() if not line.startswith(">")]
    assert max(map(len, shown)) <= 80
