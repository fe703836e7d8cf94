"""What pull requests are told: the workflow files, as they are, on pull requests as people and strangers make them.

`CML=/path/to/cml pytest tests/workflows` runs them with the real CML in the place of its stand-in.
"""

import hashlib
import re
import shutil
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from tests.conftest import ROOT, change_params, check, commit, run
from tests.workflows.github import READS
from tests.workflows.project import BIN, Host, Project, Run

PIPELINE = ROOT / ".github/workflows/pipeline.yml"
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
NEEDED = ["openssl"]
MISSING = [tool for tool in NEEDED if not shutil.which(tool)]
REPORT = {"number": b"7\n", "report.md": b"fine"}
HOSTILE = "<img src=x onerror=alert(1)> | @octocat [a](https://evil.example) ![b](https://evil.example/b) `c` ## d"
ZIZMOR = ["--offline", "--quiet", "--persona=auditor", "--min-severity=medium"]
needs_tools = pytest.mark.skipif(bool(MISSING), reason=f"the workflows need {', '.join(MISSING)}")


def first_lines(comment: str) -> str:
    """What stands before the first table."""
    return comment.partition("\n### ")[0]


def report_in(comment: str) -> str:
    """What the run wrote, without our own first line and CML's mark."""
    return comment.partition("\n\n")[2].split("![](")[0].strip()


def writes(run: Run) -> list[int]:
    """The status of each request to GitHub's REST interface that would change something."""
    return [asked.status for asked in run.requests if "/api/" in asked.path and asked.method != "GET"]


def change_train(project: Project, **arguments: object) -> None:
    """Change arguments of the estimator in the author's params.yaml."""
    train = yaml.safe_load((project.author / "params.yaml").read_text())["train"]
    change_params(project.author, train=train | {"arguments": train["arguments"] | arguments})


@pytest.fixture(scope="module")
def opened(host: Host, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Run, Run]:
    """A first pull request, with another learning rate, and the two runs that followed."""
    project = host(tmp_path_factory.mktemp("opened"))
    change_train(project, learning_rate=0.3)
    check("dvc", "repro", cwd=project.author)
    project.push()
    return project, *project.review()


@needs_tools
def test_a_first_pull_request_gets_one_comment(opened: tuple[Project, Run, Run]):
    project, pipeline, comment = opened
    assert pipeline.succeeded, pipeline.output
    assert comment.succeeded, comment.output
    assert writes(comment) == [201]
    assert [request.method for request in pipeline.requests if "/api/" in request.path] == []
    [body] = project.github.bodies(7)
    assert "**May be merged:** the gate passes. **Reproduced:**" in first_lines(body)
    assert "| `train.arguments.learning_rate` | `0.2` | `0.3` |" in body
    assert "2 stages ran, 5 came from a cache." in body
    first = body.split("\n")[0]
    assert re.fullmatch(rf"Commit {pipeline.head['sha']}: the pipeline succeeded, in \[run \d+\]\(https://.*", first)
    assert report_in(body) in pipeline.output  # the job's summary is the same text


@pytest.mark.slow
@needs_tools
def test_a_second_push_updates_the_same_comment_and_reruns_nothing(opened: tuple[Project, Run, Run]):
    project, *_ = opened
    [first] = project.github.bodies(7)
    (project.author / "README.md").write_text("Another text.\n")
    head = project.push()
    pipeline, comment = project.review()
    assert pipeline.succeeded, pipeline.output
    assert comment.succeeded, comment.output
    [body] = project.github.bodies(7)
    assert body != first
    assert head[:12] in body
    assert "0 stages ran, 7 came from a cache." in body


@needs_tools
def test_a_worse_model_turns_the_check_red_and_the_comment_says_why(project: Project):
    change_train(project, max_iter=2)
    check("dvc", "repro", cwd=project.author)
    project.push()
    pipeline, comment = project.review()
    assert not pipeline.succeeded
    assert pipeline.step("the gate fails") == "failure"
    assert pipeline.step("the committed results") == "success"
    assert comment.succeeded, comment.output
    [body] = project.github.bodies(7)
    assert report_in(body).startswith("## Worse: `roc_auc` ")
    assert "**May not be merged:** the gate fails (" in first_lines(body)
    assert "`no loss against the base`" in first_lines(body)
    assert "2 stages ran, 5 came from a cache." in body


