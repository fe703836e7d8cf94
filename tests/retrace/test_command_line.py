"""What `--help` shows fits into a terminal, and options are written out."""

import pytest

from retrace.__main__ import COMMANDS
from retrace.command_line import make_parser
from tests.conftest import ROOT, retrace


def test_the_paragraphs_of_a_docstring_are_wrapped():
    """The first line of it.

    And a second paragraph, which is so long that it doesn't fit into one line of a terminal that has 80 columns.
    """
    shown = make_parser("try", str(test_the_paragraphs_of_a_docstring_are_wrapped.__doc__)).format_help()
    assert "usage: python -m retrace try" in shown
    assert "\nThe first line of it.\n\nAnd a second paragraph, which" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_an_option_cannot_be_abbreviated(capsys: pytest.CaptureFixture[str]):
    parser = make_parser("try", "")
    parser.add_argument("--since")
    with pytest.raises(SystemExit):
        parser.parse_args(["--sin", "2026"])
    assert "unrecognized arguments: --sin" in capsys.readouterr().err


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"adopt"}))  # which shows its manual as it is
def test_the_help_of_each_command_fits_into_a_terminal(monkeypatch: pytest.MonkeyPatch, command: str):
    monkeypatch.setenv("COLUMNS", "80")
    shown = retrace(command, "--help", cwd=ROOT).stdout
    assert shown.startswith(f"usage: python -m retrace {command}")
    assert max(map(len, shown.splitlines())) <= 80
