"""Post the report of a pipeline run as a comment on its pull request, with CML.

    python3 -I retrace/review/comment.py ARTIFACT CML
    python3 -I retrace/review/comment.py ARTIFACT CML BRANCH COMMIT

ARTIFACT is the folder that the run uploaded: `report.md` and the `number` of the pull request. CML is a folder with
CML's program. comment.yml runs this module from the default branch, with a token that may write comments. The run
executed code that anybody may have proposed, so nothing in ARTIFACT is trusted: the pull request is looked up by what
GitHub says about the run, and the report can only show text. No package is installed in that job, and this file alone
is checked out, so it imports nothing but the standard library.

With BRANCH and COMMIT, the report is of the run that calls this module: retrain.yml pushed that commit to that branch.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unicodedata
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

OUR_ACCOUNT = "github-actions[bot]"  # who writes with a workflow's own token; no other account's name has brackets
DEPENDABOT = "dependabot[bot]"
RETRAIN = "retrain"  # the branch of retrain.yml, which puts nothing into a storage
WATERMARK = "review"
# What CML appends to a comment, so that it can be recognized.
MARK = re.compile(rf'!\[\]\(https://cml\.dev/watermark\.png#[0-9a-fA-F]+ "CML watermark {WATERMARK}"\)')
PAGE = 100  # comments on a page, the most that GitHub gives
MOST_BYTES = 1_000_000  # read of a report
MOST_CHARACTERS = 65_000  # of a comment; GitHub takes 65,536, and CML adds its mark

OUTCOMES = {
    "success": "succeeded",
    "failure": "failed",
    "cancelled": "was cancelled",
    "timed_out": "timed out",
    "action_required": "waits for a maintainer's approval",
}

JOINER = "\u2060"  # a character without width; what it separates has no special meaning any more
# Constructs of the report that contain such characters: the head of a patch's hunk, the colours of a chart, folds.
COLOURS = r"""%%\{init:\ \{"themeVariables":\ \{"xyChart":\ \{"plotColorPalette":\ "[\#0-9a-f,\ ]*"\}\}\}\}%%"""
UNCHANGED = rf"""
    ^```mermaid(?=\n{COLOURS}\nxychart-beta$)
  | ^@@\ -\d+(,\d+)?\ \+\d+(,\d+)?\ @@(?=\ |$)
  | ^{COLOURS}$
  | </?(details|summary)>
"""
# A joiner is put behind each of these. That works in code blocks and code spans as well, so this module needn't know
# where Markdown begins and ends them.
INTERRUPTED = r"""
    ^(?:[^\S\n]|[->*+]|\d+[.)])*(?=/)  # a command to a bot, at the start of a line, a quote or a list's item
  | (?:(?<!`)`{3,}+|(?<!~)~{3,}+)[^\S\n]*(?=[^\s`~])(?!(?:text|diff|console)$)  # a block that may be drawn or run
  | \\(?=href|url|html|require|style|class)  # in a formula, what isn't one
  | @                          # a mention
  | <                          # HTML, or a link in angle brackets
  | &(?=[\#a-zA-Z])            # a character that is written as an entity
  | \](?=[(\[:])               # the address of a link or image
  | /(?=[/\\])                 # an address that GitHub makes a link
  | www(?=\.)                  # the same
  | \#(?=\d)                   # an issue: #1, owner/repository#1
  | gh(?=\\?-\d)               # the same: GH-1
"""
# What has a meaning for GitLab alone. A backslash before punctuation disappears when Markdown is shown.
INTERRUPTED_ON_GITLAB = r"""
    [!$&](?=\d)                # a merge request, a snippet or an epic: !1, $1, &1
  | ~(?=\\?[\w?.&"-])          # a label: ~1, ~bug, ~"a bug"
  | %(?=[^\s%`),.;:|])         # a milestone: %1, %v1, %"version 1"; %{…} is a placeholder
  | \*(?=iteration\\?:)        # an iteration: *iteration:1
  | \[(?=[\w\\]+:)             # any other object: [vulnerability:1]
  | \[(?=\\?\[|TOC)            # a table of contents, or a link to a page of the wiki
  | :(?=:include)              # the text of a file
  | /(?=[\w.-]+>)              # a project: group/project>
  | (?-i:\b[A-Z][A-Z0-9_]+)(?=\\?-\d)  # an issue in another tracker, such as Jira: ABC-1
"""
FLAGS = re.MULTILINE | re.IGNORECASE | re.VERBOSE
MEANINGFUL = {
    "GitHub": re.compile(rf"(?P<unchanged>{UNCHANGED})|{INTERRUPTED}", FLAGS),
    "GitLab": re.compile(rf"(?P<unchanged>{UNCHANGED})|{INTERRUPTED}|{INTERRUPTED_ON_GITLAB}", FLAGS),
}
PATCH = re.compile(r"(`{3,})diff\n")  # the line that begins one
NO_PATCH = "The patch holds characters that a comment must not show: `report.patch` in the run's artifact has it."


class RefusedError(Exception):
    """What must not be posted, and why."""


class NotFoundError(RefusedError):
    """What isn't on the server."""


class Run(NamedTuple):
    """A run of the pipeline on a pull request, as GitHub describes it."""

    identity: int
    repository: str
    head_repository: str
    head_branch: str
    commit: str
    outcome: str
    url: str

    @classmethod
    def of(cls, event: dict[str, Any]) -> Self:
        """The run that a `workflow_run` event is about.

        Raises:
            RefusedError: the fork is gone.
        """
        run = event["workflow_run"]
        if not run["head_repository"]:
            raise RefusedError("the repository that the pull request came from is gone")
        outcome = OUTCOMES.get(run["conclusion"], "ended")
        head, repository = run["head_repository"]["full_name"], event["repository"]["full_name"]
        return cls(run["id"], repository, head, run["head_branch"], run["head_sha"], outcome, run["html_url"])

    @classmethod
    def this(cls, branch: str, commit: str) -> Self:
        """The run that calls this module, which pushed a commit to a branch of its own repository."""
        repository, identity = os.environ["GITHUB_REPOSITORY"], int(os.environ["GITHUB_RUN_ID"])
        url = f"{os.environ['GITHUB_SERVER_URL']}/{repository}/actions/runs/{identity}"
        return cls(identity, repository, repository, branch, commit, OUTCOMES["success"], url)


class Server(NamedTuple):
    """The REST interface of GitHub or GitLab for one repository.

    Attributes:
        name: `GitHub` or `GitLab`.
        url: the address of the repository in that interface.
        token: what may write comments there.
    """

    name: str
    url: str
    token: str

    def ask(self, method: str, path: str, content: dict[str, str] | None = None) -> Any:
        """The answer to one request, from JSON.

        Raises:
            RefusedError: the server doesn't answer it.
        """
        try:
            return json.loads(self.send(method, path, content))
        except ValueError:
            raise RefusedError(f"{self.name} doesn't answer {method} {path} with JSON") from None

    def send(self, method: str, path: str, content: dict[str, str] | None = None, most: int | None = None) -> bytes:
        """The answer to one request, or its first `most` bytes.

        Raises:
            NotFoundError: the server doesn't have it, or doesn't show it.
            RefusedError: the server doesn't answer it.
        """
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        body = None if content is None else json.dumps(content).encode()
        try:
            # The address is the server's, from the runner. A server that it redirects to doesn't get the token.
            request = Request(self.url + path, body, headers, method=method)  # noqa: S310
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
            with urlopen(request, timeout=60) as answer:  # noqa: S310
                received: bytes = answer.read(most)
                return received
        except HTTPError as error:
            refusal = NotFoundError if error.code == 404 else RefusedError
            raise refusal(f"{self.name} answers {error.code} to {method} {path}") from None
        except (OSError, HTTPException, ValueError) as error:
            reason = " ".join(str(error).split())
            raise RefusedError(f"{self.name} doesn't answer {method} {path}: {reason}") from None

    def pages(self, path: str, **query: str) -> list[dict[str, Any]]:
        """All items of a list."""
        items: list[dict[str, Any]] = []
        while True:
            page = len(items) // PAGE + 1
            found = self.ask("GET", f"{path}?{urlencode(query | {'per_page': PAGE, 'page': page})}")
            items += found
            if len(found) < PAGE:
                return items


def find_pull_requests(github: Server, run: Run) -> dict[int, str | None]:
    """The numbers of the open pull requests whose head is the run's commit, and who opened each.

    There can be two for one branch, into different bases.
    """
    owner = run.head_repository.split("/")[0]
    authors: dict[int, str | None] = {}
    for pull_request in github.pages("/pulls", state="open", head=f"{owner}:{run.head_branch}"):
        head = pull_request["head"]
        repository = head["repo"]["full_name"] if head["repo"] else None  # None: the fork is gone
        is_open = pull_request["state"] == "open"
        if is_open and (repository, head["ref"], head["sha"]) == (run.head_repository, run.head_branch, run.commit):
            authors[pull_request["number"]] = (pull_request["user"] or {}).get("login")  # None: the account is gone
    return authors


def read_text(file: Path) -> str | None:
    """The first bytes of a file, as text; None where there is no regular file of that name."""
    if file.is_symlink() or not file.is_file():
        return None
    with file.open("rb") as stream:
        return stream.read(MOST_BYTES).decode("utf-8", "ignore")


def choose_pull_request(candidates: set[int], claimed: str | None) -> int:
    """The pull request to comment on: the one that the artifact names, if it's a candidate.

    Args:
        candidates: what GitHub says, at least one.
        claimed: what the artifact says; None where the run has left no number.

    Raises:
        RefusedError: the two disagree, or neither says which.
    """
    if claimed is None:
        if len(candidates) > 1:
            raise RefusedError(f"the run has not said which of {sorted(candidates)} it was for")
        return min(candidates)
    if not re.fullmatch("[1-9][0-9]{0,8}\n?", claimed):
        raise RefusedError("the artifact's number is not the number of a pull request")
    if int(claimed) not in candidates:
        raise RefusedError(f"the artifact names pull request {int(claimed)}, the run was for {sorted(candidates)}")
    return int(claimed)


def make_harmless(text: str, server: str = "GitHub") -> str:
    """The text with nothing in it that GitHub or GitLab, or a bot that reads comments there, would act on.

    Mentions, links, images, references, HTML other than folds, and commands are broken by a character without width.
    Control characters and those that change the direction of the text are replaced.
    """
    unix = text.replace("\r\n", "\n")
    shown = "".join(character if _is_text(character) else "\ufffd" for character in unix)
    return MEANINGFUL[server].sub(_interrupt, shown)


def _interrupt(match: re.Match[str]) -> str:
    """What was matched, with a joiner behind it unless it's a construct of the report's own."""
    return match[0] if match["unchanged"] else match[0] + JOINER


def _is_text(character: str) -> bool:
    return character in "\n\t" or (unicodedata.category(character)[0] != "C" and character not in "\u2028\u2029")


def without_altered_patches(text: str, server: str = "GitHub") -> str:
    """The text, in which patches that `make_harmless` would alter are left out: they would no longer apply."""
    kept, patch, fence = [], "", ""
    for line in text.splitlines(keepends=True):
        if not fence and (start := PATCH.fullmatch(line)):
            patch, fence = line, start[1]
        elif not fence:
            kept.append(line)
        elif line.rstrip("\n") == fence:
            patch += fence
            # The report's writer may have replaced characters, too.
            altered = make_harmless(patch, server) != patch or "\ufffd" in patch
            kept.append((NO_PATCH if altered else patch) + line.removeprefix(fence))
            patch, fence = "", ""
        else:
            patch += line
    return "".join([*kept, patch])  # the last patch may have no end


def shorten(text: str, most: int) -> str:
    """The first blocks of a text that fit in `most` characters; no code block and no fold is left open."""
    if len(text) <= most:
        return text
    fence, folds, length, end = "", 0, 0, 0
    for line in text.splitlines(keepends=True):
        length += len(line)
        if length > most:
            break
        marker = re.match(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})", line)
        if fence:
            closes = line.strip().startswith(fence) and not line.strip().strip(fence[0])
            fence = "" if closes else fence
        elif marker:
            fence = marker[1]
        else:
            folds += line.lower().count("<details>") - line.lower().count("</details>")
        if not fence and folds == 0 and not line.strip():
            end = length
    return text[:end]


def is_verify_only(run: Run, author: str | None) -> bool:
    """Whether pipeline.yml ran no stage for a pull request: the condition is that of its step "Decide".

    Args:
        run: the run of pipeline.yml.
        author: who opened the pull request.
    """
    is_trusted = run.head_repository == run.repository and author != DEPENDABOT
    is_set = os.environ.get("VERIFY_ONLY", "").lower() == "true"  # GitHub compares without regard to case
    return is_set and is_trusted and run.head_branch.lower() != RETRAIN


def write_comment(run: Run, report: str | None, server: str = "GitHub", *, verify_only: bool = False) -> str:
    """The whole comment for GitHub or GitLab: a first line about the run, by this module, then the run's report.

    If there is no report, a sentence says so.
    """
    log = f"[run {run.identity}]({run.url})"
    subject = "VERIFY_ONLY is set, so no stage is rerun, and the check" if verify_only else "the pipeline"
    first = f"Commit {run.commit}: {subject} {run.outcome}, in {log}."
    if not report or not report.strip():
        return f"{first}\n\nThere is no report: the run ended before it wrote one. Its log says why."
    first += " The run wrote what follows."
    whole = make_harmless(without_altered_patches(report, server), server)
    kept = shorten(whole, MOST_CHARACTERS - len(first) - 200)
    rest = "" if kept == whole else f"\n\nThe rest is too long for a comment: {log} has it in its artifact."
    return f"{first}\n\n{kept.rstrip()}{rest}"


def post(github: Server, repository_url: str, number: int, text: str, cml: Path) -> str:
    """Post the comment on a pull request; returns its address.

    The last comment with our mark is updated, if our account wrote it. Otherwise CML creates a new one. (CML's own
    `update` looks at the first 30 comments only, and takes the last one with its mark, whoever wrote it.)
    """
    marked = [comment for comment in github.pages(f"/issues/{number}/comments") if MARK.search(comment["body"] or "")]
    if marked and marked[-1]["user"] and marked[-1]["user"]["login"] == OUR_ACCOUNT:
        mark = MARK.findall(marked[-1]["body"])[-1]
        updated = github.ask("PATCH", f"/issues/comments/{marked[-1]['id']}", {"body": f"{text}\n\n{mark}"})
        return str(updated["html_url"])
    return create_comment(repository_url, number, text, cml)


def create_comment(repository_url: str, number: int, text: str, cml: Path) -> str:
    """Post a new comment on a pull request with CML; returns its address.

    Raises:
        RefusedError: CML could not post it.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "comment.md"
        file.write_text(text, encoding="utf-8")
        command = ["node", str(cml / "bin/cml.js"), "comment", "create"]
        options = [f"--repo={repository_url}", f"--target=pr/{number}", "--publish=false"]
        # No outside text is an option: the address is the runner's, the number the server's.
        done = subprocess.run([*command, *options, f"--watermark-title={WATERMARK}", file], stdout=subprocess.PIPE)
    if done.returncode:
        raise RefusedError("CML could not post the comment")
    return done.stdout.decode().strip()


def main(artifact: Path, cml: Path, *pushed: str) -> None:
    """Find out which run the report is of, check what the run left, and post.

    Args:
        artifact: the folder that the run uploaded.
        cml: the folder with CML's program.
        pushed: the branch and the commit that this run itself has pushed, if the report is of this run.
    """
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_bytes())
    run = Run.this(*pushed) if pushed else Run.of(event)
    github = Server("GitHub", f"{os.environ['GITHUB_API_URL']}/repos/{run.repository}", os.environ["REPO_TOKEN"])
    authors = find_pull_requests(github, run)
    if not authors:
        print(f"::notice::nothing is posted: no open pull request has the head {run.commit}")
        return
    number = choose_pull_request(set(authors), read_text(artifact / "number"))
    text = write_comment(run, read_text(artifact / "report.md"), verify_only=is_verify_only(run, authors[number]))
    print(post(github, f"{os.environ['GITHUB_SERVER_URL']}/{run.repository}", number, text, cml))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
    except RefusedError as refused:
        sys.exit(f"::error::{refused}")
