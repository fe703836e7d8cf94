"""Predictions in the form in which they are shown and stored."""

from typing import Any


def named_outputs(predictions: list[Any], classes: list[Any]) -> list[Any]:
    """Predictions as they are shown: a number, or with more than two classes the probability of each by its name."""
    names = [str(each) for each in classes]
    return [dict(zip(names, each, strict=True)) if isinstance(each, list) else each for each in predictions]
