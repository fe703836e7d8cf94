"""`python -m retrace audit`: what each stage really reads, beside what dvc.yaml declares.

`dvc repro` runs the commit's pipeline in a clone, with a shell that runs each stage's commands under strace (trace.py).
strace sees files, programs and network connections of all processes of a stage. Python code is watched for what strace
can't see: variables of the environment, the clock and randomness (hook/sitecustomize.py).
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dvc.stage import PipelineStage

from retrace.clones import DVC_WITHOUT_HINTS, clean_clone, with_this_python
from retrace.command_line import make_parser
from retrace.errors import UserError, one_line
from retrace.files import write_json
from retrace.git import require_own_repository
from retrace.review.audit.trace import HOOK, Trace, make_shell, read_trace, require_strace
from retrace.review.dvc_files import DVC_YAML
from retrace.review.dvc_project import open_project, own_stages
from retrace.review.lock import is_output
from retrace.review.pipeline import frozen_stages
from retrace.review.revision import Revision

FILE = Path("audit.json")
PACKAGES = {os.path.realpath(folder) for folder in (sys.prefix, sys.base_prefix)} | {sys.prefix, sys.base_prefix}
SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/etc",
    "/proc",
    "/sys",
    "/dev",
    "/run/systemd",
    "/var/cache/fontconfig",
)
PACKAGE_LIST = re.compile(r"requirements.*\.txt$")  # no stage reads it; it says which packages there are
# They start stages, tell about the machine, or are asked by DVCLive (git).
PROGRAMS = re.compile(r"(sh|bash|dash|zsh|fish|env|git|python[\d.]*|lscpu|uname|ldconfig(\.real)?)$")
# dvc.lock has the hashes of model files, without which the tool doesn't load them (retrace/models.py).
SETTINGS = {".git", ".gitignore", ".gitattributes", ".dvc", ".dvcignore", "dvc.lock"}
# If a part of a path is one of these, Git, DVC or Python look for it.
SEARCHED = SETTINGS | {".gitmodules", "__pycache__"}
SETTINGS_AT_HOME = {".gitconfig", ".config/git", ".config/dvc"}


class Read(NamedTuple):
    """Something that a stage reads.

    Attributes:
        kind: file, optional file, program, address, variable, clock or randomness.
        name: Which one.
        reader: The place in the project's code, or the package; empty where that isn't known.
    """

    kind: str
    name: str
    reader: str = ""


@dataclass(frozen=True)
class Audit:
    """What a stage reads.

    Attributes:
        undeclared: What its results may depend on without being declared.
        others: What Git, DVC, the tool and packages read, and what `meta.audit` of the stage accepts.
        unread: Declared files and folders of which nothing was read.
    """

    undeclared: list[Read]
    others: list[Read]
    unread: list[str]


def audit(words: list[str]) -> None:
    """Run the commit's pipeline in a clone, and show what its stages read that dvc.yaml doesn't declare.

    If there is something, the exit code is 1.
    """
    make_parser("audit", str(audit.__doc__)).parse_args(words)
    require_own_repository()
    require_strace()
    head = Revision.of("HEAD")
    frozen = frozen_stages(head)
    with clean_clone(str(head.commit), frozen) as clone, tempfile.TemporaryDirectory(prefix="audit-") as name:
        print(f"{head.short}: running every stage under strace in {clone}", flush=True)
        logs = Path(name).resolve()
        files = {str(file) for file in clone.resolve().rglob("*") if file.is_file()}
        environment = with_this_python() | {"SHELL": str(make_shell(logs))}
        command = [*DVC_WITHOUT_HINTS, "repro", "--force", DVC_YAML]
        failed = subprocess.run(command, cwd=clone, env=environment).returncode != 0
        with open_project(clone.resolve()) as repo:
            stages = own_stages(repo)
            audits = {
                stage.name: audit_stage(stage, stages, logs, files) for stage in stages if (logs / stage.name).is_dir()
            }
    if failed or not audits:
        raise UserError(
            "the pipeline failed in the clone; what it printed is above" if failed else "dvc.yaml: no stage ran"
        )
    write_audits(audits)
    for stage_name, found in audits.items():
        print(f"\n{stage_name}")
        print_audit(found)
    for stage_name in frozen:
        print(f"\n{stage_name}\n  frozen, so it didn't run")
    undeclared = sum(len(found.undeclared) for found in audits.values())
    print(f"\nFAIL  {undeclared} undeclared" if undeclared else "\nPASS  every input is declared")
    print(f"{FILE} also lists what Git, DVC, the tool and packages read")
    sys.exit(1 if undeclared else 0)


def audit_stage(stage: PipelineStage, stages: Sequence[PipelineStage], logs: Path, files: set[str]) -> Audit:
    """Compare what a stage read with what it declares.

    Args:
        stage: A stage that ran in the clone.
        stages: All of them.
        logs: The folder of `make_shell`.
        files: The files of the clone before the pipeline ran.
    """
    clone = Path(stage.repo.root_dir)
    deps = {os.path.relpath(dep.fs_path, clone) for dep in stage.deps}
    outs = {os.path.relpath(out.fs_path, clone) for out in stage.outs}
    others = {os.path.relpath(out.fs_path, clone) for other in stages for out in other.outs} - outs

    def existed(path: str) -> bool:
        file = os.path.relpath(path, clone)
        return not is_output(file, outs) and (path in files or is_output(file, others))

    trace = read_trace(logs / stage.name / "strace", stage.wdir, existed)
    declared = deps | outs | {os.path.relpath(os.path.realpath(dep.fs_path), clone) for dep in stage.deps}
    command = stage.cmd if isinstance(stage.cmd, str) else "\n".join(stage.cmd)
    reads = _reads_of_trace(trace, clone, declared, command) | _reads_of_python(logs / stage.name / "python")
    accepted = (stage.meta or {}).get("audit", [])
    undeclared = sorted(read for read in reads if _is_undeclared(read) and f"{read.kind} {read.name}" not in accepted)
    opened = {os.path.relpath(path, clone) for path in trace.read}
    unread = [
        dep
        for dep in sorted(deps)
        if not PACKAGE_LIST.match(dep) and not any(is_output(file, {dep}) for file in opened)
    ]
    return Audit(undeclared, sorted(reads - set(undeclared)), unread)


def _reads_of_trace(trace: Trace, clone: Path, declared: set[str], command: str) -> set[Read]:
    """What strace saw, without what is declared and the operating system's own files.

    Files of Git and DVC, and programs that start others, have a reader.
    """
    reads = {Read("address", address) for address in trace.addresses}
    if trace.unwatched:
        reads.add(Read("program", "a Python process that ignores PYTHONPATH: its environment and clock aren't watched"))
    for program in trace.programs:
        name = Path(program).name
        in_project = os.path.relpath(os.path.join(clone, program), clone)  # noqa: PTH118  # it may be relative
        if not in_project.startswith(".."):
            if not is_output(in_project, declared):
                reads.add(Read("file", in_project))
        elif not re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", command):
            reads.add(Read("program", program, name if PROGRAMS.match(name) else ""))
    reads |= {Read("optional file", file) for file in _optional_files(trace, clone, declared)}
    home = Path.home().resolve()
    for path in trace.read:
        file = os.path.relpath(path, clone)
        if is_output(file, declared):
            continue
        if not file.startswith(".."):
            first = file.split("/")[0]
            reads.add(Read("file", first, "Git and DVC") if first in SETTINGS else Read("file", file))
        elif "/site-packages/" in path and _is_in(path, PACKAGES):
            at_start = "_distutils_hack" in path or path.endswith((".pth", "_virtualenv.py"))
            if not at_start and not any(map(PACKAGE_LIST.match, declared)):
                reads.add(Read("file", "requirements.txt: packages are imported"))
        elif is_output(os.path.relpath(path, home), SETTINGS_AT_HOME):
            reads.add(Read("file", path, "Git and DVC"))
        elif not _is_in(path, (*PACKAGES, *SYSTEM, str(HOOK), str(HOOK.resolve()))):
            reads.add(Read("file", path))
    return reads


def _optional_files(trace: Trace, clone: Path, declared: set[str]) -> set[str]:
    """The files of the project that a stage looked for and didn't find.

    What Git, DVC and Python's imports look for is left out, and so are folders of what is declared.
    """
    files = {os.path.relpath(path, clone) for path in trace.missing}
    return {
        file
        for file in files
        if not file.startswith("..")
        and SEARCHED.isdisjoint(file.split("/"))
        and not Path(file).name.startswith("__init__.")
        and not is_output(file, declared)
        and not any(is_output(each, {file}) for each in declared)
    }


def _is_in(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(f"{folder}/") for folder in folders)


def _reads_of_python(folder: Path) -> set[Read]:
    """What hook/sitecustomize.py wrote; of a reader that reads all variables, single ones are left out."""
    lines = [line for file in folder.iterdir() for line in file.read_text(encoding="utf-8").splitlines()]
    reads = {Read(*json.loads(line)) for line in lines}
    read_all = {read.reader for read in reads if (read.kind, read.name) == ("variable", "all")}
    return {read for read in reads if read.kind != "variable" or read.name == "all" or read.reader not in read_all}


def _is_undeclared(read: Read) -> bool:
    """Whether results may depend on it: what the tool and packages read for themselves has a reader that isn't a place.

    A package that draws from NumPy's global generator was given no seed by the project.
    """
    if read.kind in ("file", "optional file", "program", "address"):
        return not read.reader
    if read.name.startswith("numpy.random"):
        return True
    return ":" in read.reader and not read.reader.startswith("retrace/")


def print_audit(found: Audit) -> None:
    """Print the undeclared inputs, one on a line, and a summary of what else was read."""
    for read in found.undeclared:
        place = f", in {read.reader}" if read.reader else ""
        print(one_line(f"  undeclared {read.kind}: {read.name}{place}"))
    if not found.undeclared:
        print("  every input is declared")
    if found.unread:
        print(one_line(f"  declared and not read: {', '.join(found.unread)}"))


def write_audits(found: dict[str, Audit]) -> None:
    """Write all that the stages read to audit.json."""
    content = {
        name: {
            "undeclared": [read._asdict() for read in stage.undeclared],
            "others": [read._asdict() for read in stage.others],
            "declared_and_not_read": stage.unread,
        }
        for name, stage in found.items()
    }
    write_json(content, FILE)
