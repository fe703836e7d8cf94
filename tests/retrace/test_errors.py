"""What a user is told is one line, which commands neither a terminal nor GitHub, whatever its names hold."""

import re
import sys
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrace.errors import PARAMETER, ParameterError, UserError, one_line
from retrace.markdown import code
from tests.conftest import change_params, commit, copy_project, run

HOSTILE = [
    "::error::x",
    "  ::add-mask::x",
    "##[error]x",
    "a ##[add-mask]x",
    "###[group]x",
    "\x1b]0;title\x07\x1b[31m",
    "a\r\n::error::x",
    "a\u2028::error::x",
    "a\x85::error::x",
    "\u00a0::error::x",
    "\u202eesrever",
    "\u2066isolated",
    "zero\u200bwidth",
    "\ufeff::error::x",
    "\udcff",
    "\x00",
]


def commands(line: str) -> bool:
    """Whether GitHub's runner reads a command in a line: as its ActionCommand.cs does, but for any name."""
    return bool(re.match(r"\s*::.*?::", line) or re.search(r"##\[.*?\]", line))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_harmless(text: str):
    for shown in (one_line(text), str(UserError(text)), code(text, 1000)):
        assert len(shown.splitlines()) == 1
        assert all(unicodedata.category(char)[0] not in "CZ" or char == " " for char in shown)
        assert not commands(shown)


@given(st.text())
def test_any_text_is_one_line_and_changes_only_if_it_must(text: str):
    shown = one_line(text)
    assert not commands(shown)
    assert shown.isprintable()
    assert one_line(shown) == shown
    if text.isprintable() and "::" not in text and "##[" not in text:
        assert shown == text


def test_several_mistakes_are_a_line_each():
    assert str(UserError("a\nb", "::error::c")) == "a\\nb\n\\x3a:error::c"


def test_a_parameter_is_called_by_its_key_and_at_the_start_with_its_file():
    assert (
        str(ParameterError(f"{PARAMETER}: no such column", "data.target")) == "params.yaml: data.target: no such column"
    )
    assert str(ParameterError(f"see {PARAMETER} or {PARAMETER}", "a", "b")) == "see a or b"
    assert str(ParameterError(f"set {PARAMETER}", "data.task", value="regression")) == "set data.task: regression"
    assert str(ParameterError(f"or {PARAMETER}", "data.drop", value=["{x}", "y"])) == "or data.drop: [{x}, y]"


@given(st.text(), st.text())
def test_the_names_in_an_errors_message_may_hold_anything(name: str, column: str):
    error = ParameterError(f"{name}: no column {column} ({PARAMETER})", "data.read.types")
    assert str(error).isprintable()
    assert "--type" in error.worded(lambda key, _: {"data.read.types": "--type"}[key])


def test_no_name_in_a_table_a_parameter_or_a_file_is_a_command(tmp_path: Path):
    project = copy_project(tmp_path / "project")
    rows = [[row, f"v{row % 7}", row % 2, *[row] * (len(HOSTILE) - 3)] for row in range(120)]
    names = [name for name in HOSTILE if name not in ("\x00", "\udcff", "a\x85::error::x")]  # no CSV file has these
    pd.DataFrame(rows, columns=["a", "b", "y", *names]).to_csv(tmp_path / "\x1b[31m::error::x.csv", index=False)
    (project / "data/source/::error::\n::error::x.csv.dvc").write_text("outs: []\n")
    commit(project)
    adopt = [sys.executable, "-m", "retrace", "adopt"]
    table = str(tmp_path / "\x1b[31m::error::x.csv")
    done = [
        run(*adopt, table, "--target", "y", cwd=project),
        run(*adopt, table, "--target", "::error::\x1b", cwd=project),
        run(sys.executable, "-m", "retrace", "report", "--base", "\x1b::error::\n::error::x", cwd=project),
    ]
    assert done[0].returncode == 0, done[0].stderr
    for stage in ("ingest", "validate", "prepare", "split", "describe"):
        done.append(run(sys.executable, "-m", f"src.stages.{stage}", cwd=project))
        assert done[-1].returncode == 0, done[-1].stderr
    change_params(project, **{"::error::x\n::error::y\x1b": {"by": 1}})
    done.append(run(sys.executable, "-m", "retrace", "check", cwd=project))
    for one in done:
        for line in (one.stdout + one.stderr).split("\n"):
            assert not line or line.isprintable()
            assert not commands(line)
