"""Which parameters, modules, packages and files differ between two revisions, from what Git holds of them."""

import re
from collections.abc import Mapping
from typing import Any

from retrace.git import git_names
from retrace.review.dvc_project import Stage
from retrace.review.revision import Revision, flattened

ChangedKeys = dict[str, tuple[Any, Any]]


def changed_keys(here: Mapping[str, Any], base: Mapping[str, Any]) -> ChangedKeys:
    """The dotted keys of two nested mappings whose values differ, as (base, here); None where there is no such key."""
    values, base_values = flattened(here), flattened(base)
    changed = {}
    for key in sorted(values | base_values):
        if values.get(key) != base_values.get(key):
            changed[key] = base_values.get(key), values.get(key)
    return changed


def changed_params(here: Revision, base: Revision) -> ChangedKeys:
    """The keys of params.yaml whose values differ."""
    return changed_keys(here.content_or_empty("params.yaml"), base.content_or_empty("params.yaml"))


def changed_code(stages: dict[str, Stage], base_stages: dict[str, Stage]) -> dict[str, list[str]]:
    """The modules that each stage depends on and whose content isn't the base's; a new stage has them all."""
    changed = {}
    for name, stage in stages.items():
        base_inputs = base_stages[name].inputs if name in base_stages else {}
        modules = [path for path, md5 in stage.inputs.items() if path.endswith(".py") and base_inputs.get(path) != md5]
        if modules:
            changed[name] = modules
    return changed


def changed_code_by_git(stages: dict[str, Stage], changed_paths: list[str]) -> dict[str, list[str]]:
    """The same where DVC can't read the base, which the change may fix: by the files that differ for Git."""
    changed = {}
    for name, stage in stages.items():
        modules = [path for path in stage.inputs if path.endswith(".py") and path in changed_paths]
        if modules:
            changed[name] = modules
    return changed


def changed_files(here: Revision, base: Revision) -> list[str]:
    """Every file in Git that isn't the same."""
    revisions = [str(revision.commit) for revision in (base, here) if revision.commit]
    return sorted(git_names("diff", "--name-only", "--no-renames", "-z", *revisions, "--"))


def packages(revision: Revision) -> dict[str, str]:
    """The version of each package that the stages may import."""
    text = (revision.read("requirements.txt") or b"").decode("utf-8", "replace")
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, flags=re.MULTILINE))
