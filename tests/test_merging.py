"""Two branches with results of their own become one without hand work; the results are then right, or called stale."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo

from tests.conftest import IDENTITY, ROOT, boosting, change_params, check, commit, retrace, run
from tests.retrace.review.small import edit, inside

KEPT = "dvc.lock: results of the current branch are kept; next: dvc checkout --allow-missing, dvc repro, "


def install(project: Path) -> None:
    """`make install` with the packages of the tests."""
    (project / ".venv").symlink_to(ROOT / ".venv")
    repository = Path(check("git", "rev-parse", "--show-toplevel", cwd=project).strip())
    (repository / ".git/info/exclude").write_text(".venv\n")
    check("make", "--old-file=.venv/installed", "install", cwd=project)


def git(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run("git", *words, cwd=project, GIT_EDITOR="true", **IDENTITY)


def changed(project: Path, branch: str, start: str, change: Callable[[Path], object]) -> None:
    """A branch with a change and its results."""
    check("git", "switch", "--quiet", "--create", branch, start, cwd=project)
    check("dvc", "checkout", "--quiet", cwd=project)
    change(project)
    check("dvc", "repro", "--quiet", cwd=project)
    commit(project)


@pytest.fixture(scope="module")
def branches(wine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose branches `left` and `right` have other parameters and other results than `main`."""
    project = Path(shutil.copytree(wine, tmp_path_factory.mktemp("merging") / "wine", symlinks=True))
    changed(project, "left", "main", lambda project: change_params(project, evaluate={"resamples": 101}))
    changed(project, "right", "main", lambda project: change_params(project, train=boosting(max_iter=11)))
    return project


def is_stale(project: Path, stages: str) -> None:
    """Check that nothing is in conflict, and that both DVC and the tool name the stages whose results are old."""
    assert git(project, "status", "--porcelain").stdout == ""
    assert "<<<<<<<" not in (project / "dvc.lock").read_text()
    printed = retrace("verify-lock", cwd=project).stdout
    assert printed.startswith("stale\n")
    assert re.findall(r"^  (\w+)$", printed, re.M) == stages.split()
    with inside(project), Repo() as repo:
        assert repo.status(["dvc.yaml"]).keys() >= set(stages.split())


