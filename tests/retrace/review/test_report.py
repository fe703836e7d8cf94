"""The report gives the answer in its first lines, whatever the repository's state and whatever its names contain."""

import json
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, get_args

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from retrace.differences import Verdict
from retrace.review.report import write
from retrace.review.report.headline import MEANINGS
from retrace.review.report.scores import write_sample
from retrace.review.report.write import MOST_BYTES, write_report
from retrace.review.results import SERIES, Results, Sample
from retrace.review.revision import FOLDER, Revision
from retrace.sampling import BYTES_PER_VALUE
from tests.conftest import boosting, change_params, check, commit, retrace

PARSER = MarkdownIt("commonmark").enable("table")


@pytest.fixture(scope="session")
def worse(wine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wine project with a commit more: a model of one iteration in place of ten, without the column hue."""
    project = tmp_path_factory.mktemp("worse") / "project"
    check("cp", "-r", str(wine), str(project), cwd=wine)
    change_params(project, data={"drop": ["hue"]})
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("max_iter: 10", "max_iter: 1"))
    check("dvc", "repro", cwd=project)
    commit(project)
    return project


@pytest.fixture
def read_report(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The report on a project against its base, and perhaps of another head."""

    def write_and_read(project: Path, base: str | None = "HEAD~1", head: str | None = None) -> str:
        monkeypatch.chdir(project)
        return write_report(Revision.of(base) if base else None, Revision.of(head) if head else FOLDER).read_text(
            encoding="utf-8"
        )

    return write_and_read


def edit(project: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Change a JSON file of metrics/, as if a stage had written it so, and commit it."""
    file = project / "metrics" / name
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    check("dvc", "commit", "--force", "--quiet", cwd=project)
    commit(project)


def test_a_reader_is_told_that_the_same_bytes_are_not_promised(copy_of, read_report, worse: Path):
    assert "same bytes" not in read_report(worse)
    project = copy_of(worse)
    other = {"name": "sklearn.svm.SVC", "same_bytes": False}
    edit(project, "evaluation.json", lambda content: content | {"estimator": other})
    assert "The same bytes are not promised for `sklearn.svm.SVC` with these arguments" in read_report(project)
    shown = retrace("scores", cwd=project).stdout
    assert "The same bytes are not promised for sklearn.svm.SVC with these arguments: see docs/model.md." in shown


def test_a_model_that_is_fitted_on_a_sample_is_told_with_what_more_rows_would_bring(copy_of, read_report, wine: Path):
    """From `train.memory` to the report: 13 features, and memory for about 80 of 107 rows."""
    assert "sample of the training rows" not in read_report(wine, None)
    project = copy_of(wine)
    change_params(project, train=boosting() | {"memory": 80 * 13 * BYTES_PER_VALUE / 1e9})
    check("dvc", "repro", cwd=project)
    commit(project)
    train = pd.read_parquet(project / "data/split/train.parquet")
    evaluation = json.loads((project / "metrics/evaluation.json").read_text())
    rows = evaluation["sample"]["rows"]
    assert 60 < rows < 100
    assert evaluation["sample"]["of"] == len(train)
    assert evaluation["units"]["train"] == rows
    text = read_report(project)
    assert headings(text)[:2] == ["Metrics", "A sample of the training rows"]
    assert f"The model is fitted on {rows} of {len(train)} rows of train, because more don't fit into" in text
    assert "With half of these rows, `log_loss` was 0." in text
    assert "(mean of 3 refits; 95 % interval of what the other half brings: " in text


@pytest.mark.parametrize(
    ("metric", "score", "says"),
    [
        (
            "roc_auc",
            0.75,
            "`roc_auc` was 0.05 worse (mean of 4 refits; 95 % interval of what the other half brings: +0.0",
        ),
        ("log_loss", 0.65, "`log_loss` was 0.05 worse"),
        ("roc_auc", 0.75, "Twice the rows would bring about as much at most."),
        ("log_loss", 0.65, "Twice the rows would bring about as much at most."),
        ("roc_auc", 0.701, "`roc_auc` was 0.001 worse"),
        ("roc_auc", 0.701, "Chance explains this difference, so twice the rows may bring nothing."),
        ("log_loss", 0.702, "`log_loss` was 0.002 better"),
        ("log_loss", 0.702, "Chance explains this difference, so twice the rows may bring nothing."),
    ],
)
def test_what_twice_the_rows_would_bring_follows_from_the_refits_on_half_of_them(metric: str, score: float, says: str):
    refits = pd.DataFrame([[0.698, 0.702, 0.699, 0.701]])
    refits.index = pd.MultiIndex.from_tuples([("rows", "model", "", "", metric)], names=SERIES)
    results = Results(
        {"model": {metric: {"score": score}}}, {}, refits.iloc[:0], refits, sample=Sample(rows=1_000, of=5_000)
    )
    text = write_sample(SimpleNamespace(sides=SimpleNamespace(results=results), metric=metric))
    assert "fitted on 1,000 of 5,000 rows" in text
    assert says in text


def headings(text: str) -> list[str]:
    return [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")]


def test_the_first_three_lines_give_the_answer(worse: Path, read_report):
    first, difference, merge = read_report(worse).split("\n\n")[:3]
    assert first.startswith("## Worse: `log_loss` 0.09438 → 0.")
    assert difference.startswith("The difference is +0.")
    assert "95 % interval +0." in difference
    assert merge.startswith("**May not be merged:** the gate fails (")
    assert "`no loss against the base`" in merge
    assert merge.endswith("The pipeline wasn't rerun for this report.")


def test_results_edited_by_hand_may_not_be_merged(copy_of, wine: Path, read_report):
    project = copy_of(wine)
    file = project / "metrics/evaluation.json"
    content = json.loads(file.read_text())
    content["scores"]["model"]["log_loss"]["score"] -= 0.1
    file.write_text(json.dumps(content))
    commit(project)
    first, _, merge = read_report(project).split("\n\n")[:3]
    assert first == "## Not comparable: the results here are edited"
    assert merge.startswith("**May not be merged:**")
    assert "**Edited:** not what the pipeline wrote: `evaluate: metrics/evaluation.json`" in merge


def test_the_most_important_sections_come_first(worse: Path, read_report):
    text = read_report(worse)
    assert headings(text) == ["Metrics", "Gate", "What changed", "By slice", "See it yourself"]
    assert "| `log_loss` ↓ | 0.09438 | " in text
    assert "compared resample by resample and refit by refit" in text
    assert "| `train.arguments.max_iter` | `10` | `1` |" in text
    assert "| `data.drop` | `[]` | `['hue']` |" in text
    assert "```mermaid" in text
    assert f"make report BASE={Revision.of('HEAD~1').commit}" in text


def test_data_and_slices_that_moved_are_shown(copy_of, wine: Path, worse: Path, read_report):
    project = copy_of(wine)

    def large(content: dict[str, Any]) -> dict[str, Any]:
        return {
            column: {k: v | {"small": False, "units": 5} for k, v in values.items()}
            for column, values in content.items()
        }

    edit(project, "slices.json", large)
    check("cp", "-r", str(worse / "metrics"), str(project), cwd=project)
    edit(project, "slices.json", large)

    def more(content: dict[str, Any]) -> dict[str, Any]:
        content["columns"]["added"] = content["columns"].pop("alcohol")
        content["columns"]["flavanoids"]["missing"] = 0.5
        return content | {"rows": content["rows"] + 7}

    edit(project, "data.json", more)
    text = read_report(project, "HEAD~2")
    assert headings(text) == ["Metrics", "Gate", "What changed", "Data", "By slice", "See it yourself"]
    assert "178 rows → 178: 0 added, 0 removed, 0 with other values, 0 moved between train, valid and test." in text
    assert "| `added` |  | `number` |" in text
    assert "1 column moved further than sampling explains." in text
    assert "| `flavanoids` | 0.500 |" in text
    assert "3 slices compared" in text
    assert "**worse** |" in text.split("### By slice")[1]


def test_each_verdict_has_a_word_for_the_headline():
    assert set(MEANINGS) == set(get_args(Verdict))


def test_the_reverse_of_a_worse_change_is_better(worse: Path, read_report):
    text = read_report(worse, "HEAD", "HEAD~1")
    assert text.startswith("## Better: `log_loss` 0.")
    assert "**better** |" in text


def test_no_change_is_no_difference(worse: Path, read_report):
    text = read_report(worse, "HEAD")
    assert text.startswith("## No difference: `log_loss`")
    assert "Nothing that a stage depends on." in text
    assert "Data" not in headings(text)


@pytest.mark.parametrize("base", [None, "HEAD~2"])
def test_without_results_to_compare_with_there_are_first_results(worse: Path, read_report, base: str | None):
    text = read_report(worse, base)
    assert text.startswith("## First results: `log_loss` 0.")
    assert ("there is no base" if base is None else "the base has no metrics yet") in text
    assert "not judged" in text


def test_a_base_whose_metrics_are_broken_is_not_comparable(copy_of, wine: Path, read_report):
    project = copy_of(wine)
    good = (project / "metrics/evaluation.json").read_text()
    (project / "metrics/evaluation.json").write_text("{")
    commit(project)
    (project / "metrics/evaluation.json").write_text(good)
    commit(project)
    text = read_report(project)
    assert text.startswith("## Not comparable")
    assert "the base can't be read" in text


def test_a_change_that_fixes_a_pipeline_that_dvc_cannot_read_gets_its_report(copy_of, wine: Path, read_report):
    project = copy_of(wine)
    good = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(good.replace("${data.source}", "${data.sauce}"))
    commit(project)
    (project / "dvc.yaml").write_text(good)
    (project / "src/stages/train.py").write_text((project / "src/stages/train.py").read_text() + "# shorter\n")
    check("dvc", "commit", "--force", "--quiet", cwd=project)
    commit(project)
    assert "| `train` | `src/stages/train.py` |" in read_report(project)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics/data.json", '{"rows": 1}'),
        pytest.param("metrics/data.json", "[", marks=SLOW),
        pytest.param("metrics/data.json", '{"rows": 1, "columns": []}', marks=SLOW),
        pytest.param("metrics/data.json", '{"rows": "many", "columns": {}}', marks=SLOW),
        pytest.param("metrics/data.json", '{"rows": 178, "columns": {"alcohol": 5}}', marks=SLOW),
        pytest.param(
            "metrics/data.json",
            '{"rows": 178, "columns": {"alcohol": {"kind": "number", "missing": null}}}',
            marks=SLOW,
        ),
        pytest.param(
            "metrics/data.json",
            '{"rows": 178, "columns": {"alcohol": {"kind": "number", "missing": 0, "values": {}}}}',
            marks=SLOW,
        ),
        ("metrics/data.json", '{"rows": 1, "columns": {"hue": {"kind": "number", "missing": 0, "histogram": {}}}}'),
        pytest.param("metrics/data.json", '{"rows": 178, "columns": {"ash": {"missing": 0}}}', marks=SLOW),
        ("metrics/bootstrap.csv", "rows,model,column,value,metric,0\n" + "a,model,,,log_loss,1\n" * 2),
        ("metrics/evaluation.json", '{"scores": {"model": {"log_loss": {}}, "prior": {}, "linear": {}}}'),
        ("dvc.lock", "<<<<<<< HEAD"),
        pytest.param("dvc.lock", "stages: {train: 1}", marks=SLOW),
        pytest.param("dvc.yaml", "stages: [", marks=SLOW),
        ("dvc.yaml", "stages: {train: {cmd: a, deps: null, params: null}}"),
        pytest.param("params.yaml", "data: [", marks=SLOW),
        pytest.param("params.yaml", "- a", marks=SLOW),
        ("params.yaml", "{problem: 3, evaluate: [], data: 5, split: , gate: x}"),
        pytest.param("params.yaml", "1: {2: 3}", marks=SLOW),
        pytest.param("dvc.lock", "- a", marks=SLOW),
        ("data/schema.yaml", "5"),
        pytest.param("data/schema.yaml", "{", marks=SLOW),
        pytest.param("metrics/curves/calibration.csv", "a,b\n", marks=SLOW),
        ("metrics/curves/calibration.csv", "predicted,observed\nlow,1\nhigh,2\n"),
        ("requirements.txt", "\0"),
    ],
)
def test_what_cannot_be_read_of_a_base_affects_its_own_section_at_most(
    copy_of, wine: Path, read_report, name: str, content: str
):
    project = copy_of(wine)
    good = (project / name).read_bytes()
    (project / name).write_text(content)
    commit(project)
    (project / name).write_bytes(good)
    commit(project)
    text = read_report(project)
    needed = name in ("metrics/bootstrap.csv", "metrics/evaluation.json", "params.yaml")
    assert text.startswith("## Not comparable" if needed else "## No difference")
    assert headings(text)[-1] == "See it yourself"
    if "This section can't be written: " in text:
        reason = text.split("This section can't be written: ")[1].partition("\n")[0]
        assert name in reason or "dvc.yaml" in reason, "params.yaml fills dvc.yaml in"


def test_a_mistake_in_this_package_is_not_taken_for_a_broken_file(
    wine: Path, read_report, monkeypatch: pytest.MonkeyPatch
):
    """The job fails with its traceback."""
    for error in (KeyError, TypeError, ValueError, AttributeError):

        def mistaken(*_: object, error: type[Exception] = error) -> str:
            raise error

        monkeypatch.setattr(write, "write_data", mistaken)
        with pytest.raises(error):
            read_report(wine, "HEAD")


class Refusing(BaseHTTPRequestHandler):
    """A storage that has every file and gives it to nobody, as one in the cloud does without credentials."""

    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(403)
        self.end_headers()


@pytest.fixture
def storage() -> Iterator[str]:
    """The address of such a storage."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/wines"
        server.shutdown()


def test_without_access_to_the_storage_it_is_not_said_which_rows_differ(copy_of, worse: Path, storage: str):
    project = copy_of(worse)
    check("dvc", "remote", "add", "--quiet", "--default", "storage", storage, cwd=project)
    commit(project)
    shutil.rmtree(project / ".dvc/cache")
    file = project / "metrics/data.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"rows": content["rows"] + 1}))
    assert retrace("report", "--base", "HEAD", cwd=project).returncode == 0
    rows = "155 rows in train and valid → 156 (+1; which ones can't be said: the base's tables aren't in this machine's"
    assert rows in (project / "report.md").read_text()
    assert Refusing.asked == []


def test_a_stale_base_is_reported(copy_of, wine: Path, read_report):
    project = copy_of(wine)
    change_params(project, data={"drop": ["hue"]})
    commit(project)
    change_params(project, data={"drop": []})
    commit(project)
    assert "The base's own results are stale (`prepare`, `describe`, `train`, `evaluate`)" in read_report(project)


def test_another_question_is_not_comparable(copy_of, wine: Path, read_report):
    project = copy_of(wine)
    gate = {"metric": "r2", "floor": 0, "slice_floor": None, "smallest_difference": {"r2": 0}}
    change_params(project, data={"target": "hue", "task": "regression", "id_columns": ["ash"]}, gate=gate)
    check("dvc", "commit", "--force", "--quiet", cwd=project)
    text = read_report(project, "HEAD")
    assert text.startswith("## Not comparable")
    assert "`it answers another question: data.target, data.task changed`" in text
    assert "| `no loss against the base` | n/a |" in text


def test_another_module_for_the_same_rows_is_the_same_question(copy_of, wine: Path, read_report):
    project = copy_of(wine)
    (project / "src/datasets/mine.py").write_bytes((project / "src/datasets/table.py").read_bytes())
    change_params(project, data={"set": "mine"})
    check("dvc", "commit", "--force", "--quiet", cwd=project)
    text = read_report(project, "HEAD")
    assert text.startswith("## No difference")
    assert "compared resample by resample" in text


@pytest.mark.slow
def test_another_definition_of_the_target_is_not_comparable(copy_of, wine: Path, read_report):
    project = copy_of(wine)
    file = project / "retrace/tables/preparing.py"
    file.write_text(file.read_text().replace("= _labels(table[data.target])", "= 2 - _labels(table[data.target])"))
    check("dvc", "repro", cwd=project)
    commit(project)
    text = read_report(project)
    assert text.startswith("## Not comparable")
    assert "Nothing to compare with: `the target is defined differently`." in text
    assert "| `no loss against the base` | n/a | `not judged: the target is defined differently` |" in text
    file = project / "metrics/evaluation.json"
    for ids, found in (("others", "## Not comparable"), (None, "## ")):
        content = json.loads(file.read_text())
        content["fingerprints"] = {"ids": ids, "targets": "others"} if ids else {}
        file.write_text(json.dumps(content))
        check("dvc", "commit", "--force", "--quiet", cwd=project)
        text = read_report(project)
        assert text.startswith(found)
        assert "the target is defined differently" in text, "by the tables, where a row more or less is there"
    check("rm", "-r", ".dvc/cache", cwd=project)
    assert not read_report(project).startswith("## Not comparable"), "unknown, without the base's tables"


@pytest.mark.slow
def test_rows_that_moved_are_reported_and_the_gate_fails(copy_of, wine: Path, read_report):
    project = copy_of(wine)
    file = project / "retrace/parts.py"
    file.write_text(file.read_text().replace('f"{seed} {name}"', 'f"{name} {seed}"'))
    check("dvc", "repro", cwd=project)
    commit(project)
    text = read_report(project)
    assert "**May not be merged:** the gate fails (" in text
    assert "`at most 1% of rows change split`" in text.split("### Metrics")[0]
    moved = re.search(r"178 rows → 178: 0 added, 0 removed, 0 with other values, (\d+) moved between", text)
    assert moved
    assert f"| **FAIL** | `{moved[1]} of 178 rows changed split` |" in text


def test_other_costs_are_another_question_where_cost_decides(copy_of, wine: Path, read_report):
    project = copy_of(wine)
    gate = {"metric": "cost", "smallest_difference": {"cost": 0}}
    change_params(project, problem={"costs": {"false_positive": 1, "false_negative": 3}}, gate=gate)
    commit(project)
    change_params(project, problem={"costs": {"false_positive": 1, "false_negative": 1}}, data={"positive": 1})
    text = read_report(project, "HEAD")
    assert text.startswith("## Not comparable")
    assert "problem.costs.false_negative" in text.split("### Metrics")[0]


def test_metrics_that_come_and_go_are_named(copy_of, wine: Path, read_report):
    project = copy_of(wine)

    def rename(content: dict[str, Any]) -> dict[str, Any]:
        for scores in content["scores"].values():
            scores["old_loss"] = scores.pop("brier")
        return content

    good = (project / "metrics/evaluation.json").read_text()
    edit(project, "evaluation.json", rename)
    (project / "metrics/evaluation.json").write_text(good)
    text = read_report(project, "HEAD")
    assert "| `brier` ↓ | no score | 0.0" in text
    assert text.count("| new |") == 1
    assert text.count("| gone |") == 1


def test_a_score_that_is_not_a_number_never_passes(copy_of, wine: Path, read_report):
    project = copy_of(wine)

    def spoil(content: dict[str, Any]) -> dict[str, Any]:
        content["scores"]["model"]["log_loss"]["score"] = float("nan")
        return content

    edit(project, "evaluation.json", spoil)
    text = read_report(project)
    assert text.startswith("## Not comparable: `log_loss` 0.09438 → no score")
    assert "**May not be merged:** the gate fails" in text


def test_other_counts_of_resamples_and_refits_are_compared_on_those_they_share(copy_of, worse: Path, read_report):
    project = copy_of(worse)
    for name, most in (("bootstrap.csv", 80), ("refits.csv", 2)):
        table = pd.read_csv(project / "metrics" / name, dtype=str, keep_default_na=False)
        table.iloc[:, : 5 + most].to_csv(project / "metrics" / name, index=False)
    check("dvc", "commit", "--force", "--quiet", cwd=project)
    text = read_report(project)
    assert text.startswith("## Worse: `log_loss`")
    assert "| `2 refits, and the base has " in text


def test_slices_without_a_score_on_both_sides_are_not_compared(copy_of, worse: Path, read_report):
    project = copy_of(worse)
    file = project / "metrics/bootstrap.csv"
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    table[table["column"] == ""].to_csv(file, index=False)
    check("dvc", "commit", "--force", "--quiet", cwd=project)
    told = "Not compared: no slice that is large enough to be judged has this score on both sides."
    assert told in read_report(project)


def test_other_rows_are_compared_as_independent_and_the_report_says_so(copy_of, worse: Path, read_report):
    project = copy_of(worse)
    for name in ("bootstrap.csv", "refits.csv"):
        table = pd.read_csv(project / "metrics" / name, dtype=str, keep_default_na=False)
        table.assign(rows="other").to_csv(project / "metrics" / name, index=False)
    check("dvc", "commit", "--force", "--quiet", cwd=project)
    text = read_report(project)
    assert ", on other rows." in text
    assert "small differences can't be seen" in text


def test_a_change_of_the_gate_is_shown_first_and_judged_by_both_gates(copy_of, wine: Path, read_report):
    project = copy_of(wine)
    change_params(project, gate={"floor": 0.01})
    commit(project)
    text = read_report(project)
    assert "> [!WARNING]\n> This change affects how it is judged: `gate.floor`." in text
    assert text.index("[!WARNING]") < text.index("### Metrics")
    assert "By the base's gate, which decides:" in text
    assert "| `log_loss at most 0.01` | n/a |" in text
    assert "; fails on the base too` |" in text, "the change isn't to blame for what its own gate asks of the base"
    assert "| `log_loss at most 0.5` | PASS" in text


def test_changes_that_are_not_committed_are_reported(copy_of, wine: Path, read_report):
    project = copy_of(wine)
    (project / "README.md").write_text("")
    assert "This report is about the working tree, including uncommitted changes." in read_report(project)
    check("git", "checkout", "--quiet", "--detach", cwd=project)
    commit(project)
    assert "uncommitted" not in read_report(project), "a detached head is a commit like any other"


def test_a_base_with_newer_commits_is_reported(copy_of, worse: Path, read_report):
    project = copy_of(worse)
    check("git", "checkout", "--quiet", "-b", "branch", "HEAD~1", cwd=project)
    check("dvc", "checkout", "--force", cwd=project)
    (project / "README.md").write_text("")
    commit(project)
    text = read_report(project, "main")
    assert "The base has 1 commit that this change doesn't have: below, they look as if they were taken back." in text
    check("git", "-c", "user.name=A", "-c", "user.email=a@b", "merge", "--quiet", "main", cwd=project)
    check("dvc", "checkout", "--force", cwd=project)
    assert read_report(project, "main").startswith("## No difference"), "a merge of main has main's results"


def test_an_experiment_is_known_by_its_name(copy_of, worse: Path, read_report):
    project = copy_of(worse)
    check("dvc", "exp", "save", "--force", "--name", "tried-it", cwd=project)
    assert read_report(project, "HEAD~1", "tried-it").startswith("## Worse")


@pytest.mark.parametrize("name", ["nowhere", "--help", "refs/heads/none", "HEAD~99", "$(id)"])
def test_an_unknown_revision_is_one_line(wine: Path, name: str):
    done = retrace("report", f"--base={name}", cwd=wine)
    assert done.returncode == 1
    assert done.stderr == f"{name}: no such revision in this repository; `git fetch` may bring it\n"


def test_a_shallow_clone_says_what_it_lacks(tmp_path: Path, wine: Path):
    check("git", "clone", "--quiet", "--depth", "1", f"file://{wine}", str(tmp_path / "clone"), cwd=tmp_path)
    done = retrace("report", "--base", "HEAD~1", cwd=tmp_path / "clone")
    assert done.stderr.endswith("the clone is shallow, and `git fetch --unshallow` may bring it\n")


def test_a_clone_that_is_too_shallow_for_the_common_history_says_so(copy_of, wine: Path, tmp_path: Path):
    project = copy_of(wine)
    check("git", "checkout", "--quiet", "-b", "change", cwd=project)
    for branch in ("change", "main"):
        check("git", "checkout", "--quiet", branch, cwd=project)
        (project / "README.md").write_text(branch)
        commit(project)
    clone = tmp_path / "clone"
    check(
        "git", "clone", "--quiet", "--depth", "1", "--no-single-branch", f"file://{project}", str(clone), cwd=tmp_path
    )
    assert retrace("report", "--base", "origin/change", cwd=clone).returncode == 0
    assert (
        "The clone is too shallow to hold their common history; `git fetch --unshallow`"
        in (clone / "report.md").read_text()
    )


@pytest.mark.parametrize("base", ["", "0" * 40])
def test_an_empty_base_means_that_there_is_none(wine: Path, base: str):
    assert "First results" in retrace("report", "--base", base, cwd=wine).stdout


def test_a_patch_brings_the_results_that_were_made(copy_of, wine: Path):
    project = copy_of(wine)
    change_params(project, evaluate={"slices": []})
    commit(project)
    check(sys.executable, "-m", "retrace", "rerun", cwd=project)
    out = retrace("report", "--base", "HEAD~1", cwd=project).stdout
    assert out.count("\n") <= 10
    text = (project / "report.md").read_text()
    assert "**Stale:** inputs changed after the results were made: `evaluate` (`evaluate.slices`)" in text
    check("git", "stash", "--quiet", "--", "dvc.lock", "metrics", cwd=project)
    check("git", "apply", "report.patch", cwd=project)
    assert "up to date" in check("dvc", "status", cwd=project)


HOSTILE = [
    "@everyone",
    "a | b",
    "<img src=x>",
    "[x](https://example.org)",
    "`",
    "``` x",
    "#1",
    "</details>",
    "a\nb",
    "é" * 90,
]


def test_names_are_never_more_than_text(copy_of, worse: Path, read_report):
    project = copy_of(worse)
    change_params(project, data={"drop": HOSTILE, "source": "data/source/@x|`.csv"})
    for name in ("slices.json", "data.json"):
        content = json.loads((project / "metrics" / name).read_text())
        inner = content["target"] if name == "slices.json" else content["columns"]
        for at, key in enumerate(list(inner)):
            inner[HOSTILE[at % len(HOSTILE)] + str(at)] = inner.pop(key)
        (project / "metrics" / name).write_text(json.dumps(content))
    check("git", "checkout", "--quiet", "-b", "a`|@b<i>", cwd=project)
    commit(project)
    text = read_report(project, "HEAD~1", "a`|@b<i>")
    assert "everyone" in text
    for token in PARSER.parse(text):
        if token.type == "html_block":
            assert token.content.startswith(("<details><summary>", "</details>"))
        for child in token.children or []:
            assert child.type not in ("html_inline", "link_open", "image", "html_block")
            if child.type == "text":
                assert "@" not in child.content
                assert "everyone" not in child.content


def test_a_report_is_never_longer_than_a_comment_and_says_what_it_omits(copy_of, worse: Path, read_report):
    project = copy_of(worse)
    file = project / "metrics/data.json"
    content = json.loads(file.read_text())
    column = content["columns"].pop("hue", None) or content["columns"]["alcohol"]
    content["columns"] |= {f"{at} " + "é" * 50: column for at in range(3000)}
    file.write_text(json.dumps(content))
    change_params(project, data={"drop": [f"{at} " + "x" * 50 for at in range(3000)]})
    names = [f"{at}-" + "x" * 100 for at in range(900)]
    for name in names:
        (project / name).write_text("")
    check("dvc", "commit", "--force", "--quiet", cwd=project)
    commit(project)
    text = read_report(project, "HEAD~2")
    assert len(text.encode()) <= MOST_BYTES
    assert text.startswith("## Worse")
    assert re.search(r"and 29\d\d more", text), "columns"
    assert "and 870 more" in text, "files"


def test_the_command_prints_the_first_lines(worse: Path):
    out = retrace("report", "--base", "HEAD~1", cwd=worse).stdout
    assert out.startswith("## Worse: `log_loss`")
    assert out.endswith("report.md has the rest\n")
    assert check("git", "status", "--porcelain", cwd=worse) == ""
