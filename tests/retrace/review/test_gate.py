"""Each rule of the gate passes where it should, fails where it should, and never passes on a missing number."""

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

from retrace.differences import gain
from retrace.params import Gate
from retrace.review import row_changes
from retrace.review.commands import print_scores
from retrace.review.comparable import read_sides
from retrace.review.gate import judge, judge_change
from retrace.review.releases import Release
from retrace.review.report.scores import describe_decision
from retrace.review.results import SERIES, Decision, Results, ThresholdCheck
from retrace.review.revision import FOLDER, Revision
from retrace.review.rules import Rule
from retrace.review.score_differences import compare, lead_over_baseline
from tests.conftest import boosting, change_params, check, commit, retrace

GATE = Gate(
    metric="roc_auc",
    floor=0.6,
    slice_floor=0.5,
    baselines=["linear", "prior"],
    smallest_difference={"roc_auc": 0.01, "log_loss": 0.01},
)
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
        scores={
            "model": {metric: {"score": score, "low": 0.65, "high": 0.75}},
            "linear": {metric: {"score": 0.5}},
            "prior": {metric: {"score": 0.5}},
        },
        slices={"city": {"Bern": slice_ or {metric: 0.65, "small": False}}},
        bootstrap=draws(rows, {"model": value + NOISE, "linear": 0.5 + NOISE * 0, "prior": 0.5 + NOISE * 0}, metric),
        refits=draws(rows, {"model": value + np.array([0.001, -0.001, 0.002, 0, -0.002])}, metric),
    )


def verdicts(here: Results, base: Results | None = None, gate: Gate = GATE) -> list[bool | None]:
    return [verdict.passes for verdict in judge(gate, here, base)]


def test_a_good_model_passes_and_the_last_rule_needs_a_base():
    assert verdicts(results(0.7)) == [True, True, True, True, None, None]
    assert judge(GATE, results(0.7), None)[-1].finding == "not judged: there is no base"
    assert judge(GATE, results(0.7), None)[-2].finding == "not judged: there is no release yet"
    assert verdicts(results(0.7), results(0.7)) == [True, True, True, True, None, True]


@pytest.mark.parametrize(("score", "passes"), [(0.6, True), (0.599, False), (None, False), (float("nan"), False)])
def test_the_floor_is_judged_on_the_score(score: float | None, passes: bool):
    rule = judge(GATE, results(score), None)[0]
    assert rule.passes is passes
    assert rule.finding == (f"{score:.4g} (0.65 to 0.75)" if score and score > 0 else "no score")


@pytest.mark.parametrize(
    ("slice_", "passes"),
    [
        ({"roc_auc": 0.5, "small": False}, True),
        ({"roc_auc": 0.49, "small": False}, False),
        ({"roc_auc": None, "small": False}, False),
        ({"roc_auc": 0.8, "small": False}, True),
    ],
)
def test_the_worst_slice_is_checked_against_its_floor(slice_: dict[str, Any], passes: bool):
    assert verdicts(results(0.7, slice_=slice_))[1] is passes


@pytest.mark.parametrize("score", [None, float("nan")])
def test_a_slice_without_a_score_fails_wherever_it_is_in_the_list(score: float | None):
    here = results(0.7)
    slices = {"Bern": 0.65, "Basel": score, "Chur": 0.6}
    here.slices["city"] = {name: {"roc_auc": value, "small": False} for name, value in slices.items()}
    rule = judge(GATE, here, None)[1]
    assert (rule.passes, rule.finding) == (False, "no score city Basel")


def test_small_slices_are_not_judged():
    assert verdicts(results(0.7, slice_={"roc_auc": 0.1, "small": True})) == [True, None, True, True, None, None]


def test_a_slice_that_the_base_has_must_still_be_scored():
    here = results(0.7)
    verdict = judge(GATE, Results(here.scores, {}, here.bootstrap, here.refits), results(0.7))[1]
    assert (verdict.passes, verdict.finding) == (False, "city is no longer scored")


