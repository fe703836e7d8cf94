"""The base's model is scored on the rows of a change, and the two are compared row by row."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import r2_score

from retrace.examples import features
from retrace.models import load_model
from retrace.params import read_params
from retrace.review.base_models import predict_with_base
from retrace.review.rescore import KEPT, VALID, score_base, write_results
from retrace.review.results import FILES
from retrace.review.revision import Revision
from tests.conftest import change_params, check, commit, made_once, retrace
from tests.retrace.review.small import inside

BASE = ("--base", "HEAD~1", "--rescore")
BY_TIME = {"by": "time", "block": "day", "purge": False}
AGAIN = "scoring its model on the"
SLOW = pytest.mark.slow


def move_dates(project: Path, valid_from: str, test_from: str) -> None:
    """A commit that moves the dates of the split, with its results."""
    change_params(project, split=BY_TIME | {"valid_from": valid_from, "test_from": test_from})
    check("dvc", "repro", cwd=project)
    commit(project)


@pytest.fixture(scope="session")
def retrained(weather: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weather project with a commit more, whose validation rows the base held out for its test."""

    def make(folder: Path) -> None:
        shutil.copytree(weather, folder, symlinks=True)
        move_dates(folder, "2013-03-15", "2013-03-26")

    return made_once(tmp_path_factory, "retrained", make)


def empty_cache(project: Path) -> None:
    shutil.rmtree(project / ".dvc/cache")


def kept(project: Path) -> dict[str, bytes]:
    """The rescored results that a project keeps."""
    return {file.name: file.read_bytes() for file in (project / KEPT).rglob("*.*")}


def test_the_report_and_the_gate_compare_on_the_rows_of_the_change(copy_of, retrained: Path):
    project = copy_of(retrained)
    unpaired = retrace("gate", "--base", "HEAD~1", cwd=project).stdout
    assert ", other rows)" in unpaired
    printed = retrace("report", *BASE, cwd=project).stdout
    assert AGAIN in printed
    report = (project / "report.md").read_text()
    assert "Compared with the model of `HEAD~1`, scored on the validation rows of this change." in report
    assert "The base's model was scored again" in report
    assert "other rows" not in report
    assert re.search("^make report BASE=[0-9a-f]{40} RESCORE=1$", report, re.MULTILINE)
    gate = retrace("gate", *BASE, cwd=project)
    assert "Compared with the model of HEAD~1, scored on the validation rows here." in gate.stdout
    assert ", other rows)" not in gate.stdout
    assert AGAIN not in gate.stdout, "the results of the report are kept"

    rescored = json.loads(kept(project)["scores.json"])
    valid = pd.read_parquet(project / VALID)
    data = read_params(project / "params.yaml").data
    check("git", "checkout", "--quiet", "HEAD~1", cwd=project)
    check("dvc", "checkout", "--quiet", cwd=project)
    predicted = load_model(project / "models/model.skops").predict(valid[features(valid, data)])
    assert rescored["r2"] == pytest.approx(r2_score(valid[data.target], predicted), rel=1e-5)


# A number is predicted, one of three classes, and one of two classes, with costs.
@pytest.mark.parametrize("name", [pytest.param("weather", marks=SLOW), "wine", pytest.param("demo", marks=SLOW)])
def test_on_its_own_rows_a_model_gets_its_own_results(name: str, request: pytest.FixtureRequest, tmp_path: Path):
    project = request.getfixturevalue(name)
    with inside(project):
        head = Revision.of("HEAD")
        predictions, _ = predict_with_base(head, Path(VALID))
        write_results(score_base(read_params(), pd.read_parquet(VALID), predictions, head), head, tmp_path)
    for file in ["scores.json", *FILES]:
        assert (tmp_path / file).read_bytes() == (project / "metrics" / file).read_bytes(), file


@pytest.mark.slow
def test_a_model_that_nothing_holds_is_trained_again_and_gives_the_same_bytes(copy_of, retrained: Path):
    project = copy_of(retrained)
    retrace("gate", *BASE, cwd=project)
    first = kept(project)
    shutil.rmtree(project / KEPT)
    empty_cache(project)
    printed = retrace("gate", *BASE, cwd=project).stdout
    assert "its model is neither in DVC's cache nor in its storage" in printed
    assert "not the same to the byte" not in printed
    assert kept(project) == first != {}


@pytest.mark.slow
def test_a_model_that_the_storage_holds_is_not_trained_again(copy_of, retrained: Path, tmp_path: Path):
    project = copy_of(retrained)
    check("dvc", "remote", "add", "--local", "--default", "storage", str(tmp_path / "storage"), cwd=project)
    check("dvc", "push", "--quiet", "--all-commits", cwd=project)
    empty_cache(project)
    gate = retrace("gate", *BASE, cwd=project)
    assert "Compared with the model of HEAD~1" in gate.stdout
    assert "its pipeline runs" not in gate.stdout


@pytest.mark.slow
def test_other_parameters_give_other_results(copy_of, retrained: Path):
    project = copy_of(retrained)
    retrace("gate", *BASE, cwd=project)
    change_params(project, evaluate={"slices": []})
    check("dvc", "repro", "--quiet", cwd=project)
    assert AGAIN in retrace("gate", *BASE, cwd=project).stdout
    assert json.loads(kept(project)["slices.json"]) == {}


def other_code(project: Path) -> None:
    """The rows are made by another version of a module."""
    (project / "src/datasets/table.py").open("a").write("# \n")
    check("dvc", "repro", "--quiet", cwd=project)


def known_rows(project: Path) -> None:
    """The validation rows are some of those that the base's model was trained on."""
    check("git", "reset", "--quiet", "--hard", "HEAD~1", cwd=project)
    move_dates(project, "2013-02-01", "2013-02-10")


def another_column(project: Path) -> None:
    """The table has a column more."""
    file = project / "data/source/weather.csv"
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    table.assign(more=table["wind_dir"]).to_csv(file, index=False)
    (project / "data/schema.yaml").unlink()
    check("dvc", "repro", "--quiet", "ingest", cwd=project)
    assert retrace("freeze", cwd=project).returncode == 0
    check("dvc", "repro", "--quiet", cwd=project)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (other_code, "its rows are made by other code: src/datasets/table.py"),
        pytest.param(known_rows, r"it was trained on \d+ of these \d+ rows", marks=SLOW),
        pytest.param(another_column, "it was trained on other columns, or columns of another type: more", marks=SLOW),
    ],
)
def test_where_it_would_not_be_fair_the_bases_own_scores_count(
    copy_of, retrained: Path, change: Callable[[Path], None], why: str
):
    project = copy_of(retrained)
    change(project)
    retrace("report", *BASE, cwd=project)
    report = (project / "report.md").read_text()
    assert "The base's model can't be scored on the validation rows here, so its own scores count" in report
    assert pd.Series([report]).str.contains(why)[0]
    assert "on other rows" in report
    assert ", other rows)" in retrace("gate", *BASE, cwd=project).stdout


def test_with_the_same_rows_nothing_is_scored_again(wine: Path):
    done = retrace("gate", "--base", "HEAD", "--rescore", cwd=wine)
    assert AGAIN not in done.stdout
    assert "no loss against the base" in done.stdout


def test_the_option_is_about_the_folder(wine: Path):
    done = retrace("report", "--base", "HEAD", "--head", "HEAD", "--rescore", cwd=wine)
    assert done.returncode == 2
    assert "leave out --head" in done.stderr
