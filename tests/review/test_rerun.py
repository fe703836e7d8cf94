"""A rerun believes nothing that is committed, and keeps what happened."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import change_params, check, commit, run

STAGES = ["ingest", "validate", "prepare", "describe", "split", "train", "evaluate"]


def rerun(project: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    done = run(sys.executable, "-m", "src.review", "rerun", cwd=project)
    return done, json.loads((project / ".dvc/tmp/rerun.json").read_text())


def report(project: Path, *arguments: str) -> str:
    check(sys.executable, "-m", "src.review", "report", *arguments, cwd=project)
    return (project / "report.md").read_text()


def test_what_ran_before_comes_from_the_cache_and_the_report_says_so(copy_of, wine: Path):
    project = copy_of(wine)
    done, kept = rerun(project)
    assert done.returncode == 0
    assert sorted(stage["name"] for stage in kept["stages"]) == sorted(STAGES)
    assert {stage["how"] for stage in kept["stages"]} == {"from a cache"}
    assert check("git", "status", "--porcelain", cwd=project) == ""
    text = report(project, "--base", "HEAD")
    assert "0 stages ran, 7 came from a cache" in text
    assert "**Reproduced:**" in text


def test_what_a_storage_gave_and_what_git_keeps_are_cache_enough(copy_of, wine: Path, tmp_path: Path):
    project = copy_of(wine)
    check("dvc", "remote", "add", "--default", "storage", str(tmp_path / "storage"), cwd=project)
    check("dvc", "push", cwd=project)
    shutil.rmtree(project / ".dvc/cache/files")
    check("dvc", "pull", cwd=project)
    _, kept = rerun(project)
    assert {stage["how"] for stage in kept["stages"]} == {"from a cache"}


def test_data_that_no_storage_gave_is_told_by_its_name(copy_of, wine: Path):
    project = copy_of(wine)
    source = project / "data/source/wine.csv"
    check("git", "rm", "--quiet", "--cached", "data/source/wine.csv", cwd=project)
    check("dvc", "add", "--quiet", "data/source/wine.csv", cwd=project)
    commit(project)
    source.unlink()
    shutil.rmtree(project / ".dvc/cache")
    done, kept = rerun(project)
    assert done.returncode == 1
    assert [(stage["name"], stage["how"]) for stage in kept["stages"]] == [("data/source/wine.csv.dvc", "failed")]
    text = report(project, "--base", "HEAD~1")
    assert text.startswith("## The data isn't here: `data/source/wine.csv`\n\n**May not be merged:**")
    assert "types `make push`" in text


def test_committed_results_are_not_believed(copy_of, wine: Path):
    project = copy_of(wine)
    (project / "metrics/scores.json").write_text('{"log_loss": 0.00001}\n')
    check("dvc", "commit", "--force", cwd=project)
    commit(project)
    assert "up to date" in check("dvc", "repro", cwd=project), "DVC takes them for made"
    check("rm", "-r", ".dvc/cache/runs", cwd=project)  # as on another machine
    rerun(project)
    assert "metrics/scores.json" in check("git", "status", "--porcelain", cwd=project)
    text = report(project, "--base", "HEAD~1")
    assert "**May not be merged:**" in text
    assert "**Not reproduced:**" in text
    assert "`evaluate: metrics/scores.json`" in text


def test_a_pipeline_that_breaks_is_told_with_its_stage_and_last_lines(copy_of, wine: Path):
    project = copy_of(wine)
    change_params(project, evaluate={"slices": ["no `such` @column"]})
    commit(project)
    done, kept = rerun(project)
    assert done.returncode == 1
    assert kept["stages"][-1]["name"] == "evaluate"
    assert kept["stages"][-1]["how"] == "failed"
    assert "evaluate.slices: the prepared table has no column" in done.stdout
    text = report(project, "--base", "HEAD~1")
    assert text.startswith("## The pipeline breaks in the stage `evaluate`\n\n**May not be merged:**")
    assert "evaluate.slices: the prepared table has no column no `such` @column" in text
    assert "`evaluate.slices`" in text


def test_parameters_that_cannot_be_read_are_told_too(copy_of, wine: Path):
    project = copy_of(wine)
    (project / "params.yaml").write_text("data: [")
    commit(project)
    done, kept = rerun(project)
    assert done.returncode == 1
    assert kept["stages"] == []
    assert report(project, "--base", "HEAD~1").startswith("## The pipeline breaks\n")


def test_a_rerun_says_nothing_of_what_changed_since(copy_of, wine: Path):
    project = copy_of(wine)
    rerun(project)
    change_params(project, evaluate={"slices": []})
    text = report(project, "--base", "HEAD")
    assert "**Reproduced:**" not in text
    assert "**Stale:** inputs changed after the results were made: `evaluate`" in text


def test_a_rerun_of_another_commit_says_nothing(copy_of, wine: Path):
    project = copy_of(wine)
    rerun(project)
    (project / "README.md").write_text("")
    commit(project)
    assert "nobody has made them again" in report(project, "--base", "HEAD~1")