def test_a_slice_that_became_too_small_is_named():
    here, base = results(0.7), results(0.7)
    base.slices["city"]["Rome"] = {"roc_auc": 0.8, "small": False}
    rule = judge(GATE, here, base)[1]
    assert (rule.passes, rule.finding) == (
        True,
        "0.65 city Bern; no longer scored, or too small: city Rome",
    )
    here.slices["city"]["Bern"]["small"] = True
    rule = judge(GATE, here, base)[1]
    assert (rule.passes, rule.finding) == (False, "city is no longer scored")


def test_a_baseline_without_a_score_fails():
    here = results(0.7)
    del here.scores["linear"]
    assert verdicts(here)[2] is False


def test_the_interval_of_the_lead_over_a_baseline_must_exclude_zero():
    gate = GATE.model_copy(update={"floor": None, "slice_floor": None})
    assert verdicts(results(0.53), gate=gate)[0] is True
    assert verdicts(results(0.51), gate=gate)[0] is False


def test_a_baseline_that_the_gate_does_not_name_need_not_be_beaten():
    """A linear model as the model is as good as the linear baseline, which is no failure."""
    here = results(0.7)
    here.scores["linear"] = here.scores["model"]
    gate = GATE.model_copy(update={"baselines": ["prior"]})
    assert [rule.name for rule in judge(gate, here, None)][2:] == [
        "roc_auc better than baseline prior",
        "no loss against the last release",
        "no loss against the base",
    ]
    assert verdicts(here, gate=gate) == [True, True, True, None, None]
    assert verdicts(here, gate=gate.model_copy(update={"baselines": []})) == [True, True, None, None]


COSTS = {"false_positive": 1.0, "false_negative": 3.0}


def with_costs(here: Results, cost: float, action: str = "never", costs: dict[str, float] = COSTS) -> Results:
    """Results with what the model's decisions and the constant actions cost: never acting 0.4, always acting 0.8."""
    points = {"model": cost, "never": 0.4, "always": 0.8}
    for name, at in points.items():
        here.scores.setdefault(name, {})["cost"] = {"score": at}
    bootstrap = draws(
        "r", {name: at + (NOISE if name == "model" else NOISE * 0) for name, at in points.items()}, "cost"
    )
    refits = draws("r", {"model": cost + np.array([0.001, -0.001, 0.002, 0, -0.002])}, "cost")
    decision = Decision.model_validate(
        {
            "costs": costs,
            "threshold": 0.25,
            "best_constant_action": action,
            "calibration": {"trusted": True, "bins": []},
        }
    )
    return replace(
        here,
        bootstrap=pd.concat([here.bootstrap, bootstrap]),
        refits=pd.concat([here.refits, refits]),
        decision=decision,
    )


ACTION = GATE.model_copy(update={"floor": None, "slice_floor": None, "baselines": ["best_constant_action"]})


@pytest.mark.parametrize(
    ("cost", "action", "passes"),
    [
        (0.3, "never", True),
        (0.39, "never", False),
        (0.5, "never", False),
        (0.5, "always", True),
        (0.79, "always", False),
    ],
)
def test_the_decisions_must_cost_less_than_the_better_constant_action(cost: float, action: str, passes: bool):
    rule = judge(ACTION, with_costs(results(0.7), cost, action), None)[0]
    assert rule.name == f"cost lower than {action} acting"
    assert rule.passes is passes


