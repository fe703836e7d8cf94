"""Which changes need a person's eyes: those to what judges a change, and those to the code that the pipeline runs.

A change is harmless only if it is known to be. Everything else is named to the reviewer.
"""

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
  | data/source/(?:[^/.][^/]*/)*[^/.][^/]*\.(?:csv|dvc|gz|jsonl|ndjson|parquet|sha256|tsv|txt)
    """,
    re.VERBOSE,
)
HARMLESS_PARAMS = re.compile(r"data\.(source|read(\..*)?)|train\.(?!refits$).*", re.DOTALL)
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
    for name, is_link in _changed_files_and_links(here, base).items():
        if name == "params.yaml" and not is_link:
            # Its keys are named below, if both sides can be read.
            if not (here.content_or_empty(name) and base.content_or_empty(name)):
                judging.append(name)
        elif is_link:
            judging.append(name)
        elif HARMLESS_FILES.fullmatch(name) and (not name.endswith(".dvc") or _is_plain_pointer(here, name)):
            continue
        elif CODE.fullmatch(name) and not JUDGING_CODE.fullmatch(name):
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


def _is_plain_pointer(revision: Revision, name: str) -> bool:
    """Whether a `.dvc` file says only which data are beside it: it could also hold a command, or another folder."""
    if revision.read(name) is None:  # it was deleted
        return True
    content = revision.content_or_empty(name)
    outputs = content.get("outs", [])
    if set(content) != {"outs"} or not isinstance(outputs, list):
        return False
    return all(isinstance(output, dict) and "/" not in str(output.get("path")) for output in outputs)
