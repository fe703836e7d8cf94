"""Advice is followed to the letter, and what it was given for is then all right."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import IDENTITY, ROOT, change_params, check, commit, retrace, run
from tests.retrace.review.small import edit

COMMAND = r"`((?:dvc|git|make|python -m) [^`]+)`"
REVIEW = f"{sys.executable} -m retrace"
LOCK, SCORES, GATE = f"{REVIEW} verify-lock", f"{REVIEW} scores", f"{REVIEW} gate"


def shell(project: Path, command: str) -> subprocess.CompletedProcess[str]:
    """A command as somebody types it in the project; `git commit` opens an editor, in which they write a word."""
    if command in (LOCK, SCORES, GATE):
        return retrace(command.removeprefix(f"{REVIEW} "), cwd=project)
    written = {"GIT_EDITOR": "echo message >"}
    if not (project / ".venv").exists():
        (project / ".venv").symlink_to(ROOT / ".venv")
        with (project / ".git/info/exclude").open("a") as excluded:
            excluded.write("/.venv\n")
    if command.startswith("make "):
        command = f"make --old-file=.venv/installed {command.removeprefix('make ')}"  # which is there
    return run("sh", "-c", command, cwd=project, **written, **IDENTITY)


def committed(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """A change that is committed without its results."""

    def changed(project: Path) -> None:
        change(project)
        commit(project)

    return changed


def other_bytes(project: Path) -> None:
    """Results that the pipeline doesn't make, committed with a dvc.lock that records them; then the pipeline runs."""
    edit(project / "metrics/scores.json", '"log_loss": 0.', '"log_loss": 0.9')
    check("dvc", "commit", "--force", "dvc.yaml", cwd=project)
    commit(project)
    shutil.rmtree(project / ".dvc/cache/runs")
    shell(project, f"{REVIEW} rerun")


def table_under_dvc(project: Path) -> None:
    """A table that DVC keeps, and that isn't here."""
    check("git", "rm", "--quiet", "--cached", "data/source/wine.csv", cwd=project)
    check("dvc", "add", "--quiet", "data/source/wine.csv", cwd=project)
    (project / "data/source/wine.csv").unlink()


def remove(name: str) -> Callable[[Path], None]:
    return lambda project: (project / name).unlink()


def broken(name: str) -> Callable[[Path], None]:
    def breaks(project: Path) -> None:
        (project / name).unlink()
        (project / name).write_bytes(b"{")

    return breaks


def slices(project: Path) -> None:
    change_params(project, evaluate={"slices": []})


def code(project: Path) -> None:
    (project / "src/stages/evaluate.py").open("a").write("# \n")


def stage(name: str) -> str:
    return f"{sys.executable} -m src.stages.{name}"


# What happened, the command that gives advice, its words, and the command that succeeds once it has been followed.
SITUATIONS: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "parameters": (slices, LOCK, "but the folder has changed since", LOCK),
    "parameters, committed": (committed(slices), LOCK, "stale", LOCK),
    "code, committed": (committed(code), LOCK, "stale", LOCK),
    "a result edited": (committed(broken("metrics/data.json")), LOCK, "not reproduced", LOCK),
    "a result missing": (committed(remove("metrics/data.json")), LOCK, "not reproduced", LOCK),
    "other bytes": (other_bytes, LOCK, "not reproduced", LOCK),
    "dvc.lock broken": (broken("dvc.lock"), LOCK, "brings the committed one back", LOCK),
    "dvc.lock missing": (committed(remove("dvc.lock")), LOCK, "not in the commit", LOCK),
    "dvc.lock missing here": (remove("dvc.lock"), LOCK, "not in the folder", LOCK),
    "stale scores": (slices, GATE, "FAIL  stale", f"! {GATE} | grep stale"),
    "scores broken": (broken("metrics/evaluation.json"), SCORES, "not what evaluate writes", SCORES),
    "no scores": (lambda project: shutil.rmtree(project / "metrics"), SCORES, "no results yet", SCORES),
    "no model": (remove("models/model.skops"), stage("evaluate"), "no such file", stage("evaluate")),
    "a model broken": (
        broken("models/model.skops"),
        stage("evaluate"),
        "damaged or incomplete",
        stage("evaluate"),
    ),
    "no table": (remove("data/prepared.parquet"), stage("split"), "no such file", stage("split")),
    "a table broken": (broken("data/prepared.parquet"), stage("split"), "not a whole Parquet", stage("split")),
    "no raw tables": (
        lambda project: shutil.rmtree(project / "data/raw"),
        stage("prepare"),
        "no tables yet",
        stage("prepare"),
    ),
    "no source": (table_under_dvc, stage("ingest"), "may bring it", stage("ingest")),
    "no parameters": (remove("params.yaml"), stage("ingest"), "no such file", stage("ingest")),
    "parameters without sections": (broken("params.yaml"), "python -m retrace check", "not valid", "true"),
    "dvc.yaml broken": (broken("dvc.yaml"), LOCK, "shows where", "true"),
}


