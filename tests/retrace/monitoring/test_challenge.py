"""`python -m retrace challenge`: another model scores the recorded requests, and is compared as commits are."""

import json
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from retrace.files import write_zip
from retrace.models import save_model
from retrace.serving.log import Log
from tests.conftest import retrace
from tests.retrace.monitoring.conftest import store_served
from tests.retrace.monitoring.test_watch import NEGATED
from tests.retrace.serving.test_serve import project_whose_code

WORDS = "better|worse|equivalent|can't tell|the same|not judged|no score"
LINE = re.compile(rf"^(\w+) +(\S+) +(\S+) +(\S+)  (\S+) to (\S+) +({WORDS})$", re.M)


def challenger_of(project: Path, folder: Path, model: str | Path = "models/model.skops", **changes: Any) -> Path:
    """The released package with another model in it, or another description."""
    with zipfile.ZipFile(project / "release/model.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["model.skops"] = (project / model).read_bytes()
    members["model.json"] = json.dumps(json.loads(members["model.json"]) | changes).encode()
    write_zip(members, folder / "challenger.zip")
    return folder / "challenger.zip"


def serve(project: Path, address: str, rows: pd.DataFrame, time: str, target: str) -> None:
    """Store predictions for rows, and their labels."""
    ids = [f"p{number}" for number in range(len(rows))]
    times = rows[time] if time in rows else pd.Series(pd.Timestamp(time), index=rows.index)
    store_served((project, address), rows, times, ids)
    assert Log(address).add_labels(dict(zip(ids, rows[target].tolist(), strict=True))) == []


def challenge(project: Path, challenger: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return retrace("challenge", str(challenger), "--model", "release/model.zip", *words, cwd=project)


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a log of its own."""
    address = f"sqlite:///{tmp_path}/log.db"
    monkeypatch.setenv("RETRACE_LOG", address)
    return address


def test_on_the_rows_of_test_both_models_have_the_scores_of_the_release(
    released_demo: Path, tmp_path: Path, address: str
):
    october = pd.read_parquet(released_demo / "data/split/test.parquet")
    serve(released_demo, address, october, "departure", "late")
    linear = challenger_of(released_demo, tmp_path, "models/linear.skops")
    done = challenge(released_demo, linear, "--out", str(tmp_path / "out.md"))
    assert done.stderr == ""
    assert f"{len(october):,} predictions from 2013-10-01 to 2013-10-31; 0 others have no label" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    released = json.loads((released_demo / "release/test.json").read_text())["scores"]
    found = {line[0]: line[1:] for line in LINE.findall(done.stdout)}
    assert found.keys() == released["model"].keys()
    for metric, (served, challenger, difference, low, high, _) in found.items():
        assert float(served) == pytest.approx(released["model"][metric]["score"], rel=1e-3)
        assert float(challenger) == pytest.approx(released["linear"][metric]["score"], rel=1e-3)
        expected = released["linear"][metric]["score"] - released["model"][metric]["score"]
        assert float(difference) == pytest.approx(expected, rel=0.06)
        assert float(low) < float(difference) < float(high)
    assert found["log_loss"][-1] == "worse"  # a paired comparison sees what the two intervals alone don't
    assert released["model"]["log_loss"]["high"] > released["linear"]["log_loss"]["low"]

    written = (tmp_path / "out.md").read_text()
    for metric, (served, challenger, _, low, high, word) in found.items():
        shown = f"**{word}**" if word in ("better", "worse") else word
        assert f"| `{metric}` | {served} | {challenger} |" in written
        assert f"| {low} to {high} | {shown} |" in written
    assert "compared by roc_auc: all of their intervals hold at once" in written
    assert "The intervals include sampling variation only." in written


@pytest.mark.parametrize("kind", ["rows", pytest.param("raw", marks=pytest.mark.slow)])
def test_the_same_model_is_the_same(released_wine: Path, tmp_path: Path, address: str, kind: str):
    """The challenger computes the features of raw rows with its own code."""
    rows = pd.read_parquet(released_wine / "data/split/valid.parquet")
    others = [name for name in rows.columns.drop(["row_id", "target"]) if name != "alcohol"]
    project = project_whose_code(released_wine, tmp_path, f"\nCOLUMNS = {others}\n{NEGATED}")
    ids = [str(number) for number in range(len(rows))]
    times = pd.Series(pd.Timestamp("2026-03-01"), index=rows.index)
    negate = None if kind == "rows" else lambda row: {"minus_alcohol": -row["alcohol"]} | {n: row[n] for n in others}
    store_served((project, address), rows, times, ids, negate)
    labelled = dict(list(zip(ids, rows["target"].tolist(), strict=True))[:-5])
    assert Log(address).add_labels(labelled) == []
    done = challenge(project, challenger_of(project, tmp_path))
    assert done.stderr == ""
    assert f"{len(labelled)} predictions from 2026-03-01 to 2026-03-01; 5 others have no label" in done.stdout
    lines = LINE.findall(done.stdout)
    assert {line[0] for line in lines} >= {"accuracy", "log_loss", "roc_auc_macro"}
    assert {line[-1] for line in lines} == {"the same"}


@pytest.fixture
def served_wine(released_wine: Path, address: str) -> Path:
    """A project with recorded requests."""
    serve(released_wine, address, pd.read_parquet(released_wine / "data/split/valid.parquet"), "2026-03-01", "target")
    return released_wine


def columns_of(project: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(project / "release/model.zip") as archive:
        columns: list[dict[str, Any]] = json.loads(archive.read("model.json"))["columns"]
    return columns


def test_a_challenger_may_need_fewer_columns(served_wine: Path, tmp_path: Path):
    train = pd.read_parquet(served_wine / "data/split/train.parquet")
    save_model(LogisticRegression().fit(train[["hue"]], train["target"]), tmp_path / "hue.skops")
    hue = [column for column in columns_of(served_wine) if column["name"] == "hue"]
    done = challenge(served_wine, challenger_of(served_wine, tmp_path, tmp_path / "hue.skops", columns=hue))
    assert done.stderr == ""
    assert {line[0]: line[-1] for line in LINE.findall(done.stdout)}["log_loss"] == "worse"


def test_a_challenger_that_needs_what_was_not_recorded_is_one_line(served_wine: Path, tmp_path: Path):
    more = [*columns_of(served_wine), {"name": "price", "kind": "number"}]
    done = challenge(served_wine, challenger_of(served_wine, tmp_path, columns=more))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "can't predict for a recorded row: row 1: column price: " in done.stderr


def test_a_single_label_is_enough_for_scores_but_not_for_an_interval(released_wine: Path, tmp_path: Path, address: str):
    rows = pd.read_parquet(released_wine / "data/split/valid.parquet").head(1)
    serve(released_wine, address, rows, "2026-03-01", "target")
    done = challenge(released_wine, challenger_of(released_wine, tmp_path, "models/linear.skops"))
    assert done.stderr == ""
    [line] = [line for line in done.stdout.splitlines() if line.startswith("log_loss")]
    assert line.endswith("  too few rows         can't tell")
    assert "By slice: no slice can be compared by log_loss." in done.stdout


@pytest.mark.parametrize(("key", "value"), [("target", "grape"), ("classes", [0, 1])])
def test_a_model_that_predicts_something_else_is_one_line(served_wine: Path, tmp_path: Path, key: str, value: object):
    done = challenge(served_wine, challenger_of(served_wine, tmp_path, **{key: value}))
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (1, 1, "")
    assert f"has another {key} than late-flights v1.0.0, so they can't be compared" in done.stderr


@pytest.mark.parametrize("words", [("--since", "2026-03-02"), ("--until", "2026-03-01")])
def test_a_time_without_labels_is_one_line(served_wine: Path, tmp_path: Path, words: tuple[str, str]):
    done = challenge(served_wine, challenger_of(served_wine, tmp_path), *words)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (1, 1, "")
    assert "has no prediction by late-flights v1.0.0 that has a label, in this period" in done.stderr
