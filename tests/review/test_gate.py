"""Each rule of the gate holds where it should, fails where it should, and never passes on a missing number."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.core.params import Gate
from src.review.gate import judge
from src.review.noise import compare
from src.review.results import SERIES, Results
from tests.conftest import change_params, check, commit, run

GATE = Gate(metric="roc_auc", floor=0.6, slice_floor=0.5, smallest_difference={"roc_auc": 0.01, "log_loss": 0.01})
RNG = np.random.default_rng(0)
NOISE = RNG.normal(0, 0.01, 500)


def draws(rows: str, scores: dict[str, np.ndarray], metric: str = "roc_auc") -> pd.DataFrame:
    lines = [[rows, model, "", "", metric, *values] for model, values in scores.items()]
    return pd.DataFrame(lines, columns=[*SERIES, *map(str, range(len(lines[0]) - 5))]).set_index(SERIES)


def results(
    score: float | None, rows: str = "r", metric: str = "roc_auc", slice_: dict[str, Any] | None = None
) -> Results:
    value = 0.7 if score is None else score
    return Results(
        scores={name: {metric: {"score": at}} for name, at in {"model": score, "linear": 0.5, "prior": 0.5}.items()},
        slices={"city": {"Bern": slice_ or {metric: 0.65, "small": False}}},
        bootstrap=draws(rows, {"model": value + NOISE, "linear": 0.5 + NOISE * 0, "prior": 0.5 + NOISE * 0}, metric),
        refits=draws(rows, {"model": value + np.array([0.001, -0.001, 0.002, 0, -0.002])}, metric),
    )


def verdicts(here: Results, base: Results | None = None, gate: Gate = GATE) -> list[bool | None]:
    return [verdict.holds for verdict in judge(gate, here, base)]


def test_a_good_model_passes_and_the_last_rule_needs_a_base():
    assert verdicts(results(0.7)) == [True, True, True, True, None]
    assert "not judged: there is no base" in judge(GATE, results(0.7), None)[-1].found
    assert verdicts(results(0.7), results(0.7)) == [True, True, True, True, True]


@pytest.mark.parametrize(("score", "holds"), [(0.6, True), (0.599, False), (None, False), (float("nan"), False)])
def test_the_floor_is_judged_on_the_score(score: float | None, holds: bool):
    assert verdicts(results(score))[0] is holds


@pytest.mark.parametrize(
    ("slice_", "holds"),
    [
        ({"roc_auc": 0.5, "small": False}, True),
        ({"roc_auc": 0.49, "small": False}, False),
        ({"roc_auc": None, "small": False}, False),
        ({"roc_auc": 0.8, "small": False}, True),
    ],
)
def test_the_worst_slice_is_held_to_its_floor(slice_: dict[str, Any], holds: bool):
    assert verdicts(results(0.7, slice_=slice_))[1] is holds


@pytest.mark.parametrize("score", [None, float("nan")])
def test_a_slice_without_a_score_fails_wherever_it_stands(score: float | None):
    here = results(0.7)
    slices = {"Bern": 0.65, "Basel": score, "Chur": 0.6}
    here.slices["city"] = {name: {"roc_auc": value, "small": False} for name, value in slices.items()}
    rule = judge(GATE, here, None)[1]
    assert (rule.holds, rule.found) == (False, "no score lowest: city Basel")


def test_small_slices_are_not_judged():
    assert verdicts(results(0.7, slice_={"roc_auc": 0.1, "small": True})) == [True, None, True, True, None]


def test_a_slice_that_the_base_has_must_still_be_scored():
    here = results(0.7)
    verdict = judge(GATE, Results(here.scores, {}, here.bootstrap, here.refits), results(0.7))[1]
    assert (verdict.holds, verdict.found) == (False, "city is no longer scored")


def test_a_slice_that_became_too_small_is_named():
    here, base = results(0.7), results(0.7)
    base.slices["city"]["Rome"] = {"roc_auc": 0.8, "small": False}
    rule = judge(GATE, here, base)[1]
    assert (rule.holds, rule.found) == (
        True,
        "0.65 (+0.15) lowest: city Bern; no longer scored, or too small: city Rome",
    )
    here.slices["city"]["Bern"]["small"] = True
    rule = judge(GATE, here, base)[1]
    assert (rule.holds, rule.found) == (False, "city is no longer scored")


def test_a_baseline_without_a_score_fails():
    here = results(0.7)
    del here.scores["linear"]
    assert verdicts(here)[2] is False


def test_a_baseline_must_be_beaten_beyond_noise():
    gate = GATE.model_copy(update={"floor": None, "slice_floor": None})
    assert verdicts(results(0.53), gate=gate)[0] is True
    assert verdicts(results(0.51), gate=gate)[0] is False


@pytest.mark.parametrize(
    ("score", "holds"),
    [
        (0.75, True),  # better
        (0.699, True),  # worse, but by less than matters
        (0.68, False),  # worse beyond noise
    ],
)
def test_a_loss_beyond_noise_and_the_smallest_difference_fails(score: float, holds: bool):
    assert verdicts(results(score), results(0.7))[-1] is holds


def test_where_a_loss_is_not_refused_the_largest_possible_one_is_told():
    assert judge(GATE, results(0.699), results(0.7))[-1].found.endswith("; a loss of up to 0.001 can't be ruled out")
    assert "can't be ruled out" not in judge(GATE, results(0.7), results(0.7))[-1].found
    unsure = judge(GATE, results(0.68), results(0.7, rows="other"))[-1]
    assert unsure.holds
    assert re.search(r"; a loss of up to 0\.0[45]\d? can't be ruled out$", unsure.found)


def test_with_one_unit_to_draw_from_nothing_can_be_told():
    here, base = (replace(results(score), units={"valid": 1, "train": 99, "half": 50}) for score in (0.6, 0.7))
    rule = judge(GATE, here, base)[-1]
    assert (rule.holds, rule.found) == (True, "-0.1 (no interval: too few rows to draw from)")
    assert verdicts(here)[2:4] == [None, None], "no baseline is beaten beyond noise, nor isn't"
    assert judge(GATE, base, base)[-1].found.startswith("+0 (+0 to +0)"), "nothing differs"


def test_draws_that_are_missing_are_no_pass():
    here = results(0.7)
    assert judge(GATE, replace(here, refits=here.refits.iloc[:0]), results(0.7))[-1].holds is False


def test_other_rows_are_compared_unpaired_and_that_is_said():
    verdict = judge(GATE, results(0.68), results(0.7, rows="other"))[-1]
    assert verdict.holds is True, "a difference of two noisy scores"
    assert "other rows" in verdict.found


def test_a_base_without_the_metric_fails_rather_than_passes():
    assert verdicts(results(0.7), results(0.7, metric="log_loss"))[-1] is False


@pytest.mark.parametrize("what", ["bootstrap", "refits"])
def test_fewer_draws_than_the_base_has_are_no_way_to_hide_a_loss(what: str):
    here, base = results(0.7), results(0.7)
    fewer = replace(here, **{what: getattr(here, what).iloc[:, :2]})
    rule = judge(GATE, fewer, base)[-1]
    assert (rule.holds, rule.found[:2]) == (False, "2 ")
    assert judge(GATE, here, replace(base, **{what: getattr(base, what).iloc[:, :2]}))[-1].holds


def test_lower_is_better_where_it_is():
    gate = Gate(metric="log_loss", floor=0.5, slice_floor=None, smallest_difference={"log_loss": 0.01})
    assert verdicts(results(0.4, metric="log_loss"), results(0.3, metric="log_loss"), gate) == [True, True, True, False]
    assert verdicts(results(0.55, metric="log_loss"), results(0.6, metric="log_loss"), gate) == [
        False,
        False,
        False,
        True,
    ]


def test_paired_differences_share_their_noise():
    paired, unpaired = (compare(results(0.71), results(0.7, rows=rows), "roc_auc") for rows in ("r", "s"))
    assert paired.value == pytest.approx(0.01)
    assert (paired.high - paired.low) < (unpaired.high - unpaired.low) / 10
    assert unpaired.high - unpaired.low == pytest.approx(
        2 * 1.96 * np.sqrt(2) * np.hypot(NOISE.std(), 0.0016), rel=0.05
    )


def gate(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "src.review", "gate", *arguments, cwd=project)


def test_the_command_fails_where_a_rule_does_and_says_by_how_much(copy_of, wine: Path):
    project = copy_of(wine)
    done = gate(project)
    assert done.returncode == 1, "boosting on 110 rows doesn't beat a linear model, and the gate says so"
    assert "FAILS  better than the baseline linear" in done.stdout
    change_params(project, gate={"floor": 0.1, "slice_floor": None})
    assert "FAILS  log_loss at most 0.1" in gate(project).stdout


def test_results_of_other_inputs_are_not_judged(copy_of, wine: Path):
    project = copy_of(wine)
    change_params(project, train={"learning_rate": 5})
    done = gate(project, "--base", "HEAD")
    assert (done.stdout.split(";")[0], done.returncode) == ("FAILS  stale: train", 1)


@pytest.mark.parametrize(
    "words", [("gate", "--head", "HEAD"), ("lock", "--base", "HEAD"), ("scores", "--base", "HEAD")]
)
def test_an_option_that_a_command_does_not_take_is_refused(wine: Path, words: tuple[str, ...]):
    done = run(sys.executable, "-m", "src.review", *words, cwd=wine)
    assert done.returncode == 2
    assert f"{words[1]} is for" in done.stderr


def test_a_pull_request_is_judged_by_the_gate_of_its_base(copy_of, wine: Path):
    project = copy_of(wine)
    change_params(project, gate={"floor": 9})
    commit(project)
    assert "at most 9" in gate(project).stdout
    assert "at most 0.5" in gate(project, "--base", "HEAD~1").stdout
    assert "holds  no loss beyond noise and 0.01        +0 (+0 to +0)" in gate(project, "--base", "HEAD~1").stdout


def test_a_base_without_metrics_is_not_judged_and_one_that_is_not_there_is_one_line(copy_of, wine: Path):
    project = copy_of(wine)
    assert "not judged: the base has no metrics yet" in gate(project, "--base", "HEAD~1").stdout
    done = gate(project, "--base", "nowhere")
    assert done.returncode == 1
    assert done.stderr == "nowhere: no such revision in this repository; `git fetch` may bring it\n"


def test_a_base_that_cannot_be_read_is_no_pass(copy_of, wine: Path):
    project = copy_of(wine)
    good = (project / "metrics/bootstrap.csv").read_bytes()
    (project / "metrics/bootstrap.csv").write_text("oops")
    commit(project)
    (project / "metrics/bootstrap.csv").write_bytes(good)
    change_params(project, gate={"floor": None, "slice_floor": None})
    done = gate(project, "--base", "HEAD")
    assert done.returncode == 1
    assert "FAILS  no loss beyond noise and 0.01        not judged: the base can't be read" in done.stdout


@pytest.mark.parametrize("content", ["{", "{}", "[]", json.dumps({"scores": 3}), json.dumps({"scores": {}}), "\udcff"])
def test_metrics_that_are_broken_are_one_line(copy_of, wine: Path, content: str):
    project = copy_of(wine)
    (project / "metrics/evaluation.json").write_text(content, errors="surrogateescape")
    done = gate(project)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_results_yet_is_one_line(copy_of, wine: Path):
    project = copy_of(wine)
    (project / "metrics/refits.csv").unlink()
    assert "not what evaluate writes" in gate(project).stderr, "some, but not all"
    check("rm", "-r", "metrics", cwd=project)
    assert gate(project).stderr == "metrics: no results yet; `dvc repro` makes them\n"
