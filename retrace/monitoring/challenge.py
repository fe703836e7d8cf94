"""Would another model have predicted better? `python -m retrace challenge` scores it on recorded requests.

A challenger predicts for the inputs of the served predictions that have a label. It runs in a process of its own, with
the code of its package. Its scores are compared with those of the predictions that were served: on the same rows, with
the functions by which the report on a pull request compares two commits. Rows of one calendar block (`split.block`) are
drawn together, by the time of their prediction.

There are no refits here, so the intervals have no training variation. The question is whether this challenger is better
than this model, and not whether its way of training is.
"""

from datetime import datetime
from pathlib import Path

from retrace.command_line import make_parser, utc_time
from retrace.differences import MeasuredDifference, Slice, simultaneous, verdict, with_margin
from retrace.errors import UserError
from retrace.examples import Target
from retrace.files import write_bytes
from retrace.intervals import noise_of_rows
from retrace.monitoring.challenge_report import Challenge, Compared, show, write_markdown
from retrace.monitoring.recorded import Recorded, describe, read_recorded
from retrace.monitoring.served import PART
from retrace.params import Params, SplitByTime, read_params
from retrace.registry import PROD
from retrace.scored_rows import Rows, Scored, is_small, rows_to_score, score_slice, score_whole
from retrace.scores import Metric, metrics_of
from retrace.serving.log import Log, open_log
from retrace.serving.packages import Released, find_package


def challenge(words: list[str]) -> None:
    """Score another model on the requests that a model has served, and compare the two.

    Only predictions that have a label count. If the challenger was trained on some of these rows, it looks better than
    it is.
    """
    parser = make_parser("challenge", str(challenge.__doc__))
    parser.add_argument("challenger", metavar="MODEL", help="a version, a stage, or a model.zip")
    parser.add_argument("--model", default=PROD, help="the served model, named in the same way; prod by default")
    parser.add_argument("--since", type=utc_time, metavar="TIME", help="leave out earlier predictions (UTC)")
    parser.add_argument("--until", type=utc_time, metavar="TIME", help="leave out predictions from this time on (UTC)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the comparison as Markdown, too")
    arguments = parser.parse_args(words)
    served, challenger = find_package(arguments.model), find_package(arguments.challenger)
    with open_log() as log:
        found = compare_models(log, served, challenger, arguments.since, arguments.until)
    show(found)
    if arguments.out:
        write_bytes(write_markdown(found).encode(), arguments.out)


def compare_models(
    log: Log, served: Released, challenger: Released, since: datetime | None, until: datetime | None
) -> Challenge:
    """Compare a challenger with the model that was served.

    Args:
        log: where the predictions are stored.
        served: the model whose predictions are in the log.
        challenger: the other model.
        since: a moment in UTC; earlier predictions are left out.
        until: a moment in UTC; predictions from then on are left out.

    Raises:
        UserError: no prediction has a label, or the models can't predict the same for the same input.
        LogError: the log can't be read.
    """
    params = read_params()
    target = target_of(served, challenger)
    inputs = {column["name"] for column in describe(served)["columns"]}
    columns = [name for name in params.evaluate.slices if name in inputs]
    parts = log.since(since or datetime.min, PART, until=until, package=served.sha256)
    recorded = read_recorded(log, parts, served, challenger, columns)
    if recorded is None:
        raise UserError(f"{log.place}: has no prediction by {served.title} that has a label, in this period")
    overall, slices = compare_scores(params, recorded, target, columns)
    times = recorded.about["time"]
    return Challenge(
        served=served.title,
        challenger=challenger.title,
        times=(times.min(), times.max()),
        labelled=len(times),
        unlabelled=recorded.unlabelled,
        overall=overall,
        slice_metric=params.gate.metric,
        slices=slices,
    )


def target_of(served: Released, challenger: Released) -> Target:
    """What both models predict.

    Raises:
        UserError: they don't predict the same.
    """
    descriptions = [describe(package) for package in (served, challenger)]
    for key in ("target", "classes"):
        if descriptions[0][key] != descriptions[1][key]:
            raise UserError(f"{challenger.title}: has another {key} than {served.title}, so they can't be compared")
    return Target(tuple(descriptions[0]["classes"]))


def rows_of(params: Params, recorded: Recorded, target: Target, columns: list[str]) -> tuple[Rows, dict[Slice, Rows]]:
    """The recorded rows, and those of each slice that isn't small, with resamples as evaluate draws them."""
    data, split = params.data, params.split
    table = recorded.slices.assign(**{data.id_column: recorded.about["id"], data.target: recorded.about["label"]})
    if data.time:
        table[data.time] = recorded.about["time"]
    table.attrs["block"] = split.block if isinstance(split, SplitByTime) else None
    changes = {
        "data": data.model_copy(update={"group": None}),  # a request doesn't say which group its rows belong to
        "evaluate": params.evaluate.model_copy(update={"slices": columns}),
    }
    whole, slices = rows_to_score(params.model_copy(update=changes), table, target)
    large = {
        Slice(*name): rows for name, rows in slices.items() if not is_small(target, rows.truth, rows.resamples.units)
    }
    return whole, large


def compare_scores(
    params: Params, recorded: Recorded, target: Target, columns: list[str]
) -> tuple[list[Compared], list[tuple[Slice, Compared]]]:
    """Compare two models on the same rows, over all and by slice.

    Args:
        params: the project's parameters, of which the costs, the gate and the split are used.
        recorded: the rows.
        target: what is predicted.
        columns: the columns to slice by.

    Returns:
        Each metric on all rows; and the gate's metric on each slice that isn't small, the largest difference first.
    """
    metric, smallest = params.gate.metric, params.gate.smallest_difference
    metrics = metrics_of(target.kind, params.problem.costs if target.kind == "two classes" else None)
    whole, slice_rows = rows_of(params, recorded, target, columns)
    served = score_whole(metrics, whole, recorded.served)
    challenger = score_whole(metrics, whole, recorded.challenger)
    overall = []
    for name in metrics:
        measured = measure(served, challenger, name)
        difference = with_margin(measured, measured.noise.margin)
        word = verdict(difference, name, smallest.get(name, 0))
        overall.append(Compared(name, served.scores[name], challenger.scores[name], difference, word))
    if metric not in metrics:  # the project's own metrics may need columns that a request doesn't have
        return overall, []
    return overall, compare_slices(metrics, metric, slice_rows, recorded)


def compare_slices(
    metrics: dict[str, Metric], metric: str, slice_rows: dict[Slice, Rows], recorded: Recorded
) -> list[tuple[Slice, Compared]]:
    """Compare two models by one of some metrics on each slice, the largest difference first."""
    served = {part: score_slice(metrics, metric, rows, recorded.served) for part, rows in slice_rows.items()}
    challenger = {part: score_slice(metrics, metric, rows, recorded.challenger) for part, rows in slice_rows.items()}
    found = []
    for part, difference in simultaneous({part: measure(served[part], challenger[part], metric) for part in served}):
        scores = served[part].scores[metric], challenger[part].scores[metric]
        found.append((part, Compared(metric, *scores, difference, verdict(difference, metric, smallest=0))))
    return found


def measure(served: Scored, challenger: Scored, metric: str) -> MeasuredDifference:
    """The challenger's score minus the served one, with its sampling variation."""
    value = challenger.scores[metric] - served.scores[metric]
    resamples = (challenger.resampled.T[metric] - served.resampled.T[metric]).dropna()
    noise = noise_of_rows(resamples, served.rows.resamples.units)
    return MeasuredDifference(value, noise, [resamples], paired=True)
