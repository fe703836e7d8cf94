"""A commit that can be made again is said to be; one that can't is not, with what differs."""

import sys
from pathlib import Path

import pytest

from tests.conftest import check, commit, run


@pytest.mark.slow
def test_a_commit_is_made_again_or_the_difference_is_named(copy_of, wine: Path):
    project = copy_of(wine)
    done = run(sys.executable, "-m", "src.review", "reproduce", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("the same to the byte\n")
    scores = project / "metrics/scores.json"
    scores.write_text(scores.read_text().replace('"log_loss": 0.', '"log_loss": 0.9'))
    check("dvc", "commit", "--force", cwd=project)
    commit(project)
    done = run(sys.executable, "-m", "src.review", "reproduce", cwd=project)
    assert done.returncode == 1
    assert "not reproduced\n  evaluate: metrics/scores.json\n    log_loss: 0.9" in done.stdout
