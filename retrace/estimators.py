"""Estimators by their import path: made from params.yaml, fitted, and stored without what differs between machines."""

import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier, is_regressor
from sklearn.pipeline import Pipeline

from retrace.errors import UserError
from retrace.files import significant
from retrace.model_checks import parts_of

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
        known = estimator.get_params()
    except TypeError as error:
        raise UserError(f"params.yaml: train.model: {path}() can't be called without arguments: {error}") from None
    if path.startswith("lightgbm."):
        known |= dict.fromkeys(_lightgbm_parameters())
    if unknown := [name for name in arguments if name not in known]:
        raise UserError(
            f"params.yaml: train.arguments: {cls.__name__} has no argument {', '.join(unknown)}; "
            f"its arguments are {', '.join(known)}"
        )
    estimator.set_params(**arguments)
    if not (is_classifier(estimator) if task == "classification" else is_regressor(estimator)):
        kind = "classifier" if task == "classification" else "regressor"
        raise UserError(f"params.yaml: train.model: {path} is not a {kind}, and data.task is {task}")
    if hasattr(estimator, "_parameter_constraints"):  # scikit-learn's own check of values, which needs no data
        try:
            estimator._validate_params()
        except ValueError as error:
            raise UserError(f"params.yaml: train.arguments: {error}") from None
    if task == "classification" and not hasattr(estimator, "predict_proba"):
        advice = "choose other arguments or another estimator, or calibrate it (docs/guide.md)"
        raise UserError(f"params.yaml: train.model: {path} has no predict_proba, hence no probabilities; {advice}")
    return estimator


def _lightgbm_parameters() -> list[str]:
    """LightGBM's own parameters, which its estimators take besides those of `get_params`."""
    aliases = import_module("lightgbm.basic")._ConfigAliases  # LightGBM lists them nowhere else
    return [name for names in aliases._get_all_param_aliases().values() for name in names]


def fit_model(model: Pipeline, table: pd.DataFrame, target: NDArray[Any], arguments: dict[str, Any]) -> Pipeline:
    """Fit a model, and make it the same on every machine.

    Args:
        model: an unfitted pipeline whose last step is called `estimator`.
        table: the features.
        target: shape (rows,).
        arguments: those of the estimator's own `fit`.

    Raises:
        UserError: scikit-learn or the estimator's own package refuses the arguments or the data.
    """
    try:
        fitted = model.fit(table, target, **{f"estimator__{name}": value for name, value in arguments.items()})
    except Exception as error:
        estimator = model[-1].estimator if isinstance(model[-1], IntegerClasses) else model[-1]
        package = type(estimator).__module__.partition(".")[0]
        refused = isinstance(error, ValueError | TypeError) or type(error).__module__.startswith(f"{package}.")
        if not refused or _raised_in_project(error):
            raise
        raise UserError(f"params.yaml: train.model: {type(estimator).__name__}: {error}") from error
    make_portable(fitted)
    return fitted


def _raised_in_project(error: BaseException) -> bool:
    """Whether the project's own code had a part in an error, so that its traceback is of use."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return any(Path(frame.filename).is_relative_to(Path("src").resolve()) for frame in frames)


def make_portable(model: Any) -> None:
    """Remove from a fitted model what differs between machines: thread counts, the last digits of linear models."""
    for part in parts_of(model):
        if hasattr(part, "_bin_mapper"):
            part._bin_mapper.n_threads = 1
        if {"coef_", "intercept_"} <= vars(part).keys():
            part.coef_, part.intercept_ = significant(part.coef_), significant(part.intercept_)
