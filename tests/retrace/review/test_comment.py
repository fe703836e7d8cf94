"""The comment on a pull request: on which one, by whose account, and with nothing in it that acts."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from retrace.markdown import block, chart, code, folded, table
from retrace.review.comment import (
    JOINER,
    MOST_CHARACTERS,
    NO_PATCH,
    PAGE,
    RefusedError,
    Server,
    make_harmless,
    read_text,
    shorten,
    without_altered_patches,
)
from tests.conftest import IDENTITY, ROOT, check
from tests.workflows.github import BOT, REPOSITORY, WRITES, GitHub

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="the stand-in for GitHub needs openssl")
MARK = '![](https://cml.dev/watermark.png#abc123 "CML watermark review")'
HOSTILE = [
    "@octocat",
    "&#64;octocat",
    "&commat;octocat",
    "[a](https://evil.example)",
    "[a][b]\n\n[b]: //evil.example",
    "![a](//evil.example/a.png)",
    "[![a](a.png)](b)",
    "[^1]\n\n[^1]: a note",
    "<img src=//evil.example>",
    "<details open ontoggle=alert(1)>",
    "<https://evil.example>",
    "https://evil.example",
    "http:\\//evil.example",
    "WWW.evil.example",
    "_www.evil.example_",
    "a@evil.example",
    "#1",
    "owner/repo#1",
    "**owner/repo**\\#1",
    "GH-1",
    "GH\\-1",
    '```mermaid\n%%{init: {"themeCSS": "x"}}%%\nxychart-beta\n```',
    "/deploy",
    "//deploy",
    "> \u00a0/deploy",
    "- /deploy",
    "2. * /deploy",
    '```mermaid\nflowchart LR\na-->b\nclick a "//evil.example"\n```',
    "~~~ GeoJSON\n{}\n~~~",
    "- ````math\nx\n````",
    r"$\href{//evil.example}{x}$",
    "\u202etxt.exe",
    "\x1b[31m",
    "a\rb",
]
HOSTILE_ON_GITLAB = [
    "!1",
    "group/project!1",
    "[!1]",
    "$1",
    "&1",
    "~1",
    "~bug",
    '~"a bug"',
    '~\\"a bug\\"',
    "~\\-bug",
    "~~bug",
    "%1",
    "%v1",
    '%"version 1"',
    "%{project_name}",
    "group%v1",
    "^alert#1",
    "*iteration:1",
    "\\*iteration\\:1",
    "[vulnerability:1]",
    "[feature\\_flag:1]",
    "[work_item:group/project/1]",
    "[[_TOC_]]",
    "[[\\_TOC\\_]]",
    "\\[\\[\\_TOC\\_\\]\\]",
    "[TOC]",
    "[[a page|home]]",
    "::include{file=a.md}",
    "group/project>",
    "ABC-1",
    "A_B2\\-1",
    "```plantuml\na -> b\n```",
    "~~~ glql\nx\n~~~",
    "- ````json:table\n{}\n````",
    "```suggestion:-0+0\nx\n```",
    "/close",
    ">>>\n/close\n>>>",
]
ACTS = re.compile(
    r"@\w|#\d|&[#a-z]|\][(\[:]|//|/\\|www\.|gh\\?-\d|<(?!/?(details|summary)>)[a-z/!?]|^(?:[\s>*+-]|\d+[.)])*/|\\href"
    r"|(`{3}|~{3})[^\S\n]*(mermaid(?!\n%%\{init: \{\"themeVariables.*\nxychart-beta$)|geojson|math)"
    r"|[\x00-\x08\x0b-\x1f\u202a-\u202e]",
    re.IGNORECASE | re.MULTILINE,
)
# As GitLab's own patterns of its references, but for what is shown by a backslash.
ACTS_ON_GITLAB = re.compile(
    r"![0-9]|\$[0-9]|&[0-9]|~\\?[a-z0-9_?.&\"-]|%[^\s\u2060%`),.;:|]|\*iteration\\?:|\[[a-z\\_]+:|\[\\?\[|\[toc|::include"
    r"|[\w.-]/[\w.-]+>|(?-i:\b[A-Z][A-Z0-9_]+)\\?-[0-9]|(`{3}|~{3})[^\S\n]*(plantuml|glql|json|suggestion)",
    re.IGNORECASE | re.MULTILINE,
)
CHART_COLOURS = re.compile(r"^%%\{init: .*\}%%$", re.MULTILINE)  # what the report itself writes, checked above
SERVERS = ("GitHub", "GitLab")


def acts(text: str, server: str) -> bool:
    """Whether the server, or a bot that reads comments there, would act on something in this text."""
    on_gitlab = server == "GitLab" and ACTS_ON_GITLAB.search(CHART_COLOURS.sub("", text))
    return bool(ACTS.search(text) or on_gitlab)


def rendered(text: str) -> str:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)


def plain_report(names: list[str]) -> str:
    """A report with all its kinds of construct, about things of these names."""
    parts = [
        f"## Worse: {code('roc_auc')} 0.72 → 0.71",
        "**May not be merged:** the gate fails.",
        f"> [!WARNING]\n> This change affects how it is judged: {', '.join(map(code, names))}.",
        "### Metrics\n\n" + table(["", "base:", "here"], [(code(name), "1", code(name)) for name in names]),
        folded("Every slice", chart("Difference", names, "roc_auc", [[0, 1], [1, 2]], "#2563eb, #9ca3af")),
        block("\n".join(names)),
        "### See it yourself\n\n```console\ngit fetch origin abc && make report BASE=main\n```",
        folded(
            "report.patch",
            block("--- a/dvc.lock\n+++ b/dvc.lock\n@@ -1,2 +1 @@ stages:\n-  size: 1\n+  size: 2", "diff"),
        ),
    ]
    return "\n\n".join(parts) + "\n"


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("text", [*HOSTILE, *HOSTILE_ON_GITLAB])
def test_nothing_acts(text: str, server: str):
    assert acts(text, "GitLab")
    for around in ("{}", "a {} b", "> {}", "- {}", "<details><summary>{}</summary>", "`{}`", "```\n{}\n```"):
        made = make_harmless(around.format(text), server)
        assert not acts(made, server), made
        tags = re.findall("<(a|img|code onclick|script)[ >]", rendered(made))
        assert tags == [], made


PARTS = [
    *HOSTILE,
    *HOSTILE_ON_GITLAB,
    *'@#&<>[](): /\\`\n1g!$~%*-"A_',
    "www",
    "gh-",
    "details>",
    "```diff\n",
    "iteration:",
]


@pytest.mark.parametrize("server", SERVERS)
@given(text=st.lists(st.sampled_from(PARTS)).map("".join))
def test_nothing_acts_however_it_is_put_together(server: str, text: str):
    assert not acts(make_harmless(text, server), server)
    assert not acts(make_harmless(without_altered_patches(text, server), server), server)


@pytest.mark.parametrize("server", SERVERS)
def test_a_report_of_plain_names_is_posted_as_it_is(server: str):
    report = plain_report(["origin", "carrier = 9E", "delay > 5 %"])
    assert make_harmless(without_altered_patches(report, server), server) == report


@pytest.mark.parametrize("server", SERVERS)
def test_a_report_of_hostile_names_looks_as_it_did(server: str):
    report = plain_report([text for text in [*HOSTILE, *HOSTILE_ON_GITLAB] if text.isprintable()])
    made = make_harmless(report, server)
    assert JOINER in made
    assert rendered(made).replace(JOINER, "") == rendered(report)


def test_a_patch_is_omitted_where_it_would_be_altered():
    plain, hostile = (f"```diff\n@@ -1 +1 @@\n-a\n+{text}\n```" for text in ("b", "owner/repo#1"))
    binary = "```diff\n+\ufffd\n```"
    made = without_altered_patches("\n".join([plain, hostile, binary, "end"]))
    assert made == "\n".join([plain, NO_PATCH, NO_PATCH, "end"])


@pytest.mark.parametrize("text", ["```diff\n" * 40_000, "`" * 400_000, " " * 400_000, "1." * 200_000, "~~~ " * 100_000])
def test_a_report_that_is_built_to_take_long_does_not(text: str):
    start = time.process_time()
    make_harmless(without_altered_patches(text))
    assert time.process_time() - start < 10, "some milliseconds, where each character is looked at once or twice"


def test_a_patch_without_an_end_is_shown_as_it_is():
    text = "```diff\n+a\n```diff\n"
    assert without_altered_patches(text) == text


def test_a_long_report_ends_between_blocks():
    parts = [
        "first",
        "```text\n" + "a\n\n" * 50 + "```",
        "<details><summary>b</summary>\n\n" + "c\n\n" * 50 + "</details>",
        "last",
    ]
    whole = "\n\n".join(parts)
    for most in range(len(whole)):
        made = shorten(whole, most)
        assert len(made) <= most
        assert made.rstrip() in ("", *("\n\n".join(parts[:count]) for count in range(len(parts) + 1)))
    assert shorten(whole, len(whole)) == whole
    assert shorten("x" * 100, 99) == ""


@dataclass
class Asked:
    """A GitHub with pull request 7 of a fork's branch, and runs on it."""

    github: GitHub
    folder: Path
    commit: str
    branch: str = "change"
    run: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def comment(self, number: str | None = "7\n", report: str | None = "## Fine\n") -> subprocess.CompletedProcess[str]:
        """Run comment.py after a run that left these."""
        artifact = self.folder / "artifact"
        shutil.rmtree(artifact, ignore_errors=True)
        for name, content in (("number", number), ("report.md", report)):
            if content is not None:
                artifact.mkdir(exist_ok=True)
                (artifact / name).write_text(content)
        run = {
            "id": 42,
            "conclusion": "success",
            "html_url": "https://github.example/runs/42",
            "head_sha": self.commit,
            "head_branch": self.branch,
            "head_repository": {"full_name": "a/fork"},
        }
        event = {"workflow_run": run | self.run, "repository": {"full_name": REPOSITORY}}
        (self.folder / "event.json").write_text(json.dumps(event))
        (self.folder / "node").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (self.folder / "node").chmod(0o755)
        (self.folder / "bin").mkdir(exist_ok=True)
        shutil.copy(ROOT / "tests/workflows/cml.py", self.folder / "bin/cml.js")
        environment = {
            "PATH": f"{self.folder}:/usr/bin:/bin",
            "SSL_CERT_FILE": str(self.github.certificate),
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_API_URL": f"https://{self.github.host}/api/v3",
            "GITHUB_SERVER_URL": f"https://{self.github.host}",
            "GITHUB_ACTOR": "someone",
            "GITHUB_SHA": "abc123",
            "REPO_TOKEN": WRITES,
        } | self.variables
        command = [sys.executable, "-I", str(ROOT / "retrace/review/comment.py"), str(artifact), str(self.folder)]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)

    def posted(self, **of: Any) -> list[str]:
        """The comments after a run, by their second paragraph."""
        done = self.comment(**of)
        assert done.returncode == 0, done.stderr
        return [body.split("\n\n")[1] if "\n\n" in body else body for body in self.github.bodies(7)]

    def refused(self, **of: Any) -> str:
        """The one line that a run ends with which posts nothing."""
        before = self.github.bodies(7)
        done = self.comment(**of)
        assert done.returncode == 1
        assert self.github.bodies(7) == before
        [line] = done.stderr.splitlines()
        return line.removeprefix("::error::")


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    origin = tmp_path / "git" / f"{REPOSITORY}.git"
    check("git", "init", "--quiet", "--bare", str(origin), cwd=tmp_path)
    tree = check("git", "hash-object", "-t", "tree", "-w", "/dev/null", cwd=origin).strip()
    commits = [check("git", "commit-tree", "-m", text, tree, cwd=origin, **IDENTITY).strip() for text in "ab"]
    for number in (7, 8):
        check("git", "update-ref", f"refs/pull/{number}/head", commits[0], cwd=origin)
    with GitHub(tmp_path / "git") as github:
        github.open_pull_request(7, "change", "a/fork")
        yield Asked(github, tmp_path, commits[0])