@needs_tools
@pytest.mark.slow
def test_a_second_run_on_an_unchanged_pull_request_reuses_what_the_first_made(opened: tuple[Project, Run, Run]):
    project, *_ = opened
    kept = project.caches("refs/pull/7/merge")
    pipeline, _ = project.review()
    assert pipeline.succeeded, pipeline.output
    assert f"Cache restored from key: {[*kept][-1]}" in pipeline.output
    assert kept == project.caches("refs/pull/7/merge")  # nothing new to keep
    [body] = project.github.bodies(7)
    assert "0 stages ran, 7 came from a cache." in body


@needs_tools
@pytest.mark.slow
def test_a_merge_is_compared_with_what_was_there_and_main_keeps_its_own_results_only(project: Project):
    model = project.author / "models/model.skops"
    before = hashlib.md5(model.read_bytes()).hexdigest()
    change_train(project, learning_rate=0.3)
    check("dvc", "repro", cwd=project.author)
    commit(project.author)
    check("git", "push", "--quiet", str(project.origin), "HEAD:main", cwd=project.author)
    run = project.pushed(before=project.main)
    assert run.succeeded, run.output
    assert run.step("Delete the cached results") == "success"
    assert "| `train.arguments.learning_rate` | `0.2` | `0.3` |" in run.output
    first, last = project.caches("refs/heads/main").values()
    assert before in first
    assert before not in last
    assert hashlib.md5(model.read_bytes()).hexdigest() in last


@needs_tools
@pytest.mark.slow
def test_a_stale_lock_is_red_until_the_patch_in_the_comment_is_applied(project: Project):
    change_train(project, learning_rate=0.3)
    project.push()
    pipeline, comment = project.review()
    assert not pipeline.succeeded
    assert pipeline.step("the committed results") == "failure"
    assert comment.succeeded, comment.output
    [body] = project.github.bodies(7)
    assert "**May not be merged:**" in first_lines(body)
    stale = "**Stale:** inputs changed after the results were made: `train` (`train.arguments.learning_rate`)"
    assert stale in first_lines(body)

    patch = re.search(r"^(`{3,})diff\n(.*?)^\1$", body, re.MULTILINE | re.DOTALL)
    assert patch
    (project.folder / "patch").write_text(patch[2])
    check("git", "apply", str(project.folder / "patch"), cwd=project.author)
    commit(project.author)
    # The results that aren't in Git have to be made: the same ones, so that nothing is left to commit.
    check("dvc", "repro", cwd=project.author)
    assert check("git", "status", "--porcelain", cwd=project.author) == ""
    assert "up to date" in check("dvc", "status", cwd=project.author)

    project.push()
    pipeline, comment = project.review()
    assert pipeline.succeeded, pipeline.output
    assert comment.succeeded, comment.output
    [body] = project.github.bodies(7)
    assert "**Reproduced:**" in first_lines(body)
    assert "0 stages ran, 7 came from a cache." in body  # of the run that was red


