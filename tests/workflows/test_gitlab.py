"""What merge requests on GitLab are told: the jobs of .gitlab-ci.yml, as they are, in a project made from the template.

`CML=/path/to/cml pytest tests/workflows` runs them with the real CML in the place of its stand-in.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from dvc.utils.serialize import modify_yaml
from sklearn.datasets import load_wine

from retrace.yaml_files import read_yaml
from tests.conftest import IDENTITY, ROOT, boosting, change_params, check, commit, copy_project, run
from tests.links import broken_links
from tests.workflows.gitlab import BOT, FORK, PERSON, PROJECT, TOKEN, GitLab, Pipeline
from tests.workflows.test_workflows import first_lines, report_in

Start = Callable[..., Pipeline]


def make(folder: Path, **answers: Any) -> Path:
    template = copy_project(folder / "template")
    copier.run_copy(
        str(template), folder / "author", data={"ci": "gitlab", "demo": False} | answers, defaults=True, quiet=True
    )
    return folder / "author"


def publish(author: Path) -> None:
    """Commit what is there as main, and make the origin beside it."""
    check("git", "init", "--quiet", "--initial-branch", "main", cwd=author)
    commit(author)
    origin = author.parent / "origin.git"
    check("git", "clone", "--quiet", "--bare", str(author), str(origin), cwd=author)
    check("git", "remote", "add", "origin", f"file://{origin}", cwd=author)
    check("git", "fetch", "--quiet", "origin", cwd=author)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on GitLab, to which its table has yet to come."""
    author = make(tmp_path_factory.mktemp("empty"))
    publish(author)
    return author


