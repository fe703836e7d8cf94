"""A release: scored once on test, packed, described, tagged; and refused where it can't be vouched for."""

import contextlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from retrace.package import conform, read_package
from retrace.params import read_params
from retrace.placeholders import DECISION, DECISION_AFTER_ADOPT, QUESTION, question_about
from retrace.release import commands
from retrace.release.cards import model_card
from retrace.release.package import describe
from retrace.table_files import read_table
from tests.conftest import IDENTITY, ROOT, change_params, check, commit, retrace, run


@pytest.fixture(scope="module")
def released(wine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that released v1.0.0."""
    project = Path(shutil.copytree(wine, tmp_path_factory.mktemp("released") / "wine", symlinks=True))
    change_params(project, gate={"baselines": ["prior"]})
    assert retrace("problem", cwd=project).returncode == 0
    commit(project)
    done = release(project, "1.0.0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Running stage" in done.stdout
    assert not any(hint in done.stdout for hint in ("git add", "core.autostage", "Use `dvc push`")), done.stdout
    return project


def release(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "retrace", "release", *words, cwd=project, **IDENTITY)


def tags(project: Path) -> list[str]:
    return check("git", "tag", cwd=project).splitlines()


def test_a_release_is_a_commit_with_a_tag_and_a_clean_tree(released: Path):
    assert tags(released) == ["late-flights@v1.0.0"]
    log = check("git", "log", "--format=%s", "-2", cwd=released).splitlines()
    assert log == ["Release late-flights v1.0.0", "Open test for late-flights v1.0.0"]
    assert check("git", "status", "--porcelain", cwd=released) == ""


def test_it_is_scored_on_test_as_evaluate_scores_valid(released: Path):
    params = read_params(released / "params.yaml")
    test = json.loads((released / "release/test.json").read_text())
    table = read_table(released / "data/split/test.parquet")
    assert test["rows"] == len(table)
    score = test["scores"]["model"]["log_loss"]
    assert score["low"] < score["score"] < score["high"]
    assert test["scores"].keys() == {"model", "linear", "prior"}
    assert params.gate.metric in test["scores"]["model"]


def test_the_model_card_says_on_how_many_rows_the_model_was_fitted_and_if_they_are_a_sample(released: Path):
    params = read_params(released / "params.yaml")
    names = ("release/test.json", "metrics/data.json", "metrics/evaluation.json")
    test, data, evaluation = (json.loads((released / name).read_text()) for name in names)
    rows = data["parts"]["train"]
    assert f"fitted on {rows} rows ([data card]" in model_card(params, test, data, evaluation)
    sampled = model_card(params, test, data, evaluation | {"sample": {"rows": 1_000, "of": 5_000}})
    assert "fitted on a sample of 1,000 of the 5,000 rows of train ([data card]" in sampled


def test_the_cards_say_what_is_decided_how_good_it_is_and_how_often_test_was_opened(released: Path):
    card = (released / "release/MODEL_CARD.md").read_text()
    _, header, text = card.split("---\n", 2)
    [model] = yaml.safe_load(header)["model-index"]
    scores = json.loads((released / "release/test.json").read_text())["scores"]["model"]
    assert {each["type"]: each["value"] for each in model["results"][0]["metrics"]} == {
        name: score["score"] for name, score in scores.items()
    }
    assert "These rows have been opened once: for v1.0.0." in text
    assert "| `log_loss` |" in text
    data = (released / "release/DATA_CARD.md").read_text()
    assert "| `alcohol` | number |" in data


@pytest.mark.slow
def test_a_second_run_writes_the_same_bytes(released: Path, tmp_path: Path):
    project = Path(shutil.copytree(released, tmp_path / "again", symlinks=True))
    before = {file.name: file.read_bytes() for file in (project / "release").iterdir()}
    check(
        "dvc", "repro", "--force", "--single-item", "release/dvc.yaml", cwd=project, TZ="Asia/Tokyo", PYTHONHASHSEED="5"
    )
    assert {file.name: file.read_bytes() for file in (project / "release").iterdir()} == before


# NumPy's code for this processor may give other last digits. retrace sees to that, if it's imported before NumPy.
PREDICT_HERE = """
import retrace, sys
from pathlib import Path
import pandas as pd
from retrace.examples import Target, features
from retrace.table_files import read_table
from retrace.models import load_model
from retrace.params import read_params
from retrace.release.package import describe
data, model = read_params().data, load_model(Path("models/model.skops"))
valid, target = read_table(Path("data/split/valid.parquet")), Target.of(model.classes_.tolist(), data)
predictions = target.predict(model, valid[features(valid, data)])
columns = [f"prediction_{name}" for name in target.classes]
pd.DataFrame(predictions, columns=columns).to_csv(sys.stdout, index=False)
"""


def test_the_package_predicts_without_git_dvc_and_the_repository(released: Path, tmp_path: Path):
    shutil.copy(released / "release/model.zip", tmp_path)
    valid = read_table(released / "data/split/valid.parquet")
    valid.to_csv(tmp_path / "rows.csv", index=False)
    hidden = "import sys; sys.modules['dvc'] = sys.modules['git'] = None; import runpy; sys.argv = sys.argv[1:]; "
    hidden += "runpy.run_path(sys.argv[0], run_name='__main__')"
    printed = check(sys.executable, "-I", "-c", hidden, "model.zip", "rows.csv", cwd=tmp_path, PATH="")
    assert printed == check(sys.executable, "-c", PREDICT_HERE, cwd=released), "the same to the last digit"


def test_the_package_says_which_packages_it_needs(released: Path):
    with zipfile.ZipFile(released / "release/model.zip") as archive:
        needed = archive.read("requirements.txt").decode().splitlines()
    names = {line.partition("==")[0] for line in needed}
    assert {"scikit-learn", "pandas", "numpy", "skops"} <= names
    assert not {"dvc", "gto", "pytest"} & names


def changed(package: Path, **members: bytes) -> Path:
    """A copy of a package with other members."""
    target = package.with_name("changed.zip")
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, members.get(name, old.read(name)))
    return target


def test_another_version_of_scikit_learn_is_refused(released: Path, tmp_path: Path):
    package = Path(shutil.copy(released / "release/model.zip", tmp_path))
    with zipfile.ZipFile(package) as archive:
        description = json.loads(archive.read("model.json"))
    description["needs"]["scikit-learn"] = "1.0.0"
    other = changed(package, **{"model.json": json.dumps(description).encode()})
    with pytest.raises(SystemExit, match=r"changed.zip: needs scikit-learn 1\.0\.0, and \S+ is installed"):
        read_package(other)


def test_a_damaged_package_is_one_line(tmp_path: Path):
    (tmp_path / "model.zip").write_bytes(b"PK")
    with pytest.raises(SystemExit, match=r"model.zip: not a whole package; get the package again"):
        read_package(tmp_path / "model.zip")
    with pytest.raises(SystemExit, match=r"none.zip: no such file"):
        read_package(tmp_path / "none.zip")


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("1.0.0", "VERSION v1.0.0: must be later than v1.0.0, the last version of late-flights"),
        ("0.9.0", "VERSION v0.9.0: must be later than v1.0.0"),
        ("one", "VERSION one: must be three numbers, such as 1.0.0"),
    ],
)
def test_a_version_must_be_later_than_the_last(released: Path, version: str, told: str):
    done = retrace("release", version, cwd=released)
    assert done.returncode == 1
    assert told in done.stderr
    assert tags(released) == ["late-flights@v1.0.0"]


def test_changes_that_are_not_committed_are_refused(released: Path, tmp_path: Path):
    project = Path(shutil.copytree(released, tmp_path / "project", symlinks=True))
    (project / "new.txt").touch()
    done = retrace("release", "1.1.0", cwd=project)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "not committed: new.txt; commit or stash it first" in done.stderr


def test_the_question_and_the_decision_of_a_new_project_are_refused(released: Path, tmp_path: Path):
    project = Path(shutil.copytree(released, tmp_path / "project", symlinks=True))
    target = read_params(project / "params.yaml").data.target
    why = "which the model card shows, and commit it"
    question = f"params.yaml: problem.question: is still a placeholder; write what is predicted, {why}\n"
    decision = f"params.yaml: problem.decision: is still a placeholder; write what is done with a prediction, {why}\n"
    for placeholders, told in [
        ({"question": QUESTION, "decision": DECISION}, question + decision),
        ({"question": question_about(target), "decision": DECISION_AFTER_ADOPT}, question + decision),
        ({"question": "Which wine is it?"}, decision),
    ]:
        change_params(project, problem=placeholders)
        commit(project)
        done = retrace("release", "1.1.0", cwd=project)
        assert (done.returncode, done.stderr) == (1, told)


def test_a_page_about_the_problem_with_other_values_is_refused(released: Path, tmp_path: Path):
    project = Path(shutil.copytree(released, tmp_path / "project", symlinks=True))
    change_params(project, problem={"question": "Which wine is it?"})
    commit(project)
    done = retrace("release", "1.1.0", cwd=project)
    told = "docs/problem.md: differs from params.yaml; run `python -m retrace problem`, and commit it\n"
    assert (done.returncode, done.stderr) == (1, told)
    for change in (lambda: retrace("problem", cwd=project), (project / "docs/problem.md").unlink):
        change()
        assert "not committed: docs/problem.md" in retrace("release", "1.1.0", cwd=project).stderr, "the next check"


def test_the_template_writes_these_placeholders():
    text = (ROOT / "params.yaml.jinja").read_text()
    assert f"  question: {QUESTION}'" in text
    assert f"  decision: {DECISION}'" in text


def test_a_gate_that_fails_is_refused_before_test_is_opened(released: Path, tmp_path: Path):
    project = Path(shutil.copytree(released, tmp_path / "project", symlinks=True))
    change_params(project, gate={"floor": 0.0001})
    assert retrace("problem", cwd=project).returncode == 0
    commit(project)
    done = release(project, "1.1.0")
    assert done.returncode == 1
    assert done.stderr == "late-flights v1.1.0 is not released: the gate fails\n"
    assert len(json.loads((project / "release/openings.json").read_text())["openings"]) == 1
    assert tags(project) == ["late-flights@v1.0.0"]


@pytest.mark.slow
def test_a_release_that_fails_leaves_no_tag_says_how_to_go_back_and_keeps_the_look_at_test(
    released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    project = Path(shutil.copytree(released, tmp_path / "project", symlinks=True))
    (project / "retrace/release/cards.py").write_text("raise SystemExit('no card')\n")
    commit(project)
    # Without the gate and the reproduction, which have tests of their own.
    run_rest = commands.run
    monkeypatch.setattr(commands, "run", lambda *command: command[1:3] == ("-m", "retrace") or run_rest(*command))
    done = retrace("release", "1.1.0", cwd=project, **IDENTITY)
    assert done.returncode == 1
    assert "v1.1.0 is not released: release/dvc.yaml fails; `git restore --staged --worktree release`" in done.stderr
    assert tags(project) == ["late-flights@v1.0.0"]
    check("sh", "-c", "git restore --staged --worktree release && git clean -fdq release", cwd=project)
    assert check("git", "status", "--porcelain", cwd=project) == ""
    openings = json.loads((project / "release/openings.json").read_text())["openings"]
    assert [each["version"] for each in openings] == ["v1.0.0", "v1.1.0"]
    assert openings[0]["fingerprint"] == openings[1]["fingerprint"]


def test_a_stale_release_stops_no_pull_request(released: Path, tmp_path: Path):
    project = Path(shutil.copytree(released, tmp_path / "project", symlinks=True))
    change_params(project, problem={"question": "Another one?"})
    commit(project)
    assert retrace("verify-lock", cwd=project).returncode == 0
    assert retrace("gate", cwd=project).returncode == 0


def test_what_is_in_production_and_who_put_it_there_is_in_the_history(released: Path, tmp_path: Path):
    project = Path(shutil.copytree(released, tmp_path / "project", symlinks=True))
    check("git", "commit", "--quiet", "--allow-empty", "--message", "x", cwd=project, **IDENTITY)
    check("git", "tag", "-a", "late-flights@v1.1.0", "-m", "x", cwd=project, **IDENTITY)  # as make release leaves it
    said = retrace("deploy", "1.0.0", cwd=project, **IDENTITY).stdout
    assert said == "late-flights v1.0.0 is in prod; `git push origin late-flights#prod#1` tells the others\n"
    retrace("deploy", "1.1.0", "--message", "better", cwd=project, **IDENTITY)
    said = retrace("rollback", cwd=project, **IDENTITY).stdout
    assert said.startswith("late-flights v1.0.0 is in prod again, not v1.1.0;")
    lines = retrace("history", cwd=project).stdout.splitlines()
    assert lines[0] == "in prod: late-flights v1.0.0"
    assert sum("deployed to prod" in line for line in lines) == 3
    assert any("better" in line for line in lines)
    done = retrace("deploy", "9.0.0", cwd=project, **IDENTITY)
    assert "VERSION v9.0.0: late-flights has no such version; it has v1.1.0, v1.0.0" in done.stderr
    done = retrace("rollback", "--stage", "dev", cwd=project, **IDENTITY)
    assert done.stderr == "dev: there is no version of late-flights to go back to\n"


def test_predictions_outside_of_the_training_types_are_one_line(released: Path):
    with contextlib.chdir(released):
        package = read_package(Path("release/model.zip"))
    rows = read_table(released / "data/split/valid.parquet").head(3)
    name = next(iter(package.columns))
    with pytest.raises(SystemExit, match=f"rows.csv: has no column {name}; the model needs it"):
        conform(rows.drop(columns=name), package.columns, "rows.csv: ")
    with pytest.raises(SystemExit, match=rf"^rows\.csv: row 1: column {name}: must be a number, or empty$"):
        conform(rows.assign(**{name: "much"}), package.columns, "rows.csv: ")
    with pytest.raises(SystemExit, match=f"^row 3: column {name}: must be a number, or empty$"):
        conform(rows.assign(**{name: [1, None, np.inf]}), package.columns)


@pytest.mark.slow
def test_results_that_are_not_reproduced_are_refused_before_test_is_opened(released: Path, tmp_path: Path):
    project = Path(shutil.copytree(released, tmp_path / "project", symlinks=True))
    (project / "src/stages/ingest.py").write_text("raise SystemExit('broken since')\n")
    check("dvc", "commit", "--force", "dvc.yaml", cwd=project)  # as if these were its results
    commit(project)
    done = release(project, "1.1.0")
    assert done.returncode == 1
    assert done.stderr.endswith("late-flights v1.1.0 is not released: the results are not reproduced\n")
    assert len(json.loads((project / "release/openings.json").read_text())["openings"]) == 1


def test_a_release_is_pushed_only_if_that_is_asked_for(released: Path, tmp_path: Path):
    project = Path(shutil.copytree(released, tmp_path / "project", symlinks=True))
    origin, storage = tmp_path / "origin", tmp_path / "storage"
    check("git", "init", "--quiet", "--bare", str(origin), cwd=tmp_path)
    check("git", "remote", "add", "origin", str(origin), cwd=project)
    push = [sys.executable, "-c", "from retrace.release.commands import push; push('late-flights@v1.0.0')"]
    done = run(*push, cwd=project)
    assert done.returncode == 1
    assert (
        "late-flights@v1.0.0 is released here, but not pushed; once that is fixed: `dvc push dvc.yaml release/dvc.yaml`"
        in done.stderr
    )
    assert check("git", "tag", cwd=origin) == ""
    check("dvc", "remote", "add", "--default", "storage", str(storage), cwd=project)
    commit(project)
    assert check(*push, cwd=project).endswith("pushed late-flights@v1.0.0\n")
    assert check("git", "tag", cwd=origin) == "late-flights@v1.0.0\n"
    clone = tmp_path / "clone"
    check("git", "clone", "--quiet", "--branch", "late-flights@v1.0.0", str(origin), str(clone), cwd=tmp_path)
    check("dvc", "remote", "add", "--default", "storage", str(storage), cwd=clone)
    check("dvc", "pull", "release/model.zip", cwd=clone)
    assert (clone / "release/model.zip").read_bytes() == (project / "release/model.zip").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("changed", [True, False])
def test_a_card_that_its_commit_does_not_give_is_found(released: Path, tmp_path: Path, changed: bool):
    project = Path(shutil.copytree(released, tmp_path / "project", symlinks=True))
    if changed:
        (project / "release/MODEL_CARD.md").open("a").write("It never fails.\n")
        commit(project)
        check("git", "tag", "--force", "late-flights@v1.0.0", cwd=project)
    kept = tmp_path / "kept"
    version = "late-flights@v1.0.0" if changed else "1.0.0"
    done = run(sys.executable, "-m", "retrace", "verify-release", version, "--keep", str(kept), cwd=project)
    last = done.stdout.splitlines()[-1]
    if changed:
        assert not kept.exists(), "only what is verified is kept"
        assert (last, done.returncode) == (
            "FAIL  release/MODEL_CARD.md differs from what late-flights@v1.0.0 gives",
            1,
        )
    else:
        assert (last, done.returncode) == (
            "PASS  late-flights@v1.0.0 gives its results, cards and package, byte by byte",
            0,
        )
        assert sorted(file.name for file in kept.iterdir()) == ["DATA_CARD.md", "MODEL_CARD.md", "model.zip"]
        for file in kept.iterdir():
            assert file.read_bytes() == (released / "release" / file.name).read_bytes()


def test_the_tag_of_another_model_is_not_taken_for_one_of_this_project(released: Path):
    done = retrace("verify-release", "late-trains@v1.0.0", cwd=released)
    assert done.returncode == 1
    assert done.stderr == "late-trains@v1.0.0: not a release of this project; its model is late-flights\n"


def test_models_with_other_names_in_the_same_repository_do_not_count(released: Path, tmp_path: Path):
    project = Path(shutil.copytree(released, tmp_path / "project", symlinks=True))
    check("git", "commit", "--quiet", "--allow-empty", "--message", "x", cwd=project, **IDENTITY)
    check("git", "tag", "--annotate", "other@v7.0.0", "--message", "x", cwd=project, **IDENTITY)
    assert "must be later than v1.0.0" in retrace("release", "1.0.0", cwd=project).stderr
    assert "other" not in retrace("history", cwd=project).stdout


def test_what_a_release_needs_is_checked_before_the_pipeline_runs(released: Path, tmp_path: Path):
    project = Path(shutil.copytree(released, tmp_path / "project", symlinks=True))
    nobody = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "HOME": "/nowhere", "EMAIL": ""}
    check("git", "config", "user.useConfigOnly", "true", cwd=project)
    done = run(sys.executable, "-m", "retrace", "release", "1.1.0", cwd=project, **nobody)
    assert done.stderr.startswith("Git doesn't know your name; `git config user.name NAME`")
    (project / "data/split/test.parquet").unlink()
    done = release(project, "1.1.0")
    assert done.stderr == "data/split/test.parquet: no such file; `dvc repro` makes it\n"


def test_features_made_from_a_private_column_are_private_too(released: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(released)
    params = read_params()
    params = params.model_copy(update={"data": params.data.model_copy(update={"private": ["born"]})})
    train = pd.DataFrame({"born (month)": [1.0, 2.0] * 50, "size": [1.0, 2.0] * 50, "target": [0, 1] * 50})
    described = describe(params, train, {})
    assert (described["private"], described["private_raw"]) == (["born (month)"], True)
    assert described["columns"] == [
        {"name": "born (month)", "kind": "number"},
        {"name": "size", "kind": "number", "low": 1.0, "high": 2.25},
    ]
