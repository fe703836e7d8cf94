"""The commands of `python -m retrace` after the merge: release, deploy, rollback and history."""

import subprocess
import sys
from pathlib import Path

from retrace import registry
from retrace.clones import DVC, DVC_WITHOUT_HINTS, with_this_python
from retrace.command_line import make_parser
from retrace.errors import UserError, one_line
from retrace.files import write_bytes
from retrace.git import git, git_status, require_own_repository
from retrace.params import FILE, Params, read_params
from retrace.placeholders import DECISION, DECISION_AFTER_ADOPT, QUESTION, question_about
from retrace.problem_page import require_current_tables
from retrace.release.openings import FILE as OPENINGS
from retrace.release.openings import record_opening, versions_opened_for
from retrace.release.rerun import rerun_release
from retrace.resamples import fingerprint

RETRACE = [sys.executable, "-m", "retrace"]
PIPELINE = Path("release/dvc.yaml")
PIPELINE_OF_THE_TOOL = Path("retrace/release/pipeline.yaml")
TEST = Path("data/split/test.parquet")
GO_BACK = "`git restore --staged --worktree release` and `git clean -fdq release` bring release/ back"


def run(*command: str) -> bool:
    """Run a command, whose output is shown; returns whether it succeeds."""
    return subprocess.run(command, env=with_this_python()).returncode == 0


def require_stated_problem(params: Params) -> None:
    """Check that params.yaml says what is predicted and what for: the model card shows it.

    Raises:
        UserError: it still has the placeholders of a new project.
    """
    advice = {}
    if params.problem.question in (QUESTION, question_about(params.data.target)):
        advice["question"] = "write what is predicted"
    if params.problem.decision in (DECISION, DECISION_AFTER_ADOPT):
        advice["decision"] = "write what is done with a prediction"
    if advice:
        why = "which the model card shows, and commit it"
        raise UserError(
            *(f"{FILE}: problem.{key}: is still a placeholder; {what}, {why}" for key, what in advice.items())
        )


def require_clean_tree() -> None:
    """Check that every change is committed.

    Raises:
        UserError: one isn't.
    """
    if changed := git_status():
        names = ", ".join(list(changed)[:5])
        raise UserError(f"not committed: {names}; commit or stash it first: a release is a commit")


def release(words: list[str]) -> None:
    """Release the commit: score it once on the rows of test, write its cards, pack the model, tag it NAME@vVERSION.

    params.yaml must say what is predicted and what for, docs/problem.md have its values, the tree be clean, the results
    reproduced, the gate passed, and VERSION later than the last. Nothing is pushed without --push.
    """
    parser = make_parser("release", str(release.__doc__).partition("\n")[0])
    parser.add_argument("version", metavar="VERSION", help="three numbers, such as 1.0.0")
    parser.add_argument("--push", action="store_true", help="push the data, the commit and the tag")
    arguments = parser.parse_args(words)
    require_own_repository()
    params = read_params()
    name = params.problem.name
    version = registry.parse_version(arguments.version)
    require_stated_problem(params)
    require_current_tables(params)
    require_clean_tree()
    registry.require_later(name, version)
    registry.identity()
    rows = fingerprint(TEST, params.data)
    if not run(*RETRACE, "gate"):
        raise UserError(f"{name} {version} is not released: the gate fails")
    if not run(*RETRACE, "reproduce"):
        raise UserError(f"{name} {version} is not released: the results are not reproduced")

    looks = len(versions_opened_for(rows))
    print(f"looking at test; number of earlier looks at these rows: {looks}", flush=True)
    record_opening(version, rows)
    # The file is made only now. If it was there before the first release, `dvc checkout` would fail, because there are
    # no outputs yet.
    write_bytes(PIPELINE_OF_THE_TOOL.read_bytes(), PIPELINE)
    git("add", "--", str(OPENINGS))
    git("commit", "--quiet", "--message", f"Open test for {name} {version}", "--", str(OPENINGS))
    if not run(*DVC_WITHOUT_HINTS, "repro", str(PIPELINE)):
        failed = f"{name} {version} is not released: {PIPELINE} fails"
        raise UserError(f"{failed}; {GO_BACK}; the look at test stays recorded")
    git("add", "--", "release")
    git("commit", "--quiet", "--message", f"Release {name} {version}", "--", "release")
    tag = registry.register(name, version, f"Release {name} {version}")
    print(f"released {tag}; `make deploy VERSION={version}` puts it into production")
    if arguments.push:
        push(tag)
    else:
        print(f"nothing is pushed yet: {how_to_push(tag)}")


