"""docs/problem.md has the values of params.yaml."""

import shutil
from pathlib import Path

import pytest

from retrace.params import read_params
from retrace.problem_page import TABLES, fill_tables
from tests.conftest import ROOT, change_params, retrace

PAGES = ("docs/problem.md", "docs/problem.md.jinja")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files that the command needs."""
    for name in ("params.yaml", "docs/problem.md", "src/datasets/flights.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_the_page_has_a_place_for_each_table(page: str):
    text = (ROOT / page).read_text()
    assert [text.count(f"<!-- params: {name} -->") for name in TABLES] == [1] * len(TABLES)
    assert text.count("<!-- end -->") == len(TABLES)


def test_the_command_writes_what_has_changed(project: Path):
    before = (project / "docs/problem.md").read_text()
    costs = {"false_positive": 2, "false_negative": 6.5}
    change_params(project, problem={"costs": costs}, watch={"false_alarms": 0.01})
    assert retrace("problem", cwd=project).stdout == "docs/problem.md: has the values of params.yaml\n"
    after = (project / "docs/problem.md").read_text()
    assert set(after.splitlines()) - set(before.splitlines()) == {
        "| acting when not needed (false positive) | 2 | `problem.costs.false_positive` |",
        "| not acting when needed (false negative) | 6.5 | `problem.costs.false_negative` |",
        "| act if the probability is at least | 0.2353 | `problem.costs` |",
        "| probability of a false alarm in a year, at most | 0.01 | `watch.false_alarms` |",
    }


def test_what_is_not_set_is_none(project: Path):
    change_params(project, problem={"costs": None}, gate={"floor": None, "baselines": []})
    filled = fill_tables((project / "docs/problem.md").read_text(), read_params(project / "params.yaml"))
    assert "| the cost of an error | none | `problem.costs` |" in filled
    assert "| at least, on all rows | none | `gate.floor` |" in filled
    assert "| better than | none | `gate.baselines` |" in filled


def test_an_unknown_table_is_one_line(project: Path):
    page = project / "docs/problem.md"
    page.write_text("<!-- params: sums -->\n<!-- end -->\n")
    done = retrace("problem", cwd=project)
    assert done.stderr == "docs/problem.md: params: sums: must be one of prediction, costs, gate, watch\n"
    page.unlink()
    assert retrace("problem", cwd=project).stderr == "docs/problem.md: no such file\n"


def test_a_table_without_an_end_is_one_line_and_no_text_is_lost(project: Path):
    page = project / "docs/problem.md"
    text = page.read_text().replace("<!-- end -->", "", 1)
    page.write_text(text)
    done = retrace("problem", cwd=project)
    assert done.stderr == "docs/problem.md: each `<!-- params: NAME -->` needs a line `<!-- end -->` after its table\n"
    assert page.read_text() == text
