"""What a month of new data leads to: retrain.yml, as it is, opens one pull request and keeps it up to date."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import IDENTITY, ROOT, change_params, check, commit, run
from tests.workflows.github import BOT, PERSONAL
from tests.workflows.project import Host, Project, Run
from tests.workflows.test_workflows import PIPELINE, first_lines, needs_tools, writes

WORKFLOW = ROOT / ".github/workflows/retrain.yml"
JUDGE = "Fail if it isn't one commit, or changes more than parameters, data and results"


def push_main(project: Project) -> None:
    """Push what the author has changed to main, and keep the results in its cache as a run on main does."""
    commit(project.author)
    check("git", "push", "--quiet", str(project.origin), "HEAD:main", cwd=project.author)
    project.main = project.github.git("rev-parse", "main")
    cache = project.folder / "caches/refs/heads/main/dvc-Linux-main"
    check("tar", "-cf", str(cache), ".dvc/cache", cwd=project.author)


def make_published_by_time(project: Project) -> Project:
    """The project with a split by time."""
    split = {"by": "time", "valid_from": "2013-10-15", "test_from": "2013-10-25", "block": "day", "purge": False}
    change_params(project.author, split=split)
    check("dvc", "repro", cwd=project.author)
    push_main(project)
    return project


@pytest.fixture(scope="module")
def retrained(host: Host, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Run]:
    """A project, and its first run of retrain.yml."""
    project = make_published_by_time(host(tmp_path_factory.mktemp("retrained")))
    return project, project.retrain()


@needs_tools
@pytest.mark.slow
def test_new_data_opens_a_pull_request_with_a_report(retrained: tuple[Project, Run]):
    project, ran = retrained
    assert ran.succeeded, ran.output
    [pull_request] = project.github.pull_requests
    assert pull_request["title"] == "Retrain on new data"
    assert (pull_request["head"]["ref"], pull_request["base"]["ref"]) == ("retrain", "main")
    message = project.github.git("log", "-1", "--format=%B", "retrain")
    assert message.splitlines()[0] == "Retrain on new data"
    assert "data.read.last_month: 10 → 11" in message
    assert "split.valid_from: 2013-10-15 → 2013-11-14" in message
    assert "skip ci" not in message, "or nothing would review it"
    changed = project.github.git("diff", "--name-only", "main...retrain").splitlines()
    assert {name.split("/")[0] for name in changed} == {"params.yaml", "dvc.lock", "metrics"}
    [comment] = project.github.comments["1"]
    assert comment["user"]["login"] == BOT
    assert "| `data.read.last_month` | `10` | `11` |" in comment["body"]
    assert "may be merged" in first_lines(comment["body"]).lower()


@needs_tools
@pytest.mark.slow
def test_a_later_run_updates_the_branch_and_its_comment(retrained: tuple[Project, Run]):
    project, _ = retrained
    before = project.github.git("rev-parse", "retrain")
    (project.author / "README.md").write_text("Another text.\n")
    push_main(project)
    ran = project.retrain("workflow_dispatch")
    assert ran.succeeded, ran.output
    assert len(project.github.pull_requests) == 1
    assert project.github.git("rev-parse", "retrain") != before
    assert project.github.git("rev-parse", "retrain~1") == project.github.git("rev-parse", "main")
    [body] = project.github.bodies(1)
    assert project.github.git("rev-parse", "retrain") in body


@needs_tools
@pytest.mark.slow
def test_the_pull_request_of_a_person_gets_the_usual_review_and_no_report_from_here(host: Host, tmp_path: Path):
    project = make_published_by_time(host(tmp_path))
    ran = project.retrain(secret=PERSONAL)
    assert ran.succeeded, ran.output
    assert writes(ran) == [201]
    [opened] = [asked for asked in ran.requests if asked.method == "POST" and asked.path.endswith("/pulls")]
    assert f"token {PERSONAL}" in opened.headers.values()
    assert project.github.comments == {}
    pipeline, comment = project.review(number=1, branch="retrain")
    assert pipeline.succeeded, pipeline.output
    assert comment.succeeded, comment.output
    assert len(project.github.bodies(1)) == 1


@needs_tools
@pytest.mark.slow
def test_without_new_data_there_is_no_pull_request(host: Host, tmp_path: Path):
    project = host(tmp_path)
    module = project.author / "src/new_data.py"
    module.write_text(module.read_text().replace("LAST_MONTH = 12", "LAST_MONTH = 10"))
    push_main(project)
    ran = project.retrain()
    assert ran.succeeded, ran.output
    assert "there is no new data" in ran.output
    assert ran.step("Retrain, and commit") == ran.step("Push the branch") == ""
    assert project.github.pull_requests == []
    assert project.github.git("branch", "--list", "retrain") == ""


def shell(step: str, job: str, workflow: Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command of a step as GitHub does."""
    steps = yaml.safe_load(workflow.read_text())["jobs"][job]["steps"]
    [command] = [each["run"] for each in steps if each["name"] == step]
    return run("bash", "-e", "-c", command, cwd=folder, **environment)


