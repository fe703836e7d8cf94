"""A stand-in for GitHub: what CML, gh and retrace/review/comment.py ask of it, and Git over HTTP, all by TLS.

Every request is kept. A token that may only read is answered 403 when it writes, as a fork's is.
"""

import json
import os
import re
import ssl
import subprocess
import threading
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlsplit

REPOSITORY = "someone/project"
WRITES, READS, PERSONAL = "a-token-that-writes", "a-token-that-reads", "a-persons-token"
LONGEST = 65_536  # characters of a comment
LONGEST_NOTES = 125_000  # characters of a release's notes
PAGE = 30
BOT = "github-actions[bot]"
Comment = dict[str, Any]
Release = dict[str, Any]


class Request(NamedTuple):
    """What was asked, and the status of the answer."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int


class GitHub(ThreadingHTTPServer):
    """Serves the bare repository `folder/someone/project.git`, the comments of its pull requests, and its releases.

    An asset named like `refused_asset` can't be uploaded.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[Request] = []
        self.comments: dict[str, list[Comment]] = {}
        self.pull_requests: list[dict[str, Any]] = []
        self.releases: dict[int, Release] = {}
        self.refused_asset = ""
        self.certificate = folder / "certificate.pem"
        super().__init__(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        key = self.folder / "key.pem"
        name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", str(key), "-out", str(self.certificate)]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *name, *files]
        subprocess.run(command, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def bodies(self, number: int) -> list[str]:
        """The comments of a pull request, as they stand now."""
        return [comment["body"] for comment in self.comments.get(str(number), [])]

    def answer(self, line: str, query: dict[str, list[str]], sent: bytes) -> tuple[int, Any]:
        """The status and content that GitHub's REST interface answers with."""
        if "/releases" in line or line.endswith(" /graphql"):
            return self.answer_on_releases(line, query, sent)
        body = json.loads(sent).get("body", "") if sent else ""
        routes = {
            r"GET /users/([\w-]+)": lambda name: {"login": name, "id": 1, "name": None},
            rf"GET /repos/{REPOSITORY}/(pulls)": lambda _: self.open_pull_requests(query),
            rf"POST /repos/{REPOSITORY}/(pulls)": lambda _: self.create_pull_request(json.loads(sent)),
            rf"GET /repos/{REPOSITORY}/issues/(\d+)/comments": lambda number: self.page(number, query),
            rf"POST /repos/{REPOSITORY}/issues/(\d+)/comments": lambda number: self.post(number, body),
            rf"PATCH /repos/{REPOSITORY}/issues/comments/(\d+)": lambda identity: self.patch(int(identity), body),
        }
        if len(body) > LONGEST:
            return 422, {"message": "Validation Failed: body is too long (maximum is 65536 characters)"}
        for route, reply in routes.items():
            if (found := re.fullmatch(route, line)) and (content := reply(found[1])) is not None:
                return 201 if line.startswith("POST") else 200, content
        return 404, {"message": "Not Found"}

    def answer_on_releases(self, line: str, query: dict[str, list[str]], sent: bytes) -> tuple[int, Any]:
        """The status and content of an answer to `gh release create`."""
        releases = f"/repos/{REPOSITORY}/releases"
        routes = {
            r"POST /(graphql)": lambda _: self.find_tag(json.loads(sent)["variables"]["tagName"]),
            rf"(?:GET|HEAD) {releases}/tags/(.+)": self.find_release,
            rf"POST ({releases})": lambda _: self.create_release(json.loads(sent)),
            rf"POST {releases}/(\d+)/assets": lambda number: self.upload(int(number), query["name"][0], sent),
            rf"PATCH {releases}/(\d+)": lambda number: self.change_release(int(number), json.loads(sent)),
            rf"DELETE {releases}/(\d+)": lambda number: (204, self.releases.pop(int(number)) and None),
        }
        for route, reply in routes.items():
            if found := re.fullmatch(route, line):
                return reply(found[1])
        return 404, {"message": "Not Found"}

    def find_tag(self, name: str) -> tuple[int, Any]:
        """Whether there is a tag, as GraphQL answers."""
        identity = self.git("rev-parse", "--verify", "--quiet", name)
        return 200, {"data": {"repository": {"ref": {"id": identity}}}}

    def find_release(self, tag: str) -> tuple[int, Any]:
        """The release of a tag, unless it's a draft."""
        found = [each for each in self.published() if each["tag_name"] == tag]
        return (200, shown(found[0])) if found else (404, {"message": "Not Found"})

    def create_release(self, content: Release) -> tuple[int, Any]:
        """A new release, if its notes aren't too long."""
        if len(content["body"]) > LONGEST_NOTES:
            return 422, {"message": "Validation Failed: body is too long (maximum is 125000 characters)"}
        number = len(self.requests)
        address = f"https://{self.host}/api/{{}}/repos/{REPOSITORY}/releases/{number}"
        self.releases[number] = content | {
            "url": address.format("v3"),
            "upload_url": f"{address.format('uploads')}/assets{{?name,label}}",
            "html_url": f"https://{self.host}/{REPOSITORY}/releases/tag/{content['tag_name']}",
            "assets": {},
        }
        return 201, shown(self.releases[number])

    def upload(self, number: int, name: str, content: bytes) -> tuple[int, Any]:
        """A new asset of a release."""
        if name == self.refused_asset:
            return 422, {"message": "Validation Failed"}
        self.releases[number]["assets"][name] = content
        return 201, {"name": name, "state": "uploaded"}

    def change_release(self, number: int, content: Release) -> tuple[int, Any]:
        """A release with other content, such as one that is no draft any more."""
        self.releases[number].update(content)
        return 200, shown(self.releases[number])

    def published(self) -> list[Release]:
        """The releases that aren't drafts; `assets` holds the content of each file."""
        return [each for each in self.releases.values() if not each["draft"]]

    def open_pull_request(self, number: int, branch: str, repository: str, by: str = "someone") -> None:
        """Open a pull request of a branch, which a fork may have; its commits are at refs/pull/NUMBER/head."""
        self.pull_requests = [one for one in self.pull_requests if one["number"] != number]
        owner, _ = repository.split("/")
        head = {"ref": branch, "repo": {"full_name": repository}, "user": {"login": owner}}
        address = f"https://{self.host}/{REPOSITORY}/pull/{number}"
        pull_request = {"number": number, "state": "open", "head": head, "base": {"ref": "main"}, "html_url": address}
        self.pull_requests.append(pull_request | {"user": {"login": by}})

    def create_pull_request(self, content: dict[str, Any]) -> dict[str, Any] | None:
        """A new pull request of a branch that was pushed; GitHub refuses a second one of the same branch."""
        branch = content["head"]
        if not self.git("rev-parse", f"refs/heads/{branch}") or self.open_pull_requests(
            {"head": [f"someone:{branch}"]}
        ):
            return None
        number = len(self.pull_requests) + 1
        for name in ("head", "merge"):  # they follow the branch
            self.git("symbolic-ref", f"refs/pull/{number}/{name}", f"refs/heads/{branch}")
        self.open_pull_request(number, branch, REPOSITORY)
        self.pull_requests[-1] |= {key: content[key] for key in ("title", "body")}
        return self.pull_requests[-1]

    def open_pull_requests(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        """Those that are open, or those of one branch of one owner; each with the commit at which it stands."""
        wanted = query.get("head")
        found = []
        for one in self.pull_requests:
            head = one["head"]
            if wanted in (None, [f"{head['user']['login']}:{head['ref']}"]) and one["state"] == "open":
                commit = self.git("rev-parse", f"refs/pull/{one['number']}/head")
                found.append(one | {"head": head | {"sha": commit}})
        return found

    def page(self, number: str, query: dict[str, list[str]]) -> list[Comment]:
        """Some of a pull request's comments, the oldest first."""
        many, page = (int(query.get(key, [default])[0]) for key, default in (("per_page", PAGE), ("page", 1)))
        return self.comments.get(number, [])[(page - 1) * many : page * many]

    def post(self, number: str, body: str, by: str = BOT) -> Comment:
        """A new comment on a pull request; who sends a workflow's token is the bot."""
        identity = sum(map(len, self.comments.values())) + 1
        url = f"https://{self.host}/{REPOSITORY}/pull/{number}#issuecomment-{identity}"
        comment = {"id": identity, "body": body, "html_url": url, "user": {"login": by}}
        self.comments.setdefault(number, []).append(comment)
        return comment

    def patch(self, identity: int, body: str) -> Comment | None:
        """A comment, with another text."""
        for comment in chain(*self.comments.values()):
            if comment["id"] == identity:
                comment["body"] = body
                return comment
        return None

    def git(self, *arguments: str) -> str:
        """What a Git command prints in the repository; empty where it fails."""
        command = ["git", "--git-dir", str(self.folder / f"{REPOSITORY}.git"), *arguments]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def shown(release: Release) -> Release:
    """A release as JSON, which lists the names of its assets."""
    return release | {"assets": [{"name": name} for name in release["assets"]]}


class Handler(BaseHTTPRequestHandler):
    """Reads a request, has it answered, and keeps it."""

    server: GitHub
    protocol_version = "HTTP/1.1"

    def handle_request(self) -> None:
        """REST by its path; anything else is Git's."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        kind, status = "application/json; charset=utf-8", 200
        if url.path.startswith("/api/"):
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ").removeprefix("token ")
            if token not in (WRITES, READS, PERSONAL):
                status, content = 401, {"message": "Bad credentials"}
            elif token == READS and self.command != "GET":
                status, content = 403, {"message": "Resource not accessible by integration"}
            else:
                path = unquote(re.sub("^/api(/v3|/uploads)?(?=/)", "", url.path))
                status, content = self.server.answer(f"{self.command} {path}", parse_qs(url.query), body)
            answer = b"" if content is None else json.dumps(content).encode()
        else:
            status, kind, answer = self.git(body)
        self.server.requests.append(Request(self.command, self.path, dict(self.headers), body, status))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        if status == 401:
            self.send_header("WWW-Authenticate", "Basic")  # Git then sends the token
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = handle_request  # noqa: N815

    def git(self, body: bytes) -> tuple[int, str, bytes]:
        """Git's own server, which reads and answers as a CGI program. A push needs a token that writes."""
        url = urlsplit(self.path)
        given = b64decode((self.headers.get("Authorization") or "").removeprefix("Basic ")).decode()
        if "git-receive-pack" in self.path and given not in (f"token:{WRITES}", f"token:{PERSONAL}"):
            return 401, "text/plain", b""
        environment = os.environ | {
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        return int(headers.get("Status", "200").split()[0]), headers.get("Content-Type", ""), content

    def log_message(self, *_: object) -> None:
        """Nothing: requests are kept, not printed."""
