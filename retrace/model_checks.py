"""What must hold of a model file before the model is used.

scikit-learn's compiled code follows the indices in a model without checking them: a changed file can crash the
process, never end, or return other memory as a prediction. The checks here are on what that code trusts: the trees of
forests and boosting, the columns that reach them, and the columns that a one-hot encoder fills.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._hist_gradient_boosting.binning import _BinMapper
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder
from sklearn.tree import BaseDecisionTree
from sklearn.tree._tree import Tree
from sklearn.utils.validation import check_array

MOST_OBJECTS = 2_000_000  # that skops visits in its audit of a file; a forest of 500 trees has 50,000
CHECKED = {  # the types that `check_model` covers, or whose content no compiled code trusts
    "builtins.dict",
    "builtins.int",
    "builtins.list",
    "builtins.slice",
    "builtins.str",
    "builtins.tuple",
    "functools.partial",
    "numpy.dtype",
    "numpy.float64",
    "numpy.int64",
    "numpy.ndarray",
    "numpy.random._generator.Generator",
    "numpy.uint64",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss._loss.CyHalfSquaredError",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.compose._column_transformer.ColumnTransformer",
    "sklearn.dummy.DummyClassifier",
    "sklearn.dummy.DummyRegressor",
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.ensemble._forest.RandomForestRegressor",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.impute._base.MissingIndicator",
    "sklearn.impute._base.SimpleImputer",
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.linear_model._ridge.Ridge",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing._data.StandardScaler",
    "sklearn.preprocessing._encoders.OneHotEncoder",
    "sklearn.preprocessing._encoders.OrdinalEncoder",
    "sklearn.preprocessing._function_transformer.FunctionTransformer",
    "sklearn.preprocessing._label.LabelEncoder",
    "sklearn.tree._classes.DecisionTreeClassifier",
    "sklearn.tree._classes.DecisionTreeRegressor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
}


class InvalidModelError(ValueError):
    """A model is not what fitting makes; the message says what is wrong."""


def require(condition: object, message: str) -> None:
    """Raise InvalidModelError with this message unless the condition holds."""
    if not condition:
        raise InvalidModelError(message)


def type_names(content: bytes) -> set[str]:
    """The names of all types in a model file, before anything of it is loaded.

    Raises:
        InvalidModelError: the members are larger than the file, or references could keep skops busy without end.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        size = sum(member.file_size for member in file.infolist())
        require(size <= len(content), "its members are compressed or overlap")
        schema = json.loads(file.read("schema.json"))
    nodes: list[dict[str, Any]] = []
    waiting = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            nodes += [item] if "__class__" in item else []
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    require(_visits(schema, nodes) <= MOST_OBJECTS, "references multiply its objects")
    return {f"{node['__module__']}.{node['__class__']}" for node in nodes}


def _visits(schema: Any, nodes: list[dict[str, Any]]) -> int:
    """How many objects skops visits at most where it follows each reference anew, as its audit does."""
    states: dict[Any, list[dict[str, Any]]] = {}
    for node in nodes:
        states.setdefault(node.get("__id__"), []).append(node)
    known: dict[Any, int] = {}
    open_: set[Any] = set()

    def visits(item: Any) -> int:
        if isinstance(item, list):
            return sum(visits(inner) for inner in item)
        if not isinstance(item, dict):
            return 0
        identity = item.get("__id__")
        if identity is None:
            return 1 + sum(visits(inner) for inner in item.values())
        if identity not in known:
            require(identity not in open_, "an object is a part of itself")
            open_.add(identity)
            known[identity] = max(1 + sum(map(visits, state.values())) for state in states.get(identity, [item]))
        return known[identity]

    return visits(schema)


def check_model(model: object) -> None:
    """Check everything in a loaded model that compiled code trusts.

    Raises:
        InvalidModelError: the model is not an estimator that predicts, a method is replaced, or a tree, its features
            or an encoder is not what fitting makes.
    """
    require(
        isinstance(model, BaseEstimator) and hasattr(model, "predict"), "its root is not an estimator that predicts"
    )
    for part in parts_of(model):
        replaced = [name for name in vars(part) if callable(getattr(type(part), name, None))]
        require(not replaced, f"an attribute replaces a method of {type(part).__name__}")
        if isinstance(part, BaseHistGradientBoosting):
            check_boosting(part)
        elif isinstance(part, BaseForest):
            check_forest(part)
        elif isinstance(part, BaseDecisionTree) and "tree_" in vars(part):
            check_decision_tree(part)
        elif isinstance(part, OneHotEncoder):
            check_one_hot_encoder(part)
        elif isinstance(part, FunctionTransformer):
            check_function(part.func)


