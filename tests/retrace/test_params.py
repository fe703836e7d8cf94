"""params.yaml is checked as a whole, and each mistake is one line that names the key."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import parse_yaml
from hypothesis import given
from hypothesis import strategies as st

from retrace.params import Params, Search, read_params
from retrace.yaml_files import read_yaml_text
from tests.conftest import ROOT

GOOD: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
GONE = object()


def changed(key: str, value: Any) -> dict[str, Any]:
    """The project's parameters with one key replaced, added or (GONE) left out."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    section = content
    *path, last = key.split(".")
    for part in path:
        section = section[part]
    if value is GONE:
        del section[last]
    else:
        section[last] = value
    return content


def complaint(tmp_path: Path, text: str) -> str:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(SystemExit) as error:
        read_params(file)
    message = str(error.value)
    assert "\n" not in message
    return message.removeprefix(str(tmp_path) + "/")


def test_the_projects_own_parameters_are_in_order():
    assert read_params(ROOT / "params.yaml").data.target == "late"


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("train.argumnets", {}, "train.argumnets: unknown key"),
        ("extra", {}, "extra: unknown key"),
        ("train.arguments", GONE, "train.arguments: missing key"),
        ("gate", GONE, "gate: missing key"),
        ("train.seed", "first", 'train.seed: must be a valid integer, not "first"'),
        ("train.seed", -1, "train.seed: must be greater than or equal to 0, not -1"),
        ("gate.floor", float("inf"), "gate.floor: must be a finite number"),
        ("train.seed", True, "train.seed: must be a valid integer, not true"),
        ("train.seed", None, "train.seed: must be a valid integer, not null"),
        ("train.seed", 1.5, "train.seed: must be a valid integer"),
        ("train.model", "XGBoost", "train.model: must be the import path of an estimator, such as sklearn.ensemble."),
        ("train.model", "a b.c", "train.model: must be the import path of an estimator"),
        ("train.arguments", [], "train.arguments: must be a valid dictionary"),
        ("data.weight", "late", "data: weight and target name the same column"),
        ("data.weight", "departure", "data: weight names the column of another role"),
        ("data.weight", GONE, "data.weight: missing key"),
        ("train.refits", 1, "train.refits: must be greater than or equal to 2"),
        ("train.memory", 0, "train.memory: must be greater than 0, not 0"),
        ("train.memory", GONE, "train.memory: missing key"),
        ("data.task", "ranking", "data.task: must be 'classification' or 'regression'"),
        ("data.set", "../flights", "data.set: must match"),
        ("data.drop", ["a", "a"], "data.drop: names a twice"),
        ("data.drop", ["late"], "data: target names a column that drop leaves out"),
        ("data.id", "late", "data: id and target name the same column"),
        ("data.target", " ", "data.target: must not be empty"),
        ("split.valid_from", "2013-11-01", "split: valid_from must come before test_from"),
        ("split.valid_from", 5, "split: valid_from and test_from must both be dates or both be numbers"),
        ("split.valid_from", "autumn", 'split.valid_from: must be a date such as "2013-09-01"'),
        ("split.block", "year", "split.block: must be 'hour', 'day', 'week' or 'month', not \"year\""),
        ("split.block", GONE, "split.block: missing key"),
        (
            "split",
            {"by": "time", "valid_from": 1, "test_from": 2, "block": "day", "purge": False},
            "split: block must be null where time is a number",
        ),
        ("split.purge", True, "split.purge removes groups from train, but data.group is null"),
        ("data.group", "origin", "split.block has no effect where data.group says what is drawn together"),
        ("split", {"by": "random", "valid": 0.6, "test": 0.4, "seed": 1}, "split: valid and test together"),
        ("split", {"by": "week"}, "split: 'by' must be one of 'time', 'group', 'random', not"),
        ("split", {}, "split: the key 'by' is missing"),
        ("data.time", None, "split.by is time, but data.time is null"),
        ("evaluate.resamples", 10, "evaluate.resamples: must be greater than or equal to 100"),
        ("data.source", "s3://bucket/table.csv", "data.source: must be a path relative to the project"),
        ("data.source", "https://example.org/table.csv", "data.source: must be a path relative to the project"),
        ("data.source", "remote://storage/table.csv", "data.source: must be a path relative to the project"),
        ("data.source", "/etc/passwd", "data.source: must be a path relative to the project"),
        ("data.source", "~/table.csv", "data.source: must be a path relative to the project"),
        ("data.source", "C:\\table.csv", "data.source: must be a path relative to the project"),
        ("data.source", "data/../../table.csv", "data.source: must be a path inside the project, without .."),
        ("data.private", ["carrier"], "evaluate.slices would show the values of the private column carrier"),
        ("gate.baselines", GONE, "gate.baselines: missing key"),
        ("gate.baselines", ["prior", "best"], "gate.baselines.1: must be 'prior', 'linear' or 'best_constant_action'"),
        ("gate.baselines", ["prior", "prior"], "gate.baselines: names prior twice"),
        ("problem.costs", None, "gate.baselines: best_constant_action needs problem.costs"),
        ("gate.metric", "rmse", "gate: smallest_difference must name the metric rmse"),
        ("data.positive", None, "problem.costs need data.positive"),
        ("data.set", "houses", "data.set: there is no src/datasets/houses.py"),
        ("data.id", "departure", "data: id names the column of another role"),
        ("data.id_columns", ["carrier"], "data: id and id_columns are both set: make id null, or id_columns []"),
        ("data.id_columns", ["a", "b", "a"], "data.id_columns: names a twice"),
        ("data", GOOD["data"] | {"id": None, "id_columns": ["late"]}, "data: id_columns names the target"),
        ("problem.costs.false_negative", 0, "problem.costs.false_negative: must be greater than 0"),
        ("problem.question", "", "problem.question: must not be empty"),
    ],
)
def test_a_mistake_is_one_line_that_names_its_key(tmp_path: Path, key: str, value: Any, line: str):
    message = complaint(tmp_path, yaml.safe_dump(changed(key, value)))
    assert message.startswith("params.yaml: ")
    assert line in message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1\nb: 2", "params.yaml, line 2: not valid YAML, here or just before"),
        ("a: 1\nb: 2\na: 3", "params.yaml, line 3: not valid YAML, here or just before: duplicate key a"),
        ("a: 2013-13-01", "params.yaml: not valid YAML: month must be in 1..12"),
        (
            "{{ a }}: 1",
            "params.yaml, line 1: not valid YAML, here or just before: a key must be a single word or number",
        ),
        ("", "params.yaml: holds no sections"),
        ("just text", "params.yaml: holds no sections"),
        ("a: \x00", "params.yaml: not valid YAML"),
    ],
)
def test_a_file_that_is_not_yaml_is_one_line(tmp_path: Path, text: str, line: str):
    assert complaint(tmp_path, text).startswith(line)


