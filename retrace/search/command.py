"""`python -m retrace search`: run the pipeline in search/dvc.yaml, and show what it found.

It writes to `search/`, besides what the pipeline writes (retrace/search/stage.py):

- `params.diff`: the change of params.yaml to the arguments of the best trial, for `git apply`;
- `history.svg`, `importance.svg`, `parallel_coordinates.svg`: pictures of the trials.
"""

import difflib
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

from retrace.clones import DVC_WITHOUT_HINTS, with_this_python
from retrace.command_line import make_parser
from retrace.errors import UserError
from retrace.estimators import make_estimator
from retrace.files import write_bytes
from retrace.git import require_own_repository
from retrace.params import FILE, Choices, Params, Search, read_params
from retrace.scores import higher_is_better
from retrace.search.pictures import draw
from retrace.search.stage import PIPELINE, TRIALS
from retrace.search.trials import is_whole, require_search

PIPELINE_OF_THE_TOOL = Path("retrace/search/pipeline.yaml")
DIFF = Path("search/params.diff")
SHOWN = 5  # trials


def search(words: list[str]) -> None:
    """Search for better arguments of the model (search in params.yaml), by cross-validation within train.

    It shows the best trials, and proposes a change of params.yaml in search/params.diff. If it's interrupted, the next
    run continues.
    """
    make_parser("search", str(search.__doc__)).parse_args(words)
    require_own_repository()
    params = read_params()
    check_space(params, require_search(params))
    write_bytes(PIPELINE_OF_THE_TOOL.read_bytes(), PIPELINE)
    if subprocess.run([*DVC_WITHOUT_HINTS, "repro", str(PIPELINE)], env=with_this_python()).returncode:
        raise UserError(f"{PIPELINE} fails; fix what the lines above say, and run it again")
    trials = read_trials(params)
    better = higher_is_better(params.gate.metric)
    draw(trials, params, better)
    show(trials, params, better)


def read_trials(params: Params) -> pd.DataFrame:
    """The content of trials.csv, with the choices as text; an argument of trial 0 is missing if it's the default."""
    space = require_search(params).space
    choices = {name: str for name, values in space.items() if isinstance(values, Choices)}
    return pd.read_csv(TRIALS, dtype=choices, keep_default_na=False, na_values=[""])


def check_space(params: Params, settings: Search) -> None:
    """Check that the estimator has these arguments, and accepts the ends of each range and each choice.

    Raises:
        UserError: it doesn't.
    """
    for name, values in settings.space.items():
        for value in values.choices if isinstance(values, Choices) else (values.low, values.high):
            try:
                make_estimator(params.train.model, params.train.arguments | {name: value}, params.data.task)
            except UserError as error:
                message = str(error).replace("train.arguments", f"search.space.{name}")
                raise UserError(message) from None


def show(trials: pd.DataFrame, params: Params, better_is_higher: bool) -> None:
    """Print the best trials, and write the proposed change of params.yaml."""
    settings = require_search(params)
    names, metric = list(settings.space), params.gate.metric
    ranked = trials[trials["trial"] > 0].dropna(subset="score")
    ranked = ranked.sort_values("score", ascending=not better_is_higher, kind="stable")
    present = trials.iloc[0]
    shown = pd.concat([ranked.head(SHOWN), trials.head(1)]).set_index("trial")[["score", *names]]
    print(f"\nmean {metric} of {settings.folds} folds within train; trial 0 has the present arguments:")
    print(shown.rename(columns={"score": metric}).to_string(na_rep="default", line_width=80))
    DIFF.unlink(missing_ok=True)
    best = ranked.iloc[0]
    lead = best["score"] - present["score"] if better_is_higher else present["score"] - best["score"]
    if lead <= 0:
        print("\nNo trial is better than the present arguments.")
        return
    write_bytes(proposed_change(read_arguments(best, settings)).encode(), DIFF)
    chance = f"The best of {settings.trials} is partly so by chance: expect a smaller lead on other rows."
    print(f"\nTrial {best['trial']} is the best. {chance}")
    print(f"`git apply {DIFF}` puts its arguments into {FILE}.")


def read_arguments(trial: pd.Series, settings: Search) -> dict[str, Any]:
    """The arguments of a line of trials.csv, with the types that the space has."""
    found: dict[str, Any] = {}
    for name, values in settings.space.items():
        value = trial[name]
        if isinstance(values, Choices):
            found[name] = next(choice for choice in values.choices if str(choice) == value)
        else:
            found[name] = int(value) if is_whole(values) else float(value)
    return found


def proposed_change(arguments: dict[str, Any]) -> str:
    """The change of params.yaml to other arguments of the model, as `git diff` would show it."""
    before = FILE.read_text(encoding="utf-8")
    content = parse_yaml_for_update(before, FILE)
    content["train"]["arguments"].update(arguments)
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        dumps_yaml(content).splitlines(keepends=True),
        f"a/{FILE}",
        f"b/{FILE}",
    )
    return "".join(lines)