# Situations in which the same line of code gives the same advice as in another one.
SLOW = {"parameters", "code, committed", "a result missing", "other bytes", "scores broken", "no model", "no table"}


@pytest.mark.parametrize(
    "situation", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in SITUATIONS]
)
def test_advice_is_good(copy_of, wine: Path, situation: str):
    happens, command, words, good = SITUATIONS[situation]
    project = copy_of(wine)
    happens(project)
    done = shell(project, command)
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert words in printed
    assert "Traceback" not in printed
    for path in re.findall(r"(\S+): not a whole [^;]+; delete it", printed):
        (project / path).unlink()
    follow(project, printed)
    done = shell(project, good)
    assert done.returncode == 0, printed + done.stdout + done.stderr


def follow(project: Path, printed: str) -> None:
    """Do what is advised; of two ways that may help, the first that does."""
    for advised in re.findall(COMMAND, printed):
        done = shell(project, advised)
        if "--dry" not in advised:  # it's to show an error
            assert done.returncode == 0, (advised, printed, done.stdout, done.stderr)
        if "` or `" in printed:
            return


def test_a_result_that_no_stage_makes_is_to_be_deleted(copy_of, wine: Path):
    project = copy_of(wine)
    (project / "metrics/more.json").write_text("{}\n")
    commit(project)
    printed = shell(project, LOCK).stdout
    assert "metrics: metrics/more.json\n    no stage in dvc.yaml makes it: delete it" in printed
    (project / "metrics/more.json").unlink()
    follow(project, printed)
    assert shell(project, LOCK).returncode == 0


@pytest.mark.slow
def test_the_reports_patch_and_advice_bring_the_results_in_line(copy_of, wine: Path):
    project = copy_of(wine)
    committed(slices)(project)
    printed = shell(project, f"{REVIEW} report && cat report.md").stdout
    assert "**Stale:**" in printed
    clone = Path(shutil.copytree(project, project.parent / "clone", symlinks=True))
    follow(project, printed)
    assert not shell(project, "git add --all && git commit").returncode
    assert shell(project, LOCK).returncode == 0

    shell(clone, f"{REVIEW} rerun && {REVIEW} report")
    shutil.copy(clone / "report.patch", clone.parent)
    offered = re.search(r"### The patch\n\n```console\n(.*)\n```", (clone / "report.md").read_text())[1]
    assert not shell(clone, offered).returncode
    assert shell(clone, LOCK).returncode == 0

    other = clone.parent / "other"
    check("git", "clone", "--quiet", "--no-hardlinks", str(clone), str(other), cwd=clone)
    check("git", "reset", "--quiet", "--hard", "HEAD~1", cwd=other)
    shutil.copy(clone.parent / "report.patch", other)
    downloaded = workflows_commands().split(" && ", 1)[1]
    assert not shell(other, downloaded).returncode
    assert shell(other, LOCK).stdout.startswith("as committed")


def workflows_commands() -> str:
    """What the report says on GitHub of its patch."""
    module = (ROOT / "retrace/review/report/see_it_yourself.py").read_text()
    return re.search(r'command = f"(gh run download .*)"', module)[1]


