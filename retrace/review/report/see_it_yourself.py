"""The sections with commands: how to see the results, and how to apply the patch."""

import os
import platform
from pathlib import Path

from retrace.git import git, git_status
from retrace.markdown import block, code, folded, table
from retrace.review.changes import packages
from retrace.review.report.change import Change
from retrace.review.report.wording import counted
from retrace.review.rerun import Rerun

MOST_PATCH = 40_000  # characters of a patch in the comment itself


def write_commands(change: Change) -> str:
    """Commands, commits, versions and, where the pipeline ran again, what each stage took."""
    here, base = change.sides.here, change.sides.base
    commit = here.commit or git("rev-parse", "HEAD")
    is_changed = here.commit is None and change.rerun is None and bool(git_status())
    commands, sides = [], []
    if is_changed:
        sides.append(f"This change is the working tree, with uncommitted changes to {code(commit[:12])}")
    else:
        sides.append(f"This change is {code(commit[:12])}")
        if {"GITHUB_RUN_ID", "CI_JOB_ID"} & os.environ.keys():
            commands.append(f"git fetch origin {commit}")
        commands.append(f"git checkout {commit}")
    commands.append("make repro")
    if base:
        sides.append(f"the base is {code(str(base.commit)[:12])} ({code(base.name)})")
        rescored = " RESCORE=1" if change.sides.rescored or change.sides.why_not_rescored else ""
        commands.append(f"make report BASE={base.commit}{rescored}")
    console = "\n".join(commands)
    made_on = here.content_or_empty("metrics/evaluation.json").get("platform", "unknown")
    learn = packages(here).get("scikit-learn", "unknown")
    versions = f"Python {platform.python_version()}, scikit-learn {code(learn)}, {code(made_on)}."
    stages = f"\n\n{describe_stages(change.rerun)}" if change.rerun else ""
    return f"### See it yourself\n\n```console\n{console}\n```\n\n{'; '.join(sides)}. {versions}{stages}"


def describe_stages(rerun: Rerun) -> str:
    """What each stage of a rerun did and took."""
    rows = [(code(stage.name), stage.how, f"{stage.seconds:.1f} s") for stage in rerun.stages]
    cached = sum(stage.how == "from a cache" for stage in rerun.stages)
    summary = f"{counted(len(rows) - cached, 'stage')} ran, {cached} came from a cache."
    return folded(summary, table(["stage", "", "time:"], rows))


def write_patch(patch: Path) -> str:
    """The patch that makes the committed results those of the run, or how to get it; empty where there is none."""
    if not patch.exists():
        return ""
    if run := os.environ.get("GITHUB_RUN_ID"):
        command = f"gh run download {run} --name report && git apply --index report.patch && git commit"
    elif job := os.environ.get("CI_JOB_ID"):  # GitLab's
        patch_file = f"projects/:id/jobs/{job}/artifacts/report.patch"
        command = f"glab api {patch_file} > report.patch && git apply --index report.patch && git commit"
    else:
        command = "git add --all && git commit # this folder already has what the patch brings"
    section = f"### The patch\n\n```console\n{command}\n```"
    text = patch.read_bytes().decode("utf-8", "replace")
    return f"{section}\n\n{folded('report.patch', block(text, 'diff'))}" if len(text) <= MOST_PATCH else section
