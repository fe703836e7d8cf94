"""Run DVC without its hints on what to do next.

    python -P retrace/dvc_without_hints.py repro dvc.yaml

After `dvc repro`, DVC suggests `git add` and `dvc push`. The commands of this tool say themselves what comes next, and
it may be something else. DVC's progress and errors are shown.

This file is run by its path, and imports no other module of the tool.
"""

import logging
import sys
from typing import Any

from dvc.cli import main
from dvc.repo import scm_context
from dvc.ui import ui

HINT_TO_PUSH = "Use `dvc push` to send your updates to remote storage."


def silence_hints() -> None:
    """Keep DVC in this process from printing its hints."""
    scm_context.logger.setLevel(logging.WARNING)  # it suggests `git add` at the level INFO
    write = ui.write

    def write_unless_hint(*objects: Any, **options: Any) -> None:
        if objects != (HINT_TO_PUSH,):
            write(*objects, **options)

    ui.write = write_unless_hint


if __name__ == "__main__":
    silence_hints()
    sys.exit(main(sys.argv[1:]))
