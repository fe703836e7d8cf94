"""The pipeline as a whole: what it promises of bytes, of dependencies, and of what happens when it breaks."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from retrace import params as params_module
from retrace.examples import features
from retrace.models import load_model
from retrace.params.sections import Section
from retrace.table_files import read_table
from tests.conftest import ENVIRONMENT, ROOT, change_params, check, commit, run

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
COSTS = {"false_positive": 1, "false_negative": 1}
STAGES = list(PIPELINE["stages"])
EARLIER = ("source.json", "validation.json")  # written before split


def test_a_run_from_nothing_elsewhere_gives_the_committed_bytes(demo: Path):
    assert check("git", "status", "--porcelain", cwd=demo) == ""
    assert "up to date" in check("dvc", "status", cwd=demo)


def test_a_second_run_has_nothing_to_do(wine: Path):
    assert check("dvc", "repro", cwd=wine).endswith("Data and pipelines are up to date.\n")


IN_CHUNKS = """
import sys
from importlib import import_module
from retrace import hashes, pieces, table_files

table_files.CELLS_IN_CHUNK = int(sys.argv[1])
pieces.ROWS_IN_PIECE = pieces.INTEGERS_IN_MEMORY = hashes.HASHES_AT_ONCE = int(sys.argv[2])
for stage in sys.argv[3:]:
    import_module(f"src.stages.{stage}").main()