@pytest.fixture(scope="module")
def wines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on GitLab with a table in Git, and its first results."""
    author = make(tmp_path_factory.mktemp("wines"))
    table = author / "data/source/wine.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    load_wine(as_frame=True).frame.to_csv(table, index=False)
    check("git", "init", "--quiet", "--initial-branch", "main", cwd=author)
    commit(author)
    check("python", "-m", "retrace", "adopt", str(table), "--target", "target", cwd=author)
    with modify_yaml(author / "params.yaml") as params:  # which keeps the comments
        params["train"]["refits"] = 3
        params["evaluate"]["resamples"] = 100
    check("dvc", "repro", "--quiet", cwd=author)
    check("python", "-m", "retrace", "problem", cwd=author)
    publish(author)
    return author


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    with GitLab() as server:
        yield server


@pytest.fixture
def start(gitlab: GitLab, empty: Path, tmp_path: Path) -> Start:
    """Starts the pipeline of a merge request in which nothing has run yet."""
    return lambda **of: Pipeline(gitlab, empty, tmp_path, **of)


def commented(pipeline: Pipeline, report: bytes | None = b"fine", status: str = "success") -> str:
    """What the job `comment` prints after a job that left this report."""
    pipeline.left("pipeline", status, {} if report is None else {"report.md": report})
    job = pipeline.run("comment")
    assert job.code == 0, job.output
    return job.output


def test_the_first_comment_is_created_by_cml_and_later_ones_update_it(gitlab: GitLab, start: Start):
    pipeline = start()
    for number in range(30):
        gitlab.post(f"comment {number}", by=PERSON)
    for text in (b"first", b"second"):
        assert f"{gitlab.url}/{PROJECT}/-/merge_requests/7#note_930" in commented(pipeline, text)
        for _ in range(25):  # CML's own update would not find it any more
            gitlab.post("another comment", by=PERSON)
    assert [report_in(body) for body in gitlab.bodies()[30:] if "watermark" in body] == ["second"]
    assert [request for request in gitlab.requests if "GET" not in request] == [
        f"POST /projects/{PROJECT}/merge_requests/7/notes",
        "PUT /projects/11/merge_requests/7/notes/930",
    ]


def test_a_forged_comment_is_left_alone(gitlab: GitLab, start: Start):
    pipeline = start()
    commented(pipeline, b"first")
    gitlab.post(gitlab.bodies()[0].replace("first", "forged"), by=PERSON)
    commented(pipeline, b"second")
    assert [report_in(body) for body in gitlab.bodies()] == ["first", "forged", "second"]
    assert gitlab.notes[-1]["author"]["id"] == BOT


def test_the_first_line_is_the_programs_and_a_report_can_only_show_text(gitlab: GitLab, start: Start):
    pipeline = start()
    commented(pipeline, b"Fine\n\n/approve\n\n@all !1 ~bug %v1 [a](https://evil.example)\n", status="failed")
    [body] = gitlab.bodies()
    first, rest = body.split("\n\n", 1)
    job = f"[run 100]({gitlab.url}/{PROJECT}/-/jobs/100)"
    assert first == f"Commit {pipeline.commit}: the pipeline failed, in {job}. The run wrote what follows."
    assert not re.search(r"^/|@a|!1|~b|%v|\]\(h|//", rest.partition("![](")[0], re.MULTILINE)


def test_a_job_without_a_report_gets_a_short_comment(gitlab: GitLab, start: Start):
    commented(start(), report=None, status="failed")
    [body] = gitlab.bodies()
    assert report_in(body) == "There is no report: the run ended before it wrote one. Its log says why."


@pytest.mark.parametrize(("state", "head"), [("opened", "0" * 40), ("merged", "")])
def test_nothing_is_posted_for_an_older_commit_or_a_merge_request_that_is_closed(
    gitlab: GitLab, start: Start, state: str, head: str
):
    pipeline = start()
    gitlab.state, gitlab.head = state, head or gitlab.head
    assert "nothing is posted" in commented(pipeline)
    assert gitlab.bodies() == []


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ({}, "nothing is posted: set the variable REPO_TOKEN for the environment comment (docs/gitlab.md)"),
        ({"comment": {"REPO_TOKEN": "another"}}, "GitLab answers 401 to GET /merge_requests/7"),
    ],
)
def test_a_missing_or_wrong_token_is_a_line(
    gitlab: GitLab, start: Start, secrets: dict[str, dict[str, str]], said: str
):
    pipeline = start(secrets=secrets)
    pipeline.left("pipeline", "success", {"report.md": b"fine"})
    job = pipeline.run("comment")
    assert (job.code, job.output.splitlines()[-1]) == (1, said)
    assert gitlab.bodies() == []


def test_a_fork_and_main_have_no_job_that_comments(start: Start):
    assert start().names() == {"pipeline", "test", "comment"}
    assert start(source=FORK).names() == {"pipeline", "test"}
    pipeline = start()
    for name in [name for name in pipeline.variables if name.startswith("CI_MERGE_REQUEST_")]:
        del pipeline.variables[name]
    pipeline.variables |= {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main"}
    assert pipeline.names() == {"pipeline", "test"}
    pipeline.variables["CI_COMMIT_BRANCH"] = "change"
    assert pipeline.names() == set(), "a branch has one pipeline, that of its merge request"


@pytest.mark.parametrize(
    "remote",
    ["none", pytest.param("s3", marks=pytest.mark.slow), pytest.param("ssh", marks=pytest.mark.slow)],
)
def test_each_kind_of_project_has_a_pipeline_in_which_no_stage_sees_a_secret(empty: Path, tmp_path: Path, remote: str):
    project = empty if remote == "none" else make(tmp_path, remote=remote)
    assert not (project / ".github").exists()
    assert broken_links(project) == []
    assert "On GitLab, each merge request is run again" in (project / "README.md").read_text()
    text = (project / ".gitlab-ci.yml").read_text()
    assert max(len(line) for line in text.splitlines()) <= 125
    content = yaml.safe_load(text)
    jobs = {name: job for name, job in content.items() if isinstance(job, dict) and "script" in job}
    pulls = remote in ("s3", "ssh")
    assert list(jobs) == [*(["pull"] if pulls else []), "pipeline", "test", "comment"]
    assert {job["stage"] for job in jobs.values()} == set(content["stages"])
    # A variable that is limited to an environment is in no job without it.
    environments = {name: job["environment"] for name, job in jobs.items() if "environment" in job}
    assert environments.pop("comment") == {"name": "comment", "action": "access"}
    assert environments == ({"pull": {"name": "storage", "action": "access"}} if pulls else {})
    assert "REPO_TOKEN" not in text
    pages = set(re.findall(r"docs/[\w-]+\.md", text))
    assert "docs/gitlab.md" in pages
    assert all((project / page).is_file() for page in pages)
    assert jobs["comment"]["needs"] == [{"job": "pipeline", "artifacts": False}]
    assert jobs["comment"]["variables"]["GIT_STRATEGY"] == "none"
    [commented] = read_yaml(ROOT / ".github/workflows/comment.yml")["jobs"].values()
    [cml] = [step["with"]["ref"] for step in commented["steps"] if "iterative/cml" in str(step)]
    assert cml in text
    container = json.loads((project / ".devcontainer/devcontainer.json").read_text())["image"]
    assert re.search(r"python:(\d+\.\d+)", text)[1] == re.search(r"python:(\d+\.\d+)", container)[1]  # type: ignore[index]
    for image in re.findall(r"image: (\S+)", text):
        assert re.fullmatch(r"\w+:\d+\.\d+\.\d+-\w+", image), "an exact version"


@pytest.mark.parametrize("has_jobs", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_project_for_github_becomes_one_for_gitlab_as_the_page_says(empty: Path, tmp_path: Path, has_jobs: bool):
    author = make(tmp_path, ci="github")
    own = author / ".github/workflows/own.yml"
    own.write_text("on: push\n")
    if has_jobs:
        (author / ".gitlab-ci.yml").write_text("stages: [check]\nours:\n  stage: check\n  script: [make lint]\n")
    (author / ".venv").symlink_to(sys.prefix)
    check("git", "init", "--quiet", "--initial-branch", "main", cwd=author)
    (author / ".git/info/exclude").write_text(".venv\n")
    commit(author)
    page = (ROOT / "docs/gitlab.md").read_text(encoding="utf-8")
    change, move = re.findall(r"```sh\n(.*?)```", page, re.S)
    [include] = re.findall(r"```yaml\n(.*?)```", page, re.S)
    for script in [*([move] if has_jobs else []), change]:
        done = run("bash", "-c", f"set -e\n{script}", cwd=author, **IDENTITY)
        assert done.returncode == 0, done.stdout + done.stderr
    assert check("git", "status", "--porcelain", cwd=author) == ""
    assert [file.name for file in (author / ".github").rglob("*.yml")] == ["own.yml"]
    text = (author / ".gitlab-ci.yml").read_text()
    assert text == (empty / ".gitlab-ci.yml").read_text()
    content = yaml.safe_load(f"{text}\n{include}")
    assert (author / content["include"][0]["local"]).exists() == has_jobs
    assert {"default", "workflow", "stages"} <= content.keys()
    names = re.findall(r"No job of yours may be called (.*)\.", page)[0]
    assert {"pull", *[name for name, job in content.items() if "script" in job]} == set(re.findall("`(.*?)`", names))
    assert content["default"]["image"] in page


@pytest.mark.slow
def test_a_worse_model_fails_the_job_and_the_comment_says_why(gitlab: GitLab, wines: Path, tmp_path: Path):
    author = Path(shutil.copytree(wines, tmp_path / "author", symlinks=True))
    check("git", "switch", "--quiet", "--create", "change", cwd=author)

    (author / "README.md").write_text("Another text.\n")
    commit(author)
    pipeline = Pipeline(gitlab, author, tmp_path)
    job = pipeline.run("pipeline")
    assert job.code == 0, job.output
    assert pipeline.run("comment").code == 0
    [body] = gitlab.bodies()
    assert "**May be merged:** the gate passes. **Reproduced:**" in first_lines(body)
    assert "7 stages ran, 0 came from a cache." in body
    assert report_in(body) in job.output
    assert f"git fetch origin {pipeline.commit}" in body

    change_params(author, train=boosting(max_iter=1, learning_rate=0.01))
    check("dvc", "repro", "--quiet", cwd=author)
    commit(author)
    pipeline = Pipeline(gitlab, author, tmp_path)
    job = pipeline.run("pipeline")
    assert job.code == 1, job.output
    assert re.search("^FAIL  no loss against the base", job.output, re.MULTILINE)
    assert pipeline.run("comment").code == 0
    [body] = gitlab.bodies()
    assert report_in(body).startswith("## Worse: ")
    assert "**May not be merged:** the gate fails (" in first_lines(body)
    assert pipeline.commit[:12] in body

    # A stale lock: the patch is in the comment, and the command that gets it names the job.
    change_params(author, train=boosting(max_iter=20, learning_rate=0.3))
    commit(author)
    pipeline = Pipeline(gitlab, author, tmp_path)
    job = pipeline.run("pipeline")
    assert job.code == 1, job.output
    assert pipeline.run("comment").code == 0
    [body] = gitlab.bodies()
    assert "**Stale:**" in first_lines(body)
    download = f"glab api projects/:id/jobs/{job.number}/artifacts/report.patch > report.patch"
    assert f"{download} && git apply --index report.patch && git commit" in body


@pytest.mark.slow
def test_a_pipeline_that_breaks_fails_and_its_stages_see_no_token(gitlab: GitLab, wines: Path, tmp_path: Path):
    author = Path(shutil.copytree(wines, tmp_path / "author", symlinks=True))
    module = author / "src/stages/train.py"
    seen = tmp_path / "seen"
    spies = f"    import os, pathlib; pathlib.Path({str(seen)!r}).write_text(str(dict(os.environ)))\n    1 / 0\n"
    module.write_text(module.read_text().replace("def main() -> None:\n", f"def main() -> None:\n{spies}"))
    commit(author)
    pipeline = Pipeline(gitlab, author, tmp_path)
    assert pipeline.run("pipeline").code == 1
    assert "CI_JOB_ID" in seen.read_text()
    assert TOKEN not in seen.read_text()
    assert pipeline.run("comment").code == 0
    [body] = gitlab.bodies()
    assert report_in(body).startswith("## The pipeline fails in the stage `train`\n")


@pytest.mark.slow
def test_the_projects_own_tests_pass_in_their_job(gitlab: GitLab, wines: Path, tmp_path: Path):
    job = Pipeline(gitlab, wines, tmp_path).run("test")
    assert job.code == 0, job.output
    assert "passed" in job.output
