"""The whole life of a model on the demo's months: released, served, watched, retrained, released again, rolled back."""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from retrace.serving.log import Log
from tests.conftest import IDENTITY, change_params, check, run
from tests.retrace.monitoring.conftest import store_served

RETRACE = [sys.executable, "-m", "retrace"]


def prepared_november(project: Path, folder: Path) -> pd.DataFrame:
    """The rows of November, which the project doesn't have yet."""
    shutil.copytree(project, folder, symlinks=True)
    change_params(folder, data={"read": {"first_month": 1, "last_month": 11}})
    check("dvc", "repro", "--quiet", "prepare", cwd=folder)
    rows = pd.read_parquet(folder / "data/prepared.parquet")
    return rows[rows["departure"] >= "2013-11-01"].reset_index(drop=True)


@pytest.mark.slow
def test_a_model_is_released_served_watched_retrained_and_rolled_back(released_demo: Path, tmp_path: Path):
    project = Path(shutil.copytree(released_demo, tmp_path / "project", symlinks=True))
    address = f"sqlite:///{tmp_path}/log.db"
    environment = {"RETRACE_LOG": address, **IDENTITY}

    # November is served. The label of a flight is known on the next day, so those of the last day are still missing.
    november = prepared_november(project, tmp_path / "november")
    ids = [f"flight-{number}" for number in range(len(november))]
    store_served((project, address), november, november["departure"] - pd.Timedelta(hours=1), ids)
    labels = dict(zip(ids, november["late"].tolist(), strict=True))
    known = november["departure"] < "2013-11-30"
    assert (
        Log(address).add_labels({name: labels[name] for name, is_known in zip(ids, known, strict=True) if is_known})
        == []
    )

    done = run(*RETRACE, "watch", "--until", "2013-12-01", cwd=project, **environment)
    assert done.returncode in (0, 3), done.stderr
    content = json.loads((project / "predictions/watch.json").read_text())
    assert (sum(content["predictions"]), sum(content["labels"])) == (len(november), known.sum())
    assert content["version"] == "v1.0.0"
    loss = content["performance"]["scores"]["log_loss"]
    assert loss["test"]["score"] < loss["served"]["score"], "the model is worse in November than in October"

    # It's retrained on a branch, compared on the new validation rows, and merged.
    check("git", "switch", "--quiet", "--create", "retrain", cwd=project, **environment)
    said = check(*RETRACE, "retrain", "--commit", cwd=project, **environment)
    assert "data.read.last_month: 10 → 11" in said
    assert "split.test_from: 2013-10-01 → 2013-11-01" in said
    check(*RETRACE, "report", "--base", "main", "--rescore", cwd=project, **environment)
    compared = "Compared with the model of `main`, scored on the validation rows of this change."
    assert compared in (project / "report.md").read_text()
    check(*RETRACE, "gate", "--base", "main", "--rescore", cwd=project, **environment)
    check("git", "switch", "--quiet", "main", cwd=project, **environment)
    check("git", "merge", "--quiet", "retrain", cwd=project, **environment)

    # The new model is released, and replaces the old one until it's rolled back.
    check(*RETRACE, "release", "1.1.0", cwd=project, **environment)
    check(*RETRACE, "deploy", "1.1.0", "--message", "trained on September", cwd=project, **environment)
    said = check(*RETRACE, "watch", "--until", "2013-12-01", cwd=project, **environment)
    assert "has no predictions by late-flights v1.1.0" in " ".join(said.split())
    said = check(*RETRACE, "rollback", "--message", "only a trial", cwd=project, **environment)
    assert said.startswith("late-flights v1.0.0 is in prod again, not v1.1.0;")
    history = check(*RETRACE, "history", cwd=project, **environment).splitlines()
    assert history[0] == "in prod: late-flights v1.0.0"
    assert any("only a trial" in line for line in history)
    said = check(*RETRACE, "recompute", ids[0], cwd=project, **environment)
    assert said.startswith("PASS"), "what the first version served can still be computed"