@needs_openssl
def test_the_first_line_is_ours_and_names_commit_outcome_and_run(asked: Asked):
    for outcome, told in (("success", "succeeded"), ("failure", "failed"), ("timed_out", "timed out")):
        asked.run = {"conclusion": outcome}
        assert asked.comment(report="Commit 0: the pipeline succeeded.").returncode == 0
        [body] = asked.github.bodies(7)
        first, rest = body.split("\n\n", 1)
        run = "[run 42](https://github.example/runs/42)"
        assert first == f"Commit {asked.commit}: the pipeline {told}, in {run}. The run wrote what follows."
        assert rest.startswith("Commit 0: the pipeline succeeded.\n\n![](https://cml.dev/watermark.png#abc123 ")


@needs_openssl
@pytest.mark.parametrize(
    ("of", "by", "value", "subject"),
    [
        ({}, "someone", "true", "VERIFY_ONLY is set, so no stage is rerun, and the check"),
        ({}, "someone", "True", "VERIFY_ONLY is set, so no stage is rerun, and the check"),
        ({}, "someone", "", "the pipeline"),
        ({"head_repository": {"full_name": "a/fork"}}, "someone", "true", "the pipeline"),
        ({}, "dependabot[bot]", "true", "the pipeline"),
        ({"head_branch": "retrain"}, "someone", "true", "the pipeline"),
        ({"head_branch": "Retrain"}, "someone", "true", "the pipeline"),
    ],
)
def test_the_first_line_says_whether_stages_ran(asked: Asked, of: dict[str, Any], by: str, value: str, subject: str):
    """In the same cases as pipeline.yml's step `decide`."""
    asked.run = {"head_repository": {"full_name": REPOSITORY}} | of
    branch, repository = asked.run.get("head_branch", asked.branch), asked.run["head_repository"]["full_name"]
    asked.github.open_pull_request(7, branch, repository, by)
    asked.variables = {"VERIFY_ONLY": value}
    assert asked.comment().returncode == 0
    [body] = asked.github.bodies(7)
    assert body.startswith(f"Commit {asked.commit}: {subject} succeeded, in [run 42]")


