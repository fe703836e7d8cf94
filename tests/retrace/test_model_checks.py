"""A model file whose content would lead compiled code astray is refused in one line, before it predicts."""

import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree._tree import Tree
from sklearn.utils.validation import check_array

from retrace.estimators import fit_model
from retrace.model_checks import check_model
from retrace.models import load_model, save_model
from retrace.params import Train
from src.model import build
from tests.conftest import ROOT

RNG = np.random.default_rng(0)
ROWS = 300
TABLE = pd.DataFrame(
    {
        "size": RNG.normal(size=ROWS),
        "age": np.where(RNG.random(ROWS) < 0.1, np.nan, RNG.normal(size=ROWS)),
        "city": pd.Series(RNG.choice([f"city {n}" for n in range(130)], ROWS), dtype="str"),
        "flag": RNG.random(ROWS) > 0.5,
    }
)
TARGETS: dict[str, tuple[str, Any]] = {
    "two classes": ("classification", (TABLE["size"] > 0).to_numpy()),
    "multiclass": ("classification", np.array(["a", "b", "c"])[np.digitize(TABLE["size"], [-0.5, 0.5])]),
    "regression": ("regression", TABLE["size"].to_numpy()),
}
BOOSTING = {"max_iter": 3, "min_samples_leaf": 5, "early_stopping": True}
MODELS: dict[str, dict[str, dict[str, Any]]] = {
    "classification": {
        "sklearn.dummy.DummyClassifier": {},
        "sklearn.ensemble.HistGradientBoostingClassifier": BOOSTING,
        "sklearn.ensemble.RandomForestClassifier": {"n_estimators": 3},
        "sklearn.linear_model.LogisticRegression": {},
    },
    "regression": {
        "sklearn.dummy.DummyRegressor": {},
        "sklearn.ensemble.HistGradientBoostingRegressor": BOOSTING,
        "sklearn.ensemble.RandomForestRegressor": {"n_estimators": 3},
        "sklearn.linear_model.Ridge": {},
    },
}
COLUMNS = [["size", "age", "city", "flag"], ["size", "age"], ["city"]]


def fitted(model: str, task: Any, table: pd.DataFrame, values: Any, **arguments: Any) -> Pipeline:
    """The model of src/model.py with this estimator, fitted."""
    train = Train(model=model, arguments=arguments, seed=0, refits=2, memory=16)
    return fit_model(build(train, task, table, seed=0), table, values, {})


def boosting(target: str = "two classes") -> Pipeline:
    task, values = TARGETS[target]
    kind = "Regressor" if task == "regression" else "Classifier"
    return fitted(f"sklearn.ensemble.HistGradientBoosting{kind}", task, TABLE, values, **BOOSTING)


def forest(target: str = "two classes") -> Pipeline:
    task, values = TARGETS[target]
    kind = "Regressor" if task == "regression" else "Classifier"
    return fitted(f"sklearn.ensemble.RandomForest{kind}", task, TABLE, values, n_estimators=3)


def linear() -> Pipeline:
    task, values = TARGETS["two classes"]
    return fitted("sklearn.linear_model.LogisticRegression", task, TABLE, values)


def refused(model: BaseEstimator, folder: Path, reason: str) -> None:
    """The file of this model is refused in one line with this reason."""
    file = folder / "model.skops"
    save_model(model, file)
    with pytest.raises(SystemExit) as error:
        load_model(file)
    line = str(error.value)
    assert reason in line
    assert "\n" not in line
    assert line.startswith(f"{file}: ")
    assert line.endswith("`dvc repro`")


def set_nodes(tree: Tree, change: Callable[[np.ndarray], object]) -> None:
    """Change a fitted tree's nodes, as a changed file would."""
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    change(nodes)
    tree.__setstate__(state | {"nodes": nodes, "node_count": len(nodes), "values": state["values"].copy()})


