"""Which of the 28 tests of the ML Test Score does this commit earn? `python -m retrace score` runs the evidence.

The tests are those of Breck, Cai, Nielsen, Salib and Sculley (2017), The ML Test Score: A Rubric for ML Production
Readiness and Technical Debt Reduction. tests/ml_test_score.yaml has them, with their evidence. As in the paper, each of
the four sections has a sum, and the score is the lowest of the four.
"""

import sys
import textwrap
from itertools import groupby
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from annotated_types import Len
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from retrace.command_line import make_parser
from retrace.errors import UserError, one_line
from retrace.git import git, git_status
from retrace.params import params_error, read_params
from retrace.review.evidence import NO_SUCH_TEST, Found, run_evidence
from retrace.yaml_files import read_yaml

FILE = Path("tests/ml_test_score.yaml")
WIDTH = 80
WHAT_TO_DO = f"For a missing test, write your own and name it in {FILE}."
# The paper's interpretation of a score above each of these, abridged.
MEANINGS = {
    5: "Exceptional levels of automated testing and monitoring.",
    3: "Strong levels of automated testing and monitoring.",
    2: "Reasonably tested, but more of the tests may be automated.",
    1: "A first pass at production readiness; more may be needed.",
    0: "Not totally untested, but there may be serious holes.",
}


class Criterion(BaseModel):
    """One of the 28 tests; tests/ml_test_score.yaml describes the keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    points: Annotated[float, Field(ge=0, le=1, multiple_of=0.5)]
    evidence: list[str] = []
    break_: str = Field("", alias="break")
    why: str = ""

    @model_validator(mode="after")
    def _has_what_its_points_need(self) -> Self:
        if bool(self.points) != bool(self.evidence) or bool(self.points) != bool(self.break_):
            raise ValueError("needs evidence and break if it has points, and neither if it has none")
        if (self.points < 1) != bool(self.why):
            raise ValueError("needs why if it has less than a point, and must not have it otherwise")
        return self


Seven = Annotated[list[Criterion], Len(7, 7)]


class Rubric(BaseModel):
    """The 28 tests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Seven
    model: Seven
    infrastructure: Seven
    monitoring: Seven

    @property
    def criteria(self) -> dict[str, Criterion]:
        """The tests by their names, such as data-1."""
        return {
            f"{section}-{number}": criterion
            for section in Rubric.model_fields
            for number, criterion in enumerate(getattr(self, section), start=1)
        }


class Earned(NamedTuple):
    """The points that one of the 28 tests earns, and why.

    Attributes:
        criterion: the test.
        points: how many.
        word: PASS, FAIL or n/a, as for a piece of evidence; empty if there is no evidence.
        told: what failed or isn't there.
    """

    criterion: Criterion
    points: float
    word: str
    told: str


def score(words: list[str]) -> None:
    """Show which of the 28 tests of the ML Test Score are earned, after running their evidence.

    It takes some minutes. With the names of tests, such as data-1, only these are run. The exit code is 1 if any
    evidence fails.
    """
    parser = make_parser("score", str(score.__doc__))
    parser.add_argument("tests", nargs="*", metavar="TEST", help="such as data-1; by default all 28")
    names = parser.parse_args(words).tests
    criteria = read_rubric().criteria
    for name in names:
        if name not in criteria:
            raise UserError(f"{one_line(name)}: must be data-1 to data-7, or of model, infrastructure or monitoring")
    chosen = {name: criterion for name, criterion in criteria.items() if not names or name in names}
    heading = title()
    found = run_evidence([each for criterion in chosen.values() for each in criterion.evidence])
    earned = {name: judge(criterion, found) for name, criterion in chosen.items()}
    print_wrapped(heading)
    for section, of_section in groupby(earned, key=lambda name: name.partition("-")[0]):
        print(f"\n{section}")
        for name in of_section:
            print_criterion(name, earned[name])
    if any(NO_SUCH_TEST in each.told for each in earned.values()):
        print()
        print_wrapped(WHAT_TO_DO)
    if not names:
        print_sums(earned)
    if any(each.word == "FAIL" for each in earned.values()):
        sys.exit(1)


def read_rubric() -> Rubric:
    """The 28 tests.

    Raises:
        UserError: the file is missing, or isn't valid.
    """
    if not FILE.is_file():
        raise UserError(f"{FILE}: no such file")
    content = read_yaml(FILE)
    try:
        return Rubric.model_validate(content)
    except ValidationError as error:
        raise params_error(error, content, FILE) from None


def judge(criterion: Criterion, found: dict[str, Found]) -> Earned:
    """What a test has earned, by its evidence."""
    if not criterion.evidence:
        return Earned(criterion, 0, "", "")
    for word in ("FAIL", "n/a"):
        told = [found[each].told for each in criterion.evidence if found[each].word == word]
        if told:
            return Earned(criterion, 0, word, "; ".join(dict.fromkeys(told)))
    return Earned(criterion, criterion.points, "PASS", "")


def title() -> str:
    """The project and the commit whose evidence ran."""
    changed = " with uncommitted changes" if git_status() else ""
    return f"ML Test Score of {read_params().problem.name} at {git('rev-parse', '--short', 'HEAD')}{changed}"


def print_criterion(name: str, earned: Earned) -> None:
    """Print a test: its points, what is missing for a whole one, and the command that breaks its evidence."""
    criterion = earned.criterion
    print_wrapped(criterion.name, f"{name[-1]:>2}  {earned.points:>3g}  {earned.word:<4}  ")
    for text in filter(None, (earned.told, criterion.why)):
        print_wrapped(text, " " * 15)
    if earned.word == "PASS":
        print(one_line(f"    break: {criterion.break_}"))  # a line to copy, so it isn't wrapped


def print_wrapped(text: str, before: str = "") -> None:
    """Print a text in lines that fit into a terminal.

    Args:
        text: the text.
        before: what is in front of its first line; the other lines are indented by as much.
    """
    print(textwrap.fill(one_line(text), WIDTH, initial_indent=before, subsequent_indent=" " * len(before)))


def print_sums(earned: dict[str, Earned]) -> None:
    """Print the sum of each section, and the score: the lowest sum."""
    sums = {
        section: sum(each.points for name, each in earned.items() if name.startswith(f"{section}-"))
        for section in Rubric.model_fields
    }
    lowest = min(sums.values())
    meaning = next((text for least, text in MEANINGS.items() if lowest > least), "More of a research project.")
    print(f"\n{', '.join(f'{section} {points:g}' for section, points in sums.items())}, each out of 7")
    print(f"Score: {lowest:g}, the lowest of the four", meaning, sep="\n")
