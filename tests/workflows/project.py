"""A copy of the project on the stand-in for GitHub, whose workflow files run as they are.

act runs them on this machine, without containers. What it doesn't do stands here and in actions/: what a token may, the
scope of caches, that comment.yml follows pipeline.yml, which tags start release.yml, and re-running a job.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from dvc.utils.serialize import modify_yaml

from tests.conftest import check, commit
from tests.workflows.github import READS, REPOSITORY, WRITES, GitHub, Request

HERE = Path(__file__).parent
USES = re.compile(r"uses: ([\w-]+)/([\w-]+)[\w/-]*@([0-9a-f]{40})")
FORK = "a/fork"
BIN = Path(sys.executable).parent
# Programs on GitHub's runners. With a real gh, the stand-in for GitHub is the server of an enterprise.
GH = """#!/bin/sh
"$STAND_IN_PREFIX/bin/python" "$STAND_IN_ACTIONS/../permissions.py" contents=write || exit
if [ "$STAND_IN_GH" ]; then
  GH_HOST=${GITHUB_SERVER_URL#https://} GH_ENTERPRISE_TOKEN=$GH_TOKEN exec "$STAND_IN_GH" "$@"
fi
exec python3 "$STAND_IN_ACTIONS/../gh.py" "$@"
"""
# Installing the environment takes a minute, so `make install` takes that of the tests.
MAKE = '#!/bin/sh\n[ "$*" = install ] && ln -s "$STAND_IN_PREFIX" .venv\n'
# A runner's PATH doesn't have the environment of the tests, but some Python.
FOLDERS = [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != BIN]
PATH = os.pathsep.join([*FOLDERS, f"{sys.base_prefix}/bin"])

# `make release` without its gate and its reproduction, which take as long as the pipeline and have tests of their own.
RELEASE = """
from retrace.release import commands
run = commands.run
commands.run = lambda *command: command[:3] == (*commands.RETRACE,) or run(*command)
commands.release(["1.0.0"])
"""


@dataclass(frozen=True)
class Run:
    """What came of a run of a workflow: its job, its steps by their command, what they printed, what they asked."""

    identity: int
    head: dict[str, Any]
    succeeded: bool
    steps: dict[str, str]
    output: str
    requests: list[Request]

    def step(self, words: str) -> str:
        """The result of the one step whose name holds these words, empty if it didn't run."""
        found = [result for name, result in self.steps.items() if words in name]
        assert len(found) <= 1, f"{words} in {list(self.steps)}"
        return found[0] if found else ""


def matches(tag: str, pattern: str) -> bool:
    """Whether a tag matches a pattern of `on.push.tags`: act starts a workflow on each tag."""
    parts = {"**": ".*", "*": "[^/]*"}
    regular = re.sub(r"\*\*|\*|[^]\w?+[-]", lambda found: parts.get(found[0]) or re.escape(found[0]), pattern)
    return re.fullmatch(regular, tag) is not None


def publish(folder: Path) -> None:
    """Make the origin of `folder/author` beside it."""
    origin = folder / "git" / f"{REPOSITORY}.git"
    check("git", "clone", "--quiet", "--bare", str(folder / "author"), str(origin), cwd=folder)
    check("git", "config", "uploadpack.allowAnySHA1InWant", "true", cwd=origin)  # as GitHub's does
    check("git", "config", "http.receivepack", "true", cwd=origin)


class Project:
    """The origin, an author's clone of it, and what GitHub Actions keep from run to run.

    Runs find the environment `prefix` in their cache; `given` are act's options for secrets and variables.
    """

    def __init__(self, folder: Path, github: GitHub, prefix: str = sys.prefix, given: Sequence[str] = ()) -> None:
        self.folder, self.github, self.prefix, self.given = folder, github, prefix, given
        self.origin = github.folder / f"{REPOSITORY}.git"
        self.author = folder / "author"
        self.main = github.git("rev-parse", "main")
        self.runs = 1000

    def push(self, number: int = 7, branch: str = "change", fork: bool = False) -> str:
        """Commit what the author has changed and push it as a pull request; a fork's branch isn't in the origin."""
        if check("git", "status", "--porcelain", cwd=self.author):
            commit(self.author)
        refs = [f"refs/pull/{number}/head", *([] if fork else [f"refs/heads/{branch}"])]
        check("git", "push", "--quiet", "--force", str(self.origin), *(f"HEAD:{ref}" for ref in refs), cwd=self.author)
        # main stands still here, so that the merge is what the author has.
        self.github.git("update-ref", f"refs/pull/{number}/merge", f"refs/pull/{number}/head")
        self.github.open_pull_request(number, branch, FORK if fork else REPOSITORY)
        return check("git", "rev-parse", "HEAD", cwd=self.author).strip()

    def pipeline(self, number: int = 7, branch: str = "change", fork: bool = False, by: str = "someone") -> Run:
        """A run of pipeline.yml on a pull request; its token may read, as the workflow's permissions say."""
        head = self._head(number, branch, FORK if fork else REPOSITORY)
        base = {"sha": self.main, "ref": "main", "repo": {"full_name": REPOSITORY}}
        pull_request = {"number": number, "head": head, "base": base, "user": {"login": by}}
        event = {"number": number, "pull_request": pull_request}
        ran = self._act("pull_request", "pipeline", event, ref=f"refs/pull/{number}/merge", token=READS)
        return replace(ran, head=head)

    def pushed(self, before: str) -> Run:
        """A run of pipeline.yml on main, which a push has moved on from `before`."""
        return self._act("push", "pipeline", {"ref": "refs/heads/main", "before": before}, ref="main", token=READS)

    def tagged(self, tag: str) -> Run | None:
        """The run of release.yml that the push of a tag starts; None if it starts none."""
        events = yaml.safe_load(self.github.git("show", f"{tag}:.github/workflows/release.yml"))[True]  # the key `on`
        if not any(matches(tag, pattern) for pattern in events["push"]["tags"]):
            return None
        ref = f"refs/tags/{tag}"
        return self._act("push", "release", {"ref": ref}, ref=ref, token=WRITES)

    def rerun(self, job: str, of: Run, tag: str) -> Run:
        """Another attempt of one job of a run of release.yml, as `Re-run failed jobs` starts it."""
        self.runs = of.identity - 1
        ref = f"refs/tags/{tag}"
        return self._act("push", "release", {"ref": ref}, ref=ref, token=WRITES, only=job)

    def retrain(self, event: str = "schedule", secret: str = "") -> Run:
        """A run of retrain.yml on main; `secret` is what RETRAIN_TOKEN holds, which is empty where there is none."""
        ref = "refs/heads/main"
        return self._act(event, "retrain", {"ref": ref}, ref=ref, token=WRITES, secret=f"RETRAIN_TOKEN={secret}")

    def caches(self, ref: str) -> dict[str, set[str]]:
        """The hashes in each cache that runs on a ref have saved, by its key, the newest last."""
        saved = sorted((self.folder / "caches" / ref).glob("*"), key=lambda file: file.stat().st_mtime)
        listed = {file.name: check("tar", "-tf", str(file), cwd=self.folder).splitlines() for file in saved}
        return {key: {"".join(name.split("/")[-2:]) for name in names} for key, names in listed.items()}

    def comment(self, after: Run, token: str = WRITES, outcome: str | None = None) -> Run:
        """The run of main's comment.yml that follows a run of pipeline.yml."""
        event = {
            "workflow_run": {
                "id": after.identity,
                "event": "pull_request",
                "conclusion": outcome or ("success" if after.succeeded else "failure"),
                "html_url": f"https://{self.github.host}/{REPOSITORY}/actions/runs/{after.identity}",
                "head_sha": after.head["sha"],
                "head_branch": after.head["ref"],
                "head_repository": after.head["repo"],
            }
        }
        return self._act("workflow_run", "comment", event, ref="refs/heads/main", token=token)

    def review(self, **of: Any) -> tuple[Run, Run]:
        """Both, the one after the other, as they follow a push."""
        pipeline = self.pipeline(**of)
        return pipeline, self.comment(pipeline)

    def artifact(self, files: dict[str, bytes] | None, links: dict[str, str] | None = None) -> Run:
        """A run on pull request 7 that left these files, and symbolic links to these targets; None: no artifact."""
        self.runs += 1
        if files is not None:
            folder = self.folder / "artifacts" / str(self.runs)
            folder.mkdir(parents=True)
            with zipfile.ZipFile(folder / "report.zip", "w") as artifact:
                for name, content in files.items():
                    artifact.writestr(name, content)
                for name, target in (links or {}).items():
                    link = zipfile.ZipInfo(name)
                    link.external_attr = 0o120777 << 16
                    artifact.writestr(link, target)
        return Run(self.runs, self._head(7, "change", REPOSITORY), True, {}, "", [])

    def _head(self, number: int, branch: str, repository: str) -> dict[str, Any]:
        sha = self.github.git("rev-parse", f"refs/pull/{number}/head")
        return {"sha": sha, "ref": branch, "repo": {"full_name": repository}}

    def _act(
        self,
        event: str,
        workflow: str,
        content: dict[str, Any],
        *,
        ref: str,
        token: str,
        only: str | None = None,
        secret: str | None = None,
    ) -> Run:
        self.runs += 1
        room = self.folder / f"run-{self.runs}"
        checkout = room / "checkout"
        checkout.mkdir(parents=True)
        repository = {"full_name": REPOSITORY, "default_branch": "main", "private": False}
        (room / "event.json").write_text(json.dumps(content | {"repository": repository}))
        trusts = {name: str(self.github.certificate) for name in ("CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "SSL_CERT_FILE")}
        environment = trusts | {
            "NODE_EXTRA_CA_CERTS": str(self.github.certificate),
            "HOME": str(room),
            "LANG": "C.UTF-8",
            "PATH": f"{room / 'bin'}{os.pathsep}{PATH}",
            "STAND_IN_ARTIFACTS": str(self.folder / "artifacts"),
            "STAND_IN_ATTESTATIONS": str(self.folder / "attestations"),
            "STAND_IN_CACHES": str(self.folder / "caches"),
            "STAND_IN_ACTIONS": str(HERE / "actions"),
            "STAND_IN_CML": os.environ.get("CML", ""),  # the real one, with its packages
            "STAND_IN_GH": os.environ.get("GH", ""),  # the real one
            "STAND_IN_PREFIX": self.prefix,
            "STAND_IN_WORKFLOW": str(checkout / ".github/workflows" / f"{workflow}.yml"),
        }
        (room / "bin").mkdir()
        for name, program in (("gh", GH), ("make", MAKE)):
            (room / "bin" / name).write_text(program)
            (room / "bin" / name).chmod(0o755)
        check("git", "init", "--quiet", cwd=checkout)
        check("git", "remote", "add", "origin", f"https://{self.github.host}/{REPOSITORY}", cwd=checkout)
        check("git", "fetch", "--quiet", "origin", ref, cwd=checkout, **environment)
        check("git", "checkout", "--quiet", "--detach", "FETCH_HEAD", cwd=checkout)
        file = checkout / ".github/workflows" / f"{workflow}.yml"
        if only:
            with modify_yaml(file) as text:
                text["jobs"] = {only: text["jobs"][only]}
                text["jobs"][only].pop("needs", None)
        uses = set(USES.findall(file.read_text()))
        actions = [f"{owner}/{name}@{commit}={HERE / 'actions' / name}" for owner, name, commit in uses]
        before = len(self.github.requests)
        command = [
            *(str(BIN / "act"), event, "--workflows", str(file), "--eventpath", str(room / "event.json"), "--json"),
            *("--platform", "ubuntu-24.04=-self-hosted", "--container-daemon-socket", "-", "--no-cache-server"),
            *("--no-skip-checkout", "--action-offline-mode", "--action-cache-path", str(room / "cache")),
            *("--github-instance", self.github.host, "--actor", "someone", "--secret", f"GITHUB_TOKEN={token}"),
            *("--env", f"GITHUB_RUN_ID={self.runs}"),
            *(word for action in actions for word in ("--local-repository", action)),
            *(["--secret", secret] if secret else []),
            *self.given,
        ]
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        results = [line["jobResult"] for line in lines if "jobResult" in line]
        assert results, done.stdout + done.stderr
        shutil.rmtree(room)
        return Run(
            self.runs,
            {},
            set(results) == {"success"},
            {
                line["step"]: line["stepResult"]
                for line in lines
                if "stepResult" in line and line.get("stage") == "Main"
            },
            "".join(line["msg"] + "\n" for line in lines),
            self.github.requests[before:],
        )


Host = Callable[[Path], Project]  # a copy of the published project, in a folder
