"""The ten commits of docs/notebook.md, and the notebook that they take over.

    python -m tests.template.notebook    # make them in a project, and write what comes of them into the page

The first `console` block of the page is the first commit. The second one is run for each later commit, whose section
has `yaml` blocks, which are lines of params.yaml, and `diff` blocks, which are patches. The last `python` block is run
in the project at the end. Between the comments `<!-- scores -->` and `<!-- end -->` is a table of the scores after each
commit, below those of the notebook.
"""

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import yaml
from dvc.utils.serialize import modify_yaml
from vega_datasets import local_data

from tests.conftest import IDENTITY, ROOT, check, copy_project
from tests.template.conftest import install, make

PAGE = ROOT / "docs/notebook.md"
NOTEBOOK = Path(__file__).with_name("rain.ipynb")
LEAK = ", center=True"
PREDICTED = "model.predict_proba(X_test)[:, 1] > THRESHOLD"
COMMANDS = re.compile(r"```console\n((?:\$ .*\n)+)```\n")
COMMIT = re.compile(r"^## (?P<title>\d+\. .*)\n(?:(?!## ).*\n)*", re.MULTILINE)
PARAMETERS = re.compile(r"```yaml\n((?:.*\n)*?)```\n")
PATCH = re.compile(r"(?<=```diff\n)(?:.*\n)*?(?=```\n)")
PYTHON = re.compile(r"(?<=```python\n)(?:.*\n)*?(?=```\n)")
SCORES = re.compile(r"(?<=<!-- scores -->\n\n)(?:\|.*\n)*(?=\n<!-- end -->)")


class Made(NamedTuple):
    """The page as it should be, and the project that its commits made."""

    page: str
    project: Path
    started: str  # what the first commit's commands printed


def notebook_code() -> str:
    """The code of the notebook's cells, from top to bottom."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return "".join("".join(cell["source"]) + "\n" for cell in cells)


def write_table(folder: Path) -> None:
    """The table that the notebook reads, as the package brings it."""
    local_data.seattle_weather().to_csv(folder / "seattle-weather.csv", index=False)


def printed_accuracy(code: str, folder: Path) -> float:
    """The accuracy that the notebook's code prints, run where the table is."""
    printed = check(sys.executable, "-c", code, cwd=folder)
    return float(re.search(r"^accuracy: (.*)$", printed, re.MULTILINE)[1])


def notebook_rows(folder: Path) -> list[str]:
    """The first rows of the table of scores: those of the notebook, and of two variants of it."""
    code = notebook_code()
    variants = {
        "the notebook": code,
        f"the notebook without `{LEAK.strip(', ')}`": code.replace(LEAK, ""),
        "the notebook, if it never predicts rain": code.replace(PREDICTED, "y_test * 0"),
    }
    return [f"| {name} | {printed_accuracy(each, folder):.4g} | | | |\n" for name, each in variants.items()]


def scores_row(title: str, project: Path) -> str:
    """The row of a commit in the table of scores."""
    shown = check("python", "-m", "retrace", "scores", cwd=project)
    found = dict(re.findall(r"^(\w+) +(\S+  \S+ to \S+)", shown, re.MULTILINE))
    accuracy, interval = found.get("accuracy_at_threshold", "  ").split("  ", maxsplit=1)
    loss = found["log_loss"].split()[0]
    report = (project / "report.md").read_text(encoding="utf-8")
    verdict = re.match("## (.*?):", report)[1]
    merged = "may be merged" if "**May be merged:**" in report else "the gate fails"
    return f"| {title} | {accuracy} | {interval} | {loss} | {verdict}; {merged} |\n"


def set_parameters(project: Path, lines: str) -> None:
    """Set keys of sections of params.yaml, whose comments stay. Of a section with `by`, the other keys go."""
    with modify_yaml(project / "params.yaml") as content:
        for section, keys in yaml.safe_load(lines).items():
            for name in set(content[section]) - set(keys) if "by" in keys else ():
                del content[section][name]
            content[section].update(keys)


def make_commits(page: str, folder: Path) -> Made:
    """Make the page's commits in a new project."""
    write_table(folder)
    project = make(copy_project(folder / "template"), folder / "project", demo=False)
    install(project)

    def run(commands: str) -> str:
        script = "\n".join(["set -e", *re.findall(r"^\$ (.*)", commands, re.MULTILINE)])
        return check("bash", "-c", script, cwd=project, **IDENTITY)

    def apply(patch: re.Match[str]) -> str:
        (folder / "change.patch").write_text(patch[0], encoding="utf-8")
        check("git", "apply", "-C1", "../change.patch", cwd=project)
        check("git", "add", "--intent-to-add", ".", cwd=project)
        diff = check("git", "diff", "--unified=1", "src", "tests", cwd=project)
        return re.sub(r"(?m)^(diff --git|index|new file mode) .*\n", "", diff)

    def commit(section: re.Match[str]) -> str:
        if section[0] == first[0]:
            return section[0]
        for lines in PARAMETERS.findall(section[0]):
            set_parameters(project, lines)
        text = PATCH.sub(apply, section[0])
        run(commands)
        rows.append(scores_row(section["title"], project))
        return text

    first = next(COMMIT.finditer(page))
    start, commands = COMMANDS.findall(first[0])
    started = run(start)
    heads = ["| | accuracy | 95 % interval | log_loss | the report |\n", "|---|--:|---|--:|---|\n"]
    rows = heads + notebook_rows(folder)
    page = COMMIT.sub(commit, page)
    return Made(SCORES.sub("".join(rows), page), project, started)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        PAGE.write_text(make_commits(PAGE.read_text(encoding="utf-8"), Path(name)).page, encoding="utf-8")
