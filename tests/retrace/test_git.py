"""Git as users have it: their settings, hooks and repositories change no answer, or one line says what is wrong."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from retrace.git import git_names, git_or_none, git_status
from retrace.review.revision import Revision
from tests.conftest import ENVIRONMENT, change_params, check, commit, retrace, run

SETTINGS = """
[core]
    attributesFile = {folder}/attributes
    autocrlf = true
    excludesFile = {folder}/ignored
    hooksPath = {folder}/hooks
    pager = false
    safecrlf = true
[clone]
    defaultRemoteName = elsewhere
    rejectShallow = true
[color]
    ui = always
[commit]
    gpgSign = true
[diff]
    context = 0
    external = false
    mnemonicPrefix = true
    noprefix = true
    orderFile = {folder}/order
    relative = true
[init]
    defaultBranch = trunk
    templateDir = {folder}/template
[log]
    showSignature = true
[protocol "file"]
    allow = never
[push]
    default = nothing
[status]
    branch = true
    relativePaths = false
    short = true
    showUntrackedFiles = no
[submodule]
    recurse = true
"""
IGNORED = ["*.csv", "*.dvc", "*.json", "*.lock", "*.tsv", "*.yaml", "data/", "datasets/", "metrics/", "models/"]
HOOKS = ["post-checkout", "post-index-change", "pre-commit", "reference-transaction"]
PLAIN = [
    "git",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "commit.gpgSign=false",
    "-c",
    "user.name=A",
    "-c",
    "user.email=a@b",
]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has set all that there is to set."""
    folder = tmp_path / "settings"
    for hooks in (folder / "hooks", folder / "template/hooks"):
        hooks.mkdir(parents=True)
        for name in HOOKS:
            (hooks / name).write_text("#!/bin/sh\nexit 1\n")
            (hooks / name).chmod(0o755)
    (folder / "ignored").write_text("\n".join(IGNORED))
    (folder / "attributes").write_text("*.json eol=crlf\n")
    (folder / "order").write_text("params.yaml\n")
    (folder / "config").write_text(SETTINGS.format(folder=folder))
    return {"GIT_CONFIG_GLOBAL": str(folder / "config"), "GIT_DIFF_OPTS": "-u0", "GIT_ICASE_PATHSPECS": "1"}