@needs_tools
@pytest.mark.slow
def test_with_verify_only_no_stage_runs_and_the_storage_must_have_everything(project: Project):
    project.given = ["--var", "VERIFY_ONLY=true"]
    store = project.folder / "store"
    change_train(project, learning_rate=0.3)
    check("dvc", "repro", cwd=project.author)
    check("dvc", "remote", "add", "--quiet", "--default", "storage", str(store), cwd=project.author)
    check("dvc", "push", "--quiet", cwd=project.author)
    project.push()
    kept = project.caches("refs/pull/7/merge")
    pipeline, comment = project.review()
    assert pipeline.succeeded, pipeline.output
    assert pipeline.step("Run the pipeline") == ""
    assert "Running stage" not in pipeline.output
    assert project.caches("refs/pull/7/merge") == kept, "nothing new to keep"
    [body] = project.github.bodies(7)
    assert re.match(
        rf"Commit {pipeline.head['sha']}: VERIFY_ONLY is set, so no stage is rerun, and the check succeeded,", body
    )
    assert "**May be merged:** the gate passes. **Verified, not rerun:**" in first_lines(body)
    assert "eproduced" not in first_lines(body)
    assert "| `train.arguments.learning_rate` | `0.2` | `0.3` |" in body

    check("git", "push", "--quiet", str(project.origin), "HEAD:main", cwd=project.author)
    pushed = project.pushed(before=project.main)
    assert pushed.succeeded, pushed.output
    assert pushed.step("Verify the results") == "success"
    assert pushed.step("Run the pipeline") == pushed.step("Delete the cached results") == ""

    digest = hashlib.md5((project.author / "models/model.skops").read_bytes()).hexdigest()
    (store / "files/md5" / digest[:2] / digest[2:]).unlink()
    pipeline, comment = project.review()
    assert pipeline.step("the results are not verified") == "failure"
    assert pipeline.step("the gate fails") == "success"
    [body] = project.github.bodies(7)
    assert "and the check failed, in" in body.split("\n")[0]
    assert "the committed results aren't verified. **Not verified:** `models/model.skops` (`missing`)" in first_lines(
        body
    )

    assert comment.succeeded, comment.output


@needs_tools
@pytest.mark.slow
def test_a_pipeline_that_breaks_is_red_and_the_comment_shows_where(project: Project):
    module = project.author / "src/stages/train.py"
    module.write_text(module.read_text().replace("def main() -> None:\n", "def main() -> None:\n    1 / 0\n"))
    project.push()
    pipeline, comment = project.review()
    assert not pipeline.succeeded
    assert pipeline.step("Run the pipeline") == "failure"
    assert pipeline.step("the gate fails") == pipeline.step("the committed results") == ""
    assert comment.succeeded, comment.output
    [body] = project.github.bodies(7)
    assert report_in(body).startswith("## The pipeline fails in the stage `train`\n\n**May not be merged:**")
    assert "ZeroDivisionError: division by zero" in body
    assert "1 stage ran, 5 came from a cache." in body
    assert "| `train` | failed |" in body


@needs_tools
@pytest.mark.slow
def test_a_fork_needs_no_token_that_writes(project: Project):
    project.given = ["--var", "VERIFY_ONLY=true"]  # it counts for branches of the repository only
    (project.author / "README.md").write_text("A stranger's text.\n")
    project.push(fork=True)
    assert project.github.git("for-each-ref", "refs/heads") == f"{project.main} commit\trefs/heads/main"
    pipeline = project.pipeline(fork=True)
    assert pipeline.succeeded, pipeline.output
    assert pipeline.step("Run the pipeline") == "success"
    refused = project.comment(pipeline, token=READS)
    assert not refused.succeeded
    assert writes(refused) == [403]
    assert project.github.bodies(7) == []
    comment = project.comment(pipeline)
    assert comment.succeeded, comment.output
    [body] = project.github.bodies(7)
    assert ": the pipeline succeeded, in [run" in body.split("\n")[0]
    assert "**Reproduced:**" in first_lines(body)


@needs_tools
@pytest.mark.slow
def test_new_data_is_compared_row_by_row(project: Project):
    change_params(project.author, data={"read": {"first_month": 10, "last_month": 11}})
    check("dvc", "repro", cwd=project.author)
    project.push()
    _, comment = project.review()
    assert comment.succeeded, comment.output
    [body] = project.github.bodies(7)
    assert "| `data.read.last_month` | `10` | `11` |" in body
    added = r"26,\d{3} added \(2,\d{3} of them in `test`, which is held out: nothing here was scored on it\)"
    assert re.search(rf"28,\d{{3}} rows → 55,\d{{3}}: {added}, 0 removed, 0 with other values, 0 moved", body)
    assert "compared as independent" in body
    assert "**Reproduced:**" in first_lines(body)