@needs_openssl
@pytest.mark.parametrize("left", [{"number": None, "report": None}, {"report": None}, {"report": " \n"}])
def test_a_run_without_a_report_is_reported_in_a_line(asked: Asked, left: dict[str, str | None]):
    asked.run = {"conclusion": "failure"}
    assert asked.posted(**left) == ["There is no report: the run ended before it wrote one. Its log says why."]
    assert asked.posted() == ["## Fine"]


@needs_openssl
@pytest.mark.parametrize("others", [0, 29, 30, 35, PAGE - 1, PAGE, 2 * PAGE + 5])
def test_one_comment_is_updated_however_many_others_there_are(asked: Asked, others: int):
    for number in range(others):
        asked.github.post("7", f"{number}", by="someone")
    for report in ("first", "second", "third"):
        assert asked.posted(report=report)[others:] == [report]
    assert MARK in asked.github.bodies(7)[-1]


@needs_openssl
def test_a_comment_of_somebody_else_with_our_mark_is_never_touched(asked: Asked):
    forged = f"## Better\n\n{MARK}"
    asked.github.post("7", forged, by="mallory")
    assert asked.posted(report="first")[1:] == ["first"]
    assert asked.posted(report="second")[1:] == ["second"]
    # A later one would be below ours, so a new one is made: the last one is always ours.
    asked.github.post("7", forged, by="mallory")
    assert asked.posted(report="third")[1:] == ["second", MARK, "third"]
    # Nor does an earlier comment get the mark's place by being edited.
    asked.github.comments["7"][0]["body"] = f"{forged} again"
    assert asked.posted(report="fourth")[1:] == ["second", MARK, "fourth"]
    assert [one["user"]["login"] for one in asked.github.comments["7"]] == ["mallory", BOT, "mallory", BOT]


