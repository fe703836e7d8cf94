"""Which changes need a person's eyes: those to what judges a change, and those to the code that the pipeline runs.

A change is harmless only if it is known to be. Everything else is named to the reviewer.
"""

import ast
import re
from pathlib import Path
from typing import NamedTuple

from retrace.git import git_names
from retrace.review.changes import changed_params
from retrace.review.revision import Revision

HARMLESS_FILES = re.compile(
    r"""
    dvc\.lock
  | (?:[^/.][^/]*/)*[^/.][^/]*\.md
  | docs/(?:[^/.][^/]*/)*[^/.][^/]*\.(?:gif|jpe?g|pdf|png|rst|svg|txt)
  | metrics/(?:[^/.][^/]*/)*[^/.][^/]*\.(?:csv|json|tsv)
  | search/(?:dvc\.lock|importance\.csv|trials\.csv)
  | data/source/(?:[^/.][^/]*/)*[^/.][^/]*\.(?:csv|dvc|gz|jsonl|ndjson|parquet|sha256|tsv|txt)
    """,
    re.VERBOSE,
)
HARMLESS_PARAMS = re.compile(r"data\.(source|read(\..*)?)|search(\..*)?|train\.(?!refits$).*", re.DOTALL)
CODE = re.compile(r"src/(?:[^/.][^/]*/)*[^/.][^/]*\.py|requirements[\w-]*\.(in|txt)", re.DOTALL)
# A name without its ending, since Python takes a folder or a compiled module before a `.py` of that name.
JUDGING_CODE = re.compile(
    r"src/(__init__|metrics|stages/(__init__|split|evaluate|validate))[./].*|src/stages\..*", re.DOTALL | re.IGNORECASE
)
LINK_MODES = ("120000", "160000")  # Git's modes of a symbolic link and of a submodule


class TouchedFiles(NamedTuple):
    """The parts of a change that a person must look at.

    Attributes:
        judging: Files, and keys of params.yaml, that may change how the change is judged.
        code: Files of code that the pipeline runs.
    """

    judging: list[str]
    code: list[str]


def find_touched(here: Revision, base: Revision) -> TouchedFiles:
    """The parts of a change that aren't known to be harmless."""
    judging, code = [], []
    modules_of_metrics = _imports_of_metrics(here) | _imports_of_metrics(base)
    for name, is_link in _changed_files_and_links(here, base).items():
        if name == "params.yaml" and not is_link:
            # Its keys are named below, if both sides can be read.
            if not (here.content_or_empty(name) and base.content_or_empty(name)):
                judging.append(name)
        elif is_link:
            judging.append(name)
        elif HARMLESS_FILES.fullmatch(name) and (not name.endswith(".dvc") or _is_plain_pointer(here, name)):
            continue
        elif CODE.fullmatch(name) and not (JUDGING_CODE.fullmatch(name) or _is_module_of(name, modules_of_metrics)):
            code.append(name)
        else:
            judging.append(name)
    judging += [key for key in changed_params(here, base) if not HARMLESS_PARAMS.fullmatch(key)]
    return TouchedFiles(judging, code)


def _changed_files_and_links(here: Revision, base: Revision) -> dict[str, bool]:
    """Every file that isn't the same, and whether it is or was a link; files that Git doesn't have yet are included."""
    revisions = [str(revision.commit) for revision in (base, here) if revision.commit]
    options = ["--raw", "--no-renames", "--no-relative", "--ignore-submodules=none", "-z"]
    fields = git_names("diff", *options, *revisions, "--")  # `:mode mode hash hash status`, then the name
    files = {}
    for modes, name in zip(fields[0::2], fields[1::2], strict=False):
        before, after = modes.removeprefix(":").split(" ")[:2]
        files[name] = before in LINK_MODES or after in LINK_MODES
    if here.commit is None:
        for name in git_names("ls-files", "--others", "--exclude-standard", "-z"):
            files[name] = Path(name).is_symlink()
    return files


def _imports_of_metrics(revision: Revision) -> set[str]:
    """The modules under src/ that src/metrics.py imports in a revision, in lowercase, such as src.losses."""
    try:
        tree = ast.parse(revision.read("src/metrics.py") or b"")
    except (SyntaxError, ValueError):  # the file itself counts as judging
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ["src"] if node.level else []
            module = ".".join([*package, node.module] if node.module else package)
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)  # a name may be a module, too
    return {name.lower() for name in found if name.startswith("src.")}


def _is_module_of(file: str, modules: set[str]) -> bool:
    """Whether a Python file is one of some modules, or the `__init__.py` of a package that one of them is in."""
    name = file.lower().removesuffix(".py").replace("/", ".")
    if name.endswith(".__init__"):
        package = name.removesuffix(".__init__")
        return package in modules or any(module.startswith(f"{package}.") for module in modules)
    return name in modules


def _is_plain_pointer(revision: Revision, name: str) -> bool:
    """Whether a `.dvc` file says only which data are beside it: it could also hold a command, or another folder."""
    if revision.read(name) is None:  # it was deleted
        return True
    content = revision.content_or_empty(name)
    outputs = content.get("outs", [])
    if set(content) != {"outs"} or not isinstance(outputs, list):
        return False
    return all(isinstance(output, dict) and "/" not in str(output.get("path")) for output in outputs)