@pytest.mark.parametrize(
    ("start", "words", "stages"),
    [
        ("left", ["merge", "right"], "train evaluate"),
        pytest.param("right", ["merge", "left"], "evaluate", marks=pytest.mark.slow),
        ("right", ["rebase", "left"], "train evaluate"),
        pytest.param("left", ["cherry-pick", "right"], "train evaluate", marks=pytest.mark.slow),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_branch_brings_its_change_and_the_results_are_called_stale(
    copy_of, branches: Path, start: str, words: list[str], stages: str
):
    project = copy_of(branches)
    install(project)
    check("git", "switch", "--quiet", start, cwd=project)
    done = git(project, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count(KEPT) == 1
    is_stale(project, stages)
    of_one_side = git(project, "rev-parse", "HEAD:dvc.lock").stdout
    current = "left" if words[0] == "rebase" else start
    assert of_one_side == git(project, "rev-parse", f"{current}:dvc.lock").stdout


def test_a_result_that_one_side_alone_changed_is_not_taken_for_that_of_the_lock(copy_of, branches: Path):
    """Git takes it from the other side, without asking the driver; so it doesn't match the kept dvc.lock."""
    project = copy_of(branches)
    install(project)
    check("git", "switch", "--quiet", "left", cwd=project)
    assert git(project, "merge", "right").returncode == 0
    check("git", "checkout", "HEAD^1", "--", "params.yaml", cwd=project)  # the inputs of the kept dvc.lock
    commit(project)
    of_the_other = [name for name in differing(project, "HEAD^1^1") if name.startswith("metrics/")]
    assert of_the_other
    printed = retrace("verify-lock", cwd=project).stdout
    assert printed.startswith("not reproduced\n")
    named = re.findall(r"^  \w+: (.+)$", printed, re.M)
    assert all(any(name.startswith(output) for output in named) for name in of_the_other)


def differing(project: Path, branch: str) -> list[str]:
    return check("git", "diff", "--name-only", branch, cwd=project).splitlines()


def test_results_that_both_branches_added_are_those_of_the_current_one(copy_of, branches: Path):
    project = copy_of(branches)
    install(project)
    for branch in ("left", "right"):
        check("git", "switch", "--quiet", branch, cwd=project)
        (project / "metrics/more.json").write_text(f'"{branch}"\n')
        commit(project)
    assert git(project, "merge", "left").returncode == 0
    assert (project / "metrics/more.json").read_text() == '"right"\n'


@pytest.mark.slow
def test_git_stops_where_one_branch_deleted_a_result(copy_of, branches: Path):
    """Nothing is decided by the driver. Any answer will do, since the results are then called wrong."""
    project = copy_of(branches)
    install(project)
    check("git", "switch", "--quiet", "right", cwd=project)
    check("git", "rm", "--quiet", "metrics/bootstrap.csv", cwd=project)
    commit(project)
    done = git(project, "merge", "left")
    assert done.returncode == 1
    assert "CONFLICT (modify/delete): metrics/bootstrap.csv" in done.stdout
    commit(project)
    is_stale(project, "evaluate")


@pytest.mark.parametrize("folder", ["a worktree", "a subfolder"])
def test_the_driver_holds_in_a_worktree_and_in_a_project_below_the_repository(tmp_path: Path, folder: str):
    repository = tmp_path / "repository"
    project = repository / ("it's a project" if folder == "a subfolder" else "")
    project.mkdir(parents=True)
    check("git", "init", "--quiet", "--initial-branch", "main", cwd=repository)
    for name in (".gitattributes", "Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, project)
    for branch in ("main", "left", "right"):
        if branch != "main":
            check("git", "switch", "--quiet", "--create", branch, "main", cwd=repository)
        (project / "dvc.lock").write_text(f"{branch}\n")
        commit(repository)
    install(project)
    if folder == "a worktree":
        check("git", "worktree", "add", "--quiet", str(tmp_path / "tree"), "left", cwd=repository)
        project = tmp_path / "tree"
    else:
        check("git", "switch", "--quiet", "left", cwd=repository)
    done = git(project, "merge", "right")
    assert done.returncode == 0, done.stderr
    assert KEPT in done.stderr
    assert (project / "dvc.lock").read_text() == "left\n"


@pytest.mark.parametrize(
    ("start", "words", "going_on"),
    [
        ("left", ["merge", "right"], ["commit"]),
        pytest.param("right", ["rebase", "left"], ["rebase", "--continue"], marks=pytest.mark.slow),
    ],
    ids=["merge", "rebase"],
)
def test_without_the_driver_git_stops_and_mixes_nothing(
    copy_of, branches: Path, start: str, words: list[str], going_on: list[str]
):
    """As in a clone in which nobody has typed `make install`: two commands go on."""
    project = copy_of(branches)
    check("git", "switch", "--quiet", start, cwd=project)
    done = git(project, *words)
    assert done.returncode == 1
    assert "CONFLICT (content): Merge conflict in dvc.lock" in done.stdout
    assert "dvc.lock" not in differing(project, "left"), "the current branch's is in the folder"
    assert git(project, "add", "--all").returncode == 0
    assert git(project, *going_on).returncode == 0
    is_stale(project, "train evaluate")


def merged_as_in_the_manual(project: Path, branch: str) -> subprocess.CompletedProcess[str]:
    """Merge a branch into the current one by the commands that the manual shows, as if it were the origin's main."""
    check("git", "branch", "--force", "main", branch, cwd=project)
    check("git", "clone", "--quiet", "--bare", str(project), "../origin", cwd=project)
    check("git", "remote", "add", "origin", "../origin", cwd=project)
    page = (ROOT / "docs/review.md").read_text(encoding="utf-8")
    [commands] = re.findall(r"```sh\n(git fetch\n.*?)```", page, re.S)
    assert commands.endswith("git push\n")
    script = "set -e\n. .venv/bin/activate\n" + commands.removesuffix("git push\n")
    done = run("bash", "-c", script, cwd=project, **IDENTITY)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_the_pipeline_and_a_commit_put_it_right_and_a_change_can_be_taken_back(copy_of, branches: Path):
    project = copy_of(branches)
    install(project)
    check("git", "switch", "--quiet", "right", cwd=project)
    done = merged_as_in_the_manual(project, "left")
    assert KEPT in done.stderr
    assert retrace("verify-lock", cwd=project).stdout.startswith("as committed")
    assert git(project, "revert", "--no-edit", "HEAD~2").returncode == 0
    is_stale(project, "train evaluate")
    check("dvc", "repro", "--quiet", cwd=project)
    commit(project)
    assert retrace("verify-lock", cwd=project).stdout.startswith("as committed")
    assert check("git", "diff", "left", "--", "metrics", cwd=project) == ""


@pytest.mark.slow
@pytest.mark.parametrize("start", ["parameter", "table"])
def test_a_table_that_the_other_branch_brings_stays(copy_of, wine: Path, start: str):
    """`dvc repro` alone would write the hash of the table in the folder, the old one, into the merged .dvc file."""
    project = copy_of(wine)
    source = project / "data/source/wine.csv"
    check("git", "rm", "--quiet", "--cached", str(source), cwd=project)

    def keep(project: Path, rows: int) -> None:
        source.write_text("".join(source.read_text().splitlines(keepends=True)[: rows + 1]))
        check("dvc", "add", "--quiet", str(source), cwd=project)

    keep(project, 178)
    commit(project)
    changed(project, "table", "main", lambda project: keep(project, 150))
    changed(project, "parameter", "main", lambda project: change_params(project, evaluate={"resamples": 101}))
    install(project)
    check("git", "switch", "--quiet", start, cwd=project)
    check("dvc", "checkout", "--quiet", cwd=project)
    done = merged_as_in_the_manual(project, "table" if start == "parameter" else "parameter")
    assert KEPT in done.stderr
    assert len(source.read_text().splitlines()) == 151
    assert check("git", "diff", "table", "--", f"{source}.dvc", cwd=project) == ""
    assert "resamples: 101" in (project / "params.yaml").read_text()
    assert retrace("verify-lock", cwd=project).stdout.startswith("as committed")


def test_only_results_are_kept_from_one_side(tmp_path: Path):
    """Another file with merge=binary is its owner's to resolve, as without the driver."""
    project = tmp_path / "a project"
    loss = "metrics/learning/plots/metrics/train/loss.json"
    for name in (
        "metrics/scores.json",
        loss,
        "dvc.lock",
        "docs/picture.bin",
        "src/metrics/picture.bin",
        "not-dvc.lock",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    check("git", "init", "--quiet", "--initial-branch", "main", cwd=project)
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, project)
    more = "*.bin merge=binary\nnot-dvc.lock merge=binary\n"
    (project / ".gitattributes").write_text((ROOT / ".gitattributes").read_text() + more)
    commit(project)
    for branch in ("left", "right"):
        check("git", "switch", "--quiet", "--create", branch, "main", cwd=project)
        for file in [*project.rglob("*.json"), *project.rglob("*.bin"), *project.rglob("*.lock")]:
            file.write_text(f"{branch}\n")
        commit(project)
    install(project)
    done = git(project, "merge", "left")
    assert done.returncode == 1
    stopped = check("git", "diff", "--name-only", "--diff-filter=U", cwd=project).splitlines()
    assert stopped == ["docs/picture.bin", "not-dvc.lock", "src/metrics/picture.bin"]
    for file in (*stopped, "dvc.lock", "metrics/scores.json", loss):
        assert (project / file).read_text() == "right\n", "nothing is mixed"


@pytest.mark.slow
def test_a_lock_that_another_program_merged_line_by_line_is_found_by_the_rerun(copy_of, branches: Path):
    """As GitHub's merge may do. One branch changes code that has an effect only with the parameter of the other.

    Line by line, dvc.lock then records the inputs of both branches for the results of one of them.
    """
    project = copy_of(branches)
    more = "{'l2_regularization': 9} if train.arguments.get('max_iter') == 11 else {}"
    arguments = "support.arguments | train.arguments"
    changed(project, "code", "main", lambda _: edit(project / "src/model.py", arguments, f"{arguments} | ({more})"))
    (project / ".git/info/attributes").write_text("* merge\n")
    done = git(project, "merge", "right")
    assert done.returncode == 0, done.stdout
    check("dvc", "checkout", "--quiet", cwd=project)
    assert retrace("verify-lock", cwd=project).stdout.startswith("as committed"), "DVC can't know it"
    merge = check("git", "rev-parse", "HEAD", cwd=project)[:8]
    done = retrace("rerun", "--verify-only", cwd=project)
    assert done.returncode == 1
    assert f"  train: dvc.lock\n    probably merged line by line in {merge}\n" in done.stdout
    check(sys.executable, "-m", "retrace", "rerun", cwd=project)
    assert retrace("report", cwd=project).returncode == 0
    assert "**Not reproduced:** the same inputs gave other bytes" in (project / "report.md").read_text()
    check("git", "restore", "dvc.lock", "metrics", cwd=project)
    check("git", "apply", "report.patch", cwd=project)
    commit(project)
    assert retrace("verify-lock", cwd=project).returncode == 0
