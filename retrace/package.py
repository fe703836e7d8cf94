"""A released model in one file, which predicts without this repository.

    python model.zip ROWS.csv > predictions.csv

The file is a zip archive that Python can run. It holds

- `model.skops`: the fitted model;
- `model.json`: its name, task and classes, its input columns, the packages that it needs, its scores on test, and the
  hashes of dvc.lock and of the data that it was made from;
- `MODEL_CARD.md`: what the model is for, its scores and its limits;
- `reference.json`: what the columns and the predictions looked like, for monitoring;
- `requirements.txt`: the packages with their versions, for `pip install -r`;
- `retrace/` and `src/`: the modules that read the model.

A prediction depends on the versions of the packages, so another version of scikit-learn, or of the package that the
estimator comes from, is refused.
"""

import argparse
import io
import json
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrace.errors import UserError
from retrace.examples import Target
from retrace.files import as_text
from retrace.input_rows import CSV_CELLS, first_failing_row
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
        card: the content of MODEL_CARD.md.
        model: the fitted pipeline.
    """

    description: dict[str, Any]
    reference: dict[str, Any]
    card: str
    model: Any

    @property
    def target(self) -> Target:
        """What the model predicts."""
        return Target(tuple(self.description["classes"]))

    @property
    def columns(self) -> dict[str, str]:
        """The kind of each input column: number, boolean or text."""
        return {column["name"]: column["kind"] for column in self.description["columns"]}

    @property
    def categories(self) -> dict[str, frozenset[str]]:
        """The categories that at least ten rows of train have, for the columns whose categories may be shown."""
        columns = self.description["columns"]
        return {column["name"]: frozenset(column["categories"]) for column in columns if "categories" in column}

    def predict(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """What the model predicts for each row.

        Args:
            table: rows with the input columns, as `conform` returns them.

        Returns:
            The probability of the positive class, or the predicted number, shape (rows,); with more than two classes
            the probability of each, shape (rows, classes).
        """
        return self.target.predict(self.model, table)

    def as_columns(self, predictions: NDArray[np.float64]) -> pd.DataFrame:
        """Predictions as the columns of a table.

        Args:
            predictions: what `predict` returns.

        Returns:
            A column `prediction`; with more than two classes a column `prediction_CLASS` for each.
        """
        if predictions.ndim == 1:
            return pd.DataFrame({"prediction": predictions})
        return pd.DataFrame(predictions, columns=[f"prediction_{name}" for name in self.target.classes])


def conform(table: pd.DataFrame, columns: Mapping[str, str], prefix: str = "") -> pd.DataFrame:
    """The input columns of a table, with the types that they had in training.

    Args:
        table: rows; columns that the model doesn't use are left out.
        columns: the kind of each input column: number, boolean or text.
        prefix: what error messages begin with, such as the name of a file and a colon.

    Raises:
        UserError: a column is missing, or has a value of another type. The message has the number of its row, from 1.
    """
    if missing := [column for column in columns if column not in table]:
        raise UserError(f"{prefix}has no column {', '.join(missing)}; the model needs it")
    found = {}
    for column, kind in columns.items():
        try:
            found[column] = _conform_column(table[column], kind)
        except (ValueError, TypeError):
            row = first_failing_row(table[column], partial(_conform_column, kind=kind))
            raise UserError(f"{prefix}row {row}: column {column}: must be a {kind}, or empty") from None
    return pd.DataFrame(found)


def _conform_column(values: pd.Series, kind: str) -> pd.Series | NDArray[np.float64]:
    if kind == "number":
        numbers: NDArray[np.float64] = values.to_numpy(float, na_value=np.nan)  # from text, too, to the last digit
        if np.isinf(numbers).any():
            raise ValueError("infinite")
        return numbers
    if kind == "boolean":
        words = values.dropna().astype(str).str.lower()
        if not words.isin(["true", "false"]).all():
            raise ValueError("neither true nor false")
        return values.astype(str).str.lower().map({"true": 1.0, "false": 0.0})
    return as_text(values)  # an integer is the same text whether or not other rows have missing values


def read_package(path: Path, *, trusted: bool = False) -> Package:
    """Read a package, and check that the installed packages are those that it needs.

    Args:
        path: the file.
        trusted: whether to load types that can't be checked, such as LightGBM's, from a file that release/dvc.lock
            doesn't record. That's no further risk where the code of the package is what runs.

    Raises:
        UserError: the file is missing or damaged, or another version of a package is installed; or release/dvc.lock
            doesn't record the file, its model has types that can't be checked, and it isn't trusted.
    """
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            description = json.loads(archive.read("model.json"))
            reference = json.loads(archive.read("reference.json"))
            model = archive.read("model.skops")
            card = archive.read("MODEL_CARD.md").decode()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `make release` makes it") from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise UserError(f"{path}: not a whole package; {REMEDY}") from None
    check_versions(description["needs"], path)
    recorded = trusted or is_in_lock(path, content, LOCK)
    loaded = read_model(model, f"{path}: model.skops", recorded=recorded, remedy=REMEDY)
    return Package(description, reference, card, loaded)


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
    package = read_package(Path(sys.argv[0]), trusted=True)  # it's the file that runs
    try:
        table = pd.read_csv(rows, **CSV_CELLS)
    except (OSError, ValueError) as error:
        raise UserError(f"{rows}: can't be read: {str(error).partition(chr(10))[0]}") from None
    predictions = package.predict(conform(table, package.columns, f"{rows}: "))
    package.as_columns(predictions).to_csv(sys.stdout, index=False)


if __name__ == "__main__":
    main()
