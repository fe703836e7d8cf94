"""A released model in one file, which predicts without this repository.

    python model.zip ROWS.csv > predictions.csv

The file is a zip archive that Python can run. It holds

- `model.skops`: the fitted model;
- `model.json`: its name, task and classes, its input columns, the packages that it needs, its scores on test, and the
  hashes of dvc.lock and of the data that it was made from;
- `reference.json`: what the columns and the predictions looked like, for monitoring;
- `requirements.txt`: the packages with their versions, for `pip install -r`;
- `retrace/` and `src/`: the modules that read the model.

A prediction depends on the versions of the packages, so another version of scikit-learn, or of the package that the
estimator comes from, is refused.
"""

import argparse
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.examples import Target
from retrace.models import is_in_lock, read_model

FILE = Path("release/model.zip")
LOCK = Path("release/dvc.lock")
REMEDY = "get the package again"


@dataclass(frozen=True)
class Package:
    """A released model.

    Attributes:
        description: the content of model.json.
        reference: the content of reference.json.
        model: the fitted pipeline.
        sha256: the hash of the file.
    """

    description: dict[str, Any]
    reference: dict[str, Any]
    model: Any
    sha256: str

    @property
    def target(self) -> Target:
        """What the model predicts."""
        return Target(tuple(self.description["classes"]))

    @property
    def columns(self) -> dict[str, str]:
        """The kind of each input column: number, boolean or text."""
        return dict(self.description["columns"])

    def predict(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """What the model predicts for each row.

        Args:
            table: rows with the input columns, as `conform` returns them.

        Returns:
            The probability of the positive class, or the predicted number, shape (rows,); with more than two classes
            the probability of each, shape (rows, classes).
        """
        return self.target.predict(self.model, table)

    def predictions(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table of predictions with a column for the number, or for the probability of each class."""
        values = self.predict(table)
        if values.ndim == 2:
            return pd.DataFrame(values, columns=[str(name) for name in self.target.classes])
        name = str(self.target.classes[-1]) if self.target.classes else str(self.description["target"])
        return pd.DataFrame({name: values})


def conform(table: pd.DataFrame, columns: Mapping[str, str], name: str) -> pd.DataFrame:
    """The input columns of a table, with the types that they had in training.

    Args:
        table: rows; columns that the model doesn't use are left out.
        columns: the kind of each input column: number, boolean or text.
        name: what error messages call the table.

    Raises:
        UserError: a column is missing, or has a value of another type.
    """
    if missing := [column for column in columns if column not in table]:
        raise UserError(f"{name}: has no column {', '.join(missing)}; the model needs it")
    found = {}
    for column, kind in columns.items():
        try:
            found[column] = _conform_column(table[column], kind)
        except (ValueError, TypeError):
            raise UserError(f"{name}: column {column}: each value must be a {kind}, or empty") from None
    return pd.DataFrame(found)


def _conform_column(values: pd.Series, kind: str) -> pd.Series:
    if kind == "number":
        numbers = pd.to_numeric(values).astype(float)
        if np.isinf(numbers).any():
            raise ValueError("infinite")
        return numbers
    if kind == "boolean":
        words = values.dropna().astype(str).str.lower()
        if not words.isin(["true", "false"]).all():
            raise ValueError("neither true nor false")
        return values.astype(str).str.lower().map({"true": 1.0, "false": 0.0})
    return values.astype("str")


def read_package(path: Path) -> Package:
    """Read a package, and check that the installed packages are those that it needs.

    Raises:
        UserError: the file is missing or damaged, or another version of a package is installed; or release/dvc.lock
            doesn't record the file, and its model has types that can't be checked.
    """
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            description = json.loads(archive.read("model.json"))
            reference = json.loads(archive.read("reference.json"))
            model = archive.read("model.skops")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `make release` makes it") from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise UserError(f"{path}: not a whole package; {REMEDY}") from None
    check_versions(description["needs"], path)
    is_running = Path(sys.argv[0]).suffix == ".zip" and path.samefile(sys.argv[0])  # then its code is trusted already
    recorded = is_running or is_in_lock(path, content, LOCK)
    loaded = read_model(model, f"{path}: model.skops", recorded=recorded, remedy=REMEDY)
    return Package(description, reference, loaded, hashlib.sha256(content).hexdigest())


def check_versions(needed: Mapping[str, str], path: Path) -> None:
    """Check that the packages on which the predictions depend have the versions that the model was made with.

    Raises:
        UserError: one has another version, or isn't installed.
    """
    for name, wanted in needed.items():
        try:
            present = version(name)
        except PackageNotFoundError:
            present = "none"
        if present != wanted:
            advice = f"`python -m zipfile -e {path.name} package` gives package/requirements.txt, to be installed"
            raise UserError(f"{path}: needs {name} {wanted}, and {present} is installed; {advice}")


def main() -> None:
    """Print the predictions for the rows of a CSV file; this is what `python model.zip` runs."""
    parser = argparse.ArgumentParser(prog="python model.zip", description="Predict for each row of a CSV file.")
    parser.add_argument("rows", metavar="ROWS.csv", type=Path, help="rows with the model's input columns")
    rows = parser.parse_args().rows
    package = read_package(Path(sys.argv[0]))
    texts = [name for name, kind in package.columns.items() if kind != "number"]
    try:
        table = pd.read_csv(rows, dtype=dict.fromkeys(texts, "str"))
    except (OSError, ValueError) as error:
        raise UserError(f"{rows}: can't be read: {str(error).partition(chr(10))[0]}") from None
    package.predictions(conform(table, package.columns, str(rows))).to_csv(sys.stdout, index=False)


if __name__ == "__main__":
    main()
