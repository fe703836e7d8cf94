"""The errors that a user of the project may see, and the one way in which a name is printed."""

import re
from collections.abc import Callable

PARAMETER = "\0parameter\0"  # in the message of a ParameterError, the place of a parameter's name

Value = str | list[str] | None


def one_line(text: object) -> str:
    r"""Text from data, parameters, files or branches as one line that can only be read.

    What is not visible is written as an escape (`\n`, `\x1b`): line breaks, a terminal's commands, marks that change
    the direction of what follows. So is what GitHub's log takes for a command: `::` at the start of a line, and `##[`
    anywhere.
    """
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(text))
    return re.sub("^( *):(?=:)", r"\1\\x3a", shown).replace("##[", r"#\x23[")


class UserError(SystemExit):
    """A mistake in the parameters, the data or a file, told in one line (or in one for each of several mistakes).

    The message says what is wrong, in which file, column or key, and what to do. As a SystemExit it ends a stage with
    that line on standard error and exit code 1, without a traceback. Names in it are made safe (`one_line`).
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(one_line(line) for line in lines))


class ParameterError(UserError):
    """A mistake that a parameter causes or corrects.

    A stage calls the parameter by its key in params.yaml. Another caller may call it by another name: adopt by the
    option that sets it.

    Attributes:
        message: what is wrong and what to do, with PARAMETER in the place of each parameter's name.
        parameters: the keys of these parameters in params.yaml, such as `data.drop`, in the order of their places.
        value: what they are to be set to, where the message asks for a value.
    """

    def __init__(self, message: str, *parameters: str, value: Value = None) -> None:
        self.message, self.parameters, self.value = message, parameters, value
        file = "params.yaml: " if message.startswith(PARAMETER) else ""
        super().__init__(file + self.worded(_as_in_params_yaml))

    def worded(self, name_of: Callable[[str, Value], str]) -> str:
        """The message with the names that a caller gives to the parameters.

        Args:
            name_of: gives the name for a parameter's key and the value that it is to be set to, if there is one.
        """
        text, *rest = self.message.split(PARAMETER, len(self.parameters))
        for parameter, following in zip(self.parameters, rest, strict=False):
            text += name_of(parameter, self.value) + following
        return text


def _as_in_params_yaml(key: str, value: Value) -> str:
    if value is None:
        return key
    return f"{key}: [{', '.join(value)}]" if isinstance(value, list) else f"{key}: {value}"
