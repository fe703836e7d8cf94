"""The model: preprocessing and an estimator, as one scikit-learn Pipeline.

`train` in params.yaml names the estimator by its import path (`model`) and gives its arguments (`arguments`). Any
estimator with scikit-learn's interface works that can be created without arguments; a classifier needs
`predict_proba`.

This is the file to edit when the model needs more than other arguments: another treatment of a column, features made
from others, a wrapper around the estimator. docs/model.md shows such changes. A class of your own goes into a module of
its own under src/. Name it in `TRUSTED` below, and name its module in dvc.yaml among the dependencies of `train` and
`evaluate`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from retrace.estimators import IntegerClasses, Task, argument_name, estimator_class, make_estimator
from retrace.examples import is_number
from retrace.params import Train

# Classes and functions of your own that model files may hold, such as "src.holidays.HolidayFlags".
TRUSTED: list[str] = []
MOST_CATEGORIES = 254  # in a column, because boosting has 255 bins; the rarest categories are merged into one

ColumnArguments = Callable[[list[str], list[str]], dict[str, Any]]


def columns_by_kind(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The features that are numbers, and those that are categories; columns without any value are left out."""
    present = [name for name in table.columns if table[name].notna().any()]
    numbers = [name for name in present if is_number(table[name])]
    categories = [name for name in present if name not in numbers]
    return numbers, categories


def tree_preprocessor(numbers: list[str], categories: list[str]) -> ColumnTransformer:
    """Numbers as they are, then categories as codes: rare ones share a code, and unseen ones count as missing.

    Missing values stay missing, for estimators that can learn from that.
    """
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=MOST_CATEGORIES,
    )
    return ColumnTransformer([("numbers", "passthrough", numbers), ("categories", codes, categories)])


def linear_preprocessor(numbers: list[str], categories: list[str]) -> ColumnTransformer:
    """Numbers scaled, then a column for each category; no value is missing.

    A missing number becomes the median, with a column that marks it. Rare and unseen categories share a column.
    """
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    flags = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=100)
    return ColumnTransformer([("numbers", scaled, numbers), ("categories", flags, categories)], sparse_threshold=1)


def dense_preprocessor(numbers: list[str], categories: list[str]) -> ColumnTransformer:
    """The columns of `linear_preprocessor` as a dense array, which every estimator takes."""
    return linear_preprocessor(numbers, categories).set_params(sparse_threshold=0)


def no_arguments(_numbers: list[str], _categories: list[str]) -> dict[str, Any]:
    """For an estimator that isn't told which columns are categories."""
    return {}


def positions_of_categories(numbers: list[str], categories: list[str]) -> list[int]:
    """The positions of the categories among the preprocessed columns: they come after the numbers."""
    return list(range(len(numbers), len(numbers) + len(categories)))


def boosting_categories(numbers: list[str], categories: list[str]) -> dict[str, Any]:
    """The argument of scikit-learn's histogram boosting."""
    return {"categorical_features": positions_of_categories(numbers, categories)}


def lightgbm_categories(numbers: list[str], categories: list[str]) -> dict[str, Any]:
    """The argument of LightGBM's `fit`."""
    return {"categorical_feature": positions_of_categories(numbers, categories)}


def xgboost_categories(numbers: list[str], categories: list[str]) -> dict[str, Any]:
    """The arguments of XGBoost: `q` is for quantities, `c` for categories."""
    return {"enable_categorical": True, "feature_types": ["q"] * len(numbers) + ["c"] * len(categories)}


class Support(NamedTuple):
    """What an estimator needs besides its arguments in params.yaml.

    Attributes:
        preprocessor: makes the preprocessing, from the names of the numbers and of the categories.
        arguments: defaults by which training gives the same model on any machine, with any number of threads. If
            params.yaml overrides one of them, the same bytes are not promised.
        category_arguments: the arguments that tell the estimator which of the preprocessed columns are categories.
        category_fit_arguments: the same, for an estimator whose `fit` takes them.
        integer_classes: whether the estimator takes only the classes 0, 1, 2, …
    """

    preprocessor: Callable[[list[str], list[str]], ColumnTransformer]
    arguments: dict[str, Any]
    category_arguments: ColumnArguments = no_arguments
    category_fit_arguments: ColumnArguments = no_arguments
    integer_classes: bool = False