def test_what_decisions_cost_is_shown_beside_the_constant_actions(capsys: pytest.CaptureFixture[str]):
    here, base = with_costs(results(0.7), 0.3), with_costs(results(0.7), 0.35)
    shown = describe_decision(here, base)
    assert "| act if the probability is at least 0.25 | 0.35 | 0.3 |" in shown
    assert "| always act | 0.8 | 0.8 |" in shown
    assert "| never act (the better of the two on train) | 0.4 | 0.4 |" in shown
    saved = gain(lead_over_baseline(here, "never", "cost"), "cost")
    assert saved.value == pytest.approx(0.1)
    assert f"| +0.1, {saved.low:+.2g} to {saved.high:+.2g} |" in shown
    assert "| +0.5, " in shown
    assert "WARNING" not in shown
    assert describe_decision(results(0.7), base) == ""

    near = {"rows": 1200, "predicted": 0.2252, "observed": 0.1614, "margin": 0.05}
    check_ = ThresholdCheck.model_validate({"trusted": False, "bins": [near]})
    doubtful = replace(here, decision=here.decision.model_copy(update={"calibration": check_}))
    for name in ("model", "never", "always"):
        doubtful.scores[name]["cost"] |= {"low": None, "high": None}
    del doubtful.scores["model"]["roc_auc"], doubtful.scores["linear"], doubtful.scores["prior"]
    print_scores(doubtful)
    printed = capsys.readouterr().out
    assert printed.split("\n")[0].split()[-3:] == ["interval", "always", "never"]
    assert printed.split("\n")[1].split() == ["cost", "0.3", "n/a", "to", "n/a", "0.8", "0.4"]
    for text in (printed, describe_decision(doubtful, None)):
        assert "The threshold 0.25 can't be trusted" in text
        assert "1,200 rows near it: predicted 0.225, observed 0.161 (99 %: 0.111 to 0.211)." in text


def test_without_costs_the_best_constant_action_has_no_score():
    rule = judge(ACTION, results(0.7), None)[0]
    assert (rule.passes, rule.finding) == (False, "no score: problem.costs in params.yaml is null")


FAILING = GATE.model_copy(update={"floor": 0.8, "slice_floor": None, "baselines": []})


@pytest.mark.parametrize(
    ("score", "base", "passes", "note"),
    [
        (0.7, 0.7, None, "; fails on the base too"),
        (0.72, 0.7, None, "; fails on the base too"),  # better, but not good enough
        (0.67, 0.7, False, "; fails on the base too, and is worse here"),
        (0.7, 0.81, False, ""),  # the base passes
        (None, None, False, ""),  # nobody knows whether it's worse
        (None, 0.7, False, ""),
    ],
)
def test_a_floor_that_fails_on_the_base_too_blocks_what_is_worse(score, base, passes: bool | None, note: str):
    rule = judge(FAILING, results(score), results(base))[0]
    assert rule.passes is passes
    assert rule.finding.partition(")")[2] == note


def test_a_baseline_that_beats_the_base_too_blocks_what_is_worse():
    gate = GATE.model_copy(update={"floor": None, "slice_floor": None, "baselines": ["prior"]})
    same, worse = (judge(gate, results(score), results(0.51))[0] for score in (0.51, 0.48))
    assert same.passes is None
    assert same.finding.endswith("; fails on the base too")
    assert worse.passes is False
    del (here := results(0.51)).scores["prior"]
    assert judge(gate, here, results(0.51))[0].passes is False, "a missing number is a failure, whatever the base has"


@pytest.mark.parametrize(
    ("cost", "costs", "passes"),
    [(0.5, COSTS, None), (0.6, COSTS, False), (0.5, COSTS | {"false_positive": 2.0}, False)],
)
def test_a_constant_action_that_beats_the_base_too_blocks_what_costs_more(cost: float, costs, passes: bool | None):
    base = with_costs(results(0.7), 0.5)
    assert judge(ACTION, with_costs(results(0.7), cost, costs=costs), base)[0].passes is passes


def with_slices(scores: dict[str, float]) -> Results:
    here = results(0.7)
    refits = np.array([0.001, -0.001, 0.002, 0, -0.002])
    tables = []
    for whole, noise in ((here.bootstrap, NOISE), (here.refits, refits)):
        rows = [["r", "model", "city", name, "roc_auc", *(score + noise)] for name, score in scores.items()]
        more = pd.DataFrame(rows, columns=[*SERIES, *whole.columns]).set_index(SERIES)
        tables.append(pd.concat([whole, more]))
    slices = {
        name: {"roc_auc": score, "low": score - 0.1, "high": score + 0.1, "small": False}
        for name, score in scores.items()
    }
    return Results(here.scores, {"city": slices}, *tables)


