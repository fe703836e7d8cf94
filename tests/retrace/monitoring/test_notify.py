"""One issue for each alarm, by `gh`; a stand-in keeps the issues."""

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from retrace.errors import UserError
from retrace.monitoring.notify import notify_github

GH = Path(__file__).with_name("gh.py")


@pytest.fixture
def issues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin/gh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {GH} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("ISSUES", f"{tmp_path}/issues.json")
    return tmp_path / "issues.json"


def alarm(**values: Any) -> dict[str, Any]:
    found = {"statistic": "mean", "since": "2026-01-03", "raised": "2026-01-09", "over": None}
    return found | {"before": 0.5, "now": 0.7, "low": 0.4, "high": 0.6} | values


def content(**alarms: dict[str, Any] | None) -> dict[str, Any]:
    series = [{"name": name, "alarms": [] if each is None else [each]} for name, each in alarms.items()]
    return {"model": "m", "version": "v1.0.0", "package": "abc", "by": "day", "series": series}


def read(issues: Path) -> list[dict[str, Any]]:
    return json.loads(issues.read_text())  # type: ignore[no-any-return]


def test_each_alarm_has_an_issue_of_its_own_and_an_open_one_blocks_no_other(issues: Path):
    notify_github(content(temp=alarm()))
    notify_github(content(temp=alarm(), loss=alarm()))
    notify_github(content(temp=alarm(), loss=alarm()))
    assert [each["title"] for each in read(issues)] == ["Alarm: m: temp", "Alarm: m: loss"]
    assert "| `mean` | 0.5 | 0.7 | 0.4 | 0.6 |" in read(issues)[0]["body"]


def test_an_issue_is_updated_and_closed_when_the_alarm_is_over(issues: Path):
    notify_github(content(temp=alarm()))
    notify_github(content(temp=alarm(now=0.8)))
    assert "0.8" in read(issues)[0]["body"]
    notify_github(content(temp=alarm(over="2026-02-01")))
    [issue] = read(issues)
    assert (issue["state"], issue["comment"]) == ("CLOSED", "Over since 2026-02-01.")
    notify_github(content(temp=alarm(over="2026-02-01")))
    notify_github(content(temp=alarm(raised="2026-03-01")))
    assert [each["state"] for each in read(issues)] == ["CLOSED", "OPEN"], "a new alarm of the same series"


def test_an_issue_that_a_person_closed_stays_closed_until_there_is_another_alarm(issues: Path):
    notify_github(content(temp=alarm()))
    issues.write_text(json.dumps([read(issues)[0] | {"state": "CLOSED"}]))
    notify_github(content(temp=alarm(now=0.9)))
    notify_github(content(temp=alarm(over="2026-02-01")))
    assert [each["state"] for each in read(issues)] == ["CLOSED"]
    notify_github(content(temp=alarm(raised="2026-03-01")))
    assert [each["state"] for each in read(issues)] == ["CLOSED", "OPEN"]


def test_an_alarm_whose_days_move_keeps_its_issue(issues: Path):
    """Late labels, or predictions that are forgotten, can move the day on which an alarm is raised, or take it back."""
    notify_github(content(temp=alarm()))
    notify_github(content(temp=alarm(raised="2026-01-08")))
    assert len(read(issues)) == 1
    notify_github(content(temp=None))
    [issue] = read(issues)
    told = "This alarm no longer exists, because predictions or labels have changed."
    assert (issue["state"], issue["comment"]) == ("CLOSED", told)


def test_an_alarm_that_is_over_before_it_was_told_has_no_issue(issues: Path):
    notify_github(content(temp=alarm(over="2026-02-01")))
    assert read(issues) == []


def test_a_name_from_the_data_is_only_text(issues: Path):
    name = "a --> <img src=x onerror=alert(1)> @everyone `x` | y"
    notify_github(content(**{name: alarm()}))
    notify_github(content(**{name: alarm()}))
    [issue] = read(issues)
    assert issue["body"].count("-->") == 1 + issue["body"].split("\n")[0].count("-->")
    assert issue["body"].startswith("``a --> <img src=x onerror=alert(1)> @everyone `x` | y`` of ")


def test_a_gh_that_fails_or_is_missing_is_one_line(issues: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GH_FAILS", "1")
    with pytest.raises(UserError, match="gh label create: gh: To use GitHub CLI"):
        notify_github(content(temp=alarm()))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="gh: not found; install GitHub's command-line program"):
        notify_github(content(temp=alarm()))