def test_a_file_in_another_encoding_or_none_is_one_line(tmp_path: Path):
    with pytest.raises(SystemExit, match="no such file"):
        read_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(SystemExit, match="not text in UTF-8"):
        read_params(tmp_path / "params.yaml")


def test_numbers_that_yaml_reads_as_text_are_numbers(tmp_path: Path):
    text = yaml.safe_dump(GOOD).replace("learning_rate: 0.05", "learning_rate: 1e-05")
    text = text.replace("floor: 0.7", "floor: 1e-05")
    assert yaml.safe_load(text)["gate"]["floor"] == "1e-05"
    assert yaml.safe_load(text)["train"]["arguments"]["learning_rate"] == "1e-05"
    (tmp_path / "params.yaml").write_text(text)
    params = read_params(tmp_path / "params.yaml")
    assert (params.gate.floor, params.train.arguments["learning_rate"]) == (1e-05, 1e-05)


def test_a_mistyped_key_is_told_with_the_one_that_is_missing(tmp_path: Path):
    text = yaml.safe_dump(GOOD).replace("arguments:", "argumnets:")
    line = "params.yaml: train.argumnets: unknown key; train.arguments: missing key"
    assert complaint(tmp_path, text) == line


def test_several_mistakes_are_counted(tmp_path: Path):
    content = changed("train.refits", 0)
    content["data"]["task"] = "ranking"
    assert "(and 1 more)" in complaint(tmp_path, yaml.safe_dump(content))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from([f"{section}.{key}" for section, content in GOOD.items() for key in content] + list(GOOD))


@pytest.mark.parametrize(
    "text", ["yes", "no", "on", "Off", "n", "12:30:45", "1e-05", "0.1", "true", "~", "-7", ".inf", "1_000"]
)
def test_a_value_is_what_dvc_takes_it_for(text: str):
    assert read_yaml_text(f"a: {text}", "a") == parse_yaml(f"a: {text}", "a")


@given(keys, anything)
def test_any_value_of_any_key_is_taken_or_refused_in_one_line(tmp_path_factory: Any, key: str, value: Any):
    file = tmp_path_factory.mktemp("params") / "params.yaml"
    file.write_text(yaml.safe_dump(changed(key, value), allow_unicode=True), encoding="utf-8")
    try:
        assert isinstance(read_params(file), Params)
    except SystemExit as error:
        message = str(error)
    else:
        message = str(file)
    assert "\n" not in message
    assert str(file) in message


def test_moments_with_a_time_zone_are_utc(tmp_path: Path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed("split.valid_from", "2013-09-01T02:00:00+02:00")))
    assert read_params(tmp_path / "params.yaml").split.valid_from == datetime(2013, 9, 1)


def test_a_date_without_quotes_which_dvc_cannot_read_is_refused(tmp_path: Path):
    text = (ROOT / "params.yaml").read_text().replace("'2013-09-01'", "2013-09-01")
    assert complaint(tmp_path, text) == "params.yaml: split.valid_from: a date needs quotes, or DVC can't read it"


def test_the_classes_of_the_target_cannot_be_private(tmp_path: Path):
    told = complaint(tmp_path, yaml.safe_dump(changed("data.private", [GOOD["data"]["target"]])))
    assert "data.private can't name the target" in told


def test_more_than_five_columns_of_slices_are_refused(tmp_path: Path):
    """Each adds scores of pools of ten rows: with about ten columns every row's loss can be solved for."""
    told = complaint(tmp_path, yaml.safe_dump(changed("evaluate.slices", list("abcdef"))))
    assert "evaluate.slices: " in told
    assert "5" in told


@pytest.mark.filterwarnings("error")
def test_a_search_space_is_written_as_it_was_read():
    space = {"depth": {"low": 1, "high": 9, "log": False}, "weights": {"choices": [None, "balanced"]}}
    settings = {"trials": 1, "batch": 1, "folds": 2, "seed": 1, "space": space}
    assert Search.model_validate(settings).model_dump(mode="json") == settings
