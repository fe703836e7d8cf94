"""A revision, a commit or the folder as it stands, and the files that it holds.

A commit goes by any name that Git or `dvc exp` knows.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from retrace.errors import UserError
from retrace.git import git, git_bytes, git_names, git_or_none
from retrace.limits import MOST_BYTES, read_json
from retrace.yaml_files import read_yaml_text

NO_COMMIT = "0" * 40  # Git's name for none: the state before a branch's first push
NO_BASE = "there is no base"


@cache
def _read_blob(commit: str, path: str) -> bytes | None:
    """A commit's file, read once; None where it has no such file.

    Raises:
        UserError: it is too large to be parsed.
    """
    entries = git_names("ls-tree", "--long", "-z", commit, "--", path)  # mode, kind, hash and size, then the name
    if not entries:
        return None
    _, kind, content, size = entries[0].partition("\t")[0].split()
    if kind != "blob":
        return None
    if int(size) > MOST_BYTES:
        raise UserError(f"{commit[:8]}:{path}: larger than {MOST_BYTES:,} bytes; no file that a stage writes is")
    return git_bytes("cat-file", "blob", content)


class NoRevisionError(UserError):
    """No commit has that name here."""


@dataclass(frozen=True)
class Revision:
    """A commit and the name that the user gave it; the folder as it stands where `commit` is None."""

    name: str
    commit: str | None

    @classmethod
    def of(cls, name: str) -> Self:
        """The revision of that name: any that Git knows, or an experiment of DVC's.

        Raises:
            NoRevisionError: there is none.
            UserError: there are several.
        """
        commit = git_or_none("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
        if commit is None:
            commit = _experiment(name)
        if commit is None:
            near = git_or_none("rev-parse", "--quiet", "--verify", f"origin/{name}^{{commit}}")
            more = f"there is an origin/{name}" if near else "`git fetch` may bring it"
            if git("rev-parse", "--is-shallow-repository") == "true":
                more = "the clone is shallow, and `git fetch --unshallow` may bring it"
            raise NoRevisionError(f"{name}: no such revision in this repository; {more}")
        return cls(name, commit)

    @property
    def short(self) -> str:
        """The commit as people write it."""
        return self.commit[:8] if self.commit else "the folder"

    def read(self, path: str) -> bytes | None:
        """A file's content, None where there is no such file in Git (or in the folder)."""
        if self.commit is None:
            if not Path(path).is_file():
                return None
            if Path(path).stat().st_size > MOST_BYTES:
                raise UserError(f"{path}: larger than {MOST_BYTES:,} bytes; no file that a stage writes is")
            return Path(path).read_bytes()
        return _read_blob(self.commit, path)

    def files(self, folder: str) -> list[str]:
        """The sorted paths of a folder's files in Git (or in the folder); none where there is no such folder."""
        if self.commit is None:
            return sorted(file.as_posix() for file in Path(folder).rglob("*") if file.is_file())
        return git_names("ls-tree", "-r", "--name-only", "-z", self.commit, "--", f"{folder}/")

    def yaml(self, path: str) -> dict[str, Any]:
        """A YAML file's content, empty where there is none or it isn't a mapping.

        Raises:
            UserError: it isn't YAML.
        """
        content = read_yaml_text((self.read(path) or b"").decode("utf-8", "replace"), f"{self.short}:{path}")
        return content if isinstance(content, dict) else {}

    def json(self, path: str) -> dict[str, Any]:
        """A JSON file's content, empty where there is none or it isn't an object.

        Raises:
            UserError: it isn't JSON.
        """
        text = self.read(path)
        try:
            content = read_json(text) if text else {}
        except ValueError:
            advice = "" if self.commit else "; `dvc repro` brings it back"
            raise UserError(f"{self.short}:{path}: not JSON{advice}") from None
        return content if isinstance(content, dict) else {}

    def content_or_empty(self, path: str) -> dict[str, Any]:
        """A YAML or JSON file's content, empty where it can't be read."""
        try:
            return self.json(path) if path.endswith(".json") else self.yaml(path)
        except UserError:
            return {}


def _experiment(name: str) -> str | None:
    """The commit of DVC's experiment of that name; None: there is none.

    Raises:
        UserError: there are several.
    """
    commits = _experiments().get(name, set())
    if len(commits) > 1:
        raise UserError(f"{name}: {len(commits)} experiments have that name; `dvc exp list --all` shows their commits")
    return next(iter(commits), None)


@cache
def _experiments() -> dict[str, set[str]]:
    """The commits of DVC's experiments by their names, listed once for all names that a command is given."""
    commits: dict[str, set[str]] = {}
    for line in git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines():
        commit, ref = line.split(" ", 1)  # a ref such as refs/exps/12/3456.../NAME
        commits.setdefault(ref.split("/", 4)[-1], set()).add(commit)
    return commits


FOLDER = Revision("the folder", None)


def find_base(name: str | None) -> tuple[Revision | None, str]:
    """The revision that a change is to be merged into, or None and why there is none.

    GitHub and GitLab name a branch's last commit by its full hash, even if a force-push has removed that commit. The
    run after such a push must not fail. The run of a pull request must fail: without its base, its own gate would judge
    it.

    Raises:
        UserError: there is no such revision.
    """
    if not name or name == NO_COMMIT:
        return None, NO_BASE
    try:
        return Revision.of(name), ""
    except NoRevisionError:
        events = {os.environ.get("GITHUB_EVENT_NAME"), os.environ.get("CI_PIPELINE_SOURCE")}
        if not re.fullmatch("[0-9a-f]{40}", name) or events & {"pull_request", "merge_request_event"}:
            raise
        gone = f"the base {name[:8]} is not in this repository; a force-push has removed it, or `git fetch` brings it"
        return None, gone


def flattened(content: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as one mapping with dotted keys; an empty mapping counts as a value."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict) and value:
            for inner_key, inner_value in flattened(value).items():
                flat[f"{key}.{inner_key}"] = inner_value
        else:
            flat[str(key)] = value
    return flat
