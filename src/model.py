"""The model: preprocessing and an estimator, as one scikit-learn Pipeline.

`train` in params.yaml names the estimator by its import path (`model`) and gives its arguments (`arguments`). Any
estimator with scikit-learn's interface works; a classifier needs `predict_proba`.

This is the file to edit when the model needs more than other arguments: another treatment of a column, features made
from others, a wrapper around the estimator. docs/guide.md shows such changes. A class of your own goes into a module of
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

from retrace.estimators import IntegerClasses, Task, make_estimator
from retrace.examples import is_number
from retrace.params import Train

# Classes and functions of your own that model files may hold, such as "src.holidays.HolidayFlags".
TRUSTED: list[str] = []
MOST_CATEGORIES = 254  # of one column that boosting takes; the rarest ones share the last


def columns_by_kind(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The features that are numbers, and those that are categories; columns without any value are left out."""
    present = [name for name in table.columns if table[name].notna().any()]
    numbers = [name for name in present if is_number(table[name])]
    categories = [name for name in present if name not in numbers]
    return numbers, categories


def positions_of_categories(numbers: list[str], categories: list[str]) -> list[int]:
    """Which of the preprocessed columns are codes of categories: those after the numbers."""
    return list(range(len(numbers), len(numbers) + len(categories)))


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


class Support(NamedTuple):
    """What an estimator needs besides its arguments in params.yaml.

    Attributes:
        preprocessor: makes the preprocessing for the names of the numbers and of the categories.
        arguments: those by which every machine and number of threads gives the same model. params.yaml can override
            them; then the same bytes are not promised.
    """

    preprocessor: Callable[[list[str], list[str]], ColumnTransformer]
    arguments: dict[str, Any]


FOREST = Support(tree_preprocessor, {"n_jobs": 1})  # several threads would add up the trees in any order
# newton-cholesky converges to the same digits on every machine. The default, lbfgs, doesn't.
LOGISTIC_REGRESSION = Support(linear_preprocessor, {"solver": "newton-cholesky"})
LIGHTGBM = Support(
    tree_preprocessor,
    {
        "deterministic": True,
        "force_col_wise": True,
        "n_jobs": 0,  # as many threads as OpenMP has; LightGBM stores any other number in the model
        "verbosity": -1,
    },
)
XGBOOST = Support(tree_preprocessor, {"device": "cpu", "tree_method": "hist"})
SUPPORTED = {  # the estimators of which the same bytes are promised
    "sklearn.ensemble.HistGradientBoostingClassifier": Support(tree_preprocessor, {}),
    "sklearn.ensemble.HistGradientBoostingRegressor": Support(tree_preprocessor, {}),
    "sklearn.ensemble.RandomForestClassifier": FOREST,
    "sklearn.ensemble.RandomForestRegressor": FOREST,
    "sklearn.linear_model.LogisticRegression": LOGISTIC_REGRESSION,
    "sklearn.linear_model.Ridge": Support(linear_preprocessor, {}),
    "lightgbm.LGBMClassifier": LIGHTGBM,
    "lightgbm.LGBMRegressor": LIGHTGBM,
    "xgboost.XGBClassifier": XGBOOST,
    "xgboost.XGBRegressor": XGBOOST,
}
ANY_OTHER = Support(dense_preprocessor, {})


def promises_same_bytes(train: Train) -> bool:
    """Whether every machine gives the same model: that of SUPPORTED, with none of its arguments overridden."""
    if train.model not in SUPPORTED:
        return False
    arguments = SUPPORTED[train.model].arguments
    return all(train.arguments.get(name, value) == value for name, value in arguments.items())


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
    support = SUPPORTED.get(train.model, ANY_OTHER)
    estimator = make_estimator(train.model, support.arguments | train.arguments, task)
    if "random_state" in estimator.get_params() and "random_state" not in train.arguments:
        estimator.set_params(random_state=seed)
    if train.model.startswith("sklearn.ensemble.HistGradientBoosting"):
        estimator.set_params(categorical_features=positions_of_categories(numbers, categories))
    if train.model.startswith("xgboost."):
        kinds = ["q"] * len(numbers) + ["c"] * len(categories)  # quantities and categories
        estimator.set_params(enable_categorical=True, feature_types=kinds)
    if train.model == "xgboost.XGBClassifier":
        estimator = IntegerClasses(estimator)
    preprocessing = support.preprocessor(numbers, categories)
    return Pipeline([("preprocessing", preprocessing), ("estimator", estimator)])


def fit_arguments(train: Train, model: Pipeline) -> dict[str, Any]:
    """The arguments of the estimator's `fit` besides the data: LightGBM takes the positions of the categories there."""
    if not train.model.startswith("lightgbm."):
        return {}
    columns = {name: columns for name, _, columns in model["preprocessing"].transformers}
    return {"categorical_feature": positions_of_categories(columns["numbers"], columns["categories"])}
