"""docs/template.md's worked changes apply, run, pass a project's own tests, and get the reports that it shows."""

from pathlib import Path

import pytest

from tests.template.docs import CHANGE, PAGE, written


@pytest.mark.slow
def test_each_worked_change_gets_the_report_that_the_page_shows(tmp_path: Path):
    page = PAGE.read_text(encoding="utf-8")
    assert len(CHANGE.findall(page)) == 5
    assert written(page, tmp_path) == page
