"""`make watch`: served predictions are compared with the release."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrace.serving.log import Log
from tests.conftest import ROOT, check, retrace, run
from tests.postgres import postgres
from tests.retrace.monitoring.conftest import store_served
from tests.retrace.serving.test_serve import project_whose_code


@pytest.fixture(scope="module")
def whole_october(released_demo: Path) -> pd.DataFrame:
    """The rows of test, on which the released scores are."""
    return pd.read_parquet(released_demo / "data/split/test.parquet")


@pytest.fixture(scope="module")
def october(whole_october: pd.DataFrame) -> pd.DataFrame:
    """Some rows of test, in the order of time, because fewer are faster."""
    return whole_october.sample(frac=0.2, random_state=1).sort_index().reset_index(drop=True)


class Watched:
    """A project that served predictions, with a log of its own."""

    def __init__(self, project: Path, address: str) -> None:
        self.project, self.address = project, address

    def serve(self, rows: pd.DataFrame, times: pd.Series) -> list[str]:
        self.ids = [f"p{number}" for number in range(len(rows))]
        store_served((self.project, self.address), rows, times, self.ids)
        return self.ids

    def label(self, labels: dict[str, Any]) -> None:
        assert Log(self.address).add_labels(labels) == []

    def watch(self, *words: str, monkeypatch: pytest.MonkeyPatch) -> tuple[subprocess.CompletedProcess[str], Any]:
        monkeypatch.setenv("RETRACE_LOG", self.address)
        done = retrace("watch", "--model", "release/model.zip", *words, cwd=self.project)
        result = self.project / "predictions/watch.json"
        return done, json.loads(result.read_text()) if result.exists() else None


@pytest.fixture
def watched(released_demo: Path, tmp_path: Path) -> Watched:
    (released_demo / "predictions/watch.json").unlink(missing_ok=True)
    return Watched(released_demo, f"sqlite:///{tmp_path}/log.db")


def series_of(content: Any, name: str) -> Any:
    return next(each for each in content["series"] if each["name"] == name)


UNTIL = ("--until", "2013-11-01")


def test_the_rows_of_test_have_the_scores_of_the_release(
    watched: Watched, whole_october: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
):
    ids = watched.serve(whole_october, whole_october["departure"])
    watched.label(dict(zip(ids, whole_october["late"].tolist(), strict=True)))
    done, content = watched.watch(*UNTIL, monkeypatch=monkeypatch)
    assert done.stderr == ""
    assert (content["days"][0], content["days"][-1], len(content["days"])) == ("2013-10-01", "2013-10-31", 31)
    assert sum(content["predictions"]) == sum(content["labels"]) == len(whole_october)
    for metric, scores in content["performance"]["scores"].items():
        assert scores["served"]["score"] == pytest.approx(scores["test"]["score"], rel=1e-4), metric
        for end in ("low", "high"):
            assert scores["served"][end] == pytest.approx(scores["test"][end], rel=0.02), metric
    for row in content["performance"]["slices"]:
        assert row["served"]["score"] == pytest.approx(row["test"]["score"], rel=1e-4)
    assert len(content["performance"]["slices"]) > 10


def test_days_that_are_like_those_of_the_release_are_no_alarm(
    released_demo: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
):
    """The days are drawn from all days of the release, so that nothing has changed."""
    parts = [pd.read_parquet(released_demo / f"data/split/{part}.parquet") for part in ("train", "valid")]
    rows = pd.concat(parts, ignore_index=True).sample(frac=0.2, random_state=1)
    days = rows["departure"].dt.normalize()
    drawn = days.drop_duplicates().sample(28, random_state=1)
    rows = rows[days.isin(drawn)]
    number_of_day = days[rows.index].map({day: number for number, day in enumerate(drawn)})
    times = pd.Timestamp("2013-11-01 12:00") + pd.to_timedelta(number_of_day, "D")
    ids = watched.serve(rows, times)
    watched.label(dict(zip(ids, rows["late"].tolist(), strict=True)))
    done, content = watched.watch("--until", "2013-11-29", monkeypatch=monkeypatch)
    assert done.returncode == 0, done.stdout
    assert "no open alarm: no change of " in done.stdout
    assert "No alarm: no change is certain enough." in (watched.project / "predictions/watch.html").read_text()
    assert not any(series["alarms"] for series in content["series"])


def test_a_change_is_an_alarm_that_names_what_changed_and_when(
    watched: Watched, october: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
):
    changed = october.copy()
    changed.loc[changed["departure"] >= "2013-10-15", "temp"] = np.nan
    watched.serve(changed, changed["departure"])
    done, content = watched.watch(*UNTIL, monkeypatch=monkeypatch)
    assert done.returncode == 3
    assert max(map(len, done.stdout.splitlines())) <= 80
    [alarm] = series_of(content, "temp")["alarms"]
    said = " ".join(done.stdout.split())
    assert (
        f"ALARM temp: missing was {alarm['before']:.4g}, and {alarm['now']:.4g} since {alarm['since']} raised on "
        f"{alarm['raised']}; without a change it would be {alarm['low']:.4g} to {alarm['high']:.4g}"
    ) in said
    assert alarm["over"] is None
    assert "2013-10-13" <= alarm["since"] <= "2013-10-17"
    assert "2013-10-15" < alarm["raised"] < "2013-10-25"
    assert not alarm["low"] <= alarm["now"] <= alarm["high"]
    assert "outside of the range of the release's days, which can be chance: " in said
    for series in content["series"]:
        for name, statistic in series["statistics"].items():
            most = 0.5 if name == "spread" else np.inf if name == "mean" else 1
            shift = statistic["shift"] or {}  # there is none without labels
            shown = [*statistic["low"], *statistic["high"], *statistic["values"], *shift.values()]
            assert all(0 <= value <= most for value in shown if value is not None), (series["name"], name)
    median = series_of(content, "distance")["median"]
    assert median["release"] == pytest.approx(870, rel=0.1)
    assert median["served"] == pytest.approx(october["distance"].median(), rel=0.1)
    assert series_of(content, "carrier")["median"] is None
    page = (watched.project / "predictions/watch.html").read_text()
    assert "Alarm: temp: missing was " in page
    metrics = (watched.project / "predictions/watch.prom").read_text()
    assert 'retrace_watch_alarm{model="late-flights",series="temp",version="v1.0.0"} 1.0' in metrics
    assert 'retrace_watch_alarm{model="late-flights",series="dewp",version="v1.0.0"} 0.0' in metrics


def test_the_page_opens_in_a_browser_without_an_error_or_the_network(
    watched: Watched, october: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    few = october[october["departure"] < "2013-10-04"]
    watched.serve(few, few["departure"])
    watched.watch("--until", "2013-10-04", monkeypatch=monkeypatch)
    page = watched.project / "predictions/watch.html"
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    assert browser, "apt install chromium"
    sizes = set()
    for width in (400, 1400):
        picture = tmp_path / f"{width}.png"
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            f"--window-size={width},900",
        ]
        done = run(
            browser,
            *options,
            f"--user-data-dir={tmp_path}/{width}",
            f"--screenshot={picture}",
            page.as_uri(),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert "CONSOLE" not in done.stderr
        sizes.add(picture.stat().st_size)
    assert min(sizes) > 20_000, "a page with text and charts"
    html = page.read_text()
    assert "<script" not in html
    assert not re.search(r"(src|href)=\"(?!data:)", html)
    assert html.count("data:image/svg+xml;base64,") > 15


def test_labels_that_are_not_due_yet_are_not_judged(
    watched: Watched, october: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
):
    """In November, the same flights are late that were in time in October, and the other way round."""
    november = october.assign(departure=october["departure"] + pd.Timedelta(days=31), late=~october["late"])
    rows = pd.concat([october, november], ignore_index=True)
    ids = watched.serve(rows, rows["departure"])
    known = rows["departure"] < "2013-12-01"
    watched.label({name: bool(late) for name, late, due in zip(ids, rows["late"], known, strict=True) if due})
    done, content = watched.watch("--until", "2013-12-02", monkeypatch=monkeypatch)
    assert done.returncode == 3
    assert sum(content["labels"]) == known.sum()
    assert "2013-10-27" <= series_of(content, "log loss")["alarms"][0]["since"] <= "2013-11-05"
    assert content["labelled_rows"]["labelled"] == 1, "the labels of the last day are not due"
    assert content["all_labels_due"] == len(content["days"]) - 1
    page = (watched.project / "predictions/watch.html").read_text()
    assert "so the line of labels ends earlier." in page


def test_labels_of_some_predictions_only_are_noticed(
    watched: Watched, october: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
):
    ids = watched.serve(october, october["departure"])
    log = Log(watched.address)
    warned = {each.id for part in log.since(pd.Timestamp("2013-01-01")) for each in part if each.output > 0.25}
    watched.label({name: bool(late) for name, late in zip(ids, october["late"], strict=True) if name in warned})
    _, content = watched.watch(*UNTIL, monkeypatch=monkeypatch)
    assert content["labelled_rows"]["superiority"] == 1
    assert content["labelled_rows"]["p_value"] < 1e-10
    page = (watched.project / "predictions/watch.html").read_text()
    assert "So the scores with labels may be biased." in page
    assert content["performance"]["scores"]["roc_auc"]["estimated"]["score"] == pytest.approx(0.7, abs=0.05)


def test_without_labels_performance_is_estimated(
    watched: Watched, october: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
):
    watched.serve(october, october["departure"])
    done, content = watched.watch(*UNTIL, monkeypatch=monkeypatch)
    assert re.search("^log_loss on test: .*\n  estimated without labels: ", done.stdout, re.MULTILINE)
    scores = content["performance"]["scores"]["log_loss"]
    assert scores["served"] is None
    assert scores["estimated"]["low"] < scores["estimated"]["score"] < scores["estimated"]["high"]
    assert content["labelled_rows"] is None


@pytest.mark.slow
def test_the_result_depends_on_neither_the_database_nor_the_machine(
    released_demo: Path, october: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    few = october[october["departure"] < "2013-10-08"]
    files = [released_demo / f"predictions/watch.{ending}" for ending in ("json", "html", "prom")]
    made = []
    with postgres() as database:
        for address in (f"sqlite:///{tmp_path}/log.db", database.address):
            watched = Watched(released_demo, address)
            ids = watched.serve(few, few["departure"])
            watched.label(dict(zip(ids, few["late"].tolist(), strict=True)))
            watched.watch("--until", "2013-10-08", monkeypatch=monkeypatch)
            made.append([file.read_bytes() for file in files])
    other = {"RETRACE_LOG": f"sqlite:///{tmp_path}/log.db", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "3"}
    watch = [sys.executable, "-m", "retrace", "watch", "--model", "release/model.zip", "--until", "2013-10-08"]
    check(*watch, cwd=released_demo, **other)
    made.append([file.read_bytes() for file in files])
    assert made[0] == made[1] == made[2]


def test_weeks_are_compared_with_weeks(watched: Watched, october: pd.DataFrame, monkeypatch: pytest.MonkeyPatch):
    watched.serve(october, october["departure"])
    done, content = watched.watch("--since", "2013-10-07", *UNTIL, "--by", "week", monkeypatch=monkeypatch)
    assert done.returncode in (0, 3), done.stderr
    assert content["days"] == ["2013-10-07", "2013-10-14", "2013-10-21"], "the week of October 28 isn't over"
    distance = series_of(content, "distance")["statistics"]["location"]
    assert len(distance["values"]) == 3


def test_rows_that_do_not_depend_on_each_other_are_compared_as_rows(
    released_wine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The split of this project is random, so that each row is a unit."""
    parts = [pd.read_parquet(released_wine / f"data/split/{part}.parquet") for part in ("train", "valid")]
    rows = pd.concat(parts, ignore_index=True)
    times = pd.Series(pd.Timestamp("2026-03-01") + pd.to_timedelta(np.arange(len(rows)) % 10, "D"))
    same = Watched(released_wine, f"sqlite:///{tmp_path}/same.db")
    same.serve(rows, times)
    done, content = same.watch("--until", "2026-03-11", monkeypatch=monkeypatch)
    assert done.returncode == 0, done.stdout
    assert {series["group"] for series in content["series"]} == {"inputs", "predictions", "labels", "performance"}
    changed = Watched(released_wine, f"sqlite:///{tmp_path}/changed.db")
    changed.serve(rows.assign(alcohol=rows["alcohol"].where(times < "2026-03-05", rows["alcohol"] + 2)), times)
    done, content = changed.watch("--until", "2026-03-11", monkeypatch=monkeypatch)
    assert done.returncode == 3
    assert content["series"][0]["name"] == "alcohol"


