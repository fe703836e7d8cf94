"""`python -m retrace compare EXP…`: what it prints of experiments, and what it refuses."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import IDENTITY, change_params, check, commit, retrace


@pytest.fixture(scope="module")
def project(wine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an experiment that hardly learns."""
    folder = Path(shutil.copytree(wine, tmp_path_factory.mktemp("compared") / "project", symlinks=True))
    rate = "train.arguments.learning_rate=0.0001"
    check("dvc", "exp", "run", "--quiet", "--name", "hardly", "--set-param", rate, cwd=folder)
    check("git", "reset", "--quiet", "--hard", cwd=folder)
    # The same results under another commit.
    check("git", "commit", "--quiet", "--allow-empty", "--message", "x", cwd=folder, **IDENTITY)
    check("git", "branch", "same", cwd=folder)
    check("git", "reset", "--quiet", "--hard", "HEAD~1", cwd=folder)
    return folder


def test_each_experiment_has_its_score_its_difference_and_a_verdict_the_best_first(project: Path):
    done = retrace("compare", "hardly", "same", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    scores = json.loads((project / "metrics/scores.json").read_text())
    header, base, same, hardly = lines[:4]
    assert header.split() == ["experiment", "log_loss", "difference", "interval", "verdict"]
    assert base.split() == ["HEAD", "(base)", "*", f"{scores['log_loss']:.4g}"]
    assert same.split() == ["same", "*", f"{scores['log_loss']:.4g}", "+0", "the", "same"]
    number = r"[+-][\d.e-]+"
    assert re.fullmatch(rf"hardly +[\d.]+ +\+[\d.]+ +{number} to {number}  worse", hardly)
    assert "same has the best log_loss of 2 experiments" in done.stdout


def test_one_experiment_was_not_chosen_from_several(project: Path):
    hash_ = check("dvc", "exp", "list", "--sha-only", cwd=project)
    done = retrace("compare", "hardly", "hardly", hash_.strip(), "HEAD", cwd=project)
    assert done.returncode == 0
    assert "has the best" not in done.stdout
    assert done.stdout.count("hardly") == 1, "the same commit is one experiment, and the base none"


def test_another_base_is_compared_with(project: Path):
    done = retrace("compare", "HEAD", "--base", "hardly", cwd=project)
    assert [line.split()[-1] for line in done.stdout.splitlines()[1:2]] == ["better"]


def test_what_cannot_be_compared_is_one_line_that_names_it(project: Path, copy_of):
    copy = copy_of(project)
    check("git", "checkout", "--quiet", "-b", "other-rows", cwd=copy)
    for name in ("bootstrap", "refits"):
        file = copy / f"metrics/{name}.csv"
        header, *lines = file.read_text().splitlines()
        file.write_text("\n".join([header, *(f"0,{line.partition(',')[2]}" for line in lines)]))
    commit(copy)
    check("git", "checkout", "--quiet", "-b", "one-refit", "main", cwd=copy)
    refits = pd.read_csv(copy / "metrics/refits.csv", dtype=str)
    refits.iloc[:, : refits.columns.get_loc("metric") + 2].to_csv(copy / "metrics/refits.csv", index=False)
    commit(copy)
    check("git", "checkout", "--quiet", "-b", "no-results", cwd=copy)
    shutil.rmtree(copy / "metrics")
    commit(copy)
    check("git", "checkout", "--quiet", "-b", "another-question", "main", cwd=copy)
    change_params(copy, data={"target": "hue"})
    commit(copy)
    done = retrace("compare", "main", "HEAD~0", "--base", "main", cwd=project)
    assert done.stderr == "main, HEAD~0: the base itself; name an experiment to compare with it\n"
    for name, base, refused in (
        ("nothing", "main", "nothing: no such revision in this repository"),
        ("other-rows", "main", "other-rows: can't be compared with the base: it has other rows in valid"),
        ("one-refit", "hardly", "one-refit: can't be compared with the base: too few rows, resamples or refits have a"),
        ("another-question", "main", "it answers another question: data.target changed"),
        ("main", "no-results", "metrics: no results yet; --base names another commit"),
        ("no-results", "main", "no-results: can't be compared with the base: it has no metrics yet"),
    ):
        done = retrace("compare", "hardly", name, "--base", base, cwd=copy)
        assert done.returncode == 1
        assert done.stdout == ""
        assert refused in done.stderr
        assert len(done.stderr.splitlines()) == 1