BOOSTING = Support(tree_preprocessor, {}, category_arguments=boosting_categories)
FOREST = Support(tree_preprocessor, {"n_jobs": 1})  # several threads would add up the trees in any order
# newton-cholesky converges to the same digits on every machine. The default, lbfgs, doesn't.
LOGISTIC_REGRESSION = Support(linear_preprocessor, {"solver": "newton-cholesky"})
LIGHTGBM = Support(
    tree_preprocessor,
    {
        "deterministic": True,
        "device_type": "cpu",
        "force_col_wise": True,
        "n_jobs": 0,  # as many threads as OpenMP has; LightGBM stores any other number in the model
        "verbosity": -1,
    },
    category_fit_arguments=lightgbm_categories,
)
XGBOOST = Support(
    tree_preprocessor,
    {"booster": "gbtree", "device": "cpu", "tree_method": "hist"},
    category_arguments=xgboost_categories,
)
SUPPORTED = {  # the estimators whose model files are the same to the byte on every machine
    "sklearn.ensemble.HistGradientBoostingClassifier": BOOSTING,
    "sklearn.ensemble.HistGradientBoostingRegressor": BOOSTING,
    "sklearn.ensemble.RandomForestClassifier": FOREST,
    "sklearn.ensemble.RandomForestRegressor": FOREST,
    "sklearn.linear_model.LogisticRegression": LOGISTIC_REGRESSION,
    "sklearn.linear_model.Ridge": Support(linear_preprocessor, {"solver": "auto"}),
    "lightgbm.LGBMClassifier": LIGHTGBM,
    "lightgbm.LGBMRegressor": LIGHTGBM,
    "xgboost.XGBClassifier": XGBOOST._replace(integer_classes=True),
    "xgboost.XGBRegressor": XGBOOST,
}
ANY_OTHER = Support(dense_preprocessor, {})


def support_for(train: Train) -> Support:
    """What the estimator that `train` names needs, by the class itself: a class may have several import paths."""
    chosen = estimator_class(train.model)
    for path, support in SUPPORTED.items():
        if path.partition(".")[0] == train.model.partition(".")[0] and estimator_class(path) is chosen:
            return support
    return ANY_OTHER


def promises_same_bytes(train: Train) -> bool:
    """Whether the model file is the same on every machine."""
    support = support_for(train)
    if support is ANY_OTHER or train.arguments.get("random_state", 0) is None:
        return False
    fixed = {argument_name(train.model, name): value for name, value in support.arguments.items()}
    return all(fixed.get(argument_name(train.model, name), value) == value for name, value in train.arguments.items())


def build(train: Train, task: Task, table: pd.DataFrame, seed: int) -> Pipeline:
    """The unfitted model.

    Args:
        train: the estimator and its arguments.
        task: what it is for.
        table: the features of the training rows.
        seed: the estimator's `random_state`, if it takes one and params.yaml doesn't set it.

    Raises:
        UserError: see `make_estimator`.
    """
    numbers, categories = columns_by_kind(table)
    support = support_for(train)
    estimator = make_estimator(train.model, support.arguments | train.arguments, task)
    defaults = support.category_arguments(numbers, categories)
    if "random_state" in estimator.get_params():
        defaults["random_state"] = seed
    estimator.set_params(**{name: value for name, value in defaults.items() if name not in train.arguments})
    if support.integer_classes:
        estimator = IntegerClasses(estimator)
    preprocessing = support.preprocessor(numbers, categories)
    return Pipeline([("preprocessing", preprocessing), ("estimator", estimator)])


def fit_arguments(train: Train, model: Pipeline) -> dict[str, Any]:
    """The arguments of the estimator's `fit` besides the data and the weights."""
    columns = {name: columns for name, _, columns in model["preprocessing"].transformers}
    return support_for(train).category_fit_arguments(columns["numbers"], columns["categories"])
