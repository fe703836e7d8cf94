"""The worked changes of docs/template.md.

    python -m tests.template.docs    # make them in a project, and write the reports that they get into the page

Each is a patch in a `diff` block and, quoted below it, how the report of the change begins.
"""

import re
import tempfile
from pathlib import Path

from sklearn.datasets import load_diabetes

from tests.conftest import IDENTITY, ROOT, check, commit, copy_project
from tests.template.conftest import begin, make

PAGE = ROOT / "docs/template.md"
CHANGE = re.compile(r"(```diff\n((?:.*\n)*?)```\n+)((?:>.*\n)*)")


def written(page: str, folder: Path) -> str:
    """The page with the reports that its changes get, each in a project of diabetes.csv as README makes it."""
    project = begin(make(copy_project(folder / "template"), folder / "my-project", demo=False))
    load_diabetes(as_frame=True, scaled=False).frame.to_csv(folder / "diabetes.csv", index=False)
    check("make", "start", "TABLE=../diabetes.csv", "TARGET=target", cwd=project, **IDENTITY)
    commit(project)

    def report_of(change: re.Match[str]) -> str:
        (folder / "change.patch").write_text(change[2])
        check("git", "apply", "../change.patch", cwd=project)
        check("dvc", "repro", cwd=project)
        commit(project)
        check("make", "--old-file", ".venv/installed", "test", cwd=project)
        check("make", "--old-file", ".venv/installed", "report", "BASE=HEAD~1", cwd=project)
        beginning = (project / "report.md").read_text().partition("\n### Gate")[0]
        check("git", "reset", "--quiet", "--hard", "HEAD~1", cwd=project)
        check("dvc", "checkout", "--quiet", cwd=project)
        return change[1] + "".join(f"> {line}".rstrip() + "\n" for line in beginning.splitlines())

    return CHANGE.sub(report_of, page)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        text = written(PAGE.read_text(encoding="utf-8"), Path(folder))
    PAGE.write_text(text, encoding="utf-8")
