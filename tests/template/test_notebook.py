"""The guide takes a real notebook over: its commits run one after the other, and get the scores that it shows."""

import re
import sys
from pathlib import Path

import pytest

from tests.conftest import check
from tests.template.notebook import (
    COMMIT,
    LEAK,
    PAGE,
    PREDICTED,
    PYTHON,
    SCORES,
    make_commits,
    notebook_code,
    notebook_rows,
    write_table,
)

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_shows_the_notebook_and_the_scores_that_it_prints(tmp_path: Path):
    code = notebook_code()
    assert PYTHON.findall(TEXT)[0] == code
    assert code.count(LEAK) == code.count(PREDICTED) == 1, "the variants differ from the notebook"
    write_table(tmp_path)
    [table] = SCORES.findall(TEXT)
    assert table.splitlines(keepends=True)[2:5] == notebook_rows(tmp_path)


def test_the_page_is_short_and_has_ten_commits():
    assert len(TEXT.splitlines()) <= 400
    assert len(COMMIT.findall(TEXT)) == 10


def test_each_number_in_the_text_is_one_of_the_table():
    [table] = SCORES.findall(TEXT)
    numbers = re.findall(r"0\.\d{4}", SCORES.sub("", TEXT))
    assert numbers
    assert set(numbers) <= set(re.findall(r"0\.\d{4}", table))


@pytest.mark.slow
def test_each_commit_runs_and_gets_the_scores_that_the_page_shows(tmp_path: Path):
    page, project, started = make_commits(TEXT, tmp_path)
    assert page == TEXT
    assert "warning: date: a date; if the future is to be predicted from the past: --time date" in started
    assert check("git", "rev-list", "--count", "HEAD", cwd=project) == "11\n", "the template's, and ten"
    check("make", "--old-file", ".venv/installed", "test", cwd=project)
    check(sys.executable, "-c", PYTHON.findall(TEXT)[1], cwd=project)
