"""Whatever a name holds, it's text on GitHub: no mention, link, HTML, broken table or broken chart."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from retrace.markdown import block, chart, code, join_sections, table

PARSER = MarkdownIt("commonmark").enable("table")
HOSTILE = [
    "@everyone",
    "#1 and owner/name#2",
    "[a](javascript:alert(1))",
    "![](https://example.org/a.png)",
    "<img src=x onerror=alert(1)>",
    "a | b",
    "`",
    "``` \n# a heading",
    "a\n\n- b",
    "\u202eabc\u0000",
    "</details>",
    "`` ` ``",
    "\\`@everyone",
    "",
    " ",
]
names = st.text(max_size=40) | st.sampled_from(HOSTILE) | st.text(alphabet="`|\\@<#\n ", max_size=12)


def tokens(text: str) -> list[str]:
    return [token.type for token in PARSER.parse(text)]


@given(names)
@pytest.mark.parametrize("where", ["{}", "a {} b", "## {}", "> {}"])
def test_a_name_is_one_code_span_and_nothing_else(where: str, name: str):
    inline = [token for token in PARSER.parse(where.format(code(name))) if token.type == "inline"]
    assert len(inline) == 1
    kinds = [child.type for child in inline[0].children or []]
    assert kinds.count("code_inline") == 1
    assert set(kinds) <= {"text", "code_inline"}


def test_a_name_stays_what_it_was_where_it_can_be_seen():
    assert code("carrier") == "`carrier`"
    assert code("a `b` c") == "``a `b` c``"
    assert code("a\nb\u202e") == r"`a\nb\u202e`"
    assert code("x" * 100) == f"`{'x' * 59}…`"
    assert code("") == "` (empty) `"


@given(st.lists(st.lists(names, min_size=3, max_size=3), min_size=1, max_size=4))
def test_a_table_keeps_its_rows_and_columns(rows: list[list[str]]):
    found = tokens(table(["a", "b:", "c"], [[code(name) for name in row] for row in rows]))
    assert found.count("tr_open") == len(rows) + 1
    assert found.count("td_open") == 3 * len(rows)
    assert found[-1] == "table_close"


@given(names)
def test_a_block_ends_where_it_ends(text: str):
    assert tokens(block(text)) == ["fence"]
    assert tokens(block(f"~~~\n{text}\n````", "diff")) == ["fence"]


@given(st.lists(names, min_size=2, max_size=5))
def test_a_chart_holds_nothing_but_its_own_words(labels: list[str]):
    drawn = chart(labels[0], labels, labels[1], [[float(at) for at in range(len(labels))]], "#000000")
    assert tokens(drawn) == ["fence"]
    lines = drawn.splitlines()
    assert len(lines) == 8
    quoted = re.findall('"[^"]*"', "\n".join(lines[3:6]))
    assert len(quoted) == len(labels) + 2
    assert not set("".join(quoted)) & set("`;{}[]<>|\\#&%")


def test_a_chart_of_a_flat_line_has_room():
    assert "0.95 --> 1.05" in chart("a", (1.0, 2.0), "b", [[1.0, 1.0]], "#000000")


@pytest.mark.parametrize("value", [4.9e-05, 2.5e5, 1.25e12, -3e-9])
def test_a_chart_has_no_exponent_which_mermaid_does_not_read(value: float):
    drawn = chart("a", (value, 2 * abs(value)), "b", [[value, 2 * value]], "#000000")
    numbers = re.findall(r"[-+.\w]+", " ".join(line.split("[")[-1] for line in drawn.splitlines() if "line" in line))
    assert [float(number) for number in numbers] == pytest.approx([value, 2 * value])
    assert not re.search(r"\de[-+]?\d", drawn)


def test_what_does_not_fit_is_omitted_from_the_bottom_and_named():
    sections = [("answer", "a" * 50), ("metrics", "b" * 50), ("pictures", "é" * 50)]
    assert join_sections(sections, 1000) == "\n\n".join(text for _, text in sections) + "\n"
    shortened = join_sections(sections, 180)
    assert shortened.startswith("a" * 50 + "\n\n" + "b" * 50)
    assert shortened.endswith("_Omitted, because a comment can hold no more: pictures._\n")
    assert len(join_sections(sections, 140).encode()) <= 140
    assert "metrics, pictures" in join_sections(sections, 140)