@pytest.mark.parametrize(
    ("base", "here", "passes", "found"),
    [
        (
            {"Bern": 0.4, "Rome": 0.7},
            {"Bern": 0.4, "Rome": 0.7},
            None,
            "0.4 (0.3 to 0.5) city Bern; fails on the base too",
        ),
        (
            {"Bern": 0.4, "Rome": 0.7},
            {"Bern": 0.3, "Rome": 0.7},
            False,
            "0.3 (0.2 to 0.4) city Bern; fails on the base too, and is worse here",
        ),
        # The rule fails on the base for one slice, and here for another as well.
        ({"Bern": 0.4, "Rome": 0.7}, {"Bern": 0.4, "Rome": 0.45}, False, "0.45 (0.35 to 0.55) city Rome"),
    ],
)
def test_a_slice_that_fails_on_the_base_too_blocks_what_is_worse(base, here, passes: bool | None, found: str):
    rule = judge(GATE, with_slices(here), with_slices(base))[1]
    assert (rule.passes, rule.finding) == (passes, found)


def test_a_loss_against_the_last_release_fails_though_there_is_none_against_the_base():
    release = Release("late-flights@v1.2.0", results(0.74), "")
    rule = judge(GATE, results(0.7), results(0.7), release=release)[-2]
    assert (rule.name, rule.passes) == ("no loss against late-flights@v1.2.0", False)
    assert judge(GATE, results(0.74), results(0.74), release=release)[-2].passes is True
    unpaired = Release("late-flights@v1.2.0", results(0.74, rows="other"), "")
    assert "other rows" in judge(GATE, results(0.7), results(0.7), release=unpaired)[-2].finding


def test_a_release_without_the_score_blocks_nothing():
    older = Release("late-flights@v1.2.0", results(0.74, metric="log_loss"), "")
    rule = judge(GATE, results(0.7), results(0.7), release=older)[-2]
    assert (rule.passes, rule.finding) == (None, "not judged: late-flights@v1.2.0 has no score roc_auc")
    assert judge(GATE, results(None), None, release=older)[-2].passes is False, "a score that is missing here"


def test_a_baseline_that_could_not_be_judged_on_the_base_did_not_fail_there():
    unknown = replace(results(0.7), bootstrap=results(0.7).bootstrap.iloc[:, :1])
    rules = judge(GATE, results(0.5), unknown)
    assert [rule.passes for rule in rules if rule.name == "roc_auc better than baseline prior"] == [False]


@pytest.mark.parametrize(
    ("score", "passes"),
    [
        (0.75, True),  # better
        (0.699, True),  # worse, but by less than matters
        (0.68, False),  # worse, and the interval excludes 0
    ],
)
def test_a_loss_whose_interval_excludes_zero_and_that_matters_fails(score: float, passes: bool):
    assert verdicts(results(score), results(0.7))[-1] is passes


def test_where_a_loss_does_not_block_the_largest_possible_one_is_named():
    assert judge(GATE, results(0.699), results(0.7))[-1].finding.endswith("; a loss of up to 0.001 can't be ruled out")
    assert "can't be ruled out" not in judge(GATE, results(0.7), results(0.7))[-1].finding
    unsure = judge(GATE, results(0.68), results(0.7, rows="other"))[-1]
    assert unsure.passes
    assert re.search(r"; a loss of up to 0\.0[45]\d? can't be ruled out$", unsure.finding)


def test_with_one_unit_to_draw_from_there_is_no_interval():
    here, base = (replace(results(score), units={"valid": 1, "train": 99, "half": 50}) for score in (0.6, 0.7))
    rule = judge(GATE, here, base)[-1]
    assert (rule.passes, rule.finding) == (True, "-0.1 (no interval: too few rows to draw from)")
    assert verdicts(here)[2:4] == [None, None], "without an interval nobody can say whether a baseline is beaten"
    assert judge(GATE, base, base)[-1].finding.startswith("+0 (+0 to +0)"), "nothing differs"


def test_missing_draws_never_pass():
    here = results(0.7)
    assert judge(GATE, replace(here, refits=here.refits.iloc[:0]), results(0.7))[-1].passes is False


def test_other_rows_are_compared_unpaired_and_the_finding_says_so():
    verdict = judge(GATE, results(0.68), results(0.7, rows="other"))[-1]
    assert verdict.passes is True, "a difference of two noisy scores"
    assert "other rows" in verdict.finding


