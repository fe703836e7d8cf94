"""README.md's commands and what they print.

    python -m tests.readme    # run them all in a new clone, and write what they print into README.md

In a `console` block, commands stand after `$ ` and what each prints below it; a `mermaid` or `text` block or a
quotation is what the command in the comment above it prints. A command in SILENT prints too much to show, and only has
to succeed; what `make start` printed is in ../start.txt then.
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from sklearn.datasets import load_diabetes

from tests.conftest import ENVIRONMENT, IDENTITY, ROOT, copy_project

README = ROOT / "README.md"
STEP = re.compile(
    r"^(?P<console>\$ (.*)\n)((?:(?!\$ |```).*\n)*)"
    r"|(?P<block><!-- \$ (.*) -->\n```(?:mermaid|text)\n)((?:(?!```).*\n)*)"
    r"|(?P<quote><!-- \$ (.*) -->\n)((?:>.*\n)*)",
    re.M,
)
SILENT = re.compile(
    r"git (clone|add|commit --q)|cd |copier|make (repro|start|update)|python3 -m venv|\. |pip |dvc repro|dvc exp run"
    r"|python -m retrace adopt|python -m retrace rep"
)
CHANGING = re.compile(r"\b[0-9a-f]{7,40}\b")  # commits
MARK = "-- the next command --"


def steps(text: str) -> list[tuple[str, str]]:
    """Each command and what the page says that it prints."""
    return [tuple(part for part in match.groups() if part is not None)[1:] for match in STEP.finditer(text)]


def run_all(commands: list[str], folder: Path) -> list[str]:
    """What the commands print, in one shell, the clone's address replaced by this project's.

    What the page shows before it says how to clone is run after that, with the environment activated.
    """
    copy_project(folder / "origin")
    load_diabetes(as_frame=True, scaled=False).frame.to_csv(folder / "diabetes.csv", index=False)
    clone = next(number for number, command in enumerate(commands) if command.startswith("git clone"))
    made = commands.index("dvc repro")
    order = [*range(clone, made + 1), *range(clone), *range(made + 1, len(commands))]
    script = ["set -e", "export COLUMNS=80"]
    for number in order:
        clones = commands[number].startswith("git clone")
        address = f"{folder}/origin{' retrace' if clones else ''}"
        command = commands[number].replace("https://github.com/OWNER/retrace", address)
        if command.startswith("make start"):
            command += " > ../start.txt"
        script += [f"echo '{MARK}'", "rm -rf .venv" if "venv .venv" in command else "", command]
    plain = {key: value for key, value in ENVIRONMENT.items() if key != "VIRTUAL_ENV"}
    plain |= IDENTITY
    plain["PATH"] = os.pathsep.join(part for part in plain["PATH"].split(os.pathsep) if ".venv" not in part)
    shell = subprocess.run(["bash"], input="\n".join(script), cwd=folder, env=plain, capture_output=True, text=True)
    assert shell.returncode == 0, shell.stdout[-2000:] + shell.stderr[-2000:]
    printed = dict(zip(order, shell.stdout.split(f"{MARK}\n")[1:], strict=True))
    return ["" if SILENT.match(command) else printed[number] for number, command in enumerate(commands)]


def written(text: str, printed: list[str]) -> str:
    """The page with what its commands print."""
    outputs = iter(printed)

    def fill(match: re.Match[str]) -> str:
        output = next(outputs)
        lines = "".join(f"{line.rstrip()}\n" for line in output.splitlines())
        return f"{match['console'] or match['block'] or match['quote']}{lines}"

    return STEP.sub(fill, text)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        page = README.read_text(encoding="utf-8")
        page = written(page, run_all([command for command, _ in steps(page)], Path(folder)))
    README.write_text(page, encoding="utf-8")
