"""Check params.yaml, the estimator and its arguments included: `python -m retrace check`."""

import argparse

from retrace.estimators import make_estimator
from retrace.params import FILE, read_params


def check(words: list[str]) -> None:
    """Check params.yaml.

    Raises:
        UserError: it isn't valid, or there is no such estimator, or it refuses the arguments.
    """
    argparse.ArgumentParser(prog="python -m retrace check", description="Check params.yaml.").parse_args(words)
    params = read_params()
    make_estimator(params.train.model, params.train.arguments, params.data.task)
    print(f"{FILE} is valid")
