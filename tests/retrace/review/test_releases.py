"""The last release is found among all of a repository's tags, and a change is compared with it and with its base."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retrace.review.comparable import read_sides
from retrace.review.gate import Judgement, judge_change
from retrace.review.releases import last_release, newest_by_name
from retrace.review.results import SERIES
from retrace.review.revision import FOLDER, Revision
from tests.conftest import ROOT, change_params, check, commit

TAGGER = {"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@b"}


@pytest.mark.parametrize(
    ("tags", "newest"),
    [
        ([], []),
        (["v1.0.0", "late@1.0.0", "late@vone", "late@v01", "late#prod#3", "@v1.0.0", "late@v01.0.0"], []),
        (["late@v1.9.0", "late@v1.10.0", "late@v1.2.0"], ["late@v1.10.0"]),
        (["late@v2.0.0-rc.1", "late@v1.0.0"], ["late@v2.0.0-rc.1"]),
        (["late@v2.0.0-rc.1", "late@v2.0.0"], ["late@v2.0.0"]),
        (["late@v1.0.0", "late@v2.0.0", "late@v2.0.0!"], ["late@v1.0.0"]),
        (["late@v1.0.0", "late@v1.0.0!#2"], []),
        (["late@v1", "late@v1.1", "late@v1.0.2"], ["late@v1.1"]),
        (["late@v1", "late@v1!"], []),
        (["models/late@v1.0.0", "wine@v3.0.0", "wine@v0.1.0"], ["models/late@v1.0.0", "wine@v3.0.0"]),
    ],
)
def test_the_newest_version_of_each_name_counts(tags: list[str], newest: list[str]):
    assert newest_by_name(tags) == newest
    assert newest_by_name(tags[::-1]) == newest


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with parameters and one commit, and no results."""
    (tmp_path / "src/datasets").mkdir(parents=True)
    (tmp_path / "src/datasets/flights.py").touch()
    shutil.copy(ROOT / "params.yaml", tmp_path)
    change_params(tmp_path, gate={"floor": 0.6, "slice_floor": None, "baselines": ["prior"]})
    check("git", "init", "--quiet", "--initial-branch", "main", cwd=tmp_path)
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_results(project: Path, score: float, metric: str = "roc_auc", rows: str = "r") -> None:
    """Results as evaluate writes them: the model's score, and baselines that are far below it."""
    points = {"model": score, "linear": score - 0.2, "prior": score - 0.2}
    scores = {name: {metric: {"score": at, "low": at - 0.1, "high": at + 0.1}} for name, at in points.items()}
    (project / "metrics").mkdir(exist_ok=True)
    (project / "metrics/evaluation.json").write_text(json.dumps({"scores": scores, "decision": None}))
    (project / "metrics/slices.json").write_text("{}")
    noise = np.random.default_rng(0).normal(0, 0.01, 100)
    for name, models, draws in (("bootstrap", points, noise), ("refits", ["model"], noise[:5] / 10)):
        lines = [[rows, model, "", "", metric, *(points[model] + draws)] for model in models]
        table = pd.DataFrame(lines, columns=[*SERIES, *map(str, range(len(draws)))])
        table.to_csv(project / "metrics" / f"{name}.csv", index=False)


def judged(base: str | None = None) -> Judgement:
    return judge_change(read_sides(FOLDER, Revision.of(base) if base else None))


def found(judgement: Judgement, start: str) -> tuple[str, bool | None, str]:
    return next(tuple(rule) for rule in judgement.rules if rule.name.startswith(start))


def test_the_last_release_is_the_nearest_one_that_the_commit_builds_on(project: Path):
    assert last_release(FOLDER) is None
    check("git", "tag", "late@v1.0.0", cwd=project)
    commit_more(project, "a")
    check("git", "tag", "--annotate", "--message", "x", "late@v1.1.0", cwd=project, **TAGGER)
    commit_more(project, "b")
    release = last_release(FOLDER)
    assert release == Revision("late@v1.1.0", Revision.of("HEAD~1").commit)
    assert last_release(Revision.of("HEAD~2")) == Revision("late@v1.0.0", Revision.of("HEAD~2").commit)

    check("git", "checkout", "--quiet", "-b", "elsewhere", cwd=project)
    commit_more(project, "c")
    check("git", "tag", "late@v9.0.0", cwd=project)
    check("git", "checkout", "--quiet", "main", cwd=project)
    assert last_release(FOLDER) == release, "a release of another branch isn't one of this"

    check("git", "tag", "other@v0.1.0", cwd=project)
    found_tag = last_release(FOLDER)
    assert found_tag is not None
    assert found_tag.name == "other@v0.1.0", "of several names the latest counts"
    check("git", "tag", "other@v0.1.0!", cwd=project)
    assert last_release(FOLDER) == release, "it was taken back"


