"""Predict for a server or another program, in a process of its own with the code of the package.

    python -m retrace.model_process model.zip     # in the folder in which the package is unpacked

The process first writes a line with a length, and JSON of that length: the package, and what its rows must hold. Then
it answers one request after the other. A request is a line `KIND LENGTH`, and JSON of that length. An answer has the
form of the first message. The kinds are:

- `rows`: an object with the list `rows`, each of which has the model's input columns.
- `raw`: the same, with rows as the data set's `prepare_request` takes them, if it has this function.
- `file`: a list of the paths of a Parquet file with the model's input columns, and of one to write the predictions to.

An answer has `predictions` and `warnings`, or `mistakes`, a message for each. Nothing that the model's code prints once
it's loaded is shown, because it could contain values of the rows.
"""

import os
import sys
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from pydantic_core import to_json

STDOUT, STDERR = 1, 2


def send(content: dict[str, Any], target: BinaryIO) -> None:
    """Write an answer: its length, and then its JSON."""
    body = to_json(content)
    target.write(b"%d\n" % len(body) + body)
    target.flush()


def main() -> None:
    answers_to = os.fdopen(os.dup(STDOUT), "wb")
    os.dup2(STDERR, STDOUT)  # what the project's modules print is no answer
    warnings.simplefilter("ignore")
    # Now, because they import the project's modules.
    from retrace.answers import Answers  # noqa: PLC0415
    from retrace.package import read_package  # noqa: PLC0415

    answers = Answers(read_package(Path(sys.argv[1]), trusted=True))
    send(answers.greeting(), answers_to)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDOUT)
    os.dup2(nowhere, STDERR)
    while line := sys.stdin.buffer.readline():
        kind, length = line.split()
        send(answers.answer(kind.decode(), sys.stdin.buffer.read(int(length))), answers_to)


if __name__ == "__main__":
    main()
