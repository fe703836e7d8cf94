"""The search, as people run it: `python -m retrace search` in a project with a small table."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.conftest import ENVIRONMENT, check, commit, retrace, run
from tests.postgres import postgres

SEARCH = [sys.executable, "-m", "retrace", "search"]
SPACE: dict[str, Any] = {
    "learning_rate": {"low": 0.01, "high": 0.5, "log": True},
    "max_leaf_nodes": {"low": 2, "high": 31, "log": False},
    "class_weight": {"choices": [None, "balanced"]},
}
SETTINGS = {"trials": 12, "batch": 4, "folds": 3, "seed": 1, "space": SPACE}
FILES = ("trials.csv", "importance.csv", "params.diff", "history.svg", "importance.svg", "parallel_coordinates.svg")


def with_search(project: Path, **settings: Any) -> Path:
    """A project whose params.yaml has a section `search`."""
    content = yaml.safe_load((project / "params.yaml").read_text())
    content["search"] = SETTINGS | settings
    (project / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return project


@pytest.fixture(scope="module")
def searched(wine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("searched") / "project"
    check("cp", "-r", str(wine), str(folder), cwd=wine)
    with_search(folder)
    commit(folder)
    (folder / "said").write_text(check(*SEARCH, cwd=folder))
    return folder


def test_each_trial_has_its_arguments_and_scores_and_trial_0_has_the_present_ones(searched: Path):
    trials = pd.read_csv(searched / "search/trials.csv", keep_default_na=False, na_values=[""])
    assert trials["trial"].tolist() == list(range(13))
    present = yaml.safe_load((searched / "params.yaml").read_text())["train"]["arguments"]
    assert trials.loc[0, "learning_rate"] == present["learning_rate"]
    tried = trials[1:]
    assert tried["learning_rate"].between(0.01, 0.5).all()
    assert tried["max_leaf_nodes"].between(2, 31).all()
    assert set(tried["class_weight"]) == {"None", "balanced"}
    complete = trials[trials["state"] == "complete"]
    assert len(complete) > 5
    assert (complete["score"] == complete["mean after fold 3"]).all()
    stopped = trials[trials["state"] == "stopped early"]
    assert stopped["mean after fold 1"].notna().all()
    assert stopped["score"].isna().all()


def test_the_proposed_change_applies_and_has_the_arguments_of_the_best_trial(copy_of, searched: Path):
    project = copy_of(searched)
    trials = pd.read_csv(project / "search/trials.csv", keep_default_na=False, na_values=[""])
    best = trials.loc[trials["score"].idxmin()]
    check("git", "apply", "search/params.diff", cwd=project)
    arguments = yaml.safe_load((project / "params.yaml").read_text())["train"]["arguments"]
    assert arguments["learning_rate"] == best["learning_rate"]
    assert arguments["max_leaf_nodes"] == best["max_leaf_nodes"]
    assert str(arguments["class_weight"]) == best["class_weight"]
    assert f"Trial {best['trial']} is the best." in (searched / "said").read_text()


def test_a_search_that_was_killed_continues_and_reads_neither_valid_nor_test(copy_of, searched: Path):
    project = copy_of(searched)
    check("rm", "-r", "search", cwd=project)
    for part in ("valid", "test"):
        (project / f"data/split/{part}.parquet").write_bytes(b"nobody can read this")
    (project / "search").mkdir()
    check("cp", "retrace/search/pipeline.yaml", "search/dvc.yaml", cwd=project)
    stage = [sys.executable, "-m", "retrace.search.stage"]
    with subprocess.Popen(
        stage, cwd=project, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        assert any(line.startswith("4 of 12 trials") for line in process.stdout), "it ended too soon"
        subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=True)
    assert re.search(r"continues after trial [48]\n", check(*stage, cwd=project))
    for name in ("trials.csv", "importance.csv"):
        assert (project / "search" / name).read_bytes() == (searched / "search" / name).read_bytes()


def test_a_search_fits_on_the_rows_that_train_fits_on(copy_of, searched: Path):
    project = copy_of(searched)
    content = yaml.safe_load((project / "params.yaml").read_text())
    content["train"]["memory"] = 1e-9
    (project / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    done = run(sys.executable, "-m", "retrace.search.stage", cwd=project)
    assert done.returncode == 1
    assert done.stderr.startswith("params.yaml: train.memory: in a sample of 0 of ")


@pytest.mark.slow
def test_more_trials_continue_the_search_in_postgresql_and_with_one_process(copy_of, searched: Path):
    project = copy_of(searched)
    check("rm", "-r", "search", cwd=project)
    with postgres() as database:
        other = {"RETRACE_SEARCH": database.address, "LOKY_MAX_CPU_COUNT": "1"}
        check(*SEARCH, cwd=with_search(project, trials=8), **other)
        said = check(*SEARCH, cwd=with_search(project), **other)
    assert "continues after trial 8" in said
    for name in FILES:
        assert (project / "search" / name).read_bytes() == (searched / "search" / name).read_bytes()


DEPTH = {"depth": {"low": 1, "high": 3, "log": False}}
NO_LEAVES = {"max_leaf_nodes": {"low": 0, "high": 3, "log": False}}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"space": DEPTH}, "search.space.depth: HistGradientBoostingClassifier has no argument depth"),
        ({"space": NO_LEAVES}, "search.space.max_leaf_nodes: The 'max_leaf_nodes' parameter"),
        ({"trials": 7}, "search: trials must be a multiple of batch (4)"),
        ({"space": {"x": {"low": 0.5, "high": 0.1, "log": True}}}, "search.space.x: low must be less than high"),
        ({"space": {"x": {"low": 0, "high": 0.1, "log": True}}}, "low must be greater than 0 if log is true"),
        ({"space": {"x": {"choices": [1]}}}, "search.space.x.choices: "),
    ],
)
def test_a_mistake_in_the_settings_is_one_line(copy_of, searched: Path, change: dict[str, Any], line: str):
    project = copy_of(searched)
    done = retrace("search", cwd=with_search(project, **change))
    assert done.returncode == 1
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1