# Advice that other tests follow, or that depends on what isn't here.
ELSEWHERE = {
    "dvc checkout --force {}": "tests/retrace/adopt/test_refresh.py",
    "dvc add FILE": "tests/retrace/review/test_verify.py",
    "dvc remote list": "shows names",
    "dvc repro --force STAGE": "tests/retrace/review/test_verify.py",
    "dvc import-url": "tests/retrace/review/test_pipeline.py",
    "dvc push": "tests/template/test_remotes.py",
    "dvc add": "names the command that failed",
    "dvc {}": "names the command that failed",
    "git {}": "names the command that failed",
    "git restore dvc.yaml": "brings back a committed file",
    "git rm -r --cached -- {}": "tests/retrace/adopt/test_adopt.py",
    "make lock": "asks the package index for the packages that requirements.in names",
    "make push": "tests/template/test_remotes.py",
    "make serve": "docs/operating.md",
    "make update": "tests/template/test_template.py",
    "make deploy VERSION=1.0.0 STAGE={}": "docs/operating.md",
    "python -m retrace forget --older-than 36500": "tests/retrace/serving/test_log.py",
    "python -m retrace adopt": "tests/retrace/adopt/test_adopt.py",
    "dvc exp list --all": "shows names",
    "dvc pull": "tests/template/test_remotes.py",
    "dvc repro --force dvc.yaml": "tests/retrace/review/test_rerun.py",
    "dvc remove {}": "tests/template/test_tables.py",
    "git commit -m start": "tests/retrace/adopt/test_adopt.py",
    "git init": "tests/retrace/adopt/test_adopt.py",
    "git lfs pull": "Git LFS isn't here",
    "git stash": "tests/retrace/adopt/test_adopt.py",
    "git fetch": "tests/retrace/review/test_gate.py",
    "git fetch --unshallow": "tests/retrace/review/test_gate.py",
    "git restore {}": "brings back a committed file",
    "make install": "tests/test_makefile.py",
    "make reproduce": "tests/retrace/review/test_reproduce.py",
    "python -m retrace check": "says what is wrong",
    "python -m zipfile -e {} package": "unpacks a file",
    "dvc push dvc.yaml {}": "tests/retrace/release/test_release.py",
    "dvc repro {}": "names the command that failed",
    "git clean -fdq release": "tests/retrace/release/test_release.py",
    "python -m retrace problem": "tests/retrace/release/test_release.py",
    "git apply {}": "tests/retrace/search/test_search.py",
    "git config user.email ADDRESS": "says who somebody is",
    "git config user.name NAME": "says who somebody is",
    "git push --atomic origin HEAD {}": "tests/retrace/release/test_release.py",
    "git push origin {}": "pushes one tag",
    "git restore --staged --worktree release": "tests/retrace/release/test_release.py",
    "make deploy VERSION={}": "tests/retrace/release/test_release.py",
    "git reset --hard {}^1": "tests/retrace/review/test_verify_only.py",
    "git restore {}.dvc": "tests/retrace/adopt/test_refresh.py",
    "make refresh": "tests/retrace/adopt/test_refresh.py",
    "git restore params.yaml data": "tests/retrace/review/test_retrain.py",
    "make retrain": "tests/retrace/review/test_retrain.py",
    "dvc update": "names the command that failed",
    "make release": "tests/retrace/release/test_release.py",
    "make release VERSION=1.0.0": "tests/retrace/release/test_release.py",
    "python -m retrace freeze": "tests/test_pipeline.py",
}
FOLLOWED = {"dvc repro", "dvc checkout", "git add --all", "git commit", "make undo", "dvc repro --dry dvc.yaml"}


def advised_in(file: Path) -> set[str]:
    """The commands in backticks in a module's texts, without its docstrings."""
    tree = ast.parse(file.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node):
            docstrings.add(id(node.body[0].value))
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    found: set[str] = set()
    for node in ast.walk(tree):
        text = ""
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docstrings | inner):
            text = node.value
        found |= set(re.findall(COMMAND, text))
    return found


def test_no_advice_is_printed_that_nobody_has_followed():
    advised = set().union(*(advised_in(file) for top in ("retrace", "src") for file in (ROOT / top).rglob("*.py")))
    assert advised <= FOLLOWED | ELSEWHERE.keys(), "follow it in this file, or say where it is"
    assert advised >= FOLLOWED
