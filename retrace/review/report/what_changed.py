"""The section about parameters, code, packages and files that changed."""

from retrace.markdown import code, folded, table
from retrace.review.changes import (
    changed_code,
    changed_code_by_git,
    changed_files,
    changed_keys,
    changed_params,
    packages,
)
from retrace.review.report.change import Change
from retrace.review.report.wording import changed_table, counted, listed


def write_changes(change: Change) -> str:
    """The parameters, stages' code, packages and other files that changed."""
    here, base = change.sides.here, change.sides.base
    if base is None:
        return ""
    parts = []
    if params := changed_params(here, base):
        parts.append(changed_table("parameter", params))
    files = changed_files(here, base)
    if change.sides.base_stages is None:
        modules = changed_code_by_git(change.sides.stages, files)
    else:
        modules = changed_code(change.sides.stages, change.sides.base_stages)
    if modules:
        rows = [(code(stage), listed(paths)) for stage, paths in modules.items()]
        parts.append(folded(f"Code of {counted(len(modules), 'stage')}", table(["stage", "modules"], rows)))
    if versions := changed_keys(packages(here), packages(base)):
        parts.append(folded(counted(len(versions), "package"), changed_table("package", versions)))
    shown_above = {"params.yaml", "requirements.txt", "dvc.lock"}
    for paths in modules.values():
        shown_above.update(paths)
    others = [name for name in files if name not in shown_above and not name.startswith("metrics/")]
    if others:
        parts.append(folded(counted(len(others), "other file"), listed(others, 30)))
    return "### What changed\n\n" + ("\n\n".join(parts) or "Nothing that a stage depends on.")
