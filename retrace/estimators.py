"""Create estimators from params.yaml, fit them, and remove what differs between machines."""

import difflib
import re
import traceback
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier, is_regressor
from sklearn.pipeline import Pipeline

from retrace.errors import UserError
from retrace.examples import features, labels
from retrace.files import significant
from retrace.model_checks import parts_of
from retrace.params import Data, Train

Task = Literal["classification", "regression"]


class IntegerClasses(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier for classes of any kind, made from one that takes only the classes 0, 1, 2, … (XGBoost's)."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, features: NDArray[Any], target: NDArray[Any], **arguments: Any) -> Self:
        """Fit the classifier on the positions of the classes in their order; `arguments` are those of its own fit."""
        self.classes_, codes = np.unique(target, return_inverse=True)
        self.estimator_ = clone(self.estimator).fit(features, codes, **arguments)
        return self

    def predict_proba(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """The probability of each class, shape (rows, classes)."""
        return np.asarray(self.estimator_.predict_proba(features), dtype=float)

    def predict(self, features: NDArray[Any]) -> NDArray[Any]:
        """The likeliest class of each row, shape (rows,)."""
        return np.asarray(self.classes_[self.predict_proba(features).argmax(axis=1)])


def estimator_class(path: str) -> type[BaseEstimator]:
    """The class at an import path such as `sklearn.ensemble.RandomForestClassifier`.

    Raises:
        UserError: its package isn't installed, there is no such class, or it isn't an estimator.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # an import inside that module fails
        package = path.partition(".")[0]
        advice = f"is {package} in requirements.in, and installed (`make lock`, then `make install`)?"
        raise UserError(f"params.yaml: train.model: there is no module {module}; {advice}") from None
    if not isinstance(found, type):
        raise UserError(f"params.yaml: train.model: {module} has no class {name}")
    if not all(hasattr(found, method) for method in ("fit", "predict", "get_params", "set_params")):
        raise UserError(f"params.yaml: train.model: {path} is not an estimator: it lacks fit, predict or get_params")
    return found


def argument_name(path: str, name: str) -> str:
    """The name of an argument, of which LightGBM has several: `num_threads` for `n_jobs`, say."""
    if path.partition(".")[0] == "lightgbm":
        for canonical, names in _lightgbm_parameters().items():
            if name in names:
                return canonical
    return name


def _lightgbm_parameters() -> dict[str, list[str]]:
    """All names of each of LightGBM's own parameters, which its estimators take besides those of `get_params`."""
    aliases = import_module("lightgbm.basic")._ConfigAliases  # LightGBM lists them nowhere else
    return dict(aliases._get_all_param_aliases())


def make_estimator(path: str, arguments: dict[str, Any], task: Task) -> Any:
    """An unfitted estimator, whose kind and arguments are checked.

    Args:
        path: its import path.
        arguments: its arguments, as in params.yaml.
        task: what it is for.

    Raises:
        UserError: there is no such estimator, it is for another task, a classifier without probabilities, or an
            argument is unknown or has a value that the estimator refuses.
    """
    cls = estimator_class(path)
    try:
        estimator: Any = cls()
    except (TypeError, ImportError) as error:
        raise UserError(f"params.yaml: train.model: {path}() can't be created without arguments: {error}") from None
    _check_names(path, estimator, arguments)
    estimator.set_params(**arguments)
    if hasattr(estimator, "_parameter_constraints"):  # scikit-learn's own check of values, which needs no data
        try:
            estimator._validate_params()
        except ValueError as error:
            raise UserError(f"params.yaml: train.arguments: {error}") from None
    try:
        is_of_task = is_classifier(estimator) if task == "classification" else is_regressor(estimator)
    except AttributeError as error:  # an argument that should be an estimator is something else
        raise UserError(f"params.yaml: train.arguments: {error}") from None
    if not is_of_task:
        kind = "classifier" if task == "classification" else "regressor"
        raise UserError(f"params.yaml: train.model: {path} is not a {kind}, and data.task is {task}")
    if task == "classification" and not hasattr(estimator, "predict_proba"):
        advice = "choose other arguments or another estimator, or calibrate it (docs/model.md)"
        raise UserError(f"params.yaml: train.model: {path} has no predict_proba, hence no probabilities; {advice}")
    return estimator


def _check_names(path: str, estimator: Any, arguments: dict[str, Any]) -> None:
    own = list(estimator.get_params())
    known = set(own)
    if path.partition(".")[0] == "lightgbm":
        known.update(*_lightgbm_parameters().values())
    for name in arguments:
        if name not in known:
            close = difflib.get_close_matches(str(name), own, n=1) or difflib.get_close_matches(str(name), known, n=1)
            advice = f"did you mean {close[0]}?" if close else f"it has {', '.join(own)}"
            cls = type(estimator).__name__
            raise UserError(f"params.yaml: train.arguments: {cls} has no argument {name}; {advice}")


def require_enough_rows(train: Train, data: Data, rows: pd.DataFrame, part: str) -> None:
    """Refuse rows from which the estimator would fail to learn, or would silently learn nothing.

    Args:
        train: the estimator's arguments.
        data: which columns are the features and the target.
        rows: the rows to fit on.
        part: the name of these rows in an error.

    Raises:
        UserError: no feature has a value, `min_samples_leaf` allows no split, or `early_stopping` can't hold out a row
            of each class.
    """
    if rows[features(rows, data)].isna().all(axis=None):
        raise UserError(f"split: no feature has a value in {part}; see split in params.yaml")
    leaf = train.arguments.get("min_samples_leaf")
    if isinstance(leaf, int) and 2 * leaf > len(rows):
        key = "params.yaml: train.arguments.min_samples_leaf"
        raise UserError(f"{key}: {leaf} allows no split of the {len(rows):,} rows in {part}")
    if data.task == "classification" and train.arguments.get("early_stopping") is True:
        _, rows_of_classes = np.unique(labels(rows[data.target]), return_counts=True)
        if rows_of_classes.min() < 2:
            key = "params.yaml: train.arguments.early_stopping"
            raise UserError(f"{key}: a class has one row in {part}; make it false")


def fit_model(
    model: Pipeline, table: pd.DataFrame, target: NDArray[Any], arguments: dict[str, Any], name: str = "train.model"
) -> Pipeline:
    """Fit a model, and remove from it what differs between machines.

    Args:
        model: an unfitted pipeline whose last step is called `estimator`.
        table: the features.
        target: shape (rows,).
        arguments: those of the estimator's own `fit`.
        name: what an error calls the model.

    Raises:
        UserError: scikit-learn or the estimator's own package refuses the arguments or the data.
    """
    estimator = model[-1].estimator if isinstance(model[-1], IntegerClasses) else model[-1]
    try:
        fitted = model.fit(table, target, **{f"estimator__{key}": value for key, value in arguments.items()})
        fitted.predict(table.head(1))  # some estimators refuse their arguments only here
    except Exception as error:
        package = type(estimator).__module__.partition(".")[0]
        refused = isinstance(error, ValueError | TypeError) or type(error).__module__.startswith(f"{package}.")
        if not refused or _raised_in_project(error):
            raise
        if "sample_weight" in arguments and "sample_weight" in str(error):
            raise UserError(f"params.yaml: data.weight: {type(estimator).__name__} takes no weights") from error
        told = f"{type(estimator).__name__}: {_without_values(str(error), estimator)}"
        raise UserError(f"params.yaml: {name}: {told}" if name == "train.model" else f"{name}: {told}") from error
    make_portable(fitted)
    return fitted


def _without_values(message: str, estimator: Any) -> str:
    """The first line of a library's error, without what it quotes from the data.

    What is quoted may be a value of a single row. Names and values of arguments are shown.
    """
    first_line = message.partition("\n")[0]
    line = re.sub(r"^\[[\d:]+\] \S+: ", "", first_line)  # XGBoost begins with the clock and one of its own files
    shown = set(map(str, chain.from_iterable(estimator.get_params().items())))

    def hide(quoted: re.Match[str]) -> str:
        return quoted[0] if quoted[2] in shown else f"{quoted[1]}…{quoted[1]}"

    return re.sub(r"(['\"])(.*?)\1", hide, line)


def _raised_in_project(error: BaseException) -> bool:
    """Whether the project's own code had a part in an error, so that its traceback is of use."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return any(Path(frame.filename).is_relative_to(Path("src").resolve()) for frame in frames)


def make_portable(model: Any) -> None:
    """Remove from a fitted model what differs between machines: thread counts, the last digits of linear models."""
    for part in parts_of(model):
        if hasattr(part, "_bin_mapper"):
            part._bin_mapper.n_threads = 1
            part._scorer = None  # what early stopping scored with; predicting doesn't need it
            vars(part).pop("_raw_predict", None)  # the class's own method, which such scoring leaves on the object
        if {"coef_", "intercept_"} <= vars(part).keys():
            part.coef_, part.intercept_ = significant(part.coef_), significant(part.intercept_)
