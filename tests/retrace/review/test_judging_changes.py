"""A change is harmless only if it is known to be; what judges it is named, and so is code."""

from pathlib import Path

import pytest

from retrace.review.judging_changes import find_touched
from retrace.review.revision import FOLDER, Revision
from tests.conftest import check, commit


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with parameters and a file in a submodule's place."""
    check("git", "init", "--quiet", cwd=tmp_path)
    (tmp_path / "params.yaml").write_text("gate: {floor: 0.7}\ntrain: {seed: 1, refits: 5}\n")
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(file: Path, text: str = "x") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


HARMLESS = [
    *("README.md", "docs/a.md", "src/a.md", "docs/a/b.png", "metrics/scores.json"),
    *("metrics/curves/roc.csv", "dvc.lock", "data/source/table.csv", "data/source/flights.sha256"),
    *("search/trials.csv", "search/importance.csv", "search/dvc.lock"),
]
IS_CODE = [
    *("src/stages/train.py", "src/datasets/mine.py", "src/text/tokens.py", "requirements.txt"),
    *("requirements-dev.in",),
]
JUDGES = [
    *("retrace/review/gate.py", "retrace/scores.py", "retrace/resamples.py", "src/__init__.py", "src/metrics.py"),
    *("src/stages/split.py", "src/stages/evaluate.py", "src/stages/validate.py", "src/Stages/split.py"),
    *("retrace/adopt/plan.py", "Retrace/gate.py", "retrace.py", "src/stages.py", "src/stages/split/__init__.py"),
    *("src/stages/evaluate.cpython-312-x86_64-linux-gnu.so", "retrace/review/__init__.py"),
    *(".github/workflows/pipeline.yml", "Makefile", "GNUmakefile", "makefile", "sklearn.py"),
    *("sklearn/__init__.py", "pyproject.toml", ".dvcignore", ".dvc/config", ".copier-answers.yml"),
    *("data/schema.yaml", ".gitattributes", "metrics/.gitattributes", "docs/.dvcignore", "docs/dvc.yaml"),
    *("src/stages/__init__.py", "src/.dvcignore", "src/dvc.yaml", "src/datasets/a.dvc", "src/datasets/mine.so"),
    *("docs/conf.py", "dvc.yaml", "metrics/__init__.py", "docs/a.dvc", "Docs/a.png", "README.MD"),
    *("tests/test_project.py", "conftest.py", "setup.cfg", "data/source/.gitignore", "data/source/a.py"),
    *("data/source/visits.sql", "data/source/visits.yaml"),  # to whom `make refresh` sends credentials, and which query
    *("data/a.csv", "requirements.txt/a", ".a.md", ".github/a.md", "search/dvc.yaml"),
]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([*HARMLESS, "data/source/a b/part.parquet"], ([], [])),
        (IS_CODE, ([], sorted(IS_CODE))),
        ([*JUDGES, "a\nb.md/c"], (sorted([*JUDGES, "a\nb.md/c"]), [])),
    ],
    ids=["harmless", "code", "what judges"],
)
@pytest.mark.parametrize("state", ["not in Git yet", "committed", "deleted"])
def test_a_changed_file_is_harmless_only_if_it_is_known_to_be(
    small: Path, names: list[str], found: tuple[list[str], list[str]], state: str
):
    base = Revision.of("HEAD")
    for name in names:
        put(small / name)
    here = FOLDER
    if state != "not in Git yet":
        commit(small)
        here = Revision.of("HEAD")
    if state == "deleted":
        base, here = here, base
    judges, code = find_touched(here, base)
    assert (sorted(judges), sorted(code)) == found


METRICS = """
import numpy as np
import src.losses
from retrace.project_metrics import ProjectMetric
from src.text import tokens
from .costs import euros
"""
IMPORTED = ["src/costs/__init__.py", "src/losses.py", "src/text/__init__.py", "src/text/tokens.py"]


@pytest.mark.parametrize("side", ["base", "change"])
def test_a_module_that_the_metrics_import_on_either_side_counts_as_judging(small: Path, side: str):
    without = "METRICS = {}\n"
    put(small / "src/metrics.py", METRICS if side == "base" else without)
    commit(small)
    for name in [*IMPORTED, "src/costs/tables.py", "src/other.py"]:
        put(small / name)
    put(small / "src/metrics.py", METRICS if side == "change" else without)
    commit(small)
    judges, code = find_touched(Revision.of("HEAD"), Revision.of("HEAD~1"))
    assert sorted(set(judges) - {"src/metrics.py"}) == IMPORTED
    assert code == ["src/costs/tables.py", "src/other.py"]


