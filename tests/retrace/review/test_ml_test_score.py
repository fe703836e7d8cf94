"""`python -m retrace score`: a test of the ML Test Score is earned only by evidence that ran, and that can fail."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from retrace.review.evidence import NO_SUCH_TEST, PASS, run_evidence, run_tests
from retrace.review.evidence import test_exists as exists
from retrace.review.ml_test_score import FILE, WHAT_TO_DO, Rubric, judge, print_criterion
from tests.conftest import ENVIRONMENT, IDENTITY, ROOT, check, retrace

RUBRIC = yaml.safe_load((ROOT / FILE).read_text())
CRITERIA = Rubric.model_validate(RUBRIC).criteria
WITH_EVIDENCE = [name for name, criterion in CRITERIA.items() if criterion.evidence]
NAMED = sorted({each for criterion in CRITERIA.values() for each in criterion.evidence if each.startswith("tests/")})


def score(project: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Without the variables of this pytest: the one that is started must not take itself for one of its processes."""
    environment = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "retrace", "score", *names]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def test_each_test_that_is_named_is_one_that_ci_runs():
    for name in NAMED:
        file, function = name.split("::")
        nodes = ast.parse((ROOT / file).read_text()).body
        [found] = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == function]
        assert "pytest.mark.slow" not in [ast.unparse(decorator) for decorator in found.decorator_list], name


def test_what_is_shown_fits_into_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)  # a project without any of the tests: they are n/a, and each fails if it's run
    for results in (run_evidence(NAMED), run_tests(NAMED), dict.fromkeys(NAMED, PASS)):
        capsys.readouterr()
        for name, criterion in CRITERIA.items():
            found = {each: results.get(each, PASS) for each in criterion.evidence}
            print_criterion(name, judge(criterion, found))
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    assert len(WHAT_TO_DO) <= 80


OWN_TESTS = """
import pytest


def test_good():
    pass


@pytest.mark.parametrize("number", [1, 2])
def test_bad(number):
    assert number == 1


def test_skipped():
    pytest.skip("no time")
"""


def rubric(**sections: list[dict[str, Any]]) -> str:
    """A rubric with these tests first in their sections, and the others without evidence."""
    none = {"name": "Nothing", "points": 0, "why": "nobody had time"}
    content = {name: (sections.get(name, []) + [none] * 7)[:7] for name in RUBRIC}
    return yaml.safe_dump(content)


def with_evidence(*evidence: str, points: float = 1) -> dict[str, Any]:
    why = {} if points == 1 else {"why": "half of it"}
    return {"name": "Something", "points": points, "evidence": list(evidence), "break": "rm params.yaml"} | why


@pytest.fixture
def project(copy_of, wine: Path) -> Path:
    copy: Path = copy_of(wine)
    (copy / "tests/test_mine.py").write_text(OWN_TESTS)
    return copy


def test_the_score_is_the_lowest_sum_of_points_whose_evidence_passes(project: Path):
    good = with_evidence("tests/test_mine.py::test_good", "true", "gate: baseline prior")
    half = with_evidence("true", points=0.5)
    (project / FILE).write_text(rubric(data=[good, half], model=[half], infrastructure=[good], monitoring=[good, half]))
    done = score(project)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"ML Test Score of late-flights at [0-9a-f]{7,} with uncommitted changes", lines[0])
    assert lines[2:8] == [
        "data",
        " 1    1  PASS  Something",
        "    break: rm params.yaml",
        " 2  0.5  PASS  Something",
        "               half of it",
        "    break: rm params.yaml",
    ]
    assert lines[8:10] == [" 3    0        Nothing", "               nobody had time"]
    assert lines[-3:] == [
        "data 1.5, model 0.5, infrastructure 1, monitoring 1.5, each out of 7",
        "Score: 0.5, the lowest of the four",
        "Not totally untested, but there may be serious holes.",
    ]
    assert max(map(len, lines)) <= 80


@pytest.mark.slow
def test_what_fails_is_skipped_or_is_not_there_earns_nothing(project: Path):
    evidence = {
        "false": ("FAIL", "false fails"),
        "tests/test_mine.py::test_bad": ("FAIL", "tests/test_mine.py: test_bad fails"),
        "tests/test_mine.py::test_skipped": ("FAIL", "tests/test_mine.py: test_skipped fails"),
        "gate: better than": ("FAIL", "log_loss better than baseline linear"),
        "tests/test_mine.py::test_none": ("n/a ", NO_SUCH_TEST),
        "tests/test_gone.py::test_none": ("n/a ", NO_SUCH_TEST),
        "gate: of each slice": ("n/a ", "the gate doesn't judge log_loss of each slice at most 0.9 here"),
    }
    rows = [with_evidence("true", each, "tests/test_mine.py::test_good") for each in evidence]
    (project / FILE).write_text(rubric(data=rows))
    done = score(project)
    assert done.returncode == 1
    for number, (word, told) in enumerate(evidence.values(), start=1):
        assert f" {number}    0  {word}  Something\n               {told}\n" in done.stdout
    assert "break" not in done.stdout
    assert done.stdout.count(WHAT_TO_DO) == 1
    (project / FILE).write_text(rubric(data=[with_evidence("gate: cheaper")]))
    alone = score(project, "data-1")
    assert alone.returncode == 0, "what isn't there doesn't fail"
    assert alone.stdout.endswith("n/a   Something\n               the gate has no rule cheaper\n")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (rubric(data=[with_evidence()]), "needs evidence and break if it has points"),
        (rubric(data=[with_evidence("true", points=0)]), "needs evidence and break if it has points"),
        (rubric(data=[with_evidence("true") | {"why": "x"}]), "needs why if it has less than a point"),
        (rubric(data=[with_evidence("true", points=0.7)]), "data.0.points: must be a multiple of 0.5, not 0.7"),
        (rubric() + "more: []\n", "more: unknown key"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, content: str, told: str):
    (tmp_path / "tests").mkdir()
    (tmp_path / FILE).write_text(content)
    done = retrace("score", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"{FILE}: ")
    assert told in done.stderr


def test_an_unknown_test_is_one_line():
    done = retrace("score", "data-8", cwd=ROOT)
    assert done.stderr == "data-8: must be data-1 to data-7, or of model, infrastructure or monitoring\n"


def test_a_test_within_a_class_or_another_name_is_not_taken_for_one():
    assert exists("tests/test_project.py::test_no_stage_reads_test")
    assert not exists("tests/test_project.py::test_no_stage_reads")


@pytest.mark.slow
def test_this_project_earns_what_it_says(copy_of, demo: Path):
    done = score(copy_of(demo))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("  PASS  ") == len(WITH_EVIDENCE)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_EVIDENCE)
def test_the_evidence_fails_after_the_command_that_breaks_it(copy_of, demo: Path, name: str):
    project = copy_of(demo)
    check("sh", "-c", CRITERIA[name].break_, cwd=project, **IDENTITY)
    done = score(project, name)
    assert done.returncode == 1, done.stderr
    assert "  FAIL  " in done.stdout