"""


@pytest.mark.parametrize(
    ("data_set", "chunks"),
    [("weather", 50), *(pytest.param(*case, marks=pytest.mark.slow) for case in (("weather", 3), ("wine", 50)))],
)
def test_a_table_in_any_number_of_chunks_gives_the_same_bytes(
    request: pytest.FixtureRequest, copy_of: Callable[[Path], Path], data_set: str, chunks: int
):
    """In the fixture it's one chunk."""
    project = copy_of(request.getfixturevalue(data_set))
    table = read_table(project / "data/raw/table.parquet")
    folders = ("data/raw", "data/split", "models", "metrics")
    before = {file: file.read_bytes() for folder in folders for file in (project / folder).rglob("*") if file.is_file()}
    before[project / "data/prepared.parquet"] = (project / "data/prepared.parquet").read_bytes()
    for file in before:
        file.unlink()
    check(sys.executable, "-c", IN_CHUNKS, str(table.size // chunks), str(len(table) // chunks), *STAGES, cwd=project)
    for file, content in before.items():
        assert file.read_bytes() == content, file


def leaves(section: Any, prefix: str) -> set[str]:
    """The keys below a section of the parameters, each to its end."""
    if not isinstance(section, Section):
        return {prefix}
    return set().union(*(leaves(getattr(section, key), f"{prefix}.{key}") for key in type(section).model_fields))


def read_by(stage: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The parameters that a stage reads, seen while it runs."""
    seen: set[str] = set()
    where: dict[int, str] = {}
    plain = Section.__getattribute__

    def watch(section: Section, name: str) -> Any:
        value, path = plain(section, name), where.get(id(section))
        if path is not None and name in type(section).model_fields:
            key = f"{path}.{name}".lstrip(".")
            if isinstance(value, Section):
                where[id(value)] = key
            else:
                seen.add(key)
        elif path is not None and name == "model_dump":
            seen.update(leaves(section, path))
        return value

    def read_params() -> params_module.Params:
        found = params_module.read_params()
        where[id(found)] = ""
        return found

    module = __import__(f"src.stages.{stage}", fromlist=["main"])
    monkeypatch.chdir(project)
    monkeypatch.setattr(module, "read_params", read_params, raising=False)
    monkeypatch.setattr(Section, "__getattribute__", watch)
    monkeypatch.setattr(sys, "argv", [stage])
    module.main()
    return seen


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_the_parameters_that_it_reads_and_no_other(
    stage: str, copy_of, wine: Path, weather: Path, monkeypatch: pytest.MonkeyPatch
):
    seen, declared = set(), set()
    for project in (wine, weather):
        copy = copy_of(project)
        with monkeypatch.context() as patch:
            seen |= read_by(stage, copy, patch)
        params = params_module.read_params(copy / "params.yaml")
        for key in PIPELINE["stages"][stage].get("params", []):
            section: Any = params
            for part in key.split("."):
                section = getattr(section, part, None)
            declared |= leaves(section, key)
    assert seen == declared


def test_no_stage_after_split_reads_test(copy_of, wine: Path):
    project = copy_of(wine)
    folders = [project / name for name in ("metrics", "models")]
    kept = {file: file.read_bytes() for folder in folders for file in folder.rglob("*") if file.is_file()}
    for folder in folders:
        shutil.rmtree(folder)
    for name in ("data/split/test.parquet", "data/prepared.parquet", "data/raw/table.parquet"):
        (project / name).write_bytes(b"nobody can read this")
    for stage in STAGES[STAGES.index("split") + 1 :]:
        check(sys.executable, "-m", f"src.stages.{stage}", cwd=project)
    made = {file: file.read_bytes() for folder in folders for file in folder.rglob("*") if file.is_file()}
    assert made == {file: content for file, content in kept.items() if file.name not in EARLIER}


@pytest.mark.parametrize("project", ["demo", "wine", "weather"])
def test_parts_share_no_row_and_keep_their_order(request: pytest.FixtureRequest, project: str):
    folder = request.getfixturevalue(project)
    data = params_module.read_params(folder / "params.yaml").data
    parts = [read_table(folder / f"data/split/{part}.parquet") for part in ("train", "valid", "test")]
    ids = pd.concat([part[data.id_column] for part in parts])
    assert ids.is_unique
    assert len(ids) == len(read_table(folder / "data/prepared.parquet"))
    if data.time:
        assert parts[0][data.time].max() < parts[1][data.time].min()
        assert parts[1][data.time].max() < parts[2][data.time].min()


@pytest.mark.parametrize("project", ["demo", "wine", "weather"])
def test_nothing_in_git_shows_a_value_that_few_rows_hold(request: pytest.FixtureRequest, project: str):
    """Every text value of the prepared table that fewer than 10 rows hold is searched for in what Git keeps."""
    folder = request.getfixturevalue(project)
    table = read_table(folder / "data/prepared.parquet")
    kept = [file for file in (folder / "metrics").rglob("*") if file.is_file()] + [folder / "data/schema.yaml"]
    text = " ".join(file.read_text() for file in kept)
    words = set(re.findall(r"[\w-]+", text))
    for name in table.select_dtypes("str"):
        counts = table[name].value_counts()
        for value in counts[counts < 10].index:
            assert value not in (words if re.fullmatch(r"[\w-]+", value) else text), name


def test_no_model_is_pickled(demo: Path):
    assert sorted(file.suffix for file in (demo / "models").iterdir()) == [".parquet", ".skops", ".skops", ".skops"]


def test_make_undo_brings_the_committed_state_back_after_a_failure(copy_of, weather: Path):
    project = copy_of(weather)
    change_params(
        project,
        train={"model": "sklearn.linear_model.Ridge", "arguments": {}, "seed": 1, "refits": 3, "memory": 16},
        gate={"metric": "rmse", "smallest_difference": {"rmse": 1}},
    )
    (project / "src/stages/evaluate.py").write_text("raise SystemExit(1)")
    assert run("dvc", "repro", cwd=project).returncode != 0
    (project / "metrics/left over.csv").write_text("a")
    check("git", "add", "metrics", cwd=project)
    check("git", "restore", "params.yaml", "src", cwd=project)
    assert "changed" in check("dvc", "status", cwd=project)
    check("make", "undo", "--old-file", ".venv/installed", cwd=project)
    assert "up to date" in check("dvc", "status", cwd=project)
    assert check("git", "status", "--porcelain", cwd=project) == ""


def test_make_undo_leaves_code_and_parameters_alone(copy_of, wine: Path):
    project = copy_of(wine)
    change_params(project, problem={"question": "Which wine?"})
    check("make", "undo", "--old-file", ".venv/installed", cwd=project)
    assert check("git", "status", "--porcelain", cwd=project) == " M params.yaml\n"


@pytest.mark.slow
def test_a_run_killed_in_any_stage_ends_in_the_same_bytes_the_next_time(copy_of, wine: Path):
    project = copy_of(wine)
    check("git", "rm", "--quiet", "-r", "metrics", "dvc.lock", cwd=project)
    check("rm", "-rf", "data/raw", "data/split", "data/prepared.parquet", "models", ".dvc/cache", cwd=project)
    for stage in STAGES:
        with subprocess.Popen(
            ["dvc", "repro"], cwd=project, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            assert process.stdout
            assert any(f"Running stage '{stage}'" in line for line in process.stdout), f"{stage} never started"
            outputs = [*PIPELINE["stages"][stage].get("outs", []), *PIPELINE["stages"][stage].get("plots", [])]
            first = [project / (output if isinstance(output, str) else next(iter(output))) for output in outputs]
            while process.poll() is None and not any(output.exists() for output in first):
                time.sleep(0.001)
            assert process.poll() is None, f"{stage} was over before it could be killed"
            os.killpg(process.pid, signal.SIGKILL)
    check("dvc", "repro", cwd=project)
    check("git", "add", "--all", cwd=project)
    assert check("git", "status", "--porcelain", cwd=project) == ""


@pytest.mark.parametrize(
    ("breakage", "stage", "line"),
    [
        (lambda project: (project / "params.yaml").unlink(), "ingest", "params.yaml: no such file"),
        (lambda project: (project / "data/source/wine.csv").unlink(), "ingest", "data/source/wine.csv: no such file"),
        (lambda project: (project / "data/source/wine.csv").write_text("a;target\n"), "ingest", "table has no rows"),
        (lambda project: (project / "data/raw/table.parquet").write_bytes(b"PAR1"), "validate", "not a whole Parquet"),
        (lambda project: (project / "data/schema.yaml").unlink(), "validate", "data/schema.yaml: no such file"),
        (lambda project: (project / "models/model.skops").write_bytes(b"PK"), "evaluate", "damaged or incomplete"),
        (lambda project: (project / "models/linear.skops").unlink(), "evaluate", "models/linear.skops: no such file"),
        (lambda project: check("rm", "-rf", ".git", cwd=project), "train", "no Git commit here yet; `git init`"),
        (lambda project: change_params(project, data={"read": {"sep": ";"}}), "ingest", "data.read.sep: unknown key"),
        (lambda project: change_params(project, gate={"metric": "roc_auc", "smallest_difference": {"roc_auc": 0}}),
         "evaluate", "gate.metric: must be one of accuracy, "),
        (lambda project: change_params(project, evaluate={"slices": ["q"]}), "evaluate", "has no column q"),
        (lambda project: change_params(project, evaluate={"slices": ["ash"]}), "evaluate", "ash is a measurement"),
        (lambda project: change_params(project, problem={"costs": COSTS}, data={"positive": 1}), "evaluate",
         "problem.costs: costs need two classes, and there are 3"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_leaves_nothing_half_written(copy_of, wine: Path, breakage, stage: str, line: str):
    project = copy_of(wine)
    breakage(project)
    before = {
        file: file.stat().st_mtime_ns
        for folder in ("data", "models", "metrics")
        for file in (project / folder).rglob("*")
    }
    done = run(sys.executable, "-m", f"src.stages.{stage}", cwd=project)
    assert done.returncode == 1
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
    after = {
        file: file.stat().st_mtime_ns
        for folder in ("data", "models", "metrics")
        for file in (project / folder).rglob("*")
    }
    assert before == after


METRIC = """
import numpy as np

from retrace.project_metrics import ProjectMetric


def lost_proline(truth, predictions, weights, table):
    wrong = truth != predictions.argmax(axis=1)
    return np.average(wrong * table["proline"], weights=weights)


METRICS = {"lost_proline": ProjectMetric(lost_proline, higher_is_better=False, lowest=0)}
"""


def test_a_metric_of_the_project_that_uses_another_column_is_scored_everywhere_and_judges(copy_of, wine: Path):
    project = copy_of(wine)
    (project / "src/metrics.py").write_text(METRIC)
    gate = {"metric": "lost_proline", "floor": 100, "slice_floor": 300}
    change_params(project, gate=gate | {"smallest_difference": {"lost_proline": 5}})
    check(sys.executable, "-m", "retrace", "check", cwd=project)
    check("dvc", "repro", "dvc.yaml", cwd=project)

    valid = read_table(project / "data/split/valid.parquet")
    data = params_module.read_params(project / "params.yaml").data
    guess = load_model(project / "models/model.skops").predict(valid[features(valid, data)])
    lost = float(((guess != valid["target"]) * valid["proline"]).mean())
    scores = json.loads((project / "metrics/scores.json").read_text())
    assert scores["lost_proline"] == pytest.approx(lost, rel=1e-5)
    evaluation = json.loads((project / "metrics/evaluation.json").read_text())["scores"]
    assert [name for name in evaluation if "lost_proline" in evaluation[name]] == ["linear", "model", "prior"]
    assert evaluation["model"]["lost_proline"]["low"] >= 0
    for name in ("bootstrap.csv", "refits.csv"):
        series = pd.read_csv(project / "metrics" / name, keep_default_na=False)
        lines = series[(series["metric"] == "lost_proline") & (series["model"] == "model")]
        assert list(lines["column"]) == ["", *["target"] * (len(lines) - 1)], f"{name}: the whole, then the slices"

    told = run(sys.executable, "-m", "retrace", "gate", cwd=project).stdout
    assert re.search("(PASS|FAIL) +lost_proline at most 100 ", told)
    assert re.search("lost_proline of each slice at most 300 ", told)
    check(sys.executable, "-m", "retrace", "report", "--base", "HEAD", cwd=project)
    assert "`lost_proline` ↓" in (project / "report.md").read_text()


def test_a_change_that_removes_the_metric_by_which_it_is_judged_may_not_be_merged(copy_of, wine: Path):
    project = copy_of(wine)
    (project / "src/metrics.py").write_text(METRIC)
    change_params(project, gate={"metric": "lost_proline", "smallest_difference": {"lost_proline": 5}})
    check("dvc", "repro", "dvc.yaml", cwd=project)
    commit(project)
    check("git", "restore", "--source", "HEAD~", "src/metrics.py", "params.yaml", cwd=project)
    check("dvc", "repro", "dvc.yaml", cwd=project)
    done = run(sys.executable, "-m", "retrace", "gate", "--base", "HEAD", cwd=project)
    assert done.returncode == 1
    assert re.search("FAIL +lost_proline at .* no score", done.stdout)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (METRIC.replace('"proline"', '"malt"'), "src/metrics.py, line 9: the metric lost_proline raises KeyError"),
        (
            METRIC.replace("return np", "return wrong, np"),
            "src/metrics.py: the metric lost_proline must return one number",
        ),
        (METRIC.replace('"lost_proline"', '"log_loss"'), "src/metrics.py: log_loss: this name is taken"),
        (METRIC.replace("numpy", "nampy"), "src/metrics.py: can't be imported: ModuleNotFoundError"),
    ],
)
def test_a_mistake_in_a_metric_of_the_project_is_one_line(copy_of, wine: Path, text: str, line: str):
    project = copy_of(wine)
    (project / "src/metrics.py").write_text(text)
    done = run(sys.executable, "-m", "src.stages.evaluate", cwd=project)
    assert done.returncode == 1
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_breach_of_the_schema_stops_the_pipeline_with_a_line_for_each(copy_of, wine: Path):
    project = copy_of(wine)
    source = project / "data/source/wine.csv"
    frame = pd.read_csv(source, sep=";", decimal=",")
    frame.assign(alcohol=999, extra=1).drop(columns="ash").to_csv(source, sep=";", decimal=",", index=False)
    done = run("dvc", "repro", cwd=project)
    assert done.returncode != 0
    assert "data/raw/table.parquet: column extra: not in the schema\n" in done.stderr
    assert "data/raw/table.parquet: column ash: missing\n" in done.stderr
    assert "column alcohol: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_experiments_are_run_and_compared(copy_of, wine: Path):
    project = copy_of(wine)
    check("dvc", "exp", "run", "--quiet", "--set-param", "train.arguments.learning_rate=0.05", cwd=project)
    shown = check("dvc", "exp", "show", "--csv", cwd=project)
    assert "train.arguments.learning_rate" in shown
    assert "log_loss" in shown
    assert "metrics/scores.json" in check("dvc", "metrics", "diff", cwd=project)
    assert "train.arguments.learning_rate" in check("dvc", "params", "diff", cwd=project)


def test_the_pictures_have_something_to_draw(demo: Path):
    for plot in PIPELINE["plots"]:
        for name in plot:
            assert json.loads(check("dvc", "plots", "show", "--json", name, cwd=demo))["data"][name], name
