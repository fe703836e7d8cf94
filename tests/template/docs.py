"""The worked changes of docs/template.md and docs/model.md.

    python -m tests.template.docs    # make each of them in a project, and write what comes of it into the pages

A change is a patch in a `diff` block. Above it the page says how many files it changes and how many lines it adds, and
below it quotes the report of the change, down to the table of metrics. A project is made where a page says
`make start TABLE=… TARGET=…`, and the changes below that are made in it, each from its first results on.
"""

import re
import tempfile
from functools import partial
from pathlib import Path

from sklearn.datasets import load_diabetes
from vega_datasets import local_data

from tests.conftest import IDENTITY, ROOT, check, commit, copy_project
from tests.template.conftest import begin, make

PAGES = ("docs/template.md", "docs/model.md")
START = re.compile(r"^\$ make start TABLE=\.\./(\S+) TARGET=(\S+)\n", re.MULTILINE)
CHANGE = re.compile(r"\d+ files?, \d+ lines?:\n\n```diff\n(?P<patch>(?:.*\n)*?)```\n\n(?:>.*\n)*")
QUOTED = re.compile(r"(?:.*\n)*?### Metrics\n\n(?:\|.*\n)*")


def read_page(name: str) -> str:
    """The text of a page, by its path in this project."""
    return (ROOT / name).read_text(encoding="utf-8")


def size(patch: str) -> tuple[int, int]:
    """How many files a patch changes or makes, and how many lines it adds."""
    lines = patch.splitlines()
    files = sum(line.startswith("+++ ") for line in lines)
    return files, sum(line.startswith("+") for line in lines) - files


def written(page: str, folder: Path) -> str:
    """The page with the size and the report of each of its changes, made anew in a folder."""
    load_diabetes(as_frame=True, scaled=False).frame.to_csv(folder / "diabetes.csv", index=False)
    local_data.cars().to_csv(folder / "cars.csv", index=False)
    template = copy_project(folder / "template")
    starts = [start.start() for start in START.finditer(page)]
    text = page[: starts[0]]
    for begins, ends in zip(starts, [*starts[1:], len(page)], strict=True):
        part = page[begins:ends]
        project = begin(make(template, folder / f"project-{begins}", demo=False))
        check(*part.partition("\n")[0].removeprefix("$ ").split(), cwd=project, **IDENTITY)
        commit(project)
        text += CHANGE.sub(partial(try_change, project), part)
    return text


def try_change(project: Path, change: re.Match[str]) -> str:
    """Make a change in a project, and take it back; its part of the page, as it should be."""
    (project.parent / "change.patch").write_text(change["patch"])
    check("git", "apply", "-C1", "../change.patch", cwd=project)  # the context may have changed since
    check("git", "add", "--intent-to-add", ".", cwd=project)
    diff = check("git", "diff", cwd=project)
    patch = re.sub(r"(?m)^(diff --git|index|new file mode) .*\n", "", diff)
    check("dvc", "repro", cwd=project)
    commit(project)
    check("make", "--old-file", ".venv/installed", "test", cwd=project)
    check("make", "--old-file", ".venv/installed", "report", "BASE=HEAD~1", cwd=project)
    report = QUOTED.match((project / "report.md").read_text())
    check("git", "reset", "--quiet", "--hard", "HEAD~1", cwd=project)
    check("dvc", "checkout", "--quiet", cwd=project)
    files, lines = size(patch)
    sizes = f"{files} file{'s' * (files > 1)}, {lines} line{'s' * (lines > 1)}"
    quoted = "".join(f"> {line}".rstrip() + "\n" for line in report[0].splitlines())
    return f"{sizes}:\n\n```diff\n{patch}```\n\n{quoted}"


if __name__ == "__main__":
    for name in PAGES:
        with tempfile.TemporaryDirectory() as folder:
            text = written(read_page(name), Path(folder))
        (ROOT / name).write_text(text, encoding="utf-8")
