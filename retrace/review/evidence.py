"""Run the evidence for the ML Test Score: tests, commands, and rules of the gate.

All tests run in one process of pytest, so that they share fixtures. What pytest and the commands print goes to
standard error.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple
from xml.etree import ElementTree

from retrace.review.comparable import read_sides
from retrace.review.gate import judge_change
from retrace.review.lock import find_problem
from retrace.review.revision import FOLDER

GATE = "gate: "
STDERR = 2
PROBLEMS = ("failure", "error", "skipped")  # of a test in pytest's report
NO_SUCH_TEST = "the evidence is a test that this project doesn't have"


class Found(NamedTuple):
    """The result of a piece of evidence.

    Attributes:
        word: PASS, FAIL, or n/a if it isn't in this project, or can't be judged.
        told: what failed or isn't there; empty if it passed.
    """

    word: Literal["PASS", "FAIL", "n/a"]
    told: str = ""


PASS = Found("PASS")


def run_evidence(evidence: Iterable[str]) -> dict[str, Found]:
    """Run each piece of evidence once.

    Args:
        evidence: as tests/ml_test_score.yaml describes it.
    """
    found = {}
    tests = []
    for each in dict.fromkeys(evidence):
        if each.startswith(GATE):
            found[each] = judge_rules(each.removeprefix(GATE))
        elif not each.startswith("tests/"):
            found[each] = run_command(each)
        elif test_exists(each):
            tests.append(each)
        else:
            found[each] = Found("n/a", NO_SUCH_TEST)
    return found | run_tests(tests)


def judge_rules(text: str) -> Found:
    """Whether all rules of the gate with a text in their name pass."""
    if problem := find_problem(FOLDER):
        return Found("FAIL", f"the results are {problem.word}")
    rules = [rule for rule in judge_change(read_sides(FOLDER, None)).rules if text in rule.name]
    if not rules:
        return Found("n/a", f"the gate has no rule {text}")
    if failed := [rule.name for rule in rules if rule.passes is False]:
        return Found("FAIL", ", ".join(failed))
    if not_judged := [rule.name for rule in rules if rule.passes is None]:
        return Found("n/a", f"the gate doesn't judge {', '.join(not_judged)} here")
    return PASS


def run_command(command: str) -> Found:
    """Whether a command exits with 0."""
    print(f"$ {command}", file=sys.stderr, flush=True)
    words = [sys.executable if word == "python" else word for word in shlex.split(command)]
    done = subprocess.run(words, stdout=STDERR, stderr=STDERR)
    return Found("FAIL", f"{command} fails") if done.returncode else PASS


def test_exists(name: str) -> bool:
    """Whether there is a test, such as tests/test_project.py::test_no_stage_reads_test."""
    file, _, function = name.partition("::")
    path = Path(file)
    return path.is_file() and re.search(rf"^def {function}\(", path.read_text(encoding="utf-8"), re.M) is not None


def run_tests(names: list[str]) -> dict[str, Found]:
    """Run tests; one that is skipped doesn't pass."""
    if not names:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "--quiet", f"--junitxml={report}", *names]
        print(f"$ pytest, {len(names)} tests", file=sys.stderr, flush=True)
        subprocess.run(command, stdout=STDERR, stderr=STDERR)
        passed = read_report(report) if report.is_file() else {}
    # Most names are too long for one line. With a space, the line breaks between the file and the function.
    return {name: PASS if passed.get(name) else Found("FAIL", f"{name.replace('::', ': ')} fails") for name in names}


def read_report(report: Path) -> dict[str, bool]:
    """Whether each test in pytest's report passed; a test with parameters passes if it does so with all of them."""
    passed: dict[str, bool] = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314  # pytest has just written it
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '').partition('[')[0]}"
        has_problem = any(case.find(problem) is not None for problem in PROBLEMS)
        passed[name] = passed.get(name, True) and not has_problem
    return passed
