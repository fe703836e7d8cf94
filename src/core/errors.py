"""The one error that a user of the project may see."""


class UserError(SystemExit):
    """A mistake in the parameters, the data or a file, told in one line.

    The message says what is wrong, in which file, column or key, and what to do. As a SystemExit it ends a stage
    with that line on standard error and exit code 1, without a traceback.
    """
