"""A pipeline under strace: the files that each stage reads, the programs that it starts, the addresses that it asks."""

import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from retrace.clones import path_with
from retrace.errors import UserError

HOOK = Path(__file__).with_name("hook")
# Those after a question mark don't exist on every kind of processor.
LOOKS = "?open,openat,?openat2,?stat,?lstat,?newfstatat,?statx,?access,faccessat,?faccessat2"
CALLS = f"{LOOKS},?mkdir,mkdirat,?creat,execve,connect,bind,?rename,renameat,?renameat2,?rmdir,unlinkat"
PATH = r'"(?P<path>(?:[^"\\]|\\.)*)"'
FOLDER = r"(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>, "
OPENED = re.compile(r'(?:open|openat|openat2|creat)\(.*?, (?P<flags>[O0][^<"]*)\) = \d+<(?P<path>/.*)>$')
NOT_FOUND = re.compile(rf"(?:{LOOKS.replace('?', '').replace(',', '|')})\((?:{FOLDER})?{PATH}.*\) = -1 ENOENT ")
MADE = re.compile(rf"mkdir(?:at)?\((?:{FOLDER})?{PATH}, \d+\) = 0$")
STARTED = re.compile(rf"execve\({PATH}, .*\) = 0$")
ASKED = re.compile(r'connect\(.*?, \{sa_family=AF_INET6?,.*?sin6?_port=htons\((?P<port>\d+)\).*?"(?P<host>[^"]+)"')
LOCAL_SOCKET = re.compile(
    r'(?P<call>connect|bind)\(.*?, \{sa_family=AF_UNIX, sun_path=(?P<path>@?"[^"]*")\}, \d+\) = 0$'
)
RENAMED = re.compile(rf'rename(?:at2?)?\((?:{FOLDER})?{PATH}, (?:\S+, )?"(?P<to>(?:[^"\\]|\\.)*)".*\) = 0$')
REMOVED = re.compile(rf"(?:rmdir|unlinkat)\((?:{FOLDER})?{PATH}.*\) = 0$")


@dataclass
class Trace:
    """What a stage did.

    Attributes:
        read: The absolute paths of the files that were opened to be read, except those that the stage itself made.
        missing: The absolute paths that were looked for and didn't exist, except those that the stage made and removed.
        programs: The absolute paths of the programs that were started.
        addresses: The `host:port`, or the path of a local socket, of each connection that was tried.
        unwatched: Whether there was a Python process that didn't import hook/sitecustomize.py.
    """

    read: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    unwatched: bool = False


def require_strace() -> None:
    """Check that strace is here.

    Raises:
        UserError: it isn't installed.
    """
    if not shutil.which("strace"):
        raise UserError("strace: not installed; on Linux, `apt install strace` or the like brings it")


def make_shell(folder: Path) -> Path:
    """A shell that DVC can run commands with, which runs them under strace and with the hook.

    Args:
        folder: Where it goes, and what strace and the hook write: `NAME/strace` and `NAME/python` for a stage NAME.

    Returns:
        Its path. It has the name of the user's shell, by which DVC chooses options.
    """
    real = os.environ.get("SHELL") or "/bin/sh"
    shell = folder / "shell" / Path(real).name
    shell.parent.mkdir()
    # --seccomp-bpf: only these calls stop a process. -ff: each process has a file of its own. -a 1: without padding.
    options = f"-ff --seccomp-bpf -y -ttt -qq -a 1 -s 4096 -e trace={CALLS} -e signal=none"
    shell.write_text(
        f"""#!/bin/sh
logs={shlex.quote(str(folder))}/"$DVC_STAGE"
mkdir -p "$logs/strace" "$logs/python"
export SHELL={shlex.quote(real)} RETRACE_AUDIT="$logs/python" PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH={shlex.quote(path_with(HOOK))}
exec strace {options} -o "$logs/strace/$$" "$SHELL" "$@"
"""
    )
    shell.chmod(0o700)
    return shell


def read_trace(folder: Path, started_in: str, existed: Callable[[str], bool]) -> Trace:
    """What strace wrote about a stage.

    Args:
        folder: `NAME/strace`.
        started_in: The folder in which the stage's command is run.
        existed: Whether a path was there before the stage.

    Raises:
        UserError: it wrote nothing, because it may not trace here.
    """
    trace = Trace()
    lines: list[tuple[float, str]] = []
    for file in folder.iterdir():
        of_process = file.read_text(encoding="utf-8", errors="replace")
        lines += [(float(time), call) for time, _, call in (line.partition(" ") for line in of_process.splitlines())]
        is_python = re.search(r'execve\("[^"]*/python[\d.]*", ', of_process) is not None
        trace.unwatched |= is_python and f"{HOOK}/sitecustomize.py" not in of_process
    if not lines:
        raise UserError("strace: can't trace processes here; a container needs the capability SYS_PTRACE")
    made: set[str] = set()
    for _, call in sorted(lines, key=lambda line: line[0]):
        if found := OPENED.match(call):
            _note_opened(trace, made, found["flags"], unescaped(found["path"]), existed)
        elif found := NOT_FOUND.match(call):
            trace.missing.add(_joined(found["folder"] or started_in, found["path"]))
        elif found := MADE.match(call):
            made.add(_joined(found["folder"] or started_in, found["path"]))
        elif found := STARTED.match(call):
            trace.programs.add(unescaped(found["path"]))
        elif found := RENAMED.match(call):
            name, to = unescaped(found["path"]), unescaped(found["to"])
            # strace doesn't say in which folder a relative path is: it's that of a file which the stage made.
            for path in [path for path in made if path == name or path.endswith(f"/{name}")]:
                made.add(os.path.normpath(os.path.join(path.removesuffix(name), to)))  # noqa: PTH118  # `to` may be absolute
        elif found := REMOVED.match(call):
            trace.read.discard(_joined(found["folder"] or "", found["path"]))
        elif found := ASKED.match(call):
            trace.addresses.add(f"{found['host']}:{found['port']}")
        elif found := LOCAL_SOCKET.match(call):
            _note_socket(trace, made, found["call"], unescaped(found["path"].replace('"', "")))
    trace.missing -= {path for path in made if not Path(path).exists()}
    return trace


def _note_opened(trace: Trace, made: set[str], flags: str, path: str, existed: Callable[[str], bool]) -> None:
    """Note that a file was opened: to be read, or because the stage makes it."""
    writes = re.search("O_WRONLY|O_RDWR", flags) is not None
    if not flags.startswith("O_") or re.search("O_TRUNC|O_EXCL", flags) or (writes and not existed(path)):
        made.add(path)
    elif not re.search("O_WRONLY|O_DIRECTORY|O_PATH", flags) and path not in made and not Path(path).is_dir():
        trace.read.add(path)


def _note_socket(trace: Trace, made: set[str], call: str, path: str) -> None:
    """Note that a local socket was made, or asked."""
    if call == "bind":
        made.add(path)
    elif path not in made:
        trace.addresses.add(path)


def _joined(folder: str, path: str) -> str:
    """A path in a folder, or alone if it's absolute, both as strace writes them."""
    return os.path.normpath(os.path.join(unescaped(folder), unescaped(path)))  # noqa: PTH118  # it may be absolute


def unescaped(text: str) -> str:
    """A path as it is: strace writes bytes that aren't ASCII as octal numbers."""
    escaped = text.encode("ascii", errors="backslashreplace")
    return escaped.decode("unicode_escape").encode("latin-1", errors="replace").decode("utf-8", errors="replace")