def test_a_base_without_the_metric_fails_rather_than_passes():
    assert verdicts(results(0.7), results(0.7, metric="log_loss"))[-1] is False


def test_fewer_refits_than_the_base_has_are_no_way_to_hide_a_loss():
    here, base = results(0.7), results(0.7)
    rule = judge(GATE, replace(here, refits=here.refits.iloc[:, :2]), base)[-1]
    assert (rule.passes, rule.finding[:8]) == (False, "2 refits")
    assert judge(GATE, here, replace(base, refits=base.refits.iloc[:, :2]))[-1].passes


def test_fewer_resamples_than_the_base_has_are_as_good():
    here, base = results(0.7), results(0.7)
    assert judge(GATE, replace(here, bootstrap=here.bootstrap.iloc[:, :-1]), base)[-1].passes


def test_lower_is_better_for_a_loss():
    smallest = {"log_loss": 0.01}
    gate = Gate(metric="log_loss", floor=0.5, slice_floor=None, baselines=["prior"], smallest_difference=smallest)
    assert verdicts(results(0.4, metric="log_loss"), results(0.3, metric="log_loss"), gate) == [True, True, None, False]
    assert verdicts(results(0.55, metric="log_loss"), results(0.45, metric="log_loss"), gate) == [
        False,
        False,
        None,
        False,
    ]
    assert verdicts(results(0.55, metric="log_loss"), results(0.6, metric="log_loss"), gate) == [None, None, None, True]


def test_paired_differences_share_their_noise():
    paired, unpaired = (compare(results(0.71), results(0.7, rows=rows), "roc_auc") for rows in ("r", "s"))
    assert paired.value == pytest.approx(0.01)
    assert (paired.high - paired.low) < (unpaired.high - unpaired.low) / 10
    assert unpaired.high - unpaired.low == pytest.approx(
        2 * 1.96 * np.sqrt(2) * np.hypot(NOISE.std(), 0.0016), rel=0.05
    )