@pytest.mark.parametrize("target", TARGETS)
def test_models_whose_content_can_be_checked_load_whatever_their_columns(tmp_path: Path, target: str):
    task, values = TARGETS[target]
    for columns in COLUMNS:
        table = TABLE[columns]
        for name, arguments in MODELS[task].items():
            model = fitted(name, task, table, values, **arguments)
            save_model(model, tmp_path / "model.skops")
            np.testing.assert_array_equal(load_model(tmp_path / "model.skops").predict(table), model.predict(table))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("left", 2**31, "child is out of range"),
        ("right", 2**32 - 1, "child is out of range"),
        ("left", 0, "before its parent"),
        ("right", 1, "no parent, or two"),
        ("feature_idx", 4, "feature that the data doesn't have"),
        ("feature_idx", -1, "feature that the data doesn't have"),
        ("feature_idx", 2**40, "feature that the data doesn't have"),
    ],
)
def test_boosting_with_a_wrong_index_is_refused(tmp_path: Path, target: str, field: str, value: int, reason: str):
    model = boosting(target)
    model[-1]._predictors[-1][-1].nodes[field][0] = value
    refused(model, tmp_path, reason)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("left_child", 10**6, "child is out of range"),
        ("right_child", -5, "child is out of range"),
        ("right_child", -1, "child is out of range"),
        ("left_child", -2, "child is out of range"),
        ("left_child", 0, "before its parent"),
        ("right_child", 1, "no parent, or two"),
        ("feature", 4, "feature that the data doesn't have"),
        ("feature", -2, "feature that the data doesn't have"),
        ("left_child", -1, "leaf has a child"),
    ],
)
def test_a_forest_with_a_wrong_index_is_refused(tmp_path: Path, target: str, field: str, value: int, reason: str):
    model = forest(target)

    def change(nodes: np.ndarray) -> None:
        nodes[field][0] = value

    set_nodes(model[-1].estimators_[-1].tree_, change)
    refused(model, tmp_path, reason)


def _categorical_split(model: Pipeline) -> tuple[Any, int]:
    """A tree of boosting, and one of its nodes that splits by categories."""
    for trees in model[-1]._predictors:
        for tree in trees:
            found = np.flatnonzero((tree.nodes["is_leaf"] == 0) & (tree.nodes["is_categorical"] == 1))
            if len(found):
                return tree, int(found[0])
    raise AssertionError("no tree splits by categories")


def _categories_only() -> Pipeline:
    table = pd.DataFrame({"city": pd.Series(list("abcdef") * 50, dtype="str")})
    target = table["city"].isin(["a", "c", "f"]).to_numpy()
    return fitted("sklearn.ensemble.HistGradientBoostingClassifier", "classification", table, target, max_iter=3)


@pytest.mark.parametrize("value", [2**31, 10**4])
def test_a_set_of_categories_out_of_range_is_refused(tmp_path: Path, value: int):
    model = _categories_only()
    tree, node = _categorical_split(model)
    tree.nodes["bitset_idx"][node] = value
    refused(model, tmp_path, "set of categories that isn't there")


@pytest.mark.parametrize("name", ["raw_left_cat_bitsets", "binned_left_cat_bitsets"])
@pytest.mark.parametrize("broken", [lambda sets: sets[:0], lambda sets: sets[:, :1], lambda sets: sets.astype("i8")])
def test_sets_of_categories_of_another_shape_or_type_are_refused(tmp_path: Path, name: str, broken: Callable):
    model = _categories_only()
    tree, _ = _categorical_split(model)
    setattr(tree, name, np.ascontiguousarray(broken(getattr(tree, name))))
    refused(model, tmp_path, "categories")


def _shorten(model: Any) -> None:
    model._predictors[0][0].nodes = model._predictors[0][0].nodes[:2]


def _empty(model: Any) -> None:
    model._predictors[0][0].nodes = model._predictors[0][0].nodes[:0]


def _retype(model: Any) -> None:
    model._predictors[0][0].nodes = np.zeros(3)


