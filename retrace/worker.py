"""Predict for a server or another program, in a process of its own with the code of the package.

    python -m retrace.worker model.zip     # in the folder in which the package is unpacked

Each message that the process writes is a line with a length in bytes, followed by JSON of that length. The first
message describes the package and the schema of its rows. Each later one answers a request. A request is a line
`TYPE LENGTH`, followed by JSON of that length. The types are:

- `rows`: an object with the list `rows`, each of which has the model's input columns.
- `raw`: the same, with rows as the data set's `prepare_request` takes them, if it has this function.
- `features`: the same as `raw`, but the answer has the features in place of predictions.
- `file`: a list of the paths of a Parquet file with the model's input columns, and of one to write the predictions to.

An answer has either `predictions` and `warnings`, or `errors`, a list of messages. For `file`, it has `rows`, their
number, in place of `predictions`; for `features`, it has `features`,
a list of rows. Nothing that the model's code prints once it's loaded is shown, because it could
contain values of the rows.
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
    answer_stream = os.fdopen(os.dup(STDOUT), "wb")
    os.dup2(STDERR, STDOUT)  # what the project's modules print must not mix with the answers
    warnings.simplefilter("ignore")
    # Only now, because these import the project's modules, which may print.
    from retrace.answers import Answers  # noqa: PLC0415
    from retrace.package import read_package  # noqa: PLC0415

    answers = Answers(read_package(Path(sys.argv[1]), trusted=True))
    send(answers.greeting(), answer_stream)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, STDOUT)
    os.dup2(devnull, STDERR)
    while line := sys.stdin.buffer.readline():
        kind, length = line.split()
        send(answers.answer(kind.decode(), sys.stdin.buffer.read(int(length))), answer_stream)


if __name__ == "__main__":
    main()
