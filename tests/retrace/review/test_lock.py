"""The committed results are those that the commit makes, or the verdict says which are not, and where they differ."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import yaml

from retrace.review.file_differences import find_differences
from tests.conftest import change_params, check, commit, retrace


def lock(project: Path) -> subprocess.CompletedProcess[str]:
    return retrace("verify-lock", cwd=project)


def test_results_that_the_commit_makes_are_the_same_to_the_byte(copy_of, wine: Path):
    project = copy_of(wine)
    done = lock(project)
    assert (done.stdout.split(";")[0], done.returncode) == ("as committed, and matching the inputs in dvc.lock", 0), (
        "nothing ran"
    )
    check(sys.executable, "-m", "retrace", "rerun", cwd=project)
    done = lock(project)
    assert (done.stdout, done.returncode) == ("reproduced: the same to the byte\n", 0)


@pytest.mark.parametrize(
    ("change", "stages", "inputs"),
    [
        (lambda project: change_params(project, evaluate={"resamples": 101}), ["evaluate"], ["evaluate.resamples"]),
        (lambda project: change_params(project, data={"drop": ["hue"]}), ["prepare", "describe"], ["data.drop"]),
        (lambda project: (project / "src/stages/split.py").open("a").write("# \n"), ["split"], ["src/stages/split.py"]),
        pytest.param(
            lambda project: (project / "data/source/wine.csv").open("a").write("\n"),
            ["ingest"],
            ["data/source/wine.csv"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_inputs_that_changed_after_the_run_are_named(copy_of, wine: Path, change, stages: list[str], inputs: list[str]):
    project = copy_of(wine)
    change(project)
    done = lock(project)
    assert done.returncode == 1
    assert done.stdout.endswith("update the committed results\n"), "not yet committed"
    commit(project)
    done = lock(project)
    assert done.returncode == 1
    assert done.stdout.startswith("stale\n")
    for line in stages + inputs:
        assert f" {line}\n" in done.stdout


def test_the_folder_may_hold_the_data_of_another_commit(copy_of, wine: Path):
    """Git brings the files that it has, and `dvc checkout` the others; they were not brought, rather than changed."""
    project = copy_of(wine)
    change_params(project, split={"by": "random", "valid": 0.25, "test": 0.15, "seed": 2})
    check("dvc", "repro", "split", cwd=project)
    commit(project)
    check("git", "checkout", "--quiet", "HEAD~1", cwd=project)
    split = "data/split/train.parquet, data/split/valid.parquet, data/split/test.parquet"
    done = lock(project)
    assert done.returncode == 1
    message = f"data of another commit: {split}; `dvc checkout` brings this commit's\n"
    assert done.stdout.endswith(f"but the folder holds {message}")
    assert retrace("gate", cwd=project).stdout == f"FAIL  {message}"
    assert retrace("report", cwd=project).returncode == 0
    report = (project / "report.md").read_text()
    assert report.startswith("## Not comparable: the folder holds data of another commit\n")
    assert "`dvc checkout` brings this commit's." in report
    change_params(project, evaluate={"resamples": 101})
    assert retrace("gate", cwd=project).stdout == f"FAIL  {message}", "first of all"
    check("git", "restore", "params.yaml", cwd=project)
    check("dvc", "checkout", cwd=project)
    assert lock(project).returncode == 0
    with (project / "data/split/train.parquet").open("ab") as file:
        file.write(b" ")
    assert "the folder has changed since" in lock(project).stdout, "no commit has such data"


def test_a_dependency_that_dvc_yaml_no_longer_names_makes_nothing_stale(copy_of, wine: Path):
    project = copy_of(wine)
    text = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(text.replace("      - data/schema.yaml\n", "", 1))
    commit(project)
    assert lock(project).stdout.startswith("as committed, and matching the inputs in dvc.lock")


@pytest.mark.slow
def test_a_folder_of_files_in_git_is_hashed_as_dvc_does(copy_of, wine: Path):
    project = copy_of(wine)
    folder = project / "data/source/wines"
    (folder / "later").mkdir(parents=True)
    for name in ("b.csv", "later/a.csv"):
        shutil.copy(project / "data/source/wine.csv", folder / name)
    change_params(project, data={"source": "data/source/wines"})
    check("dvc", "repro", cwd=project)
    commit(project)
    assert lock(project).stdout.startswith("as committed, and matching the inputs in dvc.lock")
    (folder / "b.csv").open("a").write("\n")
    commit(project)
    assert lock(project).stdout.startswith("stale\n  ingest\n    data/source/wines\n`dvc repro`")


def test_a_stage_that_never_ran_is_stale(copy_of, wine: Path):
    project = copy_of(wine)
    content = yaml.safe_load((project / "dvc.lock").read_text())
    del content["stages"]["evaluate"]
    (project / "dvc.lock").write_text(yaml.safe_dump(content))
    commit(project)
    assert lock(project).stdout.startswith("stale\n  evaluate\n    never run\n")


def test_other_bytes_from_the_same_inputs_are_not_reproduced_and_the_place_is_named(copy_of, wine: Path):
    project = copy_of(wine)
    scores = project / "metrics/scores.json"
    scores.write_text(json.dumps(json.loads(scores.read_text()) | {"log_loss": 0.01}))
    check("dvc", "commit", "--force", cwd=project)
    commit(project)
    check("dvc", "repro", "--force", "--single-item", "evaluate", cwd=project)
    done = lock(project)
    assert done.returncode == 1
    assert done.stdout.startswith("not reproduced\n  evaluate: metrics/scores.json\n    log_loss: 0.01 → 0.0943787")


def test_results_edited_by_hand_are_not_reproduced(copy_of, wine: Path):
    project = copy_of(wine)
    (project / "metrics/scores.json").write_text("{}\n")
    commit(project)
    done = lock(project)
    assert done.returncode == 1
    assert "metrics/scores.json\n    not the content that dvc.lock records" in done.stdout


def test_results_that_no_stage_makes_are_not_reproduced(copy_of, wine: Path):
    project = copy_of(wine)
    for name in ("dvc.yaml", "dvc.lock"):
        content = yaml.safe_load((project / name).read_text())
        del content["stages"]["evaluate"]
        (project / name).write_text(yaml.safe_dump(content))
    commit(project)
    done = lock(project)
    assert done.returncode == 1
    assert done.stdout.startswith("not reproduced\n")
    assert "metrics/evaluation.json" in done.stdout


def test_a_folder_of_other_inputs_than_the_commit_says_so(copy_of, wine: Path):
    project = copy_of(wine)
    change_params(project, evaluate={"slices": []})
    check("dvc", "repro", cwd=project)
    done = lock(project)
    assert done.stdout.startswith("made from other inputs\n  evaluate\n    evaluate.slices\n")
    assert done.returncode == 1


@pytest.mark.slow
def test_a_small_number_is_the_same_however_it_is_written(copy_of, wine: Path):
    project = copy_of(wine)
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("l2_regularization: 0", "l2_regularization: 0.00001"))
    check("dvc", "repro", cwd=project)
    assert "l2_regularization: 1e-05" in (project / "dvc.lock").read_text()
    commit(project)
    assert lock(project).returncode == 0


@pytest.mark.parametrize(
    "content",
    [
        "<<<<<<< HEAD",
        "stages: {train: {deps: [x]}}",
        pytest.param("stages: [1]", marks=pytest.mark.slow),
        "stages:",
        pytest.param("x", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", ["dvc.lock", "dvc.yaml", "params.yaml"])
@pytest.mark.parametrize("committed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_broken_file_is_one_line(copy_of, wine: Path, name: str, content: str, committed: bool):
    project = copy_of(wine)
    (project / name).write_text(content)
    if committed:
        commit(project)
    done = retrace("verify-lock", cwd=project)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith(("stale", "as committed")) or done.stderr.count("\n") == 1


def platforms(project: Path, factor: float) -> None:
    """Commit results as another platform would have made them, then make them here."""
    file = project / "metrics/evaluation.json"
    content = json.loads(file.read_text())
    content["platform"] = "Darwin arm64"
    content["scores"]["model"]["log_loss"]["score"] *= factor
    file.write_text(json.dumps(content))
    check("dvc", "commit", "--force", cwd=project)
    commit(project)
    check("dvc", "repro", "--force", "--single-item", "evaluate", cwd=project)


@pytest.mark.parametrize(
    ("factor", "word", "code"), [(1.00001, "the same up to rounding", 0), (1.1, "not reproduced", 1)]
)
def test_another_platform_may_round_differently_and_no_more(copy_of, wine: Path, factor: float, word: str, code: int):
    project = copy_of(wine)
    platforms(project, factor)
    done = lock(project)
    assert (done.stdout.splitlines()[0], done.returncode) == (word, code)


@pytest.mark.parametrize("name", ["refits.csv", pytest.param("bootstrap.csv", marks=pytest.mark.slow)])
def test_draws_are_checked_for_rounding_too(copy_of, wine: Path, name: str):
    project = copy_of(wine)
    file = project / "metrics" / name
    table = pd.read_csv(file, dtype={"value": str}, keep_default_na=False)
    made = file.read_bytes()
    table.assign(**{"0": table["0"] * 1.1}).to_csv(file, index=False)
    platforms(project, 1)
    file.write_bytes(made)
    assert lock(project).stdout.splitlines()[0] == "not reproduced"


@pytest.mark.parametrize("name", ["dvc.lock", "metrics/evaluation.json"])
def test_a_file_that_is_missing_is_one_line(copy_of, wine: Path, name: str):
    project = copy_of(wine)
    (project / name).unlink()
    commit(project)
    done = lock(project)
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count("\n") <= 4
    assert "Traceback" not in done.stderr


def parquet(**columns: list[float]) -> bytes:
    stream = io.BytesIO()
    pd.DataFrame(columns).to_parquet(stream, index=False)
    return stream.getvalue()


def archive(**members: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "before", "after", "places"),
    [
        ("metrics/a.json", b'{"a": {"b": 1, "c": 2}}', b'{"a": {"b": 1, "c": 3}}', ["a.c: 2 → 3"]),
        ("data/a.json", b'{"a": "John"}', b'{"a": "Jane"}', ["a"]),
        ("metrics/a.json", b'{"a": 1}', b'{"b": null}', ["a: 1 → nothing", "b: nothing → null"]),
        ("a.json", b"{", b"{}", ["one of the two can't be read"]),
        ("a.csv", b"x,y\n1,2\n3,4\n", b"x,y\n1,2\n3,5\n", ["column y: 1 rows, the first is row 2"]),
        ("a.csv", b"x,y\n1,2\n", b"x,z\n1,2\n", ["column y: no longer present", "column z: new"]),
        ("a.tsv", b"x\ty\n1\t2\n", b"x\ty\n1\t2\n1\t2\n", ["1 rows before, 2 after"]),
        ("a.parquet", parquet(x=[1.0, None]), parquet(x=[2.0, None]), ["column x: 1 rows, the first is row 1"]),
        ("a.parquet", parquet(x=[1]), parquet(x=[1.0]), ["column x: int64 before, float64 after"]),
        ("a.skops", archive(a__npy="1", b__npy="2"), archive(a__npy="1", b__npy="3"), ["b.npy"]),
        ("a.skops", archive(s__json='{"x": 1}'), archive(s__json='{"x": 2}'), ["s.json, x"]),
        ("a.bin", b"12", b"345", ["2 bytes before, 3 after"]),
        ("a.csv", b"x\n" + b"1\n" * 9, b"y\n" + b"1\n" * 9, ["column x: no longer present", "column y: new"]),
    ],
)
def test_where_two_contents_differ(name: str, before: bytes, after: bytes, places: list[str]):
    assert find_differences(name, before, after) == places


def test_many_differences_are_counted():
    before, after = (json.dumps({f"k{at}": at + more for at in range(9)}).encode() for more in (0, 1))
    assert find_differences("a.json", before, after)[-1] == "and 4 more"


def test_an_output_in_no_cache_is_named_without_its_places(copy_of, wine: Path):
    project = copy_of(wine)
    text = (project / "dvc.lock").read_text()
    made = next(out for out in yaml.safe_load(text)["stages"]["split"]["outs"] if out["path"].endswith("test.parquet"))
    (project / "dvc.lock").write_text(text.replace(made["md5"], "a" * 32))
    commit(project)
    shutil.rmtree(project / "data/split")
    check("dvc", "repro", "--force", "--single-item", "split", cwd=project)
    assert "split: data/split/test.parquet\n    the committed content is in no cache here" in lock(project).stdout
