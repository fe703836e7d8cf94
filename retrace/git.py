"""Git commands that print the same whatever their user has configured.

Git's hooks and aliases set variables that point to another repository. retrace/__init__.py has removed them.
"""

import os
import subprocess
from pathlib import Path

from retrace.errors import UserError

SETTINGS = [  # they replace settings of the user that would run a program or change an answer
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "color.ui=false",
    "diff.relative=false",
    "protocol.file.allow=always",
]
# Variables that would change an answer, too.
UNSET = ["GIT_DIFF_OPTS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"]


def git(*arguments: str, folder: Path | None = None, index: Path | None = None) -> str:
    """What a Git command prints, without the end of its last line.

    Args:
        arguments: the command and its arguments; paths are names, not patterns.
        folder: where it runs, if not in the project's folder.
        index: a file that it uses as the index instead of the repository's own.

    Raises:
        UserError: it fails, with Git's own message.
    """
    return _text(git_bytes(*arguments, folder=folder, index=index)).removesuffix("\n")


def git_bytes(*arguments: str, folder: Path | None = None, index: Path | None = None) -> bytes:
    """As `git`, but the bytes that are printed."""
    done = _run(arguments, folder, index)
    if done.returncode:
        raise UserError(_message(arguments, done))
    return done.stdout


def git_names(*arguments: str, folder: Path | None = None) -> list[str]:
    """The file names that a Git command prints; its arguments must include `-z`, which ends each with a zero byte.

    Raises:
        UserError: as `git`.
    """
    return [_text(name) for name in git_bytes(*arguments, folder=folder).split(b"\0") if name]


def git_or_none(*arguments: str) -> str | None:
    """As `git`, but None where Git answers no: there is no such revision, or no common history.

    Raises:
        UserError: it can't answer: for example, the repository is broken, or belongs to another user.
    """
    done = _run(arguments, None, None)
    if done.returncode == 1 or (done.returncode > 0 and not done.stderr):  # below 0: Git was killed
        return None
    if done.returncode:
        raise UserError(_message(arguments, done))
    return _text(done.stdout).removesuffix("\n")


def git_status(*paths: str, folder: Path | None = None) -> dict[str, str]:
    """The files that differ from the last commit, with the two letters that Git gives each; `??` means not in Git.

    Raises:
        UserError: as `git`.
    """
    options = ["--porcelain", "--untracked-files=all", "--no-renames", "-z"]
    lines = git_names("status", *options, "--", *paths, folder=folder)
    return {line[3:]: line[:2] for line in lines}


def head() -> str | None:
    """The commit that is checked out; None where there is none yet, or no repository.

    Raises:
        UserError: Git can't say.
    """
    return git_or_none("rev-parse", "--quiet", "--verify", "HEAD") if _root() else None


def require_commit() -> None:
    """Check that there is a Git repository with a commit.

    Raises:
        UserError: there is none, or Git can't say.
    """
    if head() is None:
        raise UserError("no Git commit here yet; `git init`, `git add --all` and `git commit -m start` make one")


def require_own_repository() -> None:
    """Check that this folder is a Git repository with a commit, and not a folder in another project's.

    Raises:
        UserError: it isn't, or Git can't say.
    """
    root = _root()
    if root and root != Path.cwd():
        raise UserError(
            f"{Path.cwd()}: a folder in the Git repository {root}; the project needs its own repository: "
            "move the project out, or make one here with `git init`, `git add --all` and `git commit -m start`"
        )
    require_commit()


def _root() -> Path | None:
    """The nearest folder from this one upwards that holds a Git repository."""
    for folder in [Path.cwd(), *Path.cwd().parents]:
        if (folder / ".git").exists():
            return folder
    return None


def _run(arguments: tuple[str, ...], folder: Path | None, index: Path | None) -> subprocess.CompletedProcess[bytes]:
    """Run a Git command under our settings; its exit code isn't checked."""
    settings: list[str] = []
    for setting in SETTINGS:
        settings += ["-c", setting]
    command = ["git", "--literal-pathspecs", "--no-optional-locks", *settings, *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    if index:
        environment["GIT_INDEX_FILE"] = str(index)
    try:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True)
    except FileNotFoundError:
        raise UserError("git: not found; install Git, or put it on PATH") from None


def _text(printed: bytes) -> str:
    """What Git printed, as text. A file name that isn't UTF-8 can still be opened by the text."""
    return printed.decode("utf-8", "surrogateescape")


def _message(arguments: tuple[str, ...], done: subprocess.CompletedProcess[bytes]) -> str:
    """What a failed command says, on one line."""
    error = " ".join(_text(done.stderr).split()) or f"exit code {done.returncode}"
    return f"`git {arguments[0]}` fails: {error}"