@needs_openssl
def test_our_comment_is_updated_after_an_edit_and_replaced_if_the_edit_took_its_mark(asked: Asked):
    asked.posted(report="first")
    ours = asked.github.comments["7"][0]
    ours["body"] = f"Edited by a maintainer.\n\n{MARK}"
    assert asked.posted(report="second") == ["second"]
    ours["body"] = "No mark."
    assert asked.posted(report="third") == ["No mark.", "third"]


@needs_openssl
@pytest.mark.parametrize(
    ("left", "line"),
    [
        ({"number": "8\n"}, "the artifact names pull request 8, the run was for [7]"),
        ({"number": "9\n"}, "the artifact names pull request 9, the run was for [7]"),
        ({"number": ""}, "the artifact's number is not the number of a pull request"),
        ({"number": "7 --x"}, "the artifact's number is not the number of a pull request"),
        ({"number": "7\n7\n"}, "the artifact's number is not the number of a pull request"),
        ({"number": "7" * 12}, "the artifact's number is not the number of a pull request"),
        ({"number": "\N{ARABIC-INDIC DIGIT SEVEN}"}, "the artifact's number is not the number of a pull request"),
    ],
)
def test_an_artifact_that_is_not_of_this_pull_request_is_refused(asked: Asked, left: dict[str, str], line: str):
    asked.github.open_pull_request(8, "another", "a/fork")
    assert asked.refused(**left) == line


