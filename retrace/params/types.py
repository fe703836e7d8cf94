"""The types of values in params.yaml, beyond pydantic's own.

Types are strict, with one exception: YAML 1.1 reads `1e-05` as text, so text that is a number counts as a number.
"""

import json
import re
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import PureWindowsPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field


def as_number(value: object) -> object:
    """Text such as `1e-05` as the number it is; anything else as it was."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _moment(value: object) -> object:
    """A number, or a date such as `2013-09-01` as the moment it names, in UTC where it names a zone."""
    try:
        if not isinstance(value, date):
            number = as_number(value)
            if not isinstance(number, str):
                return number
        moment = datetime.fromisoformat(str(value))
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except ValueError:
        raise ValueError('must be a date such as "2013-09-01", or a number') from None


def _not_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def local_path(value: str) -> str:
    """A path relative to the project, as text; DVC would fetch any other kind.

    Raises:
        ValueError: it is absolute, leads out of the project, or names a scheme.
    """
    path = PureWindowsPath(value)  # which knows what is absolute on each system
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value) or path.root or path.drive or value.startswith("~"):
        raise ValueError("must be a path relative to the project, such as data/source/table.csv")
    if ".." in path.parts:
        raise ValueError("must be a path inside the project, without ..")
    return value


def _import_path(value: str) -> str:
    parts = value.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError(
            "must be the import path of an estimator, such as sklearn.ensemble.HistGradientBoostingClassifier, "
            f"not {json.dumps(value)}"
        )
    return value


def distinct(values: list[str]) -> list[str]:
    """A list of names, none of which is in it twice."""
    if twice := sorted(value for value, count in Counter(values).items() if count > 1):
        raise ValueError(f"names {', '.join(twice)} twice")
    return values


Number = Annotated[float, BeforeValidator(as_number), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(gt=0, lt=1)]
Text = Annotated[str, AfterValidator(_not_empty)]
Columns = Annotated[list[Text], AfterValidator(distinct)]
Moment = Annotated[float | datetime, BeforeValidator(_moment)]
ImportPath = Annotated[str, AfterValidator(_import_path)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Block = Literal["hour", "day", "week", "month"]