@needs_tools
@pytest.mark.slow
def test_one_comment_is_kept_among_many_and_a_forged_one_is_left_alone(project: Project):
    (project.author / "README.md").write_text("Another text.\n")
    project.push()
    for index in range(120):
        project.github.post("7", f"comment {index}", by="someone")
    for text in (b"first", b"second"):
        comment = project.comment(project.artifact(REPORT | {"report.md": text}))
        assert comment.succeeded, comment.output
    assert [report_in(body) for body in project.github.bodies(7)[120:]] == ["second"]
    forged = project.github.bodies(7)[-1].replace("second", "forged")
    project.github.post("7", forged, by="mallory")
    comment = project.comment(project.artifact(REPORT | {"report.md": b"third"}))
    assert comment.succeeded, comment.output
    assert [report_in(body) for body in project.github.bodies(7)[120:]] == ["second", "forged", "third"]


@needs_tools
@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "links"),
    [
        pytest.param(None, {}, id="no artifact"),
        pytest.param({"number": b"7\n"}, {}, id="no report"),
        pytest.param({"number": b"7\n"}, {"report.md": "/proc/self/environ"}, id="a link for a report"),
    ],
)
def test_a_run_without_a_report_gets_a_short_comment(
    project: Project, files: dict[str, bytes] | None, links: dict[str, str]
):
    (project.author / "README.md").write_text("Another text.\n")
    project.push()
    comment = project.comment(project.artifact(files, links), outcome="timed_out")
    assert comment.succeeded, comment.output
    [body] = project.github.bodies(7)
    assert body.split("\n")[0].startswith(
        f"Commit {project.github.git('rev-parse', 'refs/pull/7/head')}: the pipeline timed out"
    )
    assert report_in(body) == "There is no report: the run ended before it wrote one. Its log says why."


@needs_tools
@pytest.mark.slow
@pytest.mark.parametrize("number", [b"8\n", b"9\n", b"$(id)"], ids=["another's", "nobody's", "a command"])
def test_nothing_is_posted_of_an_artifact_that_is_not_of_this_pull_request(project: Project, number: bytes):
    for other in (8, 7):
        (project.author / "README.md").write_text(f"Text {other}.\n")
        project.push(other, f"change-{other}" if other == 8 else "change")
    comment = project.comment(project.artifact(REPORT | {"number": number}))
    assert not comment.succeeded
    assert "::error::the artifact" in comment.output or "the artifact's number is not" in comment.output
    assert writes(comment) == []
    assert project.github.comments == {}


@needs_tools
@pytest.mark.slow
def test_a_forks_run_neither_uses_nor_saves_a_cache(project: Project):
    (project.author / "README.md").write_text("A stranger's text.\n")
    project.push(fork=True)
    before = sorted((project.folder / "caches").rglob("*"))
    for by in ("someone", "dependabot[bot]"):
        pipeline = project.pipeline(fork=by == "someone", by=by)
        assert pipeline.succeeded, pipeline.output
        assert [name for name in pipeline.steps if name.startswith(("Restore the results", "Save"))] == []
        assert "7 stages ran, 0 came from a cache." in pipeline.output
    assert sorted((project.folder / "caches").rglob("*")) == before


@needs_tools
@pytest.mark.slow
def test_nothing_runs_that_an_artifact_leaves_beside_the_report(project: Project):
    (project.author / "README.md").write_text("Another text.\n")
    project.push()
    planted = {f"../{name}.py": b"raise SystemExit('this ran')" for name in ("json", "re", "sitecustomize")}
    planted |= {f"../../{name}": b"raise SystemExit('this ran')" for name in ("json.py", "cml.js")}
    comment = project.comment(project.artifact(REPORT | planted | {"../report.md": b"another report"}))
    assert comment.succeeded, comment.output
    [body] = project.github.bodies(7)
    assert report_in(body) == "fine"


@needs_tools
@pytest.mark.slow
def test_a_hostile_branch_column_slice_and_parameter_are_only_text(project: Project):
    branch = f'x\';"$(touch${{IFS}}{project.folder}/ran)`touch${{IFS}}{project.folder}/ran`"|<b>@octocat'
    module = project.author / "src/datasets/flights.py"
    line = '            "origin": flights["origin"],\n'
    column = f'            {HOSTILE!r}: flights["origin"].replace("JFK", {HOSTILE!r}),\n'
    assert line in module.read_text()
    module.write_text(module.read_text().replace(line, line + column))
    change_params(
        project.author, problem={"question": HOSTILE}, evaluate={"resamples": 100, "slices": ["origin", HOSTILE]}
    )
    project.push(branch=branch)
    pipeline, comment = project.review(branch=branch)
    assert pipeline.step("Run the pipeline") == "success", pipeline.output
    assert comment.succeeded, comment.output
    [body] = project.github.bodies(7)
    assert "onerror" in body
    assert not (project.folder / "ran").exists()
    only_as_code(body)


