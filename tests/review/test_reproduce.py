"""A commit that can be made again is said to be; one that can't is not, with what differs."""

import sys
from pathlib import Path

import pytest
import yaml

from src.review.reproduce import differences
from tests.conftest import commit, run


def test_differences_are_named_by_stage_and_output():
    def lock(**hashes: str) -> dict[str, object]:
        return {"stages": {"train": {"outs": [{"path": path, "md5": md5} for path, md5 in hashes.items()]}}}

    assert differences(lock(a="1", b="2"), lock(a="1", b="2")) == []
    assert differences(lock(a="1", b="2"), lock(a="1", b="3")) == ["train: b"]
    assert differences(lock(a="1"), lock(b="1")) == ["train: a", "train: b"]


@pytest.mark.slow
def test_a_commit_is_made_again_or_the_difference_is_named(copy_of, wine: Path):
    project = copy_of(wine)
    done = run(sys.executable, "-m", "src.review", "reproduce", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("the same to the byte\n")
    scores = (project / "metrics/scores.json").read_text()
    (project / "metrics/scores.json").write_text(scores.replace("0.", "0.9"))
    commit(project)
    done = run(sys.executable, "-m", "src.review", "reproduce", cwd=project)
    assert done.returncode == 1
    assert "committed: metrics/scores.json" in done.stdout
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    lock["stages"]["evaluate"]["outs"][0]["md5"] = "0" * 32
    (project / "dvc.lock").write_text(yaml.safe_dump(lock))
    commit(project)
    done = run(sys.executable, "-m", "src.review", "reproduce", cwd=project)
    assert done.returncode == 1
    assert "not the same; stage and output:\n  evaluate: metrics/" in done.stdout