def review(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    if not environment and arguments[0] != "rerun":  # what the pipeline prints isn't seen in this process
        return retrace(*arguments, cwd=project)
    return run(sys.executable, "-m", "retrace", *arguments, cwd=project, **environment)


@pytest.mark.slow
def test_settings_change_neither_the_report_nor_its_patch(copy_of, wine: Path, settings: dict[str, str]):
    project = copy_of(wine)
    change_params(project, evaluate={"slices": []})
    commit(project)
    review(project, "rerun", **settings)
    found = []
    for environment in ({}, settings):
        assert review(project, "report", "--base", "HEAD~1", **environment).returncode == 0
        found.append([(project / name).read_text() for name in ("report.md", "report.patch")])
    assert found[0] == found[1]
    check(*PLAIN, "stash", "--quiet", "--", "dvc.lock", "metrics", cwd=project)
    check(*PLAIN, "apply", "report.patch", cwd=project)
    assert "up to date" in check("dvc", "status", cwd=project)


def test_settings_keep_no_file_out_of_a_commit_and_change_no_byte(copy_of, wine: Path, settings: dict[str, str]):
    project = copy_of(wine)
    before = check("git", "ls-files", "-s", cwd=project)
    check("rm", "-rf", ".git", cwd=project)
    check(*PLAIN, "init", "--quiet", "--template=", cwd=project, **settings)
    check(*PLAIN, "add", "--all", cwd=project, **settings)
    assert check(*PLAIN, "ls-files", "-s", cwd=project, **settings) == before
    check(*PLAIN, "commit", "--quiet", "--message", "x", cwd=project, **settings)
    check("dvc", "repro", cwd=project, **settings)
    assert review(project, "verify-lock", **settings).stdout.startswith("as committed, and matching the inputs")
    table = project.parent / "other.csv"
    table.write_bytes((project / "data/source/wine.csv").read_bytes())
    check(sys.executable, "-m", "retrace", "adopt", str(table), "--target", "target", cwd=project, **settings)
    check(*PLAIN, "add", "--all", cwd=project, **settings)
    assert "data/source/other.csv.dvc" in check(*PLAIN, "ls-files", cwd=project, **settings)


def test_a_clone_has_the_same_bytes_with_any_line_ends(wine: Path, tmp_path: Path, settings: dict[str, str]):
    with_settings = ["-c", "protocol.file.allow=always", "clone", "--quiet", "--template="]
    check(*PLAIN, *with_settings, str(wine), str(tmp_path / "clone"), cwd=tmp_path, **settings)
    for name in check("git", "ls-files", cwd=wine).splitlines():
        assert (tmp_path / "clone" / name).read_bytes() == (wine / name).read_bytes(), name


@pytest.mark.slow
def test_variables_of_a_hook_lead_to_no_other_repository(copy_of, wine: Path, tmp_path: Path):
    """Git sets them for hooks and aliases; all that it lists point to another repository here."""
    project, other = copy_of(wine), tmp_path / "other"
    change_params(project, evaluate={"slices": []})
    commit(project)
    check("git", "init", "--quiet", str(other), cwd=tmp_path)
    (other / "file").write_text("")
    commit(other)
    listed = check("git", "rev-parse", "--local-env-vars", cwd=project).split()
    misleading = {name: str(other / ".git") for name in listed if not name.startswith("GIT_CONFIG")}
    assert "GIT_INDEX_FILE" in misleading
    assert review(project, "rerun", **misleading).returncode == 0
    assert review(project, "verify-lock", **misleading).stdout.startswith("stale\n  evaluate\n    evaluate.slices\n")
    assert review(project, "report", "--base", "HEAD~1", **misleading).returncode == 0
    assert "| `evaluate.slices` | `['target']` | `[]` |" in (project / "report.md").read_text()
    assert "metrics/slices.json" in (project / "report.patch").read_text()
    assert check("git", "ls-files", cwd=other) == "file\n"
    assert set(check("git", "status", "--porcelain", cwd=project).split()[::2]) == {"M"}


def test_settings_given_in_the_environment_are_the_users(wine: Path):
    """Who says so may trust a folder of another user's, there as in a file."""
    strange = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    trusted = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": str(wine)}
    assert review(wine, "verify-lock", **strange).returncode == 1
    assert review(wine, "verify-lock", **strange, **trusted).returncode == 0


COMMANDS = [
    ["retrace", "verify-lock"],
    ["retrace", "report", "--base", "HEAD"],
    ["retrace", "gate", "--base", "HEAD"],
    ["retrace", "rerun"],
    ["retrace", "reproduce"],
    ["retrace", "adopt", "../other.csv", "--target", "target"],
    ["src.stages.train"],
]


def remove(project: Path, name: str) -> None:
    check("rm", "-rf", name, cwd=project)


BROKEN: dict[str, tuple[Callable[[Path], object], dict[str, str], str]] = {
    "another owner": (
        Path.exists,
        {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"},
        "detected dubious ownership in repository",
    ),
    "broken head": (lambda project: (project / ".git/HEAD").write_text("x"), {}, "not a git repository"),
    "broken settings": (lambda project: (project / ".git/config").write_text("[x"), {}, "bad config line"),
    "no Git": (Path.exists, {"PATH": ""}, "git: not found; install Git, or put it on PATH"),
    "no repository": (lambda project: remove(project, ".git"), {}, "no Git commit here yet; `git init`"),
    "no commit": (lambda project: remove(project, ".git/refs/heads/main"), {}, "no Git commit here yet; `git init`"),
}


@pytest.mark.parametrize(
    ("command", "what"),
    [*((COMMANDS[0], what) for what in BROKEN), *((command, "another owner") for command in COMMANDS[1:])],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
def test_what_git_cannot_do_is_one_line_with_its_reason(copy_of, wine: Path, command: list[str], what: str):
    project = copy_of(wine)
    (project.parent / "other.csv").write_bytes((project / "data/source/wine.csv").read_bytes())
    breakage, environment, said = BROKEN[what]
    breakage(project)
    done = run(sys.executable, "-m", *command, cwd=project, **environment)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert (project / "dvc.lock").exists()


def test_a_folder_in_another_repository_is_refused_at_entry_and_its_pipeline_runs(copy_of, wine: Path):
    project = copy_of(wine)
    check("rm", "-rf", ".git", cwd=project)
    check("git", "init", "--quiet", cwd=project.parent)
    commit(project.parent)
    check("dvc", "repro", "--force", "--single-item", "train", cwd=project)
    check(sys.executable, "-m", "retrace", "scores", cwd=project)
    for command in (COMMANDS[0], COMMANDS[-2]):
        done = run(sys.executable, "-m", *command, cwd=project)
        assert done.returncode == 1
        assert done.stderr.startswith(
            f"{project}: a folder in the Git repository {project.parent}; the project needs its own"
        )
        assert done.stderr.count("\n") == 1
    check("git", "init", "--quiet", cwd=project)
    commit(project)
    assert review(project, "verify-lock").returncode == 0, "what the line advises helps"


def test_another_worktree_and_a_detached_head_are_like_any_other(wine: Path, tmp_path: Path, copy_of):
    project = copy_of(wine)
    check("git", "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"), cwd=project)
    assert review(tmp_path / "tree", "verify-lock").stdout.startswith("as committed, and matching the inputs")
    assert review(tmp_path / "tree", "report", "--base", "main").returncode == 0


@pytest.mark.parametrize(
    "name", ["two\nlines", 'a "quoted" one', "größe", "a\\b", " padded ", "*.csv", ":(glob)x", "-x"]
)
def test_a_file_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    check("git", "init", "--quiet", cwd=tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/other.csv").write_text("")
    (tmp_path / "folder" / name).write_bytes(b"content\r\n")
    monkeypatch.chdir(tmp_path)
    assert git_status(f"folder/{name}") == {f"folder/{name}": "??"}
    assert git_or_none("ls-files", "--error-unmatch", "--", f"folder/{name}") is None
    commit(tmp_path)
    assert f"folder/{name}" in git_names("ls-files", "-z")
    head = Revision.of("HEAD")
    assert head.read(f"folder/{name}") == b"content\r\n"
    assert f"folder/{name}" in head.files("folder")
    assert git_or_none("ls-files", "--error-unmatch", "--", f"folder/{name}") is not None


def test_a_name_that_is_not_utf_8_still_opens_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    check("git", "init", "--quiet", cwd=tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / os.fsdecode(b"\xff.csv")).write_text("content")
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    [name] = Revision.of("HEAD").files("folder")
    assert Path(name).read_text() == "content"
    assert Revision.of("HEAD").read(name) == b"content"


@pytest.mark.slow
def test_a_branch_may_be_named_like_a_file_or_a_command(copy_of, wine: Path):
    project = copy_of(wine)
    for name in ("metrics", "params.yaml", "größe", "a'b$(id)"):
        check("git", "branch", name, cwd=project)
        assert review(project, "report", "--base", name).returncode == 0
        assert f"(`{name}`)" in (project / "report.md").read_text()


@pytest.mark.slow
def test_a_base_that_a_force_push_has_removed_is_no_base_and_the_output_says_so(copy_of, wine: Path):
    project, gone = copy_of(wine), "0123456789" * 4
    said = "the base 01234567 is not in this repository; a force-push has removed it, or `git fetch` brings it"
    done = review(project, "gate", "--base", gone)
    assert said in done.stdout
    assert review(project, "report", "--base", gone).returncode == 0
    assert f"Nothing to compare with: ``{said}``." in (project / "report.md").read_text()
    github, gitlab = {"GITHUB_EVENT_NAME": "pull_request"}, {"CI_PIPELINE_SOURCE": "merge_request_event"}
    for name, environment in ((gone[:-1], {}), (gone, github), (gone, gitlab)):
        done = review(project, "gate", "--base", name, **environment)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"{name}: no such revision in this repository; ")
    assert review(project, "report", "--head", gone).returncode == 1
    assert "no upstream configured for branch 'main'" in review(project, "report", "--base", "@{upstream}").stderr


@pytest.mark.slow
def test_reproduce_in_a_hook_of_a_worktree_leaves_commit_and_branch_as_they_are(
    copy_of, wine: Path, tmp_path: Path, settings: dict[str, str]
):
    project, tree = copy_of(wine), tmp_path / "tree"
    hook = project / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    variable = f"GIT_CONFIG_GLOBAL={settings['GIT_CONFIG_GLOBAL']}"
    hook.write_text(f"#!/bin/sh\n{variable} exec {sys.executable} -m retrace reproduce\n")
    hook.chmod(0o755)
    check("git", "worktree", "add", "--quiet", "-b", "change", str(tree), cwd=project)
    (tree / "README.md").write_text("Another text.\n")
    command = [*PLAIN[:1], *PLAIN[3:], "commit", "--all", "--message", "x"]
    done = subprocess.run(command, cwd=tree, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "reproduced: the same to the byte" in done.stdout + done.stderr
    assert check("git", "symbolic-ref", "HEAD", cwd=tree) == "refs/heads/change\n"
    assert check("git", "diff", "--name-status", "HEAD~1", "HEAD", cwd=tree) == "M\tREADME.md\n"
    assert check("git", "status", "--porcelain", cwd=tree) == ""