def parts_of(model: object) -> Iterator[Any]:
    """The model and every object with attributes inside it, each once."""
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, type):
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list | tuple | set):
            waiting += part
        elif isinstance(part, np.ndarray):
            waiting += part.ravel().tolist() if part.dtype == object else []
        elif hasattr(part, "__dict__"):
            yield part
            waiting += vars(part).values()


def check_function(function: object) -> None:
    """Allow what boosting uses for its numeric columns (a check of an array), NumPy's ufuncs, the project's functions.

    A function of the project is one that TRUSTED in src/model.py names: any other type has been refused before.
    """
    is_own = isinstance(function, FunctionType) and function.__module__.startswith("src.")
    allowed = function is None or is_array_check(function) or isinstance(function, np.ufunc) or is_own
    require(allowed, "a FunctionTransformer calls another function")


def is_array_check(function: object) -> bool:
    """Whether a function is what boosting uses for its numeric columns: a check of an array, with options."""
    return isinstance(function, partial) and function.func is check_array and not function.args


def features_of(estimator: Any) -> int:
    """The number of columns that a fitted estimator takes, which scikit-learn compares with the data's."""
    count = vars(estimator).get("n_features_in_")
    require(type(count) is int and count > 0, f"{type(estimator).__name__} has no number of features")
    return int(count)


def check_children(left: NDArray[Any], right: NDArray[Any], inner: NDArray[np.bool_]) -> None:
    """Check that children are in the tree and come after their parent, and that each node but the first has one parent.

    Args:
        left: the index of each node's first child, shape (nodes,).
        right: the index of each node's second child, shape (nodes,).
        inner: whether each node has children, shape (nodes,).
    """
    children = np.concatenate([left[inner], right[inner]]).astype(np.int64)
    parents = np.tile(np.flatnonzero(inner), 2)
    in_range = (children > parents).all() and (children < len(left)).all()
    require(in_range, "a tree's child is out of range, or before its parent")
    require((np.bincount(children, minlength=len(left))[1:] == 1).all(), "a tree's node has no parent, or two")


def check_features(features: NDArray[Any], count: int) -> None:
    """Check that a tree splits only by features of the data."""
    require(((features >= 0) & (features < count)).all(), "a tree splits by a feature that the data doesn't have")


def check_decision_tree(estimator: Any) -> None:
    """Check one tree of a forest, or a decision tree."""
    tree = estimator.tree_
    require(type(tree) is Tree, "a decision tree holds another object in place of its tree")
    require(tree.node_count == tree.capacity >= 1, "a tree has another number of nodes than it says")
    require(tree.n_features == features_of(estimator), "a tree is of other features than its estimator")
    nodes = tree.__getstate__()["nodes"]
    left, right = nodes["left_child"], nodes["right_child"]
    inner = left != -1
    require((right[~inner] == -1).all(), "a tree's leaf has a child")
    check_children(left, right, inner)
    check_features(nodes["feature"][inner], tree.n_features)
    require(tree.max_depth == tree.compute_node_depths().max() - 1, "a tree has another depth than it says")


def check_forest(forest: Any) -> None:
    """Check that a forest's trees are trees of its features; each tree is checked as a part of its own."""
    if "estimators_" not in vars(forest):
        return  # not fitted, so that it can't predict
    features = features_of(forest)
    require(type(forest.estimators_) is list and forest.estimators_, "a forest has no trees")
    for tree in forest.estimators_:
        require(isinstance(tree, BaseDecisionTree), "a forest holds another object in place of a tree")
        require(features_of(tree) == features, "a forest's tree is of other features")


