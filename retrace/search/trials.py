"""The trials of a search: which arguments are tried, and how they score.

Optuna's TPE sampler (Bergstra and others, 2011) proposes the arguments of a batch of trials from the results of all
earlier batches. Trials of the same batch don't know each other's results, so they can run side by side, and the result
doesn't depend on how many do. A trial is stopped early (pruned) if its mean score so far is worse than the median of
the trials of earlier batches at the same fold.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from joblib import delayed
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from retrace.errors import UserError
from retrace.evaluation import choose_metrics
from retrace.examples import Target, features
from retrace.params import FILE, Choices, Params, Range, Search
from retrace.scores import higher_is_better, score_draws
from retrace.search.folds import Fold
from retrace.side_by_side import run_calls
from src.stages.train import fit

TRAIN = Path("data/split/train.parquet")
DIGITS = 4  # of a number that is tried
FEWEST_TO_PRUNE = 5  # trials that must be complete before others are stopped early
STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "stopped early", TrialState.FAIL: "failed"}

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """Arguments that were tried.

    Attributes:
        number: from 1; 0 for the present arguments of params.yaml.
        arguments: those of `search.space`.
        scores: on each fold, of which a trial that was stopped early has fewer.
        problem: why the model can't be fitted with them; None if it can.
    """

    number: int
    arguments: Arguments
    scores: tuple[float, ...]
    problem: str | None = None


def run_batch(
    params: Params, train: pd.DataFrame, folds: Sequence[Fold], batch: Mapping[int, Arguments], earlier: optuna.Study
) -> list[Trial]:
    """Score some trials, fold by fold, side by side.

    Args:
        params: the project's parameters.
        train: the rows of train.
        folds: of these rows.
        batch: the arguments of each trial, by its number.
        earlier: the trials of earlier batches; a trial that is worse than their median is stopped.
    """
    scores: dict[int, list[float]] = {number: [] for number in batch}
    problems: dict[int, str] = {}
    left = list(batch)

    def is_worse(number: int) -> bool:
        so_far = optuna.trial.create_trial(state=TrialState.RUNNING, intermediate_values=mean_scores(scores[number]))
        return earlier.pruner.prune(earlier, so_far)

    for fold in folds:
        if not left:
            break
        found = list(run_calls([delayed(score_fold)(params, train, batch[number], fold) for number in left]))
        for number, result in zip(left, found, strict=True):
            if isinstance(result, str):
                problems[number] = result
            else:
                scores[number].append(result)
        left = [number for number in left if number not in problems and not is_worse(number)]
    return [Trial(number, batch[number], tuple(scores[number]), problems.get(number)) for number in batch]


def score_fold(params: Params, train: pd.DataFrame, arguments: Arguments, fold: Fold) -> float | str:
    """The score of the gate's metric on a fold, or why the model can't be fitted with these arguments."""
    data = params.data
    settings = params.train.model_copy(update={"arguments": params.train.arguments | arguments})
    try:
        model = fit(settings, data, train[fold.fit], settings.seed, "a fold of train")
    except UserError as error:
        return str(error)
    target = Target.of(train[data.target], data)
    rows = train[fold.score]
    metric = {params.gate.metric: choose_metrics(target, params)[params.gate.metric]}
    truth, predictions = target.truth(rows[data.target]), target.predict(model, rows[features(rows, data)])
    once = np.ones((1, len(rows)), dtype=np.int64)
    return float(score_draws(metric, truth, predictions, once, rows).to_numpy().item())


def require_search(params: Params) -> Search:
    """The section `search` of params.yaml.

    Raises:
        UserError: there is none.
    """
    if params.search is None:
        raise UserError(f"{FILE}: search: missing section; docs/search.md shows one")
    return params.search


def is_whole(values: Range) -> bool:
    """Whether a range is one of whole numbers: both of its ends are."""
    return isinstance(values.low, int) and isinstance(values.high, int)


def distributions(search: Search) -> dict[str, BaseDistribution]:
    """The space as Optuna describes it."""
    found: dict[str, BaseDistribution] = {}
    for name, values in search.space.items():
        if isinstance(values, Choices):
            found[name] = CategoricalDistribution(values.choices)
        elif is_whole(values):
            found[name] = IntDistribution(int(values.low), int(values.high), log=values.log)
        else:
            found[name] = FloatDistribution(values.low, values.high, log=values.log)
    return found


def propose(search: Search, study: optuna.Study) -> list[Arguments]:
    """The arguments of the next batch, which depend on the finished trials alone.

    Args:
        search: the section `search` of params.yaml.
        study: the finished trials; the proposals are added to it.
    """
    batch_seed = np.random.SeedSequence([search.seed, len(study.trials)]).generate_state(1)[0]
    study.sampler = optuna.samplers.TPESampler(seed=int(batch_seed), multivariate=True)
    space = distributions(search)
    proposed = []
    for _ in range(search.batch):
        arguments = study.ask(space).params
        proposed.append({name: rounded(value, search.space[name]) for name, value in arguments.items()})
    return proposed


def rounded(value: Any, values: Range | Choices) -> Any:
    """A value to be tried: a number of a range has few digits, so that params.yaml stays readable."""
    if isinstance(values, Choices) or isinstance(value, int):
        return value
    return min(max(float(f"{value:.{DIGITS - 1}e}"), values.low), values.high)


def direction(higher_is_better: bool) -> StudyDirection:
    """The direction of a metric, as Optuna names it."""
    return StudyDirection.MAXIMIZE if higher_is_better else StudyDirection.MINIMIZE


def new_study(higher_is_better: bool, trials: Sequence[FrozenTrial]) -> optuna.Study:
    """A study in memory with some finished trials."""
    study = optuna.create_study(
        direction=direction(higher_is_better),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=FEWEST_TO_PRUNE),
    )
    study.add_trials(trials)
    return study


def mean_scores(scores: Sequence[float]) -> dict[int, float]:
    """The mean score of the folds up to each of them, by its number from 0."""
    means = np.cumsum(scores) / np.arange(1, len(scores) + 1)
    return dict(enumerate(means.tolist()))


def finished_trial(trial: Trial, search: Search) -> FrozenTrial:
    """A trial as Optuna keeps it, whose value is the mean score of all folds."""
    means = mean_scores(trial.scores)
    is_complete = len(means) == search.folds
    return optuna.trial.create_trial(
        state=TrialState.FAIL if trial.problem else TrialState.COMPLETE if is_complete else TrialState.PRUNED,
        value=means[search.folds - 1] if is_complete else None,
        params=trial.arguments,
        distributions={name: values for name, values in distributions(search).items() if name in trial.arguments},
        intermediate_values=means,
        user_attrs={"number": trial.number, "problem": trial.problem},
    )


def run_trials(
    params: Params,
    train: pd.DataFrame,
    folds: Sequence[Fold],
    stored: Sequence[FrozenTrial],
    store: Callable[[list[FrozenTrial]], object],
) -> list[FrozenTrial]:
    """Run all batches that aren't finished.

    Args:
        params: the project's parameters.
        train: the rows of train.
        folds: of these rows.
        stored: the trials of the batches that are finished, in their order.
        store: is called with the trials of each batch.

    Returns:
        All trials, in their order.
    """
    search, trials = require_search(params), list(stored)
    is_higher_better = higher_is_better(params.gate.metric)
    while len(trials) < search.trials:
        earlier = new_study(is_higher_better, trials)
        proposals = propose(search, new_study(is_higher_better, trials))
        batch = {len(trials) + place: arguments for place, arguments in enumerate(proposals, start=1)}
        found = [finished_trial(trial, search) for trial in run_batch(params, train, folds, batch, earlier)]
        store(found)
        trials += found
        best = best_so_far(params.gate.metric, trials, is_higher_better)
        print(f"{len(trials)} of {search.trials} trials; {best}", flush=True)
    return trials


def best_so_far(metric: str, trials: Sequence[FrozenTrial], higher_is_better: bool) -> str:
    """The best trial in words."""
    study = new_study(higher_is_better, trials)
    if not study.get_trials(states=[TrialState.COMPLETE]):
        return "none is complete yet"
    return f"best {metric}: {study.best_value:.5g} (trial {study.best_trial.number + 1})"