NEGATED = """
REQUEST_COLUMNS = dict.fromkeys(["minus_alcohol", *COLUMNS], "number")


def prepare_request(rows):
    return rows.assign(alcohol=-rows["minus_alcohol"])[["alcohol", *COLUMNS]]
"""


@pytest.mark.slow
def test_raw_rows_are_compared_by_the_features_that_the_package_computes(
    released_wine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = pd.read_parquet(released_wine / "data/split/valid.parquet")
    others = [name for name in rows.columns.drop(["row_id", "target"]) if name != "alcohol"]
    project = project_whose_code(released_wine, tmp_path, f"\nCOLUMNS = {others}\n{NEGATED}")
    times = pd.Series(pd.Timestamp("2026-03-01"), index=rows.index)
    ids = [str(number) for number in range(len(rows))]

    def negate(row: dict[str, Any]) -> dict[str, Any]:
        return {"minus_alcohol": -row["alcohol"]} | {name: row[name] for name in others}

    found = []
    for raw_rows in (None, negate):
        watched = Watched(project, f"sqlite:///{tmp_path}/{raw_rows is None}.db")
        store_served((project, watched.address), rows, times, ids, raw_rows)
        done, content = watched.watch("--until", "2026-03-02", monkeypatch=monkeypatch)
        assert done.stderr == ""
        found.append(content)
    assert found[0] == found[1]
    assert sum(found[0]["predictions"]) == len(rows)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--until", "2013-09-01"], "--until: no day from 2013-10-01 on is over by then"),
        (["--since", "2014-01-01", "--until", "2014-02-01"], "has no predictions by late-flights"),
        (["--since", "soon"], "argument --since: must be a time such as 2026-01-31"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    watched: Watched, october: pd.DataFrame, words: list[str], told: str, monkeypatch: pytest.MonkeyPatch
):
    few = october.head(100)
    watched.serve(few, few["departure"])
    done, _ = watched.watch(*words, monkeypatch=monkeypatch)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_to_compare_after_a_deployment_is_no_failure(
    watched: Watched, october: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
):
    done, content = watched.watch(monkeypatch=monkeypatch)
    assert (done.returncode, done.stderr, content) == (0, "", None)
    said = " ".join(done.stdout.split())
    assert said.endswith("has no predictions by late-flights v1.0.0; `make serve` stores them")
    few = october.head(10)
    watched.serve(few, pd.Series(pd.Timestamp.now("UTC").tz_localize(None), index=few.index))
    done, content = watched.watch(monkeypatch=monkeypatch)
    assert (done.returncode, done.stderr, content) == (0, "", None)
    assert re.match(r"no day from \d{4}-\d\d-\d\d on is over yet;", done.stdout)


def test_the_documentation_lists_each_field_of_the_json(
    watched: Watched, october: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
):
    watched.serve(october, october["departure"])
    _, content = watched.watch(*UNTIL, monkeypatch=monkeypatch)
    documented = (ROOT / "docs/monitoring.md").read_text().partition("## What watch.json holds")[2]
    fields = set(re.findall(r"`([a-z_.]+)`", documented))
    written = content.keys() - {"performance"} | {f"performance.{name}" for name in content["performance"]}
    assert written | content["series"][0].keys() <= fields
