"""The one error that a user of the project may see, and the one way in which a name is printed."""

import re


def one_line(text: object) -> str:
    r"""Text from data, parameters, files or branches as one line that can only be read.

    What isn't visible is written as an escape (`\n`, `\x1b`): line breaks, a terminal's commands, marks that turn the
    direction of what follows. So is a sign of what GitHub's log takes for a command: `::` at a line's start, `##[`
    anywhere.
    """
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(text))
    return re.sub("^( *):(?=:)", r"\1\\x3a", shown).replace("##[", r"#\x23[")


class UserError(SystemExit):
    """A mistake in the parameters, the data or a file, told in one line (or in one for each of several mistakes).

    The message says what is wrong, in which file, column or key, and what to do. As a SystemExit it ends a stage
    with that line on standard error and exit code 1, without a traceback. Names in it are made safe (`one_line`).
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(one_line(line) for line in lines))
