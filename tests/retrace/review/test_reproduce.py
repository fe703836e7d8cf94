"""A commit that can be reproduced is said to be; for one that can't, the verdict names what differs."""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from retrace.review.reproduce import CONDITIONS, choose_setting, reproduce
from retrace.review.results import FILES
from tests.conftest import check, commit, retrace, run
from tests.retrace.review.small import TWO, inside, new_project, write

RESULTS: dict[str, Any] = {
    "cmd": f"mkdir -p metrics && cd metrics && touch {' '.join(FILES)}",
    "plots": [{f"metrics/{name}": {"cache": False}} for name in FILES],
}
# For each condition, a command that prints something that depends on it.
PRINTS = {
    "time-zone": "date -d @0 +%H",
    "locale": 'echo "$LC_ALL"',
    "hash-seed": 'echo "$PYTHONHASHSEED"',
    "threads": 'echo "$OMP_NUM_THREADS"',
    "processor": 'echo "$GLIBC_TUNABLES"',
    "user": 'echo "$USER"',
    "user-id": "id -u",
    "file-order": 'python -c \'import os; print(os.listdir("many"), [file.name for file in os.scandir("many")])\'',
    "home": 'echo "$HOME"',
    "umask": "umask",
    "cores": "nproc",
    "host-name": "uname -n",
    "clock": "date +%Y",
}


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a stage for each condition, whose result depends on it."""
    stages = {name: {"cmd": f"{command} > {name}.out", "outs": [f"{name}.out"]} for name, command in PRINTS.items()}
    files = {"a.in": "1"} | {f"many/{name}": "1" for name in "caebdf"}
    folder = tmp_path_factory.mktemp("conditional") / "project"
    return new_project(folder, stages | {"results": RESULTS}, **files)


@pytest.fixture(scope="module")
def variable(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The conditions that can be varied on this machine."""
    return CONDITIONS.keys() - choose_setting(list(CONDITIONS), tmp_path_factory.mktemp("home")).missing.keys()


def test_each_condition_is_another_one(conditional: Path, variable: set[str]):
    with inside(conditional):
        verdict = reproduce()
    assert verdict.word == "not reproduced"
    assert {name.partition(": ")[0] for name in verdict.differences} == variable


def test_only_what_is_named_is_another_condition(conditional: Path):
    with inside(conditional):
        verdict = reproduce(["umask", "time-zone"])
    assert {name.partition(": ")[0] for name in verdict.differences} == {"umask", "time-zone"}


def test_a_condition_that_does_not_exist_is_named(conditional: Path):
    done = retrace("reproduce", "--only", "clock,weather", cwd=conditional)
    assert done.returncode == 2
    assert "--only: there is no condition weather; there are time-zone, locale, hash-seed," in done.stderr


def test_a_condition_that_this_machine_cannot_vary_is_left_out_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "unshare").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    setting = choose_setting(["user-id", "umask"], tmp_path)
    assert (setting.prefix, setting.umask) == ([], 0o077)
    assert setting.missing == {"user-id": "this system doesn't allow user namespaces"}


def test_a_condition_that_this_machine_cannot_vary_is_refused_if_it_is_named(conditional: Path, tmp_path: Path):
    for program in ("git", "sh"):
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    done = retrace("reproduce", "--only", "clock", cwd=conditional, PATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "clock: can't be varied here: `faketime` isn't installed\n")


def test_a_statement_about_each_stage_has_the_hashes_of_what_it_got_and_made(tmp_path: Path):
    stages = {"a": TWO["a"] | {"params": ["n"]}, "b": TWO["b"], "results": RESULTS}
    project = new_project(tmp_path / "project", stages, **{"a.in": "1", "params.yaml": "data:\n  source: a.in\nn: 5\n"})
    done = retrace("reproduce", "--attest", "../statements", "--only", "umask", cwd=project)
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "statements").iterdir())
    assert [file.name for file in files] == ["a.link.json", "b.link.json", "results.link.json"]
    statement = json.loads(files[0].read_text())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/link/v0.3"
    digest = {"sha256": hashlib.sha256(b"1").hexdigest()}
    assert statement["subject"] == [{"name": "a.out", "digest": digest}]
    head = check("git", "rev-parse", "HEAD", cwd=project).strip()
    made_by = statement["predicate"]
    assert made_by["materials"] == [
        {"name": "commit", "digest": {"gitCommit": head}},
        {"name": "a.in", "digest": digest},
    ]
    assert (made_by["name"], made_by["command"]) == ("a", ["cp a.in a.out"])
    assert made_by["environment"]["parameters"] == {"n": 5}


def test_without_reproduction_there_is_no_statement(conditional: Path, tmp_path: Path):
    done = retrace("reproduce", "--attest", str(tmp_path / "statements"), "--only", "umask", cwd=conditional)
    assert done.returncode == 1
    assert not (tmp_path / "statements").exists()


@pytest.mark.parametrize("place", ["moved", "linked", "shared"])
def test_tables_and_frozen_results_come_from_the_cache_that_the_folder_uses(tmp_path: Path, place: str):
    cache = tmp_path / "elsewhere"
    results = RESULTS | {"deps": ["b.out"]}
    project = new_project(tmp_path / "project", TWO | {"results": results}, **{"a.in": "1"})
    check("git", "rm", "--quiet", "--cached", "a.in", cwd=project)
    check("dvc", "add", "--quiet", "a.in", cwd=project)
    write(project, {"a": TWO["a"], "b": TWO["b"] | {"frozen": True}, "results": results})
    shutil.move(project / ".dvc/cache", cache)
    if place == "linked":
        (project / ".dvc/cache").symlink_to(cache)
    else:
        level = ["--local"] if place == "moved" else []
        check("dvc", "cache", "dir", "--quiet", *level, str(cache), cwd=project)
    commit(project)
    before = sorted(cache.rglob("*"))
    with inside(project):
        verdict = reproduce()
    assert (verdict.word, verdict.differences) == ("reproduced", {})
    assert sorted(cache.rglob("*")) == before, "the clone has a cache of its own"


@pytest.mark.slow
def test_a_commit_is_reproduced_or_the_difference_is_named(copy_of, wine: Path):
    project = copy_of(wine)
    done = run(sys.executable, "-m", "retrace", "reproduce", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("the same to the byte\n")
    scores = project / "metrics/scores.json"
    scores.write_text(scores.read_text().replace('"log_loss": 0.', '"log_loss": 0.9'))
    check("dvc", "commit", "--force", cwd=project)
    commit(project)
    done = run(sys.executable, "-m", "retrace", "reproduce", cwd=project)
    assert done.returncode == 1
    assert "not reproduced\n  evaluate: metrics/scores.json\n    log_loss: 0.9" in done.stdout
