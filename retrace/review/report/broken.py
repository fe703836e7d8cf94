"""The report of a pipeline that didn't run to its end."""

from retrace.git import git
from retrace.markdown import block, code
from retrace.review.changes import changed_files, changed_params
from retrace.review.report.see_it_yourself import describe_stages
from retrace.review.report.wording import changed_table, listed
from retrace.review.rerun import Rerun
from retrace.review.revision import Revision

MISSING_DATA = (
    "Git has its hash, and no storage that this run may read has the file. Whoever has it shares it: by "
    "`make push` in a project that was made with a storage, else by `dvc push` once it has one. "
    "For a fork or Dependabot no storage is read. Someone who may write to the repository reads the changed "
    "code first, since it runs beside the storage's credentials, then pushes the branch to the repository and "
    "runs the workflow on it.\n\n"
)


def describe_broken_pipeline(rerun: Rerun, here: Revision, base: Revision | None) -> list[tuple[str, str]]:
    """The sections of the report, by name: which stage failed, what it printed last, and what changed."""
    commit = git("rev-parse", "HEAD")
    sections = [
        ("Answer", f"{_title_and_advice(rerun)}{_last_lines(rerun)}"),
        ("See it yourself", f"```console\ngit fetch origin {commit}\ngit checkout {commit}\nmake repro\n```"),
        ("Stages", describe_stages(rerun)),
    ]
    if base:
        if params := changed_params(here, base):
            sections.append(("Parameters", changed_table("parameter", params)))
        sections.append(("Files", f"Changed files: {listed(changed_files(here, base), 30)}"))
    return sections


def _title_and_advice(rerun: Rerun) -> str:
    """What failed, and what to do about it if that is known."""
    failed = next((stage.name for stage in rerun.stages if stage.how == "failed"), "")
    title = f"The pipeline fails in the stage {code(failed)}" if failed else "The pipeline fails"
    advice = ""
    if failed.endswith(".dvc") and any("missing data" in line for line in rerun.tail):
        title = f"The data isn't here: {code(failed.removesuffix('.dvc'))}"
        advice = MISSING_DATA
    return f"## {title}\n\n**May not be merged:** there are no results.\n\n{advice}"


def _last_lines(rerun: Rerun) -> str:
    """The last lines that the pipeline printed."""
    if not rerun.tail:
        return "It was ended from outside before it printed anything."
    printed = block("\n".join(rerun.tail))
    return f"The last lines:\n\n{printed}"