@pytest.mark.parametrize(
    ("code", "succeeds", "output"),
    [(0, True, "new=true\n"), (3, True, ""), (1, False, "")],
    ids=["new", "none", "error"],
)
def test_only_an_error_fails_the_step_that_gets_new_data(tmp_path: Path, code: int, succeeds: bool, output: str):
    program = tmp_path / ".venv/bin/python"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)
    (tmp_path / "output").touch()
    done = shell("Get new data", "retrain", WORKFLOW, tmp_path, GITHUB_OUTPUT=str(tmp_path / "output"))
    assert (done.returncode == 0) == succeeds
    assert (tmp_path / "output").read_text() == output


@pytest.mark.parametrize(("name", "succeeds"), [("params.yaml", True), ("metrics/a", True), ("src/a", False)])
def test_a_commit_that_changes_code_is_not_pushed(tmp_path: Path, name: str, succeeds: bool):
    check("git", "init", "--quiet", "--initial-branch", "main", cwd=tmp_path)
    (tmp_path / "a").touch()
    commit(tmp_path)
    check("git", "checkout", "--quiet", "-b", "retrain", cwd=tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    commit(tmp_path)
    check("git", "checkout", "--quiet", "main", cwd=tmp_path)
    main = check("git", "rev-parse", "main", cwd=tmp_path).strip()
    done = shell(JUDGE, "propose", WORKFLOW, tmp_path, GITHUB_SHA=main)
    assert (done.returncode == 0) == succeeds
    assert (name in done.stdout) != succeeds


def test_a_merge_or_a_second_commit_is_not_pushed(tmp_path: Path):
    """They could bring or take back what the comparison with main doesn't show."""
    check("git", "init", "--quiet", "--initial-branch", "main", cwd=tmp_path)
    (tmp_path / "params.yaml").touch()
    commit(tmp_path)
    main = check("git", "rev-parse", "main", cwd=tmp_path).strip()
    for words in (["checkout", "--quiet", "-b", "other"], ["commit", "--quiet", "--allow-empty", "--message", "x"]):
        check("git", *words, cwd=tmp_path, **IDENTITY)
    check("git", "checkout", "--quiet", "-b", "retrain", "main", cwd=tmp_path)
    check("git", "merge", "--quiet", "--no-ff", "--message", "x", "other", cwd=tmp_path, **IDENTITY)
    assert shell(JUDGE, "propose", WORKFLOW, tmp_path, GITHUB_SHA=main).returncode != 0
    check("git", "reset", "--quiet", "--hard", "other", cwd=tmp_path)
    assert shell(JUDGE, "propose", WORKFLOW, tmp_path, GITHUB_SHA=main).returncode == 0
    check("git", "commit", "--quiet", "--allow-empty", "--message", "x", cwd=tmp_path, **IDENTITY)
    assert shell(JUDGE, "propose", WORKFLOW, tmp_path, GITHUB_SHA=main).returncode != 0


@pytest.mark.parametrize(("given", "words"), [("true", "--base abc --rescore"), ("", "--base abc")])
def test_the_present_model_is_scored_on_the_new_rows_in_its_review_alone(tmp_path: Path, given: str, words: str):
    content = yaml.safe_load(PIPELINE.read_text())["jobs"]["pipeline"]
    assert content["env"]["RESCORE"] == "${{ github.head_ref == 'retrain' || '' }}"
    program = tmp_path / ".venv/bin/python"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    for step, command in (("Write the report", "report"), ("Fail if the gate fails", "gate")):
        done = shell(step, "pipeline", PIPELINE, tmp_path, BASE="abc", RESCORE=given)
        assert done.stdout == f"-m retrace {command} {words}\n"


def test_the_job_that_runs_the_pipeline_may_read_and_the_other_runs_nothing_of_it():
    content = yaml.safe_load(WORKFLOW.read_text())
    assert content["permissions"] == {}
    retrain, propose = content["jobs"]["retrain"], content["jobs"]["propose"]
    assert retrain["permissions"] == {"contents": "read"}
    assert "secrets" not in str(retrain)
    assert propose["permissions"] == {"contents": "write", "pull-requests": "write"}
    assert "retrace retrain" not in str(propose)
    with_token = [step["name"] for step in propose["steps"] if "REPO_TOKEN" in step.get("env", {})]
    assert with_token == ["Push the branch", "Open the pull request, if there is none", "Post the report"]
    for step in [*retrain["steps"], *propose["steps"]]:
        assert "${{" not in step.get("run", "")
