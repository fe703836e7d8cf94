"""Write report.md: what a reviewer is told about a change, as one comment in GitHub's Markdown.

The folder (or another revision) is compared with a base. The answer comes first. Then follow the scores with their
intervals, the gate, and what changed in parameters, code, packages, data and slices. Last come the commands by which
a reviewer sees the same.
"""

import tempfile
from pathlib import Path

from retrace.errors import UserError
from retrace.git import git, git_bytes
from retrace.markdown import code, join_sections
from retrace.review.report.broken import describe_broken_pipeline
from retrace.review.report.by_slice import write_slices
from retrace.review.report.change import Change, is_out_of_date, read_change
from retrace.review.report.data import write_data
from retrace.review.report.headline import write_headline
from retrace.review.report.pictures import write_pictures
from retrace.review.report.scores import write_decision, write_gate, write_metrics, write_sample
from retrace.review.report.see_it_yourself import write_commands, write_patch
from retrace.review.report.what_changed import write_changes
from retrace.review.rerun import Rerun
from retrace.review.revision import NO_BASE, Revision

MOST_BYTES = 64_000  # a comment may have 65,536 characters, and CML adds its mark


def write_report(base: Revision | None, here: Revision, no_base: str = NO_BASE, *, rescore: bool = False) -> Path:
    """Write report.md, and report.patch where the committed results aren't those that the pipeline makes.

    Args:
        base: What the change is to be merged into.
        here: The change.
        no_base: Why there is no base, if there is none.
        rescore: Whether to score the base's model on the validation rows here.

    Returns:
        The file of the report.

    Raises:
        UserError: there are no results, they or the parameters can't be read, or the base's model can't be obtained.
    """
    file, patch = Path("report.md"), Path("report.patch")
    patch.unlink(missing_ok=True)
    rerun = Rerun.last() if here.commit is None else None
    if rerun and is_out_of_date(here):
        if not rerun.succeeded:
            file.write_text(join_sections(describe_broken_pipeline(rerun, here, base), MOST_BYTES), encoding="utf-8")
            return file
        rerun = None  # what has changed in the folder since the pipeline ran isn't in its results
    change = read_change(base, here, rerun if rerun and rerun.succeeded else None, no_base, rescore=rescore)
    if change.rerun and change.lock and change.lock.word != "reproduced":
        patch.write_bytes(difference_of_results())
    file.write_text(join_sections(write_sections(change, patch), MOST_BYTES), encoding="utf-8")
    return file


def write_sections(change: Change, patch: Path) -> list[tuple[str, str]]:
    """The sections, by name, the most important first; a section that has nothing to say is omitted.

    A base may be of any age, or broken. If something can't be read, its section says so, and the others are written.
    Other exceptions are mistakes in this package. They end the report with a traceback, so that they are seen.
    """
    sections = []
    for name, write in (
        ("Answer", write_headline),
        ("Metrics", write_metrics),
        ("A sample of the training rows", write_sample),
        ("Decision", write_decision),
        ("Gate", write_gate),
        ("What changed", write_changes),
        ("Data", write_data),
        ("By slice", write_slices),
        ("Pictures", write_pictures),
        ("See it yourself", write_commands),
    ):
        try:
            text = write(change)
        except UserError as error:
            text = f"### {name}\n\nThis section can't be written: {code(error, 200)}."
        sections.append((name, text))
    sections.append(("Patch", write_patch(patch)))
    return [(name, text) for name, text in sections if text]


def difference_of_results() -> bytes:
    """dvc.lock and metrics/ in the folder compared with the commit, as a patch; the index stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        git("read-tree", "HEAD", index=index)
        git("add", "--", "dvc.lock", "metrics", index=index)
        # Unlike `diff`, this command ignores the user's settings (prefixes, colours, lines of context).
        options = ["--patch", "--binary", "--unified=3", "--no-color", "--no-renames", "--no-ext-diff", "--no-textconv"]
        return git_bytes("diff-index", "--cached", *options, "HEAD", "--", index=index)