def _other_tree(model: Any) -> None:
    model._predictors[0][0] = StandardScaler()


def _other_list(model: Any) -> None:
    model._predictors[0] = model._predictors[0] * 2


def _still_fitting(model: Any) -> None:
    model._in_fit = True


def _fewer_features(model: Any) -> None:
    model.n_features_in_ = 2


def _no_features(model: Any) -> None:
    del model.n_features_in_


def _fewer_flags(model: Any) -> None:
    model._bin_mapper.is_categorical_ = np.zeros(1, dtype=np.uint8)


def _other_bins(model: Any) -> None:
    model._bin_mapper = StandardScaler()


def _no_encoder(model: Any) -> None:
    model._preprocessor.transformers_ = model._preprocessor.transformers_[1:]


def _narrow(model: Any) -> None:
    (_, encoder, mask), *others = model._preprocessor.transformers_
    model._preprocessor.transformers_ = [("encoder", encoder, np.zeros_like(mask)), *others]


def _other_preprocessor(model: Any) -> None:
    model._preprocessor = FunctionTransformer(partial(check_array))


def _by_name(model: Any) -> None:
    model._preprocessor.feature_names_in_ = np.array(list("abcd"), dtype=object)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_shorten, "child is out of range"),
        (_empty, "aren't an array of nodes"),
        (_retype, "damaged or incomplete model file"),
        (_other_tree, "another object in place of a tree"),
        (_other_list, "boosting lacks a tree"),
        (_still_fitting, "still being fitted"),
        (_fewer_features, "categorical features aren't those of the data"),
        (_no_features, "has no number of features"),
        (_fewer_flags, "categorical features aren't those of the data"),
        (_other_bins, "another object in place of its bins"),
        (_no_encoder, "has other steps"),
        (_narrow, "leaves out columns"),
        (_other_preprocessor, "another object in place of its preprocessing"),
        (_by_name, "selects columns by name"),
    ],
)
def test_boosting_of_other_parts_is_refused(tmp_path: Path, change: Callable, reason: str):
    model = boosting()
    change(model[-1])
    refused(model, tmp_path, reason)


def test_a_method_replaced_by_an_attribute_is_refused(tmp_path: Path):
    model = forest()
    model[-1]._validate_X_predict = partial(check_array, dtype=np.float64)
    refused(model, tmp_path, "replaces a method of RandomForestClassifier")


def test_a_target_transformed_by_numpys_functions_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp).fit([[1], [2], [3]], [1, 3, 4])
    save_model(model, tmp_path / "model.skops")
    monkeypatch.setattr("retrace.models.is_in_lock", lambda *_: True)  # as after the stage has run
    np.testing.assert_array_equal(load_model(tmp_path / "model.skops").predict([[2]]), model.predict([[2]]))


def test_a_function_in_place_of_the_check_of_arrays_is_refused(tmp_path: Path):
    model = boosting()
    other = partial(check_array, np.zeros((9, 1)))
    model[-1]._preprocessor.transformers_[1][1].func = other
    refused(model, tmp_path, "calls another function")
    other.__module__ = "src.own"  # which a file can say of any function with attributes
    refused(model, tmp_path, "calls another function")


def test_a_forest_of_other_parts_is_refused(tmp_path: Path):
    model = forest()
    model[-1].n_features_in_ = 9
    refused(model, tmp_path, "tree is of other features")
    model = forest()
    model[-1].estimators_[0] = LogisticRegression()
    refused(model, tmp_path, "another object in place of a tree")
    model = forest()
    model[-1].estimators_ = []
    refused(model, tmp_path, "no trees")
    model = forest()
    model[-1].estimators_[0].tree_ = StandardScaler()
    refused(model, tmp_path, "another object in place of its tree")
    model = forest()
    model[-1].estimators_[0].tree_ = Tree(4, np.array([2]), 1)  # has no nodes at all
    refused(model, tmp_path, "another number of nodes than it says")
    model = forest()
    model[-1].estimators_[0].tree_.max_depth = 0
    refused(model, tmp_path, "another depth than it says")


