"""Try arguments of the model, each by cross-validation within train.

    python -m retrace.search.stage

Reads the section `search` of params.yaml and the rows of train, or the sample of them that the stage `train` fits on.
It reads neither valid nor test, so that the review's verdict on the best arguments stays honest. Writes to `search/`:

- `trials.csv`: each trial's arguments, its scores on the folds, and their mean. Trial 0 has the present arguments;
- `importance.csv`: the share of the scores' variance that each argument explains (fANOVA; Hutter and others, 2014).

The trials of each batch are stored when it's finished, in search/study.db or in the database that the variable
RETRACE_SEARCH names. A search that was interrupted continues after its last finished batch. Another search, with other
parameters, rows or code, begins anew.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from retrace.errors import UserError, one_line
from retrace.evaluation import choose_metrics
from retrace.examples import Target
from retrace.files import json_bytes, write_csv
from retrace.params import Choices, Params, Search, read_params
from retrace.sampling import read_training_rows
from retrace.search.folds import make_folds
from retrace.search.trials import (
    STATES,
    TRAIN,
    direction,
    finished_trial,
    new_study,
    require_search,
    run_batch,
    run_trials,
)
from retrace.yaml_files import read_yaml

PIPELINE = Path("search/dvc.yaml")
TRIALS, IMPORTANCE = Path("search/trials.csv"), Path("search/importance.csv")
ADDRESS = "RETRACE_SEARCH"
FEWEST_FOR_IMPORTANCE = 10  # complete trials


class Store:
    """The finished trials of a search, in SQLite or PostgreSQL.

    Args:
        name: of the search.
        higher_is_better: the direction of the gate's metric.

    Raises:
        UserError: there is no connection.
    """

    def __init__(self, name: str, higher_is_better: bool) -> None:
        address = os.environ.get(ADDRESS, "sqlite:///search/study.db")
        try:
            self.study = optuna.create_study(
                storage=address.replace("postgresql://", "postgresql+psycopg://", 1),
                study_name=name,
                direction=direction(higher_is_better),
                load_if_exists=True,
            )
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError) as error:
            reason = one_line(str(error.__cause__ or error))
            raise UserError(f"{ADDRESS}: the database can't be used: {reason}") from None

    def trials(self) -> dict[int, FrozenTrial]:
        """The stored trials by their numbers."""
        return {trial.user_attrs["number"]: trial for trial in self.study.get_trials()}


def name_of_search(params: Params, search: Search) -> str:
    """A hash of all that the scores of a trial depend on. The number of trials isn't part of it."""
    relevant: dict[str, Any] = params.model_dump(mode="json", include={"data", "split", "train"})
    relevant["search"] = search.model_dump(mode="json", exclude={"trials"})
    relevant |= {"metric": params.gate.metric, "costs": params.problem.model_dump(mode="json")["costs"]}
    found = hashlib.sha256(json_bytes(relevant))
    for dep in sorted(read_yaml(PIPELINE)["stages"]["search"]["deps"]):
        for file in sorted(Path(dep).rglob("*.py")) if Path(dep).is_dir() else [Path(dep)]:
            with file.open("rb") as content:
                found.update(hashlib.file_digest(content, "sha256").digest())
    return found.hexdigest()[:16]


def table_of(trials: Sequence[FrozenTrial], params: Params, search: Search) -> pd.DataFrame:
    """The content of trials.csv."""
    lines = []
    for trial in trials:
        line = {"trial": trial.user_attrs["number"], "state": STATES[trial.state], "score": trial.value}
        arguments = params.train.arguments | trial.params
        for name, values in search.space.items():
            value = arguments.get(name)
            line[name] = str(value) if isinstance(values, Choices) and name in arguments else value
        for fold in range(search.folds):
            line[f"mean after fold {fold + 1}"] = trial.intermediate_values.get(fold)
        lines.append(line | {"problem": trial.user_attrs["problem"]})
    return pd.DataFrame(lines)


def importance_of(trials: Sequence[FrozenTrial], names: Sequence[str], higher_is_better: bool) -> pd.DataFrame:
    """The content of importance.csv; without shares if too few trials are complete, or if all score the same."""
    study = new_study(higher_is_better, trials)
    values = [trial.value for trial in study.get_trials(states=[TrialState.COMPLETE])]
    shares: dict[str, float] = dict.fromkeys(names, float("nan"))
    if len(values) >= FEWEST_FOR_IMPORTANCE and len(set(values)) > 1:
        shares |= get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return pd.DataFrame({"argument": list(shares), "importance": list(shares.values())})


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    params = read_params()
    search = require_search(params)
    train = read_training_rows(TRAIN, params)
    target = Target.of(train[params.data.target], params.data)
    higher_is_better = choose_metrics(target, params)[params.gate.metric].higher_is_better
    folds = make_folds(train, params.data, params.split, search.folds)
    store = Store(name_of_search(params, search), higher_is_better)
    found = store.trials()
    if 0 not in found:
        [present] = run_batch(params, train, folds, {0: {}}, new_study(higher_is_better, []))
        if present.problem:
            raise UserError(present.problem)
        found[0] = finished_trial(present, search)
        store.study.add_trial(found[0])
    present_trial = found.pop(0)
    # An interrupted run may have stored a part of a batch, which is then run again.
    whole_batches = len(found) // search.batch * search.batch
    stored = [found[number] for number in range(1, whole_batches + 1)]
    if stored:
        print(f"continues after trial {whole_batches}", flush=True)
    trials = run_trials(params, train, folds, stored[: search.trials], store.study.add_trials)
    if not any(trial.state is TrialState.COMPLETE for trial in trials):
        problem = next(trial.user_attrs["problem"] for trial in trials if trial.state is TrialState.FAIL)
        raise UserError(f"no trial of the search is complete: {problem}")
    write_csv(table_of([present_trial, *trials], params, search), TRIALS)
    write_csv(importance_of(trials, list(search.space), higher_is_better), IMPORTANCE)


if __name__ == "__main__":
    main()
