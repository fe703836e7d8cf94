"""Model files: skops, never pickle, and the same bytes for the same model.

skops writes object ids and timestamps into its files. `save_model` replaces them with sequential numbers and a fixed
date.

`load_model` refuses a file with a type outside scikit-learn, NumPy and TRUSTED. It validates the array indices that
scikit-learn's compiled code uses unchecked (retrace/model_checks.py). Types that can't be validated so, such as the
boosters of other libraries, are loaded only from a file whose hash is in dvc.lock.
"""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator
from skops.io import dumps, get_untrusted_types, loads

from retrace.errors import UserError
from retrace.files import write_bytes, zip_content
from retrace.model_checks import CHECKED, InvalidModelError, check_model, type_names
from retrace.yaml_files import read_yaml
from src.model import TRUSTED as TRUSTED_BY_PROJECT

LOCK = Path("dvc.lock")
TRUSTED = [  # beyond scikit-learn's and NumPy's own, which skops trusts, and the project's in src/model.py
    "collections.OrderedDict",
    "functools.partial",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
    "retrace.estimators.IntegerClasses",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRegressor",
    *TRUSTED_BY_PROJECT,
]


def _canonical(node: Any, seen: dict[int, int], names: dict[str, str]) -> Any:
    """A node of skops' schema with identities and member names numbered in order of appearance.

    Plain values (`JsonNode`) get a number each: whether two of them are one object is an accident of the interpreter.
    """
    if isinstance(node, list):
        return [_canonical(item, seen, names) for item in node]
    if not isinstance(node, dict):
        return node
    node = dict(node)
    if "__id__" in node:
        key = -len(seen) - 1 if node.get("__loader__") == "JsonNode" else node["__id__"]
        node["__id__"] = seen.setdefault(key, len(seen) + 1)
    if "file" in node:
        suffix = Path(node["file"]).suffix
        node["file"] = names.setdefault(node["file"], f"{len(names) + 1}{suffix}")
    return {key: _canonical(value, seen, names) for key, value in node.items()}


def save_model(model: BaseEstimator, path: Path) -> None:
    """Write a fitted model in canonical form.

    Raises:
        UserError: it holds a type that isn't trusted, so that it couldn't be loaded.
    """
    write_bytes(model_content(model, str(path)), path)


def model_content(model: BaseEstimator, name: str) -> bytes:
    """The content of a model file, in canonical form.

    Args:
        model: fitted.
        name: what an error calls the file.

    Raises:
        UserError: the model holds a type that isn't trusted, so that it couldn't be loaded.
    """
    content = dumps(model)
    if untrusted := _untrusted_types(content):
        advice = "if you trust them, add them to TRUSTED in src/model.py"
        raise UserError(f"{name}: the model holds types that aren't trusted: {', '.join(untrusted)}; {advice}")
    source = zipfile.ZipFile(io.BytesIO(content))
    names: dict[str, str] = {}
    schema = _canonical(json.loads(source.read("schema.json")), {}, names)
    members = {new: source.read(old) for old, new in names.items()}
    members["schema.json"] = json.dumps(schema, indent=1).encode()
    return zip_content(members)


def _untrusted_types(content: bytes) -> list[str]:
    """The types in a model file that neither skops nor TRUSTED trusts."""
    return sorted(set(get_untrusted_types(data=content)) - set(TRUSTED))


def load_model(path: Path) -> Any:
    """Load a fitted model that `save_model` wrote.

    Raises:
        UserError: the file is missing, cut short or changed, needs a type that isn't trusted, or holds a type that
            can't be checked and isn't the file that dvc.lock names.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro` makes it") from None
    return read_model(content, str(path), recorded=is_in_lock(path, content), remedy="run `dvc repro`")


def read_model(content: bytes, name: str, *, recorded: bool, remedy: str) -> Any:
    """The model in the content of a file that `save_model` wrote.

    Args:
        content: of the file.
        name: what error messages call the file.
        recorded: whether dvc.lock, or the lock of a release, records the hash of this content.
        remedy: how to get a good file, for error messages.

    Raises:
        UserError: the content is cut short or changed, needs a type that isn't trusted, or holds a type that can't be
            checked and isn't recorded.
    """
    try:
        names = type_names(content)
        if untrusted := _untrusted_types(content):
            found = f"{name}: holds {', '.join(untrusted)}, which isn't trusted"
            advice = f"don't load it, {remedy}; types of your own belong in TRUSTED in src/model.py"
            raise UserError(f"{found}; {advice}")
        unchecked = sorted(names - CHECKED)
        if unchecked and not recorded:
            told = f"{name}: the content of {', '.join(unchecked)} can't be checked, and {LOCK} doesn't name this file"
            raise UserError(f"{told}; don't load it, {remedy}")
        model = loads(content, trusted=TRUSTED)
        check_model(model)
    except InvalidModelError as error:
        raise UserError(f"{name}: invalid model: {error}; delete it and {remedy}") from None
    except Exception:  # a damaged file can fail anywhere
        raise UserError(f"{name}: damaged or incomplete model file; delete it and {remedy}") from None
    return model


def is_in_lock(path: Path, content: bytes, file: Path = LOCK) -> bool:
    """Whether a lock file names this path with the hash of this content, as the output of a stage.

    Raises:
        UserError: the lock file isn't YAML.
    """
    lock = read_yaml(file) if file.is_file() else None
    stages = lock.get("stages") if isinstance(lock, dict) else None
    recorded = {"path": path.as_posix(), "md5": hashlib.md5(content, usedforsecurity=False).hexdigest()}
    for stage in stages.values() if isinstance(stages, dict) else []:
        for output in stage.get("outs") or [] if isinstance(stage, dict) else []:
            if isinstance(output, dict) and recorded.items() <= output.items():
                return True
    return False
