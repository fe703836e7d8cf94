"""`make plots`: a page that runs nothing and loads nothing, whatever the names in the data are."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, check, run

HOSTILE = """</script><script>alert(1)</script><img src="//evil.example" onerror='alert(2)'> `${a}` "q" &amp;"""
PLOTS = """
plots:
  - {title}:
      template: bar_horizontal_sorted
      x: value
      y: {{features.csv: feature}}
"""


class Page(HTMLParser):
    """The tags, attributes and texts of a page, as a browser reads it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, str] = {}
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name: value or "" for name, value in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def project(folder: Path, title: str, feature: str) -> Path:
    check("git", "init", "--quiet", cwd=folder)
    check("dvc", "init", "--quiet", cwd=folder)
    (folder / "dvc.yaml").write_text(PLOTS.format(title=title))
    if feature:
        pd.DataFrame({"feature": [feature, "b"], "value": [1, 2]}).to_csv(folder / "features.csv", index=False)
    return folder


def test_the_page_shows_hostile_names_and_runs_and_loads_nothing(tmp_path: Path):
    folder = project(tmp_path, title="'a <script>b'", feature=HOSTILE)
    check(sys.executable, "-m", "retrace", "plots", cwd=folder, PYTHONPATH=str(ROOT))
    page = Page((folder / "dvc_plots/index.html").read_text())
    assert {"svg", "text"} <= page.tags
    assert not {"script", "img", "iframe", "link", "image", "a", "use", "foreignobject"} & page.tags
    assert not [name for name in page.attributes if name.startswith("on") or name in ("src", "href", "xlink:href")]
    assert "a <script>b" in page.texts
    assert any(text.startswith("</script><script>alert(1)") for text in page.texts)
    text = (folder / "dvc_plots/index.html").read_text()
    assert set(re.findall(r"""[a-z]+://[^\s"'<]*""", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("dvc.yaml", "stages: [", "'dvc.yaml', YAML file structure is corrupted"),
        ("dvc.yaml", "stages: {train: 1}", "dvc.yaml' validation failed"),
        (
            ".dvc/plots/bar_horizontal_sorted.json",
            '{"mark": "no such mark", "data": {"values": "<DVC_METRIC_DATA>"}, "encoding": 3}',
            "can't be drawn by its template",
        ),
    ],
)
def test_what_is_wrong_with_a_plot_is_a_line(tmp_path: Path, file: str, content: str, message: str):
    folder = project(tmp_path, title="a", feature="b")
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(content)
    done = run(sys.executable, "-m", "retrace", "plots", cwd=folder, PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert message in line


def test_nothing_to_draw_is_a_line(tmp_path: Path):
    folder = project(tmp_path, title="a", feature="")
    done = run(sys.executable, "-m", "retrace", "plots", cwd=folder, PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not (folder / "dvc_plots").exists()