def _shorten_count(schema: Any) -> None:
    """Let the trees of a file say that they have one node, so that the others would not be seen."""
    if isinstance(schema, list):
        for item in schema:
            _shorten_count(item)
    elif isinstance(schema, dict):
        if schema.get("__loader__") == "TreeNode":
            schema["content"]["content"]["node_count"]["content"] = "1"
        for item in schema.values():
            _shorten_count(item)


def _rewrite(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the schema of a model file."""
    with zipfile.ZipFile(file) as old:
        members = {name: old.read(name) for name in old.namelist()}
    schema = json.loads(members["schema.json"])
    change(schema)
    with zipfile.ZipFile(file, "w") as new:
        for name, content in (members | {"schema.json": json.dumps(schema).encode()}).items():
            new.writestr(name, content)


def test_a_tree_that_says_it_has_fewer_nodes_is_refused(tmp_path: Path):
    file = tmp_path / "model.skops"
    save_model(forest(), file)
    _rewrite(file, _shorten_count)
    with pytest.raises(SystemExit, match="another number of nodes than it says"):
        load_model(file)


def test_an_array_cut_short_is_refused(tmp_path: Path):
    file = tmp_path / "model.skops"
    save_model(boosting(), file)
    with zipfile.ZipFile(file) as old:
        members = {name: old.read(name) for name in old.namelist()}
    longest = max((name for name in members if name.endswith(".npy")), key=lambda name: len(members[name]))
    with zipfile.ZipFile(file, "w") as new:
        for name, content in (members | {longest: members[longest][:-40]}).items():
            new.writestr(name, content)
    with pytest.raises(SystemExit, match="damaged or incomplete model file"):
        load_model(file)


def _too_few_columns(encoder: Any) -> None:
    encoder._n_features_outs = [1]


def _unordered(encoder: Any) -> None:
    encoder.categories_ = [encoder.categories_[0][::-1].copy()]


@pytest.mark.parametrize(
    ("change", "reason"), [(_too_few_columns, "category has no column"), (_unordered, "aren't sorted")]
)
def test_an_encoder_whose_columns_do_not_fit_is_refused(tmp_path: Path, change: Callable, reason: str):
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(np.arange(20).reshape(-1, 1) % 5, [0, 1] * 10)
    change(model[0])
    refused(model, tmp_path, reason)
    model = linear()
    encoder = model[0].named_transformers_["categories"]
    encoder._default_to_infrequent_mappings = [encoder._default_to_infrequent_mappings[0] + 10**6]
    refused(model, tmp_path, "category has no column")


def test_a_root_that_does_not_predict_is_refused(tmp_path: Path):
    refused(StandardScaler().fit(np.ones((3, 1))), tmp_path, "not an estimator that predicts")
    refused({"a": 1}, tmp_path, "not an estimator that predicts")
    refused(make_pipeline(StandardScaler()), tmp_path, "not an estimator that predicts")


def test_a_compressed_file_is_refused_before_it_is_unpacked(tmp_path: Path):
    file = tmp_path / "model.skops"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bomb, bomb.open("schema.json", "w") as member:
        for _ in range(200):
            member.write(b" " * 10**6)
    with pytest.raises(SystemExit, match="compressed or overlap"):
        load_model(file)


def _list_node(content: list[Any], identity: int) -> dict[str, Any]:
    return {
        "__class__": "list",
        "__module__": "builtins",
        "__loader__": "ListNode",
        "content": content,
        "__id__": identity,
    }


def _write_schema(file: Path, root: dict[str, Any]) -> None:
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("schema.json", json.dumps(root | {"protocol": 2, "_skops_version": "0.14"}))


def test_references_that_multiply_are_refused_at_once(tmp_path: Path):
    file, root = tmp_path / "model.skops", _list_node([], 1)
    for identity in range(2, 60):
        root = _list_node([root, _list_node([], identity - 1)], identity)
    _write_schema(file, root)
    began = time.perf_counter()
    with pytest.raises(SystemExit, match="references multiply its objects"):
        load_model(file)
    _write_schema(file, _list_node([_list_node([_list_node([], 1)], 2)], 1))
    with pytest.raises(SystemExit, match="a part of itself"):
        load_model(file)
    assert time.perf_counter() - began < 5


def test_a_type_that_cannot_be_checked_loads_only_as_the_file_that_dvc_lock_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    numbers = TABLE[["size"]].to_numpy()
    model, file = SVC().fit(numbers, TARGETS["two classes"][1]), Path("models/model.skops")
    save_model(model, file)
    with pytest.raises(SystemExit, match=r"sklearn\.svm\._classes\.SVC can't be checked, and dvc\.lock doesn't name"):
        load_model(file)
    md5 = subprocess.run(["md5sum", file], capture_output=True, text=True, check=True).stdout.split()[0]
    lock = {"stages": {"train": {"cmd": "x", "outs": [{"path": file.as_posix(), "md5": md5}]}}}
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    np.testing.assert_array_equal(load_model(file).predict(numbers), model.predict(numbers))
    save_model(SVC(C=2).fit(numbers, TARGETS["two classes"][1]), file)
    with pytest.raises(SystemExit, match=r"dvc\.lock doesn't name this file"):
        load_model(file)


@pytest.mark.parametrize(
    ("model", "most"),
    [
        (HistGradientBoostingClassifier(max_iter=150, max_leaf_nodes=31, early_stopping=False), 0.03),
        (RandomForestClassifier(500, min_samples_leaf=5, random_state=0), 0.2),
    ],
)
def test_the_checks_take_little_time(model: Any, most: float):
    table = np.random.default_rng(1).normal(size=(4000, 8))
    model.fit(table, table[:, 0] + table[:, 1] > 0)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        check_model(model)
        times.append(time.perf_counter() - began)
    assert min(times) < most


UNCHECKED = """
import sys
import numpy as np
from skops.io import load
from retrace.models import TRUSTED
model = load(sys.argv[1], trusted=TRUSTED)
print(model.predict(np.full((20_000, 2), 0.5)).max())
"""


def _unchecked(file: Path) -> str:
    """What becomes of a file that is used without the checks: a crash, a hang, or what it prints."""
    try:
        command = [sys.executable, "-c", UNCHECKED, file]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "hangs"
    return "crashes" if done.returncode < 0 else done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["boosting", "forest"])
@pytest.mark.parametrize(
    ("what", "becomes"), [("far child", "crashes"), ("cycle", "hangs"), ("far feature", "crashes")]
)
def test_without_the_checks_such_files_crash_or_hang(tmp_path: Path, kind: str, what: str, becomes: str):
    table = np.random.default_rng(1).normal(size=(400, 2))
    target = (table[:, 0] > 0).astype(float)
    if kind == "boosting":
        model = make_pipeline(HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=2)).fit(table, target)
        nodes = model[-1]._predictors[0][0].nodes
        left, right, feature, far = "left", "right", "feature_idx", 2**31
    else:
        model = make_pipeline(RandomForestRegressor(n_estimators=2, random_state=0)).fit(table, target)
        nodes = model[-1].estimators_[0].tree_.__getstate__()["nodes"]
        left, right, feature, far = "left_child", "right_child", "feature", 2**40
    changes: dict[str, Callable[[], object]] = {
        "far child": lambda: [nodes[side].__setitem__(0, far) for side in (left, right)],
        "cycle": lambda: [nodes[side].__setitem__(0, 0) for side in (left, right)],
        "far feature": lambda: nodes[feature].__setitem__(0, 2**40),
    }
    changes[what]()
    file = tmp_path / "model.skops"
    save_model(model, file)
    assert _unchecked(file) == becomes
    with pytest.raises(SystemExit, match="invalid model"):
        load_model(file)
