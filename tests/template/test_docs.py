"""The manual's worked changes apply, run, pass a project's own tests, and get the reports that the pages show."""

from pathlib import Path

import pytest

from tests.template.docs import CHANGE, PAGES, read_page, size, written


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_each_worked_change_gets_the_report_that_the_page_shows(tmp_path: Path, name: str):
    page = read_page(name)
    assert page.count("```diff") == len(CHANGE.findall(page)) > 0
    assert written(page, tmp_path) == page


def test_a_change_of_the_model_is_small():
    """A transformer in a module of its own takes three files; every other change takes at most two."""
    patches = [change["patch"] for change in CHANGE.finditer(read_page("docs/model.md"))]
    assert len(patches) == 9
    for patch in patches:
        files, lines = size(patch)
        assert files <= (3 if "src/power.py" in patch else 2)
        assert lines <= 25