def only_as_code(body: str) -> None:
    """Whether the hostile text stands in code alone, as Markdown is read."""
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    inner = [child for token in tokens for child in token.children or []]
    code = [token.content for token in [*tokens, *inner] if token.type in ("code_inline", "fence")]
    assert any("onerror" in content for content in code)
    for token in [*tokens, *inner]:
        if token.type in ("html_block", "html_inline"):
            assert re.fullmatch(r"(</?(details|summary)>|[\w ().,:;]|\n)*", token.content), token.content
        elif token.type == "text":
            assert not re.search("@|evil|onerror|octocat", token.content), token.content
        elif token.type == "image":
            assert str(token.attrs["src"]).startswith("https://cml.dev/watermark.png#")
        elif token.type == "fence" and token.info == "mermaid":
            assert not re.search(r"@|<|evil\.|onerror=", token.content), token.content
        elif token.type == "link_open":
            assert re.search(r"/someone/project/actions/runs/\d+$", str(token.attrs["href"])), "ours, to the run"


def test_the_workflow_files_are_valid_and_safe():
    shown = run(str(BIN / "actionlint"), cwd=ROOT)
    assert (shown.returncode, shown.stdout) == (0, "")
    shown = run(str(BIN / "zizmor"), *ZIZMOR, ".github", cwd=ROOT)
    assert shown.returncode == 0, shown.stdout


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_can_be_read_from_top_to_bottom_and_each_action_is_one_commit(file: Path):
    text = file.read_text()
    assert max(len(line) for line in text.splitlines()) <= 120
    assert not re.search(r": [{\[](?!\})", text), "a mapping or list on one line"
    for job in yaml.safe_load(text)["jobs"].values():
        for step in job["steps"]:
            assert step.get("name"), step
            assert step.get("run", "").count("\n") <= 3, "a program belongs in a module, where it's tested"
    uses = [line for line in text.splitlines() if "uses:" in line]
    assert uses
    for line in uses:
        assert re.search(r"uses: [\w-]+(/[\w-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line
    for ignored in re.findall("zizmor: ignore.*", text):
        assert re.fullmatch(r"zizmor: ignore\[[a-z-]+\] \w.{20,}", ignored), "an ignore without a reason"


def test_the_environment_is_saved_before_a_stage_can_change_it():
    steps = [step["name"] for step in yaml.safe_load(PIPELINE.read_text())["jobs"]["pipeline"]["steps"]]
    names = ("Install the env", "Save the env", "Restore the results", "Run the pipeline", "Save the results")
    places = [next(at for at, step in enumerate(steps) if step.startswith(name)) for name in names]
    assert places == sorted(places)
    assert places[1] == places[0] + 1
    assert "/cache@" not in PIPELINE.read_text(), "actions/cache saves when the job ends"


def test_the_workflow_that_comments_takes_its_program_from_the_default_branch_only():
    content = yaml.safe_load((ROOT / ".github/workflows/comment.yml").read_text())
    assert content["permissions"] == {}
    [job] = content["jobs"].values()
    assert job["permissions"] == {"actions": "read", "contents": "read", "pull-requests": "write"}
    ours, cml = (step["with"] for step in job["steps"] if "/checkout@" in step.get("uses", ""))
    assert ours["ref"] == "${{ github.event.repository.default_branch }}"
    assert "repository" not in ours
    assert re.fullmatch("[0-9a-f]{40}", cml["ref"])
    with_token = [step["name"] for step in job["steps"] if "REPO_TOKEN" in step.get("env", {})]
    assert with_token == ["Post the comment"]


def test_the_workflow_that_runs_a_strangers_code_may_read_and_knows_no_secret():
    text = PIPELINE.read_text()
    assert "secrets" not in text
    content = yaml.safe_load(text)
    assert content["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in content["jobs"].values())
