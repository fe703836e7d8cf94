"""A commit that can be reproduced is said to be; for one that can't, the verdict names what differs."""

import shutil
import sys
from pathlib import Path

import pytest

from retrace.review.reproduce import reproduce
from retrace.review.results import FILES
from tests.conftest import check, commit, run
from tests.retrace.review.small import TWO, inside, new_project, write


@pytest.mark.parametrize("place", ["moved", "linked", "shared"])
def test_tables_and_frozen_results_come_from_the_cache_that_the_folder_uses(tmp_path: Path, place: str):
    cache = tmp_path / "elsewhere"
    results = {"cmd": f"mkdir -p metrics && cd metrics && touch {' '.join(FILES)}", "deps": ["b.out"]}
    results["plots"] = [{f"metrics/{name}": {"cache": False}} for name in FILES]
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
