"""A rerun believes nothing that is committed, and keeps what happened."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retrace.review.dvc_project import cached_files
from retrace.review.lock import stale_stages
from retrace.review.pipeline import read_pipeline
from retrace.review.rerun import Rerun, run_pipeline
from retrace.review.rerun import rerun as run_again
from retrace.review.revision import FOLDER, Revision
from tests.conftest import ENVIRONMENT, change_params, check, commit, copy_project, retrace, run
from tests.retrace.review.small import TWO, copied, edit, inside, new_project, write
from tests.retrace.test_limits import LAUGHS

STAGES = ["ingest", "validate", "prepare", "split", "describe", "train", "evaluate"]


def rerun(project: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    done = run(sys.executable, "-m", "retrace", "rerun", cwd=project)
    return done, json.loads((project / ".dvc/tmp/rerun.json").read_text())


def report(project: Path, *arguments: str) -> str:
    assert retrace("report", *arguments, cwd=project).returncode == 0
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


def test_with_what_the_storage_and_git_keep_no_stage_needs_to_run(copy_of, wine: Path, tmp_path: Path):
    project = copy_of(wine)
    check("dvc", "remote", "add", "--default", "storage", str(tmp_path / "storage"), cwd=project)
    check("dvc", "push", cwd=project)
    shutil.rmtree(project / ".dvc/cache/files")
    check("dvc", "pull", cwd=project)
    _, kept = rerun(project)
    assert {stage["how"] for stage in kept["stages"]} == {"from a cache"}


def test_data_that_no_storage_has_is_named(copy_of, wine: Path):
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
    assert "by `make push` in a project that was made with a storage, else by `dvc push`" in text


def test_committed_results_are_not_trusted(copy_of, wine: Path):
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


def test_a_pipeline_that_fails_is_reported_with_its_stage_and_last_lines(copy_of, wine: Path):
    project = copy_of(wine)
    change_params(project, evaluate={"slices": ["no `such` @column"]})
    commit(project)
    done, kept = rerun(project)
    assert done.returncode == 1
    assert kept["stages"][-1]["name"] == "evaluate"
    assert kept["stages"][-1]["how"] == "failed"
    assert "evaluate.slices: the prepared table has no column" in done.stdout
    text = report(project, "--base", "HEAD~1")
    assert text.startswith("## The pipeline fails in the stage `evaluate`\n\n**May not be merged:**")
    assert "evaluate.slices: the prepared table has no column no `such` @column" in text
    assert "`evaluate.slices`" in text


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("params.yaml", b"data: [", "ERROR: unable to read: 'params.yaml', YAML file structure is corrupted"),
        pytest.param("params.yaml", b"\xff", "ERROR: ", marks=pytest.mark.slow),
        ("dvc.yaml", b"stages: [", "'./dvc.yaml' is invalid."),
        pytest.param("dvc.yaml", b"stages: {train: 1}", "'./dvc.yaml' validation failed.", marks=pytest.mark.slow),
        ("dvc.yaml", b"\xff", "ERROR: "),
        ("dvc.yaml", b"", "dvc.yaml: it has no stages"),
    ],
)
def test_a_pipeline_that_cannot_be_read_is_reported_with_the_reason(
    copy_of, wine: Path, name: str, content: bytes, said: str
):
    project = copy_of(wine)
    (project / name).write_bytes(content)
    commit(project)
    done, kept = rerun(project)
    assert done.returncode == 1
    assert done.stderr == ""
    assert said in done.stdout
    assert kept["stages"] == []
    assert any(line.startswith(said) for line in kept["tail"])
    text = report(project, "--base", "HEAD~1")
    assert text.startswith("## The pipeline fails\n\n**May not be merged:** there are no results.\n\nThe last lines:")
    assert said in text


def test_a_rerun_that_is_interrupted_is_one_line_and_keeps_what_it_printed(copy_of, wine: Path):
    project = copy_of(wine)
    change_params(project, evaluate={"resamples": 20_000})
    commit(project)
    command = [sys.executable, "-m", "retrace", "rerun"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    # A shell tells what it runs in the background to ignore interrupts, and so the tests may ignore them, too.
    heed = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, cwd=project, env=ENVIRONMENT, **pipes, **heed) as process:
        assert process.stdout
        assert any("Running stage 'evaluate'" in line for line in process.stdout)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        _, printed = process.communicate()
    assert process.returncode == -signal.SIGINT  # 130 in a shell
    assert printed == "interrupted\n"
    kept = json.loads((project / ".dvc/tmp/rerun.json").read_text())
    assert not kept["succeeded"]
    assert "Running stage 'evaluate':" in kept["tail"]


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
    assert "The pipeline wasn't rerun for this report" in report(project, "--base", "HEAD~1")


# A stage in whose first run somebody edits its input, after it has been read.
EDITED = {
    "a": {
        "cmd": "cp a.in a.out; if [ -e once ]; then rm once; echo new > a.in; fi",
        "deps": ["a.in"],
        "outs": [{"a.out": {"cache": False}}],
    }
}


@pytest.mark.parametrize("command", [run_pipeline, run_again])
def test_inputs_that_change_while_the_pipeline_runs_are_named_and_the_advice_helps(
    tmp_path: Path, command: Callable[[], bool], capfd: pytest.CaptureFixture[str]
):
    project = new_project(tmp_path / "project", EDITED, **{"a.in": "old\n", "params.yaml": "x: 1\n"})
    (project / "a.in").write_text("older\n")
    (project / "once").touch()
    with inside(project):
        assert command() == (command is run_again)
    printed = capfd.readouterr().err
    assert "a.in: changed while the pipeline ran" in printed
    assert (project / "a.out").read_text() == "older\n"
    assert "didn't change" in check("dvc", "repro", cwd=project), "DVC takes the old result for the new input's"
    check(*re.search("`(dvc .*)`", printed)[1].split(), cwd=project)
    assert (project / "a.out").read_text() == "new\n"
    with inside(project):
        assert run_pipeline(), "and nothing changes any more"
        assert not stale_stages(FOLDER)


@pytest.mark.parametrize("content", ["new\n", "new\r\n"])
def test_a_new_dependency_is_no_change_while_the_pipeline_runs(
    tmp_path: Path, content: str, capfd: pytest.CaptureFixture[str]
):
    """DVC gives a hash another name once dvc.lock has it, and another value where lines end as on Windows."""
    project = new_project(tmp_path / "project", TWO, **{"a.in": "1", "more.in": content})
    write(project, TWO | {"a": copied("a", deps=["a.in", "more.in"])})
    with inside(project):
        assert run_pipeline()
    assert "changed while" not in capfd.readouterr().err


def test_the_report_names_the_inputs_that_changed(tmp_path: Path):
    project = new_project(tmp_path / "project", EDITED, **{"a.in": "old\n"})
    (project / "a.in").write_text("older\n")
    (project / "once").touch()
    with inside(project):
        run_again()
        assert Rerun.last().changed == ["a.in"]


def test_a_frozen_stage_keeps_what_it_made(tmp_path: Path):
    project = new_project(tmp_path / "project", TWO, **{"a.in": "1"})
    write(project, {"a": copied("a", frozen=True), "b": TWO["b"]})
    commit(project)
    made = (project / "dvc.lock").read_bytes()
    (project / "a.out").unlink()
    with inside(project):
        assert run_again()
    assert (project / "dvc.lock").read_bytes() == made


def moved(project: Path) -> None:
    shutil.move(project / ".dvc/cache", project.parent / "elsewhere")
    check("dvc", "cache", "dir", "--quiet", "--local", "../elsewhere", cwd=project)


def linked(project: Path) -> None:
    shutil.move(project / ".dvc/cache", project.parent / "elsewhere")
    (project / ".dvc/cache").symlink_to(project.parent / "elsewhere")


def shared(project: Path) -> None:
    moved(project)
    check("dvc", "config", "cache.shared", "group", cwd=project)
    check("dvc", "config", "cache.type", "symlink", cwd=project)
    check("dvc", "checkout", "--quiet", "--relink", cwd=project)
    commit(project)


def default_remote(project: Path) -> None:
    """A remote that is the default in all of a user's projects, and can't be reached."""
    settings = project.parent / "settings"
    settings.mkdir()
    (settings / "config").write_text("[core]\nremote = far\n['remote \"far\"']\nurl = /nowhere/at/all\n")


SMALL = {
    "a": {
        "cmd": "cp a.in a.out && mkdir -p metrics && cp a.in metrics/a.json",
        "deps": ["a.in"],
        "outs": ["a.out"],
        "plots": [{"metrics/a.json": {"cache": False}}],
    },
    "b": {"cmd": "mkdir -p b && cp a.out b/one && cp a.out b/two", "deps": ["a.out"], "outs": ["b"]},
}


@pytest.mark.slow
@pytest.mark.parametrize("arrange", [moved, linked, shared, default_remote])
def test_any_kind_of_cache_works(tmp_path: Path, arrange: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "settings"))
    project = new_project(tmp_path / "project", SMALL, **{"a.in": "1"})
    arrange(project)
    for name in ("a.out", "b"):
        path = project / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    with inside(project):
        assert stale_stages(FOLDER) == stale_stages(Revision.of("HEAD")) == {}, "a clone without data"
        hashes = read_pipeline(Revision.of("HEAD")).stages["b"].outs
        files = cached_files("b", hashes["b"])
        assert {name: file.read_text() for name, file in files.items()} == {"b/one": "1", "b/two": "1"}
        assert run_again()
        assert {stage.how for stage in Rerun.last().stages} == {"from a cache"}
    assert check("git", "status", "--porcelain", cwd=project) == ""


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "command",
    ["repro", *(pytest.param(command, marks=SLOW) for command in ("verify-lock", "rerun", "gate"))],
)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("params.yaml", "references multiply what they refer to"),
        ("dvc.yaml", "references multiply what they refer to"),
        ("dvc.lock", "references multiply what they refer to"),
        ("data/source/more.dvc", "references multiply what they refer to"),
        ("other/params.yaml", "references multiply what they refer to"),
        ("other/.hidden/bomb", "references multiply what they refer to"),
        ("params.yaml", "the tag tag:yaml.org,2002:bool"),
    ],
)
def test_files_that_would_keep_a_parser_busy_are_refused_before_dvc_reads_them(
    copy_of, wine: Path, command: str, name: str, said: str
):
    project = copy_of(wine)
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    if name.startswith("other"):
        (project / "other/dvc.yaml").write_text("vars: [.hidden/bomb]\nstages: {}\n")
    (project / name).write_text(f"{LAUGHS}" if "references" in said else "data: {source: !!bool x}\n")
    commit(project)
    done = run(sys.executable, "-m", "retrace", command, cwd=project)
    assert done.returncode == 1
    [line] = (done.stdout + done.stderr).splitlines()
    assert name in line
    assert said in line


@pytest.mark.parametrize(
    "command", ["verify-lock", "report", pytest.param("repro", marks=SLOW), pytest.param("gate", marks=SLOW)]
)
@pytest.mark.parametrize("twice", [False, True])
def test_nothing_follows_a_source_elsewhere(copy_of, wine: Path, command: str, twice: bool):
    project = copy_of(wine)
    edit(project / "params.yaml", "data/source/wine.csv", "https://127.0.0.1:9/wine.csv")
    if twice:  # a key that looks like the nested one
        (project / "params.yaml").open("a").write("data.source: data/source/wine.csv\n")
    commit(project)
    done = retrace(command, cwd=project)
    assert done.returncode == 1
    said = "unknown key" if twice and command == "gate" else "must be a path relative to the project"
    assert f"params.yaml: data.source: {said}" in done.stdout + done.stderr
    assert len((done.stdout + done.stderr).splitlines()) == 1
    assert "127.0.0.1" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "command", ["repro", "gate", pytest.param("verify-lock", marks=SLOW), pytest.param("report", marks=SLOW)]
)
def test_nothing_follows_a_dependency_elsewhere(copy_of, wine: Path, command: str):
    project = copy_of(wine)
    edit(
        project / "dvc.yaml", "      - data/schema.yaml\n", "      - data/schema.yaml\n      - https://127.0.0.1:9/a\n"
    )
    commit(project)
    done = retrace(command, cwd=project)
    assert done.returncode == 1
    [line] = (done.stdout + done.stderr).splitlines()
    assert "validate: depends on https://127.0.0.1:9/a, which isn't a file of the project" in line


def test_a_source_elsewhere_is_refused_before_dvc_could_fetch_it(tmp_path: Path):
    project = copy_project(tmp_path / "project")
    file = project / "params.yaml"
    file.write_text(file.read_text().replace("data/source/flights.sha256", "https://127.0.0.1:9/flights.csv"))
    commit(project)
    done, kept = rerun(project)
    assert done.returncode == 1
    assert kept["tail"] == [
        "params.yaml: data.source: must be a path relative to the project, such as data/source/table.csv"
    ]
    assert done.stdout.strip() == kept["tail"][0]
