"""Model files: skops, never pickle, and the same bytes for the same model.

skops writes Python's object identities and the clock into its files. `save_model` replaces both with what stays:
numbers in order of appearance, and one fixed date; nothing is compressed, since zlib's bytes depend on its version.
`load_model` takes the types listed here and no other.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator
from skops.io import dumps, get_untrusted_types, loads

from src.core.errors import UserError
from src.core.files import replacing

TRUSTED = [  # beyond scikit-learn's and NumPy's own, which skops trusts
    "functools.partial",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
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
    """Write a fitted model in canonical form."""
    source = zipfile.ZipFile(io.BytesIO(dumps(model)))
    names: dict[str, str] = {}
    schema = _canonical(json.loads(source.read("schema.json")), {}, names)
    members = {new: source.read(old) for old, new in names.items()}
    members["schema.json"] = json.dumps(schema, indent=1).encode()
    with replacing(path) as part, zipfile.ZipFile(part, "w") as target:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # the same on every system
            target.writestr(info, content)


def load_model(path: Path) -> Any:
    """A fitted model as `save_model` left it.

    Raises:
        UserError: the file is missing, cut short or changed, or asks for a type that isn't trusted.
    """
    try:
        content = path.read_bytes()
        strange = sorted(set(get_untrusted_types(data=content)) - set(TRUSTED))
        if not strange:
            return loads(content, trusted=TRUSTED)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro` makes it") from None
    except Exception:  # a broken file fails in as many ways as there are bytes
        raise UserError(f"{path}: not a whole model file; delete it and run `dvc repro`") from None
    raise UserError(f"{path}: asks for {', '.join(strange)}, which isn't trusted; don't load it, run `dvc repro`")
