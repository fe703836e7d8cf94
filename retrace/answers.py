"""What a package answers to requests for predictions: retrace/worker.py describes requests and answers."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic_core import from_json

from retrace.errors import UserError
from retrace.input_rows import InvalidRowsError, RowReader, as_table, shortened, unseen_categories
from retrace.package import Package, conform

PROTOCOL = 1  # of requests and answers; a server refuses a package that has another one


class Answers:
    """A package that answers requests.

    Attributes:
        package: the released model.
        readers: read the rows of a request, by its kind.
    """

    def __init__(self, package: Package) -> None:
        self.package = package
        self.readers = {"rows": RowReader(package.columns)}
        self._prepare_request: Callable[[pd.DataFrame], pd.DataFrame] | None = None
        data_set = import_module(f"src.datasets.{package.description['data_set']}")
        if hasattr(data_set, "prepare_request"):
            self.readers["raw"] = RowReader(data_set.REQUEST_COLUMNS)
            self._prepare_request = data_set.prepare_request
        self._categories = package.categories

    def greeting(self) -> dict[str, Any]:
        """What the other side is told first: the package, the histogram of its predictions, the schemas of its rows."""
        return {
            "protocol": PROTOCOL,
            "description": self.package.description,
            "card": self.package.card,
            "predictions": self.package.reference["predictions"],
            "schemas": {kind: reader.schema for kind, reader in self.readers.items()},
        }

    def answer(self, kind: str, body: bytes) -> dict[str, Any]:
        """The answer to a request. Its messages contain no value of a row, unless `prepare_request` puts one there."""
        try:
            if kind == "file":
                return self._answer_file(body)
            return self._prepare(body) if kind == "features" else self._answer_rows(kind, body)
        except InvalidRowsError as error:
            return {"errors": error.messages}
        except UserError as error:
            return {"errors": shortened(str(error).split("\n"), "errors")}
        except Exception as error:  # the model's own code can fail in any way, and its message can hold values
            return {"errors": [f"the model can't predict for these rows ({type(error).__name__})"]}

    def _answer_rows(self, kind: str, body: bytes) -> dict[str, Any]:
        table = self._read(kind, body)
        predictions = require_finite(self.package.predict(table))
        return {"predictions": predictions.tolist(), "warnings": unseen_categories(table, self._categories)}

    def _read(self, kind: str, body: bytes) -> pd.DataFrame:
        """The rows of a request, with the model's input columns."""
        reader = self.readers[kind]
        table = as_table(reader.read(body), reader.columns)
        if kind == "raw" and self._prepare_request is not None:
            return conform(self._prepare_request(table), self.package.columns, "the prepared rows: ")
        return table

    def _prepare(self, body: bytes) -> dict[str, Any]:
        """The features of raw rows."""
        table = self._read("raw", body).astype(object)
        for name, kind in self.package.columns.items():
            if kind == "boolean":
                table[name] = table[name].map({1.0: True, 0.0: False})
        return {"features": table.where(table.notna(), None).to_dict("records")}

    def _answer_file(self, body: bytes) -> dict[str, Any]:
        source, target = map(Path, from_json(body))
        table = conform(pd.read_parquet(source), self.package.columns)
        predictions = require_finite(self.package.predict(table))
        self.package.as_columns(predictions).to_parquet(target, index=False)
        return {"rows": len(table), "warnings": unseen_categories(table, self._categories)}


def require_finite(predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predictions, each of which is a number.

    Raises:
        UserError: one is infinite, or not a number.
    """
    wrong = ~np.isfinite(predictions.reshape(len(predictions), -1)).all(axis=1)
    if wrong.any():
        raise UserError(f"row {int(wrong.argmax()) + 1}: the model predicts no finite number")
    return predictions
