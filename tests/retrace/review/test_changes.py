"""Which parameters, modules and packages differ between two revisions."""

from pathlib import Path

import pytest

from retrace.review.changes import changed_code, changed_keys, packages
from retrace.review.judging_changes import find_touched
from retrace.review.pipeline import read_stages
from retrace.review.revision import Revision
from tests.conftest import change_params, check, commit


def test_keys_that_differ_are_dotted_and_hold_both_values():
    base = {"a": {"b": 1, "c": [1]}, "gone": None, "same": 0}
    assert changed_keys({"a": {"b": 2, "c": [1, 2]}, "same": 0, "new": "x"}, base) == {
        "a.b": (1, 2),
        "a.c": ([1], [1, 2]),
        "new": (None, "x"),
    }


def test_changed_code_packages_and_what_judges_are_named(copy_of, wine: Path, monkeypatch: pytest.MonkeyPatch):
    project = copy_of(wine)
    (project / "retrace/scores.py").open("a").write("# \n")
    text = (project / "requirements.txt").read_text()
    (project / "requirements.txt").write_text(text.replace("numpy==2", "numpy==1", 1))
    change_params(project, gate={"floor": 9})
    check("dvc", "commit", "--force", cwd=project)
    commit(project)
    monkeypatch.chdir(project)
    here, base = Revision.of("HEAD"), Revision.of("HEAD~1")
    assert changed_code(read_stages(here), read_stages(base)) == {"evaluate": ["retrace/scores.py"]}
    assert list(changed_keys(packages(here), packages(base))) == ["numpy"]
    assert find_touched(here, base) == (["retrace/scores.py", "gate.floor"], ["requirements.txt"])
