"""`python -m retrace check`: is params.yaml valid?"""

import argparse

from retrace.estimators import make_estimator
from retrace.params import FILE, read_params
from retrace.scores import check_metric_names


def check(words: list[str]) -> None:
    """Check params.yaml, the metrics and the estimator that it names included.

    Raises:
        UserError: it isn't valid, there is no such metric or estimator, or the estimator refuses its arguments.
    """
    argparse.ArgumentParser(prog="python -m retrace check", description="Check params.yaml.").parse_args(words)
    params = read_params()
    check_metric_names(params)
    make_estimator(params.train.model, params.train.arguments, params.data.task)
    print(f"{FILE} is valid")
