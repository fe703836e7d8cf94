"""A served prediction, computed again from the log and the tags alone."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import commit, run
from tests.retrace.serving.conftest import rows_of, serving


@pytest.fixture(scope="module")
def recorded(released_wine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose code has changed since it served v1.0.0."""
    project = Path(shutil.copytree(released_wine, tmp_path_factory.mktemp("recorded") / "wine", symlinks=True))
    shutil.rmtree(project / "predictions", ignore_errors=True)  # other tests served from the folder that is copied
    rows = rows_of(project)
    with serving(project) as server:
        server.predict(rows[:1], ids=["one"])
        server.predict(rows)
    (project / "src/model.py").write_text("raise SystemExit('other code')\n")
    (project / "src/datasets/table.py").write_text("raise SystemExit('other code')\n")
    (project / "release/model.zip").unlink()
    shutil.rmtree(project / "models")
    commit(project)
    return project


def recompute(project: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "retrace", "recompute", *words, cwd=project, **environment)


def test_it_is_the_same_whatever_the_code_is_now(recorded: Path):
    done = recompute(recorded, "one", OMP_NUM_THREADS="2", TZ="Asia/Tokyo", PYTHONHASHSEED="3")
    assert done.returncode == 0, done.stderr
    assert ", the same to the last digit; late-flights v1.0.0 served it at 20" in done.stdout


def test_many_at_once(recorded: Path):
    done = recompute(recorded, "--since", "2020-01-01")
    assert done.stdout == f"PASS  {len(rows_of(recorded)) + 1} predictions are the same to the last digit\n"


def changed_log(project: Path, folder: Path, statement: str) -> dict[str, str]:
    """The environment that names a copy of the log with a change."""
    log = shutil.copy(project / "predictions/log.db", folder / "log.db")
    with sqlite3.connect(log) as connection:
        connection.execute(statement)
    return {"RETRACE_LOG": f"sqlite:///{log}"}


def test_a_number_that_differs_is_told_with_the_reason(recorded: Path, tmp_path: Path):
    other = changed_log(recorded, tmp_path, """UPDATE requests SET output = '[{"0":1.0}]' WHERE number = 1""")
    done = recompute(recorded, "one", **other)
    assert done.returncode == 1
    line, last = done.stdout.splitlines()
    assert line.startswith("""FAIL  one: {"0":1.0} was served, and {"0":""")
    assert line.endswith("have the versions that the release lists; the processor or operating system may differ")
    assert last == "1 of 1 predictions are not the same"


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "UPDATE requests SET version = 'v7.0.0', package = 'abc' WHERE number = 1",
            "FAIL  one: VERSION v7.0.0: late-flights has no such version; it has v1.0.0; --model names its file",
        ),
        (
            "UPDATE requests SET package = 'abc' WHERE number = 1",
            "FAIL  one: no version has the package that served it (SHA-256 abc…); --model names its file",
        ),
        (
            "UPDATE requests SET version = NULL, package = 'abc' WHERE number = 1",
            "FAIL  one: no version has the package that served it (SHA-256 abc…); --model names its file",
        ),
    ],
)
def test_a_package_that_is_missing_is_told(recorded: Path, tmp_path: Path, statement: str, told: str):
    done = recompute(recorded, "one", **changed_log(recorded, tmp_path, statement))
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, told)


def test_what_was_served_where_the_repository_is_not_is_found_by_its_hash(recorded: Path, tmp_path: Path):
    done = recompute(recorded, "one", **changed_log(recorded, tmp_path, "UPDATE requests SET version = NULL"))
    assert (done.returncode, done.stdout[:6]) == (0, "PASS  "), done.stdout


def test_no_prediction_is_no_pass(recorded: Path):
    done = recompute(recorded, "--since", "2999-01-01")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "the log has no predictions since then\n")


def test_a_row_that_the_model_refuses_is_told_alone(recorded: Path, tmp_path: Path):
    other = changed_log(recorded, tmp_path, "UPDATE requests SET input = '[{}]' WHERE number = 1")
    done = recompute(recorded, "--since", "2020-01-01", **other)
    assert done.stdout.splitlines() == [
        "FAIL  one: the package rejects this row now",
        f"1 of {len(rows_of(recorded)) + 1} predictions are not the same",
    ]


def test_an_unknown_id_is_one_line(recorded: Path):
    done = recompute(recorded, "none")
    assert done.stderr == "none: the log sqlite:///predictions/log.db has no prediction with this id\n"


def test_it_needs_an_id_or_a_time(recorded: Path):
    assert "one of the arguments ID --since is required" in recompute(recorded).stderr