def commit_more(project: Path, name: str) -> None:
    (project / name).touch()
    commit(project)


def test_small_losses_do_not_add_up_since_the_last_release(project: Path):
    write_results(project, 0.8)
    commit(project)
    check("git", "tag", "late@v1.0.0", cwd=project)
    write_results(project, 0.78)
    commit(project)
    write_results(project, 0.779)
    judgement = judged("HEAD")
    assert found(judgement, "no loss against the base")[1] is True
    assert found(judgement, "no loss against late@v1.0.0")[1] is False
    assert not judgement.passes
    write_results(project, 0.779, rows="others")
    rule = found(judged("HEAD"), "no loss against late@v1.0.0")
    assert rule[1] is True
    assert "other rows" in rule[2]


@pytest.mark.parametrize("broken", ["no results", "unreadable", "another question"])
def test_a_release_that_cannot_be_compared_blocks_nothing(project: Path, broken: str):
    if broken != "no results":
        write_results(project, 0.9)
    if broken == "unreadable":
        (project / "metrics/evaluation.json").write_text("{")
    if broken == "another question":
        change_params(project, data={"target": "carrier"})
    (project / "more").touch()
    commit(project)
    check("git", "tag", "late@v1.0.0", cwd=project)
    change_params(project, data={"target": "late"})
    write_results(project, 0.7)
    rule = found(judged(), "no loss against late@v1.0.0")
    assert rule[1] is None
    assert {
        "no results": "late@v1.0.0 has no metrics yet",
        "unreadable": "late@v1.0.0 can't be read: ",
        "another question": "it answers another question: data.target changed",
    }[broken] in rule[2]


def test_without_results_on_the_base_the_changes_own_gate_judges(project: Path):
    """As in a project's first pull request: the base is the template, whose gate is about no table yet."""
    change_params(project, data={"task": "regression", "positive": None}, problem={"costs": None})
    change_params(project, gate={"metric": "r2", "floor": 0.5, "smallest_difference": {"r2": 0.01}})
    write_results(project, 0.8, "r2")
    judgement = judged("HEAD")
    assert judgement.passes
    assert judgement.gate.metric == "r2"
    assert judgement.notes == ["the base has no results: judged by this change's own gate"]
    assert found(judgement, "no loss against the base")[2] == "not judged: the base has no metrics yet"


def test_a_base_with_results_judges_unless_its_question_is_another_one(project: Path):
    write_results(project, 0.7)
    commit(project)
    change_params(project, gate={"floor": 0.1})
    write_results(project, 0.5)
    assert found(judged("HEAD"), "roc_auc at least")[0] == "roc_auc at least 0.6"
    change_params(project, data={"target": "carrier"})
    assert found(judged("HEAD"), "roc_auc at least")[0] == "roc_auc at least 0.6", "its metric is scored here too"

    change_params(project, data={"task": "regression", "positive": None}, problem={"costs": None})
    change_params(project, gate={"metric": "r2", "floor": 0.5, "smallest_difference": {"r2": 0.01}})
    write_results(project, 0.8, "r2")
    judgement = judged("HEAD")
    assert judgement.passes
    assert "the base's gate is about roc_auc, which isn't scored here" in judgement.notes[0]


def test_a_metric_that_is_gone_is_no_reason_to_leave_the_bases_gate(project: Path):
    """The question is the same; that its score is missing is a failure."""
    write_results(project, 0.7)
    commit(project)
    change_params(project, gate={"metric": "log_loss", "floor": None, "smallest_difference": {"log_loss": 0.01}})
    write_results(project, 0.8, "log_loss")
    judgement = judged("HEAD")
    assert judgement.gate.metric == "roc_auc"
    assert not judgement.passes