def how_to_push(tag: str) -> str:
    """The two commands that push a release."""
    return f"`dvc push dvc.yaml {PIPELINE}`, then `git push --atomic origin HEAD {tag}`"


def push(tag: str) -> None:
    """Push the data and the model to the remote storage, and the commit and the tag to Git's remote.

    Raises:
        UserError: it fails; the release stays here.
    """
    stays = f"{tag} is released here, but not pushed"
    if not run(*DVC, "push", "dvc.yaml", str(PIPELINE)):
        raise UserError(f"{stays}; once that is fixed: {how_to_push(tag)}")
    try:
        git("push", "--quiet", "--atomic", "origin", "HEAD", f"refs/tags/{tag}")
    except UserError as error:
        raise UserError(f"{stays}: {error}; `git push --atomic origin HEAD {tag}` tries again") from None
    print(f"pushed {tag}")


def verify_release(words: list[str]) -> None:
    """Check that the commit of a release gives its cards, its scores on test and its package, byte by byte."""
    parser = make_parser("verify-release", str(verify_release.__doc__))
    parser.add_argument("version", metavar="VERSION", help="a released version, or its tag")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy the verified files to this folder")
    arguments = parser.parse_args(words)
    require_own_repository()
    model = read_params().problem.name
    name, _, version = arguments.version.rpartition("@")
    if name not in ("", model):
        raise UserError(f"{arguments.version}: not a release of this project; its model is {model}")
    tag = f"{model}@{registry.parse_version(version)}"
    differences = rerun_release(tag, arguments.keep)
    for name in differences:
        print(one_line(f"FAIL  {name} differs from what {tag} gives"))
    if differences:
        sys.exit(1)
    print(f"PASS  {tag} gives its results, cards and package, byte by byte")


def deploy(words: list[str]) -> None:
    """Say that a version is in production, or in another stage, from now on."""
    parser = make_parser("deploy", str(deploy.__doc__))
    parser.add_argument("version", metavar="VERSION", help="a released version")
    parser.add_argument("--stage", default=registry.PROD, help="where; prod by default")
    parser.add_argument("--message", default="", help="why")
    arguments = parser.parse_args(words)
    require_own_repository()
    name, version = read_params().problem.name, registry.parse_version(arguments.version)
    tag = registry.assign(name, version, arguments.stage, arguments.message or f"Deploy {version} to {arguments.stage}")
    print(f"{name} {version} is in {arguments.stage}; `git push origin {tag}` tells the others")


def rollback(words: list[str]) -> None:
    """Say that the version before the present one is in production again."""
    parser = make_parser("rollback", str(rollback.__doc__))
    parser.add_argument("--stage", default=registry.PROD, help="where; prod by default")
    parser.add_argument("--message", default="", help="why")
    arguments = parser.parse_args(words)
    require_own_repository()
    name, stage = read_params().problem.name, arguments.stage
    deployed = registry.in_stage(name, stage)
    if len(deployed) < 2:
        raise UserError(f"{stage}: there is no version of {name} to go back to")
    earlier, present = deployed[-2:]
    tag = registry.assign(name, earlier, stage, arguments.message or f"Roll back from {present}")
    print(f"{name} {earlier} is in {stage} again, not {present}; `git push origin {tag}` tells the others")


def history(words: list[str]) -> None:
    """Show what was released and deployed when, by whom and why; the last comes first."""
    make_parser("history", str(history.__doc__)).parse_args(words)
    require_own_repository()
    name = read_params().problem.name
    events = registry.history(name)
    if not events:
        print(f"{name} has no release yet; `make release VERSION=1.0.0` makes one")
        return
    deployed = registry.in_stage(name, registry.PROD)
    print(f"in {registry.PROD}: {name} {deployed[-1]}" if deployed else f"{name} is not in {registry.PROD} yet")
    for event in events:
        print(one_line(f"{event.time}  {event.version:<12} {event.what:<18} {event.author}: {event.message}"))