def test_metrics_that_are_not_python_are_named_themselves(small: Path):
    put(small / "src/metrics.py", "not Python")
    put(small / "src/losses.py")
    assert find_touched(FOLDER, Revision.of("HEAD")) == (["src/metrics.py"], ["src/losses.py"])


@pytest.mark.parametrize("committed", [False, True])
def test_links_and_submodules_count_as_judging_wherever_they_are(small: Path, committed: bool):
    put(small / "docs/params.yaml.txt", (small / "params.yaml").read_text())
    commit(small)
    base = Revision.of("HEAD")
    (small / "docs/a.md").symlink_to("../params.yaml")
    (small / "src").mkdir()
    (small / "src/linked.py").symlink_to("../README.md")
    (small / "params.yaml").unlink()
    (small / "params.yaml").symlink_to("docs/params.yaml.txt")
    if committed:
        commit(small)
        sha = check("git", "rev-parse", "HEAD", cwd=small).strip()
        check("git", "update-index", "--add", "--cacheinfo", f"160000,{sha},docs/module.md", cwd=small)
        check("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "x", cwd=small)
    judges, code = find_touched(Revision.of("HEAD") if committed else FOLDER, base)
    assert code == []
    assert {"docs/a.md", "src/linked.py", "params.yaml"} <= set(judges)
    assert ("docs/module.md" in judges) == committed


def test_a_renamed_file_is_named_by_both_names(small: Path):
    put(small / "Makefile", "all:\n" * 50)
    commit(small)
    (small / "docs").mkdir()
    (small / "Makefile").rename(small / "docs/a.md")
    commit(small)
    assert find_touched(Revision.of("HEAD"), Revision.of("HEAD~1")) == (["Makefile"], [])


@pytest.mark.parametrize(
    ("text", "judges"),
    [
        ("# a comment\ngate: {floor: 0.7}\ntrain: {seed: 1, refits: 5}\n", []),
        ("gate: {floor: 0.7}\ntrain: {seed: 2, refits: 5, model: a}\ndata: {read: {a: 1}, source: b}\n", []),
        ("gate: {floor: 0.7}\ntrain: {seed: 1, refits: 2}\n", ["train.refits"]),
        ("gate: {floor: 0.6}\ntrain: {seed: 1, refits: 5}\n", ["gate.floor"]),
        ("gate: []\ntrain: {seed: 1, refits: 5}\n", ["gate", "gate.floor"]),
        ("gate: {floor: 0.7}\ntrain:\n", ["train.refits"]),
        ("gate: {floor: 0.7}\ntrain: {seed: 1, refits: 5}\ndata: {target: a}\n", ["data.target"]),
        ("gate: {floor: 0.7}\ntrain: {seed: 1, refits: 5}\ndata: a\n", ["data"]),
        ("gate: {floor: 0.7}\ntrain: {seed: 1, refits: 5}\nmine: {key: 1}\n", ["mine.key"]),
        ("gate: {floor: 0.7}\ntrain: {seed: 1, refits: 5}\nsearch: {trials: 8}\n", []),
        ("[", ["gate.floor", "params.yaml", "train.refits"]),
        ("- a list\n", ["gate.floor", "params.yaml", "train.refits"]),
    ],
)
def test_a_parameter_is_harmless_only_if_it_is_known_to_be(small: Path, text: str, judges: list[str]):
    (small / "params.yaml").write_text(text)
    commit(small)
    assert sorted(find_touched(Revision.of("HEAD"), Revision.of("HEAD~1")).judging) == judges
    assert sorted(find_touched(FOLDER, Revision.of("HEAD~1")).judging) == judges


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("outs:\n- md5: abc\n  size: 1\n  path: table.csv\n", True),
        ("cmd: curl example\nouts:\n- path: table.csv\n", False),
        ("wdir: ../../src\nouts:\n- path: review\n", False),
        ("outs:\n- path: ../../retrace/review/gate.py\n", False),
        ("[", False),
        ("", False),
    ],
)
def test_a_pointer_to_data_is_harmless_only_if_it_is_nothing_more(small: Path, text: str, harmless: bool):
    put(small / "data/source/table.csv.dvc", text)
    commit(small)
    assert (find_touched(Revision.of("HEAD"), Revision.of("HEAD~1")) == ([], [])) == harmless
    check("git", "rm", "--quiet", "data/source/table.csv.dvc", cwd=small)
    commit(small)
    assert find_touched(Revision.of("HEAD"), Revision.of("HEAD~1")) == ([], [])
