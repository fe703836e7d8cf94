"""Update the tables in docs/problem.md with the values of params.yaml: `python -m retrace problem`.

The page says what is predicted, for whom, and how good the model must be. Its text is the project's own. Its tables are
generated from params.yaml: each is between `<!-- params: NAME -->` and `<!-- end -->`, and NAME is a key of TABLES.
"""

import re
from collections.abc import Callable
from pathlib import Path

from retrace.command_line import make_parser
from retrace.errors import UserError, one_line
from retrace.files import write_bytes
from retrace.markdown import table
from retrace.params import Params, read_params
from retrace.scores import higher_is_better

PAGE = Path("docs/problem.md")
PLACE = re.compile(r"(<!-- params: ([^\n]*?) -->\n)(?:(?!<!-- ).)*(<!-- end -->)", re.DOTALL)
NONE = "none"
Row = tuple[str, str, str]  # what a parameter means, its value, and its key


def problem(words: list[str]) -> None:
    """Write the values of params.yaml into the tables of docs/problem.md.

    Raises:
        UserError: there is no such page, or it names an unknown table.
    """
    make_parser("problem", "Write the values of params.yaml into the tables of docs/problem.md.").parse_args(words)
    if not PAGE.is_file():
        raise UserError(f"{PAGE}: no such file")
    write_numbers(read_params())
    print(f"{PAGE}: has the values of params.yaml")


def write_numbers(params: Params) -> None:
    """Write the values of params.yaml into the page.

    Raises:
        UserError: the page names an unknown table.
    """
    filled = fill_tables(PAGE.read_text(encoding="utf-8"), params)
    write_bytes(filled.encode(), PAGE)


def require_current_tables(params: Params) -> None:
    """Check that the page, if there is one, has the values of params.yaml.

    Raises:
        UserError: it has others, names an unknown table, or a table has no end.
    """
    if not PAGE.is_file():
        return
    page = PAGE.read_text(encoding="utf-8")
    if fill_tables(page, params) != page:
        raise UserError(f"{PAGE}: differs from params.yaml; run `python -m retrace problem`, and commit it")


def fill_tables(page: str, params: Params) -> str:
    """The text of a page whose tables have the values of the parameters.

    Raises:
        UserError: the page names an unknown table, or a table has no end.
    """

    def fill(place: re.Match[str]) -> str:
        begins, name, ends = place.groups()
        if name not in TABLES:
            raise UserError(f"{PAGE}: params: {one_line(name)}: must be one of {', '.join(TABLES)}")
        rows = [(meaning, value, f"`{key}`") for meaning, value, key in TABLES[name](params)]
        return f"{begins}\n{table(['', 'value', 'parameter'], rows)}\n\n{ends}"

    filled, tables = PLACE.subn(fill, page)
    if tables != page.count("<!-- params: "):
        raise UserError(f"{PAGE}: each `<!-- params: NAME -->` needs a line `<!-- end -->` after its table")
    return filled


def prediction_rows(params: Params) -> list[Row]:
    """What is predicted, and what for."""
    problem = params.problem
    return [
        ("the question", one_line(problem.question), "problem.question"),
        ("the decision", one_line(problem.decision), "problem.decision"),
    ]


def costs_rows(params: Params) -> list[Row]:
    """What an error of each kind costs, and the threshold that follows."""
    costs = params.problem.costs
    if costs is None:
        return [("the cost of an error", NONE, "problem.costs")]
    return [
        ("acting when not needed (false positive)", number(costs.false_positive), "problem.costs.false_positive"),
        ("not acting when needed (false negative)", number(costs.false_negative), "problem.costs.false_negative"),
        ("act if the probability is at least", f"{costs.threshold:.4g}", "problem.costs"),
    ]


def gate_rows(params: Params) -> list[Row]:
    """What must hold before a merge."""
    gate = params.gate
    limit = "at least" if higher_is_better(gate.metric) else "at most"
    smallest = gate.smallest_difference[gate.metric]
    return [
        ("the metric", f"`{gate.metric}`", "gate.metric"),
        (f"{limit}, on all rows", number(gate.floor), "gate.floor"),
        (f"{limit}, on each slice", number(gate.slice_floor), "gate.slice_floor"),
        ("better than", ", ".join(f"`{name}`" for name in gate.baselines) or NONE, "gate.baselines"),
        ("the smallest difference that matters", number(smallest), f"gate.smallest_difference.{gate.metric}"),
    ]


def watch_rows(params: Params) -> list[Row]:
    """What is promised about alarms."""
    watch = params.watch
    return [
        ("probability of a false alarm in a year, at most", number(watch.false_alarms), "watch.false_alarms"),
        ("days until every label is known", number(watch.label_days), "watch.label_days"),
    ]


TABLES: dict[str, Callable[[Params], list[Row]]] = {
    "prediction": prediction_rows,
    "costs": costs_rows,
    "gate": gate_rows,
    "watch": watch_rows,
}


def number(value: float | None) -> str:
    """A number as params.yaml has it."""
    return NONE if value is None else f"{value:.12g}"
