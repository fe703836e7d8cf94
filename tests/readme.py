"""The commands of README.md and of the pages in docs/ that PAGES names, and what they print.

    python -m tests.readme    # run them all in a new clone, and write what they print into the pages

In a `console` block, commands follow `$ `, and below each is what it prints. A `text` or `mermaid` block or a quotation
shows what the command in the comment above it prints. A command in SILENT prints too much to show, or something else
each day, and only has to succeed. What `make start` printed is in ../start.txt.
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ENVIRONMENT, IDENTITY, ROOT, copy_project

# The second and the third go on in the clone that the first makes, the others in the project that the first makes.
PAGES = ("README.md", "docs/guide.md", "docs/scale.md", "docs/databases.md", "docs/operating.md", "docs/search.md")
ADDRESS = "https://github.com/OWNER/retrace"
STEP = re.compile(
    r"^(?P<console>\$ (.*)\n)((?:(?!\$ |```).*\n)*)"
    r"|(?P<block><!-- \$ (.*) -->\n```(?:mermaid|text)\n)((?:(?!```).*\n)*)"
    r"|(?P<quote><!-- \$ (.*) -->\n)((?:>.*\n)*)",
    re.M,
)
SILENT = re.compile(
    r"git (clone|add|commit --q)|cd |copier|make (repro|start|update)|python3 -m venv|\. |pip |dvc repro|dvc exp run"
    r"|python -m retrace adopt|python -m retrace rep|\.venv/bin/python|make (release|deploy|history|serve)"
    r"|make (report|search|watch)|uv pip|python -m (distributed|retrace worker)|export|unset|kill|rm "
)
CHANGING = re.compile(r"\b[0-9a-f]{7,40}\b")  # commits
MARK = "-- the next command --"


class Step(NamedTuple):
    """A command of a page, what the page says that it prints, and whether the reader types it."""

    command: str
    output: str
    typed: bool


def steps(text: str) -> list[Step]:
    """The commands of a page, from top to bottom."""
    found = []
    for match in STEP.finditer(text):
        _, command, output = (part for part in match.groups() if part is not None)
        found.append(Step(command, output, match["console"] is not None))
    return found


def read_pages() -> dict[str, str]:
    """The text of each page, by its name."""
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in PAGES}


def run_pages(pages: dict[str, str], folder: Path) -> dict[str, str]:
    """The pages with what their commands print now, all run in one shell in a new folder.

    README.md shows some results before it says how to clone. Those commands run after its first `make repro`.
    """
    copy_project(folder / "origin")
    readme, *others = (steps(pages[name]) for name in PAGES)
    clone = next(number for number, step in enumerate(readme) if step.command.startswith("git clone"))
    made = next(number for number, step in enumerate(readme) if step.command == "make repro")
    order = [*range(clone, made + 1), *range(clone), *range(made + 1, len(readme))]
    script = [
        "set -e",
        "trap 'kill $(jobs -p) 2> /dev/null' EXIT",
        "export COLUMNS=80",
        f"copier() {{ '{folder}/retrace/.venv/bin/copier' \"$@\"; }}",
    ]
    for number in order:
        script += [f"echo '{MARK}'", *_shell(readme[number], folder)]
    for project, page in zip(["retrace"] * 2 + ["my-project"] * 3, others, strict=True):
        script += [f"cd '{folder}/{project}'"]
        for step in page:
            script += [f"echo '{MARK}'", *_shell(step, folder)]
    printed = iter(_run(script, folder))
    of_readme = {number: next(printed) for number in order}
    found = {PAGES[0]: written(pages[PAGES[0]], [of_readme[number] for number in range(len(readme))])}
    for name, page in zip(PAGES[1:], others, strict=True):
        found[name] = written(pages[name], [next(printed) for _ in page])
    return found


def _shell(step: Step, folder: Path) -> list[str]:
    """A command as it is run here: the repository's address is replaced by that of a copy."""
    command = step.command
    if command.startswith("git clone"):
        return [command.replace(ADDRESS, f"'{folder}/origin' retrace")]
    if command.startswith("copier copy"):
        return [command.replace(ADDRESS, f"'{folder}/origin'")]
    if command.startswith("make start"):
        return [f"{command} > ../start.txt"]
    if command == "make serve":
        ready = "curl --silent --fail --output ../ready localhost:8000/ready"
        ended = "trap 'pkill -P $SERVER' EXIT"  # make's child
        return [f"{command} > ../serve.txt 2>&1 &", "SERVER=$!", ended, f"until {ready}; do sleep 0.2; done"]
    if command.startswith("python3 -m venv"):
        return ["rm -rf .venv", command]
    return [command] if step.typed else [f"(. .venv/bin/activate; {command})"]


def _run(script: list[str], folder: Path) -> list[str]:
    """What stands after each mark in the output of a shell script, run without the tests' environment."""
    plain = {key: value for key, value in ENVIRONMENT.items() if key != "VIRTUAL_ENV"} | IDENTITY
    plain["PATH"] = os.pathsep.join(part for part in plain["PATH"].split(os.pathsep) if ".venv" not in part)
    shell = subprocess.run(["bash"], input="\n".join(script), cwd=folder, env=plain, capture_output=True, text=True)
    assert shell.returncode == 0, shell.stdout[-2000:] + shell.stderr[-2000:]
    return shell.stdout.split(f"{MARK}\n")[1:]


def written(text: str, printed: list[str]) -> str:
    """The page with what its commands print."""
    outputs = iter(printed)

    def fill(match: re.Match[str]) -> str:
        output = next(outputs)
        command = next(part for part in match.groups()[1::3] if part is not None)
        lines = "" if SILENT.match(command) else "".join(f"{line.rstrip()}\n" for line in output.splitlines())
        return f"{match['console'] or match['block'] or match['quote']}{lines}"

    return STEP.sub(fill, text)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        pages = run_pages(read_pages(), Path(folder))
    for name, text in pages.items():
        (ROOT / name).write_text(text, encoding="utf-8")