def check_boosting(model: Any) -> None:
    """Check the trees of gradient boosting, their categorical splits, and the columns that reach them."""
    if "_predictors" not in vars(model):
        return  # not fitted, so that it can't predict
    require(not getattr(model, "_in_fit", False), "boosting says that it's still being fitted")
    features = features_of(model)
    mapper = model._bin_mapper
    require(type(mapper) is _BinMapper, "boosting holds another object in place of its bins")
    categorical = mapper.is_categorical_
    flags = isinstance(categorical, np.ndarray) and categorical.dtype == np.uint8 and categorical.shape == (features,)
    require(flags, "boosting's categorical features aren't those of the data")
    require(len(mapper.bin_thresholds_) == features, "boosting's bins aren't of its features")
    if model._preprocessor is not None:
        check_preprocessor(model._preprocessor, features)
    require(type(model._predictors) is list, "boosting has no list of trees")
    for trees in model._predictors:
        require(type(trees) is list and len(trees) == model.n_trees_per_iteration_, "boosting lacks a tree")
        for tree in trees:
            check_predictor(tree, features, categorical)


def check_predictor(tree: Any, features: int, categorical: NDArray[np.bool_]) -> None:
    """Check one tree of gradient boosting."""
    require(type(tree) is TreePredictor, "boosting holds another object in place of a tree")
    nodes = tree.nodes
    is_nodes = isinstance(nodes, np.ndarray) and nodes.dtype == PREDICTOR_RECORD_DTYPE and nodes.ndim == 1
    require(is_nodes and len(nodes) >= 1, "a tree's nodes aren't an array of nodes")
    inner = nodes["is_leaf"] == 0
    check_children(nodes["left"], nodes["right"], inner)
    check_features(nodes["feature_idx"][inner], features)
    splits = nodes[inner & (nodes["is_categorical"] != 0)]
    for bitsets in (tree.raw_left_cat_bitsets, tree.binned_left_cat_bitsets):
        is_bitsets = isinstance(bitsets, np.ndarray) and bitsets.dtype == np.uint32 and bitsets.shape[1:] == (8,)
        require(is_bitsets, "a tree's sets of categories aren't an array of bits")
        require((splits["bitset_idx"] < len(bitsets)).all(), "a tree splits by a set of categories that isn't there")
    require(categorical[splits["feature_idx"]].all(), "a tree splits a number as if it were a category")


def check_preprocessor(preprocessor: Any, features: int) -> None:
    """Check that boosting's own preprocessing gives one column per feature: the categories, then the numbers."""
    require(type(preprocessor) is ColumnTransformer, "boosting holds another object in place of its preprocessing")
    require(features_of(preprocessor) == features, "boosting's preprocessing is of other features")
    require("feature_names_in_" not in vars(preprocessor), "boosting's preprocessing selects columns by name")
    kinds, masks = [], []
    for _, transformer, mask in preprocessor.transformers_:
        if isinstance(transformer, FunctionTransformer):
            require(is_array_check(transformer.func), "boosting's preprocessing calls another function")
        if type(transformer) is not str or transformer != "drop":  # the remainder, of no columns
            kinds.append(type(transformer))
            masks.append(mask)
    require(kinds == [OrdinalEncoder, FunctionTransformer], "boosting's preprocessing has other steps")
    both = all(_is_mask(mask, features) for mask in masks) and (masks[0] ^ masks[1]).all()
    require(both, "boosting's preprocessing leaves out columns")


def _is_mask(value: object, features: int) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == bool and value.shape == (features,)


def check_one_hot_encoder(encoder: Any) -> None:
    """Check that each category's column is one of the encoder's columns."""
    if "categories_" not in vars(encoder):
        return  # not fitted, so that it can't transform
    features = features_of(encoder)
    grouped = encoder._infrequent_enabled
    mappings = encoder._default_to_infrequent_mappings if grouped else [None] * features
    rare = encoder._infrequent_indices if grouped else [None] * features
    widths = encoder._n_features_outs
    require(encoder.drop is None and encoder._drop_idx_after_grouping is None, "an encoder drops categories")
    same = len(encoder.categories_) == len(mappings) == len(rare) == len(widths) == features
    require(same, "an encoder is of other features than it says")
    for categories, mapping, rare_codes, width in zip(encoder.categories_, mappings, rare, widths, strict=True):
        require((mapping is None) == (rare_codes is None), "an encoder's rare categories have no column")
        if categories.dtype != object:  # scikit-learn finds numbers by bisection
            ordered = np.array_equal(np.sort(categories), categories, equal_nan=categories.dtype.kind == "f")
            require(ordered, "an encoder's categories aren't sorted")
        columns = np.arange(len(categories)) if mapping is None else np.asarray(mapping)
        in_range = columns.dtype.kind == "i" and len(columns) and columns.min() >= 0 and columns.max() < width
        require(in_range, "an encoder's category has no column")
