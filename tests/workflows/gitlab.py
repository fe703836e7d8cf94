"""A stand-in for GitLab: what CML and retrace/review/comment_gitlab.py ask of its REST interface, and its jobs.

A job's script runs with bash in a clone of the project, with the variables that GitLab sets. What GitLab does itself is
done here: which jobs a pipeline has, which variables a job sees, and which files of a job are kept.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from retrace.yaml_files import read_yaml
from tests.conftest import check
from tests.workflows.project import PATH

PROJECT, FORK = "group/sub/project", "a/fork"
IDS = {PROJECT: 11, FORK: 12}
TOKEN = "a-token-that-writes"
BOT, PERSON = 501, 502
PAGE = 20
HERE = Path(__file__).parent
# A clone of CML, or its stand-in, in the place of what Git would fetch.
GIT = """#!/bin/sh
case "$*" in
"-C cml fetch --quiet --depth 1 https://github.com/iterative/cml "*)
  if [ "$STAND_IN_CML" ]; then rm -r cml && ln -s "$STAND_IN_CML" cml
  else mkdir cml/bin && cp "$STAND_IN_FOLDER/cml.py" cml/bin/cml.js; fi;;
"-C cml checkout --quiet FETCH_HEAD") ;;
*) PATH=${PATH#*:} exec git "$@";;
esac
"""
NPM = '#!/bin/sh\n[ "$*" = "--prefix cml ci --omit=dev --ignore-scripts --no-audit --no-fund" ]\n'
NODE = '#!/bin/sh\nexec python3 "$@"\n'
# The packages are those of the tests, which are installed.
MAKE = """#!/bin/sh
ln -s "$STAND_IN_PREFIX" .venv && echo /.venv >> .git/info/exclude
[ "$*" = install ] || PATH=${PATH#*:} exec make --old-file .venv/installed "$@"
"""


@dataclass(frozen=True)
class Job:
    """A job that ran: its number, its exit code, and what it printed."""

    number: int
    code: int
    output: str


class GitLab(ThreadingHTTPServer):
    """Serves the merge request 7 of a project, its notes, the jobs of its pipelines and their artifacts.

    Attributes:
        head: the newest commit of the merge request.
        notes: its comments, the oldest first.
        jobs: what a pipeline's jobs are said to be.
        artifacts: the files of each job by its number.
    """

    def __init__(self) -> None:
        self.head, self.state = "", "opened"
        self.notes: list[dict[str, Any]] = []
        self.jobs: list[dict[str, Any]] = []
        self.artifacts: dict[int, dict[str, bytes]] = {}
        self.requests: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def answer(self, line: str, query: dict[str, str], body: str) -> tuple[int, Any]:
        """The status and content of an answer: bytes are a file, anything else is JSON."""
        project = f"/projects/(?:{IDS[PROJECT]}|{PROJECT})"
        notes = f"{project}/merge_requests/(7)/notes"
        merge_request = {"iid": 7, "state": self.state, "sha": self.head, "source_branch": "change"}
        routes = {
            "GET /(version)": lambda _: {"version": "18.0.0"},
            "GET /(user)": lambda _: {"id": BOT, "username": "project_11_bot"},
            f"GET {project}/merge_requests/(7)": lambda _: merge_request,
            f"GET {project}/pipelines/(31)/jobs": lambda _: self.page(self.jobs, query),
            rf"GET {project}/jobs/(\d+)/artifacts/report.md": lambda job: self.artifacts[int(job)].get("report.md"),
            f"GET {notes}": lambda _: self.page(self.notes if query.get("sort") == "asc" else self.notes[::-1], query),
            f"POST {notes}": lambda _: self.post(body),
            rf"PUT {notes}/(\d+)": lambda number: self.put(int(number), body),
        }
        for route, reply in routes.items():
            if (found := re.fullmatch(route, line)) and (content := reply(found[found.lastindex or 0])) is not None:
                return 200, content
        return 404, {"message": "404 Not Found"}

    def put(self, number: int, body: str) -> dict[str, Any] | None:
        """A comment of the token's account, with another text."""
        for note in self.notes:
            if (note["id"], note["author"]["id"]) == (number, BOT):
                note["body"] = body
                return note
        return None

    def post(self, body: str, by: int = BOT) -> dict[str, Any]:
        """A new comment."""
        self.notes.append({"id": 900 + len(self.notes), "body": body, "author": {"id": by}})
        return self.notes[-1]

    def page(self, items: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
        many, page = int(query.get("per_page", PAGE)), int(query.get("page", 1))
        return items[(page - 1) * many : page * many]

    def bodies(self) -> list[str]:
        """The comments as they are now."""
        return [note["body"] for note in self.notes]


class Handler(BaseHTTPRequestHandler):
    """Reads a request, has it answered, and keeps its first line."""

    server: GitLab
    protocol_version = "HTTP/1.1"

    def handle_request(self) -> None:
        """An address under /api/v4."""
        received = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        token = self.headers.get("PRIVATE-TOKEN") or (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token != TOKEN:
            status, content = 401, {"message": "401 Unauthorized"}
        else:
            is_json = (self.headers.get("Content-Type") or "").startswith("application/json")
            sent = json.loads(received or b"{}") if is_json else flat(received.decode())
            line = f"{self.command} {unquote(url.path.removeprefix('/api/v4'))}"
            self.server.requests.append(line)
            status, content = self.server.answer(line, flat(url.query), sent.get("body", ""))
        answer = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if answer is content else "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = handle_request  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing: requests are kept, not printed."""


def flat(text: str) -> dict[str, str]:
    """The values of a query or a form, by their names."""
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}


def holds(rule: str, variables: dict[str, str]) -> bool:
    """Whether the condition of a rule holds: comparisons of variables and texts, joined by `&&`."""

    def value(word: str) -> str | None:
        return variables.get(word[1:]) if word.startswith("$") else word.strip('"')

    comparisons = [part.split() for part in rule.split("&&")]
    return all((value(left) == value(right)) == (sign == "==") for left, sign, right in comparisons)


class Pipeline:
    """A merge request's pipeline, or one of a push to main, of the commit that is checked out in a project's folder.

    Args:
        gitlab: the stand-in.
        author: the folder with the project; its origin is where `main` is.
        folder: for clones and what jobs leave.
        source: the project whose branch it is.
        secrets: the project's variables by the environments that they're limited to.
    """

    def __init__(
        self,
        gitlab: GitLab,
        author: Path,
        folder: Path,
        source: str = PROJECT,
        secrets: dict[str, dict[str, str]] | None = None,
    ) -> None:
        self.gitlab, self.author, self.folder = gitlab, author, folder
        self.file = read_yaml(author / ".gitlab-ci.yml")
        self.secrets = {"comment": {"REPO_TOKEN": TOKEN}} if secrets is None else secrets
        self.origin = check("git", "remote", "get-url", "origin", cwd=author).strip()
        self.commit = check("git", "rev-parse", "HEAD", cwd=author).strip()
        base = check("git", "merge-base", "origin/main", "HEAD", cwd=author).strip()
        self.variables = {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_API_V4_URL": f"{gitlab.url}/api/v4",
            "CI_COMMIT_BEFORE_SHA": "0" * 40,
            "CI_COMMIT_SHA": self.commit,
            "CI_DEFAULT_BRANCH": "main",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_PROJECT_ID": str(IDS[PROJECT]),
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": str(IDS[source]),
            "CI_PIPELINE_ID": "31",
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_PROJECT_ID": str(IDS[source]),  # a fork's pipeline runs in the fork
            "CI_PROJECT_PATH": source,
            "CI_PROJECT_URL": f"{gitlab.url}/{source}",
            "CI_REPOSITORY_URL": self.origin,
        }
        gitlab.head = self.commit

    def names(self) -> set[str]:
        """The jobs that this pipeline has."""
        if not any(holds(rule["if"], self.variables) for rule in self.file["workflow"]["rules"]):
            return set()
        jobs = {name: job for name, job in self.file.items() if isinstance(job, dict) and "script" in job}
        return {
            name
            for name, job in jobs.items()
            if any(holds(rule["if"], self.variables) for rule in job.get("rules", [{"if": "a == a"}]))
        }

    def run(self, name: str) -> Job:
        """Run a job; GitLab then knows its outcome, and has the files that it was to leave."""
        job = self.file[name]
        number = 100 + len(self.gitlab.artifacts)
        room = self.folder / f"job-{number}-{self.commit[:8]}"
        checkout = room / "checkout"
        checkout.mkdir(parents=True)
        variables = {name: str(value) for name, value in (self.file["variables"] | job.get("variables", {})).items()}
        if variables.get("GIT_STRATEGY") != "none":
            check("git", "clone", "--quiet", "--no-hardlinks", self.origin, ".", cwd=checkout)
            check("git", "fetch", "--quiet", str(self.author), "HEAD", cwd=checkout)
            check("git", "checkout", "--quiet", "--detach", self.commit, cwd=checkout)
        environment = job.get("environment", {}).get("name", "")
        for file, program in (("git", GIT), ("make", MAKE), ("npm", NPM), ("node", NODE)):
            (room / "bin").mkdir(exist_ok=True)
            if file != "node" or not os.environ.get("CML"):
                (room / "bin" / file).write_text(program)
                (room / "bin" / file).chmod(0o755)
        known = {
            "HOME": str(room),
            "LANG": "C.UTF-8",
            "PATH": f"{room / 'bin'}{os.pathsep}{PATH}",
            "TMPDIR": str(room),
            "OMP_NUM_THREADS": "1",
            "STAND_IN_CML": os.environ.get("CML", ""),
            "STAND_IN_FOLDER": str(HERE),
            "STAND_IN_PREFIX": sys.prefix,
            "CI_JOB_ID": str(number),
            "CI_PROJECT_DIR": str(checkout),
        }
        script = "\n".join(["set -eo pipefail", *job["script"]])
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=checkout,
            env=self.variables | known | variables | self.secrets.get(environment, {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        paths = [checkout / path for path in job.get("artifacts", {}).get("paths", [])]
        self.left(
            name, "failed" if done.returncode else "success", {p.name: p.read_bytes() for p in paths if p.is_file()}
        )
        shutil.rmtree(room)
        return Job(number, done.returncode, done.stdout)

    def left(self, name: str, status: str, files: dict[str, bytes]) -> None:
        """Let GitLab know that a job ended like this, and left these files."""
        number = 100 + len(self.gitlab.artifacts)
        url = f"{self.gitlab.url}/{PROJECT}/-/jobs/{number}"
        self.gitlab.artifacts[number] = files
        self.gitlab.jobs = [job for job in self.gitlab.jobs if job["name"] != name]  # only the newest are listed
        self.gitlab.jobs.append({"id": number, "name": name, "status": status, "web_url": url})
