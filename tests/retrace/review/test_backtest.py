"""A kept model and a retrained one are compared on past periods, as if each period were in the future."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from retrace.examples import features
from retrace.params import read_params
from retrace.review.backtest import known_rows
from retrace.sampling import BYTES_PER_VALUE
from src.stages.train import fit
from tests.conftest import change_params, retrace
from tests.retrace.review.small import inside

PARTS = ("train", "valid")


def past_of(project: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(project / f"data/split/{part}.parquet") for part in PARTS], ignore_index=True)


def trained_rows(printed: str) -> dict[str, int]:
    """How many rows were known before each period, by its name."""
    found = re.findall(r"^(\S+): training on the ([\d,]+) rows that were known$", printed, re.MULTILINE)
    return {name: int(count.replace(",", "")) for name, count in found}


def scores_of(printed: str) -> dict[str, list[float]]:
    """The scores of the kept model and of the retrained one, by period."""
    found = re.findall(r"^(\d{4}-\d\d(?:-\d\d)?) +[\d,]+ +(\S+) +(\S+) ", printed, re.MULTILINE)
    return {name: [float(kept), float(retrained)] for name, kept, retrained in found}


def test_each_model_is_trained_on_what_was_known_then_and_scored_on_what_came(copy_of, weather: Path):
    project = copy_of(weather)
    for name in ("data/split/test.parquet", "data/prepared.parquet"):
        (project / name).unlink()  # neither is read
    change_params(project, watch={"label_days": 3})
    done = retrace("backtest", cwd=project)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80

    past, params = past_of(project), read_params(project / "params.yaml")
    expected = {}
    kept = None
    for start, end in (("2013-02-01", "2013-03-01"), ("2013-03-01", "2013-04-01")):
        known = past[past["time_hour"] < pd.Timestamp(start) - pd.Timedelta(days=3)]
        period = past[(past["time_hour"] >= start) & (past["time_hour"] < end)]
        assert trained_rows(done.stdout)[start[:7]] == len(known)
        with inside(project):
            model = fit(params.train, params.data, known, params.train.seed)
        kept = kept or model
        table = period[features(past, params.data)]
        expected[start[:7]] = [r2_score(period["temp"], each.predict(table)) for each in (kept, model)]
    assert scores_of(done.stdout).keys() == expected.keys()
    for name, scores in scores_of(done.stdout).items():
        assert scores == pytest.approx(expected[name], rel=1e-3)
    assert re.search("^2013-02 .* the same$", done.stdout, re.MULTILINE), "in the first period it's one model"
    answer = done.stdout.partition("after the first one, by their rows")[2].replace("\n", " ")
    assert re.search(r"etraining each month .* in the month after the first one\.", answer)


def test_shorter_periods_train_more_often_and_the_files_are_the_same_bytes(
    copy_of, weather: Path, monkeypatch: pytest.MonkeyPatch
):
    project = copy_of(weather)
    files = [project / "backtest/backtest.md", project / "backtest/backtest.svg"]
    written = []
    for zone in ("UTC", "Pacific/Kiritimati"):
        monkeypatch.setenv("TZ", zone)
        printed = retrace("backtest", "--by", "week", cwd=project).stdout
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1]
    assert len(trained_rows(printed)) == 5
    assert "2013-03-11: left out, because it has too few rows or days" in printed
    page, picture = (file.read_text() for file in files)
    assert "![The scores of both models by week, and the differences](backtest.svg)" in page
    assert picture.startswith("<svg")
    assert "<image" not in picture
    assert "2013-03-04" in page


def test_with_purge_a_group_of_the_period_is_not_trained_on(weather: Path):
    params = read_params(weather / "params.yaml")
    params = params.model_copy(update={"data": params.data.model_copy(update={"group": "origin"})})
    split = params.split.model_copy(update={"purge": True, "block": None})
    times = pd.date_range("2013-01-01", "2013-03-01", freq="6h")
    past = pd.DataFrame({"time_hour": times, "origin": [f"g{number % 8}" for number in range(len(times))]})
    past["temp"] = np.arange(len(times), dtype=float)
    rows = past[(past["time_hour"] >= "2013-02-01") & past["origin"].isin(["g1", "g2"])]
    known = known_rows(params, split, past, rows, pd.Timestamp("2013-02-01"))
    assert set(known["origin"]) == {"g0", "g3", "g4", "g5", "g6", "g7"}
    assert known["time_hour"].max() < pd.Timestamp("2013-02-01") - pd.Timedelta(days=params.watch.label_days)


def test_of_more_known_rows_than_fit_into_memory_a_sample_is_trained_on(weather: Path):
    params = read_params(weather / "params.yaml")
    split = params.split
    times = pd.date_range("2013-01-01", "2013-03-01", freq="1h")
    past = pd.DataFrame({"row_id": np.arange(len(times)).astype(str), "time_hour": times, "x": 1.0, "temp": 2.0})
    past["temp"] += np.arange(len(times))
    small = params.train.model_copy(update={"memory": 200 * BYTES_PER_VALUE / 1e9})  # for 200 rows of x
    arguments = (split, past, past.tail(20), pd.Timestamp("2013-02-20"))
    everything = known_rows(params, *arguments)
    sample = known_rows(params.model_copy(update={"train": small}), *arguments)
    assert 150 < len(sample) < 250 < len(everything)
    assert set(sample["row_id"]) < set(everything["row_id"])
    assert sample.attrs == everything.attrs


def drifting(months: pd.Series) -> np.ndarray:
    """What the target depends on changes from month to month."""
    return months.to_numpy(float)


def constant(months: pd.Series) -> np.ndarray:
    return np.ones(len(months))


@pytest.mark.parametrize(
    ("slope", "answers"),
    [
        (drifting, ["Retraining each month would have been better"]),
        (constant, ["Retraining each month and keeping", "Can't tell whether retraining"]),
    ],
)
def test_training_again_pays_where_what_is_learned_changes(
    copy_of, weather: Path, slope: Callable[..., np.ndarray], answers: list[str]
):
    project = copy_of(weather)
    rng = np.random.default_rng(1)
    times = pd.date_range("2013-01-01", "2013-09-01", freq="2h", inclusive="left").astype("datetime64[us]")
    x = rng.normal(size=len(times))
    target = slope(pd.Series(times.month)) * x + rng.normal(scale=0.5, size=len(times))
    rows = pd.DataFrame({"row_id": np.arange(len(times)).astype(str), "time_hour": times, "x": x, "temp": target})
    rows["dewp"] = 0.0
    for part, selected in (("train", rows["time_hour"] < "2013-08-01"), ("valid", rows["time_hour"] >= "2013-08-01")):
        of_part = rows[selected].reset_index(drop=True)
        of_part.attrs = {"block": "day"}
        of_part.to_parquet(project / f"data/split/{part}.parquet")
    refits = pd.read_csv(project / "metrics/refits.csv")
    refits[["0", "1", "2"]] = [0.7, 0.702, 0.698]  # training on such rows varies little
    refits.to_csv(project / "metrics/refits.csv", index=False)
    printed = retrace("backtest", cwd=project).stdout
    assert len(scores_of(printed)) == 4
    assert any(answer in printed.replace("\n", " ") for answer in answers), printed


def test_a_period_must_be_longer_than_a_block(weather: Path):
    done = retrace("backtest", "--by", "day", cwd=weather)
    assert (
        done.stderr == "--by day: must be longer than split.block, which is day, because its rows are drawn together\n"
    )


def test_a_random_split_has_no_past(copy_of, weather: Path):
    project = copy_of(weather)
    change_params(project, split={"by": "random", "valid": 0.2, "test": 0.2, "seed": 1})
    done = retrace("backtest", cwd=project)
    assert (done.returncode, done.stderr) == (
        1,
        "params.yaml: split.by: a backtest needs a split by time, and this one is random\n",
    )


@pytest.mark.slow
def test_the_demo_is_tested_on_its_months(copy_of, demo: Path):
    project = copy_of(demo)
    printed = retrace("backtest", cwd=project).stdout
    assert list(scores_of(printed)) == ["2013-05", "2013-06", "2013-07", "2013-08", "2013-09"]
    assert re.search(
        r"roc_auc \S+ \(95 % interval \S+ to \S+\) in the 4 months after the first one\.", printed.replace("\n", " ")
    )
    assert max(map(len, printed.splitlines())) <= 80