def gate(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return retrace("gate", *arguments, cwd=project)


def test_the_command_fails_where_a_rule_does_and_says_by_how_much(copy_of, wine: Path):
    project = copy_of(wine)
    done = gate(project)
    assert done.returncode == 1, "boosting on 110 rows doesn't beat a linear model, and the gate says so"
    assert "FAIL  log_loss better than baseline linear" in done.stdout
    assert "PASS  log_loss better than baseline prior" in done.stdout
    assert "n/a   no loss against the base" in done.stdout
    change_params(project, gate={"floor": 0.05, "slice_floor": None, "baselines": ["prior"]})
    assert "FAIL  log_loss at most 0.05" in gate(project).stdout
    change_params(project, gate={"floor": 0.5})
    assert gate(project).returncode == 0


def test_results_of_other_inputs_are_not_judged(copy_of, wine: Path):
    project = copy_of(wine)
    change_params(project, train=boosting(learning_rate=5))
    done = gate(project, "--base", "HEAD")
    assert (done.stdout.split(";")[0], done.returncode) == ("FAIL  stale: train, evaluate", 1)


@pytest.mark.parametrize(
    "words", [("gate", "--head", "HEAD"), ("verify-lock", "--base", "HEAD"), ("scores", "--base", "HEAD")]
)
def test_an_option_that_a_command_does_not_take_is_refused(wine: Path, words: tuple[str, ...]):
    done = retrace(*words, cwd=wine)
    assert done.returncode == 2
    assert f"unrecognized arguments: {words[1]}" in done.stderr


def test_a_second_base_is_refused_not_ignored(wine: Path):
    done = retrace("gate", "--base", "HEAD", "--base", "HEAD~1", cwd=wine)
    assert done.returncode == 2
    assert "--base: given twice" in done.stderr


def test_a_pull_request_is_judged_by_the_gate_of_its_base(copy_of, wine: Path):
    project = copy_of(wine)
    change_params(project, gate={"floor": 9})
    commit(project)
    assert "at most 9" in gate(project).stdout
    assert "at most 0.5" in gate(project, "--base", "HEAD~1").stdout
    found = gate(project, "--base", "HEAD~1").stdout.partition("\nBy this folder's own gate")[0]
    assert re.search(r"^PASS  no loss against the base +\+0 \(\+0 to \+0\)", found, re.MULTILINE)
    assert re.search(r"^n/a   log_loss better than baseline linear .*; fails on the base too$", found, re.MULTILINE)
    assert gate(project, "--base", "HEAD~1").returncode == 0


def rows_stay(project: Path) -> Rule:
    """The rule about the rows of the folder, split again, and those of its commit."""
    check("dvc", "repro", "split", cwd=project)
    return judge_change(read_sides(FOLDER, Revision.of("HEAD"))).rules[-2]


def test_rows_stay_in_their_part_unless_another_split_is_asked_for(
    copy_of, wine: Path, monkeypatch: pytest.MonkeyPatch
):
    project = copy_of(wine)
    monkeypatch.chdir(project)
    name, finding = "at most 1% of rows change split", "none did: train, valid and test have the same rows"
    assert rows_stay(project) == (name, True, finding)
    code, params = project / "retrace/parts.py", (project / "params.yaml").read_text()
    code.write_text(code.read_text().replace('f"{seed} {name}"', 'f"{name} {seed}"'))
    rule = rows_stay(project)
    assert rule.passes is False
    assert re.fullmatch(r"\d+ of 178 rows changed split", rule.finding)
    change_params(project, split={"by": "random", "valid": 0.25, "test": 0.15, "seed": 2})
    rule = rows_stay(project)
    assert rule.passes is None
    assert re.fullmatch(r"not judged: params.yaml asks for another split; \d+ of 178 rows changed split", rule.finding)
    (project / "params.yaml").write_text(params)
    check("rm", "-r", ".dvc/cache", cwd=project)
    assert rows_stay(project)[1:] == (None, "not judged: the rows of one side aren't in this machine's cache")


def test_a_new_row_with_an_empty_cell_and_a_new_column_move_no_row(
    copy_of, wine: Path, monkeypatch: pytest.MonkeyPatch
):
    project = copy_of(wine)
    monkeypatch.chdir(project)
    file = project / "data/source/wine.csv"
    table = pd.read_csv(file, sep=";", decimal=",")
    more = pd.concat([table, table.tail(1).assign(proline=None, hue="unknown")]).assign(new=7)
    more.to_csv(file, sep=";", decimal=",", index=False)
    check("dvc", "repro", "ingest", cwd=project)
    check(sys.executable, "-m", "retrace", "freeze", cwd=project)
    assert rows_stay(project)[1:] == (True, "0 of 178 rows changed split")


@pytest.mark.parametrize(("count", "passes"), [(1, True), (2, False), (10, False)])
def test_one_row_in_a_hundred_may_move(copy_of, wine: Path, monkeypatch: pytest.MonkeyPatch, count: int, passes: bool):
    project = copy_of(wine)
    monkeypatch.chdir(project)
    monkeypatch.setattr(row_changes, "same_split", lambda *_: False)
    monkeypatch.setattr(row_changes, "count_moved_rows", lambda *_: row_changes.MovedRows(shared=100, moved=count))
    assert judge_change(read_sides(FOLDER, Revision.of("HEAD"))).rules[-2].passes is passes


def test_a_base_without_metrics_is_not_judged_and_an_unknown_one_is_one_line(copy_of, wine: Path):
    project = copy_of(wine)
    assert "not judged: the base has no metrics yet" in gate(project, "--base", "HEAD~1").stdout
    done = gate(project, "--base", "nowhere")
    assert done.returncode == 1
    assert done.stderr == "nowhere: no such revision in this repository; `git fetch` may bring it\n"


def test_a_base_that_cannot_be_read_never_passes(copy_of, wine: Path):
    project = copy_of(wine)
    good = (project / "metrics/bootstrap.csv").read_bytes()
    (project / "metrics/bootstrap.csv").write_text("oops")
    commit(project)
    (project / "metrics/bootstrap.csv").write_bytes(good)
    change_params(project, gate={"floor": None, "slice_floor": None})
    done = gate(project, "--base", "HEAD")
    assert done.returncode == 1
    assert re.search(r"^FAIL  no loss against the base +not judged: the base can't be read", done.stdout, re.MULTILINE)


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