@needs_openssl
def test_of_two_pull_requests_of_one_branch_the_artifact_says_which(asked: Asked):
    asked.github.open_pull_request(8, "change", "a/fork")
    assert asked.posted(number="7\n") == ["## Fine"]
    assert asked.refused(number=None, report=None) == "the run has not said which of [7, 8] it was for"
    assert asked.github.bodies(8) == []


@needs_openssl
@pytest.mark.parametrize(
    "why", ["closed", "moved on", "another branch", "another fork", "no fork", "another branch's name"]
)
def test_nothing_is_posted_where_no_open_pull_request_has_the_commit_as_its_head(asked: Asked, why: str):
    [pull_request] = asked.github.pull_requests
    if why == "closed":
        pull_request["state"] = "closed"
    elif why == "no fork":
        pull_request["head"]["repo"] = None
    elif why == "moved on":
        asked.run = {"head_sha": "0" * 40}
    elif why == "another branch":
        asked.branch = "other"
    elif why == "another fork":
        asked.run = {"head_repository": {"full_name": "a/second-fork"}}
    else:
        asked.branch = "change&state=closed#\N{SNOWMAN}"
    done = asked.comment()
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout
        == f"::notice::nothing is posted: no open pull request has the head {asked.run.get('head_sha', asked.commit)}\n"
    )
    assert asked.github.comments == {}


@needs_openssl
def test_a_report_that_is_too_long_says_where_the_rest_is(asked: Asked):
    report = "\n\n".join(["@" * 100] * 500)
    assert asked.comment(report=report).returncode == 0
    [body] = asked.github.bodies(7)
    assert MOST_CHARACTERS - 1000 < len(body) < MOST_CHARACTERS
    assert "The rest is too long for a comment: [run 42](https://github.example/runs/42) has it" in body
    assert asked.posted(report="x" * 300_000) == [""]
    assert "The rest is too long" in asked.github.bodies(7)[0]


def test_links_in_the_place_of_files_are_not_followed(tmp_path: Path):
    (tmp_path / "secret").write_text("a secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "folder").mkdir()
    assert read_text(tmp_path / "secret") == "a secret"
    assert read_text(tmp_path / "link") is read_text(tmp_path / "folder") is read_text(tmp_path / "none") is None


@needs_openssl
def test_a_refusal_of_github_is_a_line(asked: Asked):
    asked.run = {"head_repository": None}
    assert asked.refused() == "the repository that the pull request came from is gone"


def test_a_github_that_does_not_answer_is_a_line():
    with pytest.raises(RefusedError, match=r"GitHub doesn't answer GET /pulls: .*refused"):
        Server("GitHub", "http://127.0.0.1:9", "token").ask("GET", "/pulls")


def test_the_token_does_not_follow_a_redirect():
    """A server may send an artifact from a storage of its own, which must not see the token."""
    seen: list[tuple[str, str | None]] = []

    class Storage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization")))
            self.send_response(302 if self.path == "/report.md" else 200)
            self.send_header("Location", f"http://localhost:{server.server_port}/stored")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with HTTPServer(("127.0.0.1", 0), Storage) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        Server("GitLab", f"http://127.0.0.1:{server.server_port}", "secret").send("GET", "/report.md")
        server.shutdown()
    assert seen == [("/report.md", "Bearer secret"), ("/stored", None)]


def test_it_imports_the_standard_library_alone():
    text = (ROOT / "retrace/review/comment.py").read_text()
    names = set(re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE))
    assert names <= sys.stdlib_module_names
