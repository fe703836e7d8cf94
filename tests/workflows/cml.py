"""A stand-in for the commands of CML that the workflows use: it sends the requests that CML 0.20.6 sends.

    cml comment create --repo=URL --target=pr/NUMBER --publish=false --watermark-title=TITLE FILE
    cml repo prepare
    cml pr create --branch=BRANCH --title=TITLE --body=BODY

It tests our side of the contract, not CML: `CML=/path/to/cml pytest tests/workflows` runs the real one in its place.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

TARGET = os.environ.get("GITHUB_REF", "").removeprefix("refs/heads/")


def ask(repository_url: str, method: str, path: str, content: dict[str, str] | None = None) -> Any:
    url = urlsplit(repository_url)
    headers = {
        "Accept": "application/vnd.github.v3+json",
        "Authorization": f"token {os.environ['REPO_TOKEN']}",
        "User-Agent": "stand-in for CML",
    }
    body = None
    if content is not None:
        headers["Content-Type"] = "application/json; charset=utf-8"
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    with urlopen(Request(f"https://{url.netloc}/api/v3{path}", body, headers, method=method)) as answer:
        return json.load(answer)


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def create_comment(words: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="cml comment create", allow_abbrev=False)
    for option in ("--repo", "--target", "--watermark-title"):
        parser.add_argument(option, required=True)
    parser.add_argument("--publish", required=True, choices=["false"])
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args(words)
    number = re.fullmatch(r"pr/(\d+)", arguments.target)[1]  # type: ignore[index]
    title = re.sub(r"([_*[<])", r"\\\1", f"CML watermark {arguments.watermark_title}")
    text = arguments.file.read_text(encoding="utf-8", errors="replace")
    commit = os.environ.get("GITHUB_SHA") or os.environ["CI_COMMIT_SHA"]
    watermark = f'![](https://cml.dev/watermark.png#{commit} "{title}")'
    report = {"body": f"{text}\n\n{watermark}"}
    if "CI_PROJECT_URL" in os.environ:
        print(create_note(arguments.repo, number, report))
        return
    ask(arguments.repo, "GET", f"/users/{os.environ['GITHUB_ACTOR']}")  # for its telemetry, also where that is off
    path = urlsplit(arguments.repo).path
    print(ask(arguments.repo, "POST", f"/repos{path}/issues/{number}/comments", report)["html_url"])


def create_note(project_url: str, number: str, report: dict[str, str]) -> str:
    """A comment on GitLab; a form is sent there."""
    url = urlsplit(project_url)
    project = f"{url.scheme}://{url.netloc}/api/v4/projects/{quote(url.path[1:], safe='')}"
    headers = {"Accept": "application/json", "PRIVATE-TOKEN": os.environ["REPO_TOKEN"]}
    body = urlencode(report).encode()
    with urlopen(Request(f"{project}/merge_requests/{number}/notes", body, headers, method="POST")) as answer:
        return f"{project_url}/-/merge_requests/{number}#note_{json.load(answer)['id']}"


def prepare_repository(words: list[str]) -> None:
    argparse.ArgumentParser(prog="cml repo prepare", allow_abbrev=False).parse_args(words)
    server = urlsplit(os.environ["GITHUB_SERVER_URL"])
    address = (
        f"{server.scheme}://token:{os.environ['REPO_TOKEN']}@{server.netloc}/{os.environ['GITHUB_REPOSITORY']}.git"
    )
    git("remote", "set-url", "origin", address)


def create_pull_request(words: list[str]) -> None:
    """A branch that isn't there yet would be made and pushed; the workflows have pushed theirs."""
    parser = argparse.ArgumentParser(prog="cml pr create", allow_abbrev=False)
    for option in ("--branch", "--title", "--body"):
        parser.add_argument(option, required=True)
    arguments = parser.parse_args(words)
    prepare_repository([])
    if not git("ls-remote", "origin", arguments.branch):
        sys.exit("the branch isn't there")
    url = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}"
    pulls = f"/repos{urlsplit(url).path}/pulls"
    print(f"::warning::Branch {arguments.branch} already exists", file=sys.stderr)
    for found in ask(url, "GET", f"{pulls}?state=open"):
        if arguments.branch.endswith(found["head"]["ref"]) and TARGET.endswith(found["base"]["ref"]):
            print(found["html_url"])
            return
    content = {"head": arguments.branch, "base": TARGET, "title": arguments.title, "body": arguments.body}
    print(ask(url, "POST", pulls, content)["html_url"])


COMMANDS = {
    ("comment", "create"): create_comment,
    ("repo", "prepare"): prepare_repository,
    ("pr", "create"): create_pull_request,
}

if __name__ == "__main__":
    try:
        COMMANDS[sys.argv[1], sys.argv[2]](sys.argv[3:])
    except HTTPError as error:
        sys.exit(json.load(error)["message"])
