"""Results that nobody else has run are verified as far as they can be, and are never called reproduced."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from retrace.review.revision import Revision
from retrace.review.verify_only import MERGE_AGAIN, mixed_stages
from tests.conftest import IDENTITY, change_params, check, commit, retrace
from tests.retrace.review.small import inside, new_project


@pytest.fixture(scope="module")
def stored(wine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with results, whose data and models are in a storage that is a folder."""
    project = Path(shutil.copytree(wine, tmp_path_factory.mktemp("stored") / "wine", symlinks=True))
    check("dvc", "remote", "add", "--quiet", "--default", "storage", "../store", cwd=project)
    check("dvc", "push", "--quiet", cwd=project)
    commit(project)
    return project


@pytest.fixture
def project(stored: Path, tmp_path: Path) -> Path:
    """A clone of it, as on GitHub: nothing is in its cache."""
    check("git", "clone", "--quiet", str(stored), str(tmp_path / "clone"), cwd=tmp_path)
    shutil.copytree(stored.parent / "store", tmp_path / "store")
    return tmp_path / "clone"


def verify(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return retrace("rerun", "--verify-only", *words, cwd=project)


def report(project: Path) -> str:
    """The first lines of the report."""
    assert retrace("report", "--base", "HEAD~1", cwd=project).returncode == 0
    return (project / "report.md").read_text().partition("\n### ")[0]


def test_results_that_agree_with_git_and_the_storage_are_verified_and_not_called_reproduced(project: Path):
    done = verify(project, "--base", "HEAD~1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "verified, not rerun"
    assert re.search(r"remote storage: (\d+) of \1 objects", done.stdout)
    assert not (project / "models").exists(), "nothing is made or pulled"
    first = report(project)
    assert "**May be merged:** the gate passes. **Verified, not rerun:** dvc.lock," in first
    assert "those of the committer's machine, and nobody else has run the pipeline." in first
    assert "reproduced" not in first.lower()
    (project / "README.md").write_text("Another text.\n")
    assert "The pipeline wasn't rerun for this report" in report(project), "it was about the commit"


def evaluate(project: Path) -> None:
    change_params(project, evaluate={"resamples": 101})


def edit(project: Path) -> None:
    (project / "metrics/scores.json").write_text("{}\n")


def add(project: Path) -> None:
    (project / "metrics/more.json").write_text("{}\n")


def unset(project: Path) -> None:
    check("dvc", "remote", "remove", "storage", cwd=project)


def move(project: Path) -> None:
    check("dvc", "remote", "modify", "storage", "url", "README.md", cwd=project)


@pytest.mark.parametrize(
    ("change", "word", "printed", "told"),
    [
        (
            evaluate,
            "stale",
            "  evaluate\n    evaluate.resamples\n`dvc repro` updates the results; commit that, and push what is new",
            "the committed results aren't what this commit makes. **Stale:** inputs changed after the results were "
            "made: `evaluate` (`evaluate.resamples`). `dvc repro` updates the results; commit that,",
        ),
        (
            edit,
            "not verified",
            "  evaluate: metrics/scores.json\n    not the content that dvc.lock records\n`dvc repro` updates",
            "the committed results aren't verified. **Not verified:** "
            "`evaluate: metrics/scores.json` (`not the content that dvc.lock records`). `dvc repro` updates",
        ),
        pytest.param(
            add,
            "not verified",
            "  metrics: metrics/more.json\n    no stage in dvc.yaml makes it: delete it\n",
            "**Not verified:** `metrics: metrics/more.json` (`no stage in dvc.yaml makes it: delete it`). Delete what",
            marks=pytest.mark.slow,
        ),
        (
            unset,
            "not verified",
            "  the storage\n    not checked: there is no storage; docs/template.md says how to add one\n",
            "**Not verified:** `the storage` (`not checked: there is no storage; docs/template.md says how to",
        ),
        pytest.param(
            move,
            "not verified",
            "  the storage\n    not checked: remote storage: NotADirectoryError: ",
            "**Not verified:** `the storage` (`not checked: remote storage: NotADirectoryError",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_is_wrong_with_a_commit_is_named_with_what_to_do(
    project: Path, change: Callable[[Path], object], word: str, printed: str, told: str
):
    change(project)
    commit(project)
    done = verify(project)
    assert done.returncode == 1
    assert f"{word}\n{printed}" in done.stdout
    assert told in report(project)
    assert "reproduced" not in report(project).lower()


def test_what_the_storage_lacks_is_named_and_pushing_it_is_enough(project: Path, stored: Path):
    text = (project / "dvc.lock").read_text()
    [digest] = set(re.findall(r"path: models/model.skops\n +hash: md5\n +md5: (\w+)", text))
    (project / "../store/files/md5" / digest[:2] / digest[2:]).unlink()
    done = verify(project)
    assert done.returncode == 1
    assert "not verified\n  models/model.skops\n    missing\nmissing in the storage: `make push`" in done.stdout
    first = report(project)
    assert (
        "**May not be merged:** the committed results aren't verified. **Not verified:** `models/model.skops`" in first
    )
    assert "Missing in the storage: `make push` (or `dvc push`)" in first
    shutil.copytree(stored / ".dvc/cache", project / ".dvc/cache")
    check("dvc", "push", cwd=project)
    assert verify(project).returncode == 0


def test_a_check_that_cannot_be_made_is_no_good_verdict(project: Path):
    check("git", "rm", "--quiet", "dvc.lock", cwd=project)
    commit(project)
    done = verify(project)
    assert done.returncode == 1
    assert done.stdout.startswith("not verified\n  the check\n    dvc.lock: not in the commit; `dvc repro`")


def test_an_ssh_server_that_does_not_answer_is_a_storage_that_was_not_checked(project: Path):
    done = retrace("rerun", "--verify-only", cwd=project, STORAGE_ERROR="far: Connection refused")
    assert done.returncode == 1
    assert done.stdout == "not verified\n  the storage\n    not checked: far: Connection refused\n"


def test_a_check_that_was_killed_is_no_good_verdict(project: Path, monkeypatch: pytest.MonkeyPatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("retrace.review.verify_only.find_problem", killed)
    with pytest.raises(KeyboardInterrupt):
        verify(project)
    monkeypatch.undo()
    said = "the committed results aren't verified. **Not verified:** `the check` (`it didn't end; its log says why`)."
    assert said in report(project)


def test_an_uncommitted_change_is_not_verified(project: Path):
    (project / "README.md").write_text("Another text.\n")
    done = verify(project)
    assert (done.returncode, done.stdout.splitlines()[-3:]) == (
        1,
        ["not verified", "  README.md", "    changed, and not committed"],
    )


@pytest.mark.slow
def test_the_last_command_counts(copy_of, wine: Path):
    project = copy_of(wine)
    assert verify(project).returncode == 1, "it has no storage"
    assert "**Not verified:**" in report(project)
    check("python", "-m", "retrace", "rerun", cwd=project)
    assert "**Reproduced:**" in report(project)
    assert verify(project).returncode == 1
    assert "**Not verified:**" in report(project)


def test_a_base_is_for_verifying_only(project: Path):
    done = retrace("rerun", "--base", "HEAD~1", cwd=project)
    assert done.returncode == 2
    assert done.stderr.endswith("--base: only with --verify-only\n")


# The output depends on both inputs together: with one of them it's another one than either branch makes.
JOINT = {
    "joint": {
        "cmd": "if [ $(cat a.in z.in | grep -c new) = 2 ]; then echo both; else cat z.in; fi > joint.out",
        "deps": ["a.in", "m.in", "z.in"],
        "outs": ["joint.out"],
    }
}


def changed(project: Path, branch: str, file: str) -> None:
    """A branch from main with another content of a file, and what the pipeline makes of it."""
    check("git", "switch", "--quiet", "--create", branch, "main", cwd=project)
    (project / file).write_text("new\n")
    check("dvc", "repro", "--quiet", cwd=project)
    commit(project)


@pytest.fixture
def joint(tmp_path: Path) -> Path:
    """A project with two branches, whose entries in dvc.lock Git merges without a conflict."""
    project = new_project(tmp_path / "project", JOINT, **dict.fromkeys(["a.in", "m.in", "z.in"], "old\n"))
    changed(project, "left", "a.in")
    changed(project, "right", "z.in")
    return project


def merge(project: Path, *words: str) -> str:
    check("git", "merge", "--quiet", "--no-edit", *words, cwd=project, **IDENTITY)
    return check("git", "rev-parse", "HEAD", cwd=project).strip()


def mixed(project: Path, base: str | None = None) -> dict[str, str]:
    with inside(project):
        return mixed_stages(Revision.of("HEAD"), Revision.of(base) if base else None)


def keep_own_lock(project: Path) -> None:
    """What `make install` defines."""
    (project / ".git/info/attributes").write_text("dvc.lock merge=binary\n")
    check("git", "config", "merge.binary.driver", "true", cwd=project)


def test_a_lock_that_was_merged_line_by_line_is_found_and_the_advice_helps(joint: Path):
    made = merge(joint, "left")
    assert "didn't change, skipping" in check("dvc", "repro", "--dry", "--allow-missing", cwd=joint), "it isn't stale"
    assert mixed(joint) == mixed(joint, "left") == mixed(joint, "main") == {"joint": made}
    (joint / "README.md").write_text("A later commit.\n")
    commit(joint)
    assert mixed(joint) == {"joint": made}
    assert mixed(joint, made) == {}, "the base has it"
    keep_own_lock(joint)
    [command] = re.findall("`(git reset .*?)`", MERGE_AGAIN.format(made[:8]))
    check(*command.split(), cwd=joint)
    merge(joint, "left")
    check("dvc", "repro", "--quiet", cwd=joint)
    commit(joint)
    assert (joint / "joint.out").read_text() == "both\n"
    assert mixed(joint) == {}


def test_results_of_a_run_after_or_within_a_merge_are_not_taken_for_mixed(joint: Path):
    check("git", "merge", "--quiet", "--no-commit", "left", cwd=joint, **IDENTITY)
    check("dvc", "repro", "--quiet", "--force", cwd=joint)
    commit(joint)
    assert (joint / "joint.out").read_text() == "both\n"
    assert mixed(joint) == {}
    check("git", "reset", "--quiet", "--hard", "HEAD^1", cwd=joint)
    merge(joint, "left")
    assert mixed(joint)
    check("dvc", "repro", "--quiet", "--force", cwd=joint)
    commit(joint)
    assert mixed(joint) == {}, "the run changed the entry"


@pytest.mark.slow
def test_stages_of_which_each_side_changed_another_one_are_not_mixed(tmp_path: Path):
    stages = {
        name: {"cmd": f"cp {name}.in {name}.out", "deps": [f"{name}.in"], "outs": [f"{name}.out"]} for name in "amz"
    }
    project = new_project(tmp_path / "project", stages, **dict.fromkeys(["a.in", "m.in", "z.in"], "old\n"))
    changed(project, "left", "a.in")
    changed(project, "right", "z.in")
    merge(project, "left")
    assert mixed(project) == {}
