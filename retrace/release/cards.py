"""Write the model card and the data card of a release.

    python -m retrace.release.cards

`release/MODEL_CARD.md` has the form of Hugging Face's model cards, with a header in YAML and the scores as a model
index. `release/DATA_CARD.md` describes the rows. Both are written from params.yaml, the results and the scores on test
alone, so that anyone can write them again from the commit.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from retrace.files import short_moment, write_bytes
from retrace.markdown import code, table
from retrace.params import Params, SplitByTime, read_params
from retrace.release.openings import versions_opened_for
from retrace.scores import higher_is_better

MODEL_CARD, DATA_CARD = Path("release/MODEL_CARD.md"), Path("release/DATA_CARD.md")
EPOCH = date(1970, 1, 1)
ON_TEST = "The rows of test were held out: nothing was chosen with them before this release."


def number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4g}"


def interval(score: Mapping[str, Any]) -> str:
    """A 95 % interval as text; n/a where there are too few rows for one."""
    return "n/a" if score["low"] is None else f"{number(score['low'])} to {number(score['high'])}"


def header(params: Params, test: Mapping[str, Any]) -> str:
    """The YAML header that Hugging Face reads: the kind of model, and its scores on test."""
    task = f"tabular-{params.data.task}"
    metrics = [{"type": name, "value": score["score"]} for name, score in test["scores"]["model"].items()]
    result = {
        "task": {"type": task},
        "dataset": {"name": f"{params.problem.name}, test", "type": "tabular"},
        "metrics": metrics,
    }
    content = {
        "library_name": params.train.model.partition(".")[0],
        "tags": [task, "retrace"],
        "model-index": [{"name": params.problem.name, "results": [result]}],
    }
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---"


def decision_section(params: Params, test: Mapping[str, Any]) -> list[str]:
    """What is decided by the model, what errors cost, and how often the decisions on test were right."""
    lines = [params.problem.decision]
    decision = test["decision"]
    if decision is None:
        return lines
    wrongly, missed = (number(decision["costs"][kind]) for kind in ("false_positive", "false_negative"))
    lines.append(
        f"A false positive costs {wrongly} and a false negative {missed}, so acting pays if the probability is at "
        f"least {number(decision['threshold'])}."
    )
    kinds = ("true_positives", "false_positives", "false_negatives", "true_negatives")
    lines.append(table(["on test", "rows:"], [[kind.replace("_", " "), f"{decision[kind]:,}"] for kind in kinds]))
    bins = decision["calibration"]["bins"]
    rows = [[f"{near['rows']:,}", number(near["predicted"]), number(near["observed"])] for near in bins]
    if rows:
        trusted = "can be trusted" if decision["calibration"]["trusted"] else "can't be trusted"
        lines.append(f"The threshold {trusted}. These are the rows with probabilities near it:")
        lines.append(table(["rows:", "mean prediction:", "observed rate:"], rows))
    return lines


def scores_section(test: Mapping[str, Any]) -> list[str]:
    """Each score of the model on test, with its interval, and those of the baselines."""
    models = [name for name in test["scores"] if name != "model"]
    rows = []
    for metric, score in test["scores"]["model"].items():
        others = [test["scores"][name].get(metric) for name in models]
        better = "higher" if higher_is_better(metric) else "lower"
        cells = [number(other["score"]) if other else "" for other in others]
        rows.append([code(metric), number(score["score"]), interval(score), better, *cells])
    names = [f"{name}:" for name in models]
    return [
        f"{ON_TEST} There are {test['rows']:,} rows.",
        table(["metric", "model:", "95 % interval", "better is", *names], rows),
    ]


def slices_section(metric: str, test: Mapping[str, Any]) -> list[str]:
    """The score of the gate's metric on each slice."""
    rows = []
    for column, values in test["slices"].items():
        for value, found in values.items():
            note = "small" if found["small"] else ""
            rows.append([code(column), code(value), f"{found['rows']:,}", number(found[metric]), interval(found), note])
    header_ = ["column", "value", "rows:", f"{metric}:", "95 % interval", ""]
    return [table(header_, rows)] if rows else ["No slices are named in params.yaml."]


def openings_section(test: Mapping[str, Any]) -> list[str]:
    """How often the rows of test have been looked at."""
    versions = versions_opened_for(test["fingerprint"])
    if not versions:
        return ["These rows were not recorded as opened: the release wasn't made by `make release`."]
    again = "once" if len(versions) == 1 else f"{len(versions)} times"
    return [
        f"These rows have been opened {again}: for {', '.join(versions)}. The more often models are chosen with the "
        "same rows, the more the scores on them flatter the model."
    ]


def limits_section(params: Params, test: Mapping[str, Any]) -> list[str]:
    """What the model isn't known to be good for."""
    limits = ["The scores hold for rows that come from the same source in the same way as those of test."]
    if isinstance(params.split, SplitByTime):
        limits.append(f"Test begins at {moment(params.split.test_from)}. How long the model stays as good isn't known.")
    small = [
        f"{code(column)} {code(value)}"
        for column, values in test["slices"].items()
        for value, found in values.items()
        if found["small"]
    ]
    if small:
        limits.append(f"Slices too small to be judged: {', '.join(small)}.")
    if params.data.private:
        limits.append(f"Private columns, of which no value is shown: {', '.join(map(code, params.data.private))}.")
    return [f"- {limit}" for limit in limits]


def model_card(params: Params, test: Mapping[str, Any], data: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """The text of the model card."""
    name, train = params.problem.name, params.train
    arguments = table(["argument", "value"], [[code(key), code(value)] for key, value in train.arguments.items()])
    rows = f"{data['parts']['train']:,} rows"
    if sample := evaluation.get("sample"):
        rows = f"a sample of {sample['rows']:,} of the {sample['of']:,} rows of train"
    sections = {
        f"# {name}": [params.problem.question],
        "## The decision": decision_section(params, test),
        "## Scores on test": scores_section(test),
        f"## Slices: {params.gate.metric}": slices_section(params.gate.metric, test),
        "## The model": [
            f"{code(train.model, 120)}, fitted on {rows} ([data card](DATA_CARD.md)).",
            arguments if train.arguments else "It has its default arguments.",
        ],
        "## How often test was opened": openings_section(test),
        "## Limits": ["\n".join(limits_section(params, test))],
    }
    text = "\n\n".join("\n\n".join([title, *lines]) for title, lines in sections.items())
    return f"{header(params, test)}\n\n{text}\n"


def split_in_words(params: Params) -> str:
    """How the rows were divided."""
    split = params.split
    if isinstance(split, SplitByTime):
        valid_from, test_from = moment(split.valid_from), moment(split.test_from)
        text = f"By time ({code(params.data.time)}): valid begins at {valid_from}, test at {test_from}."
        return f"{text} Rows of one {split.block} are drawn together." if split.block else text
    what = "Groups" if split.by == "group" else "Rows"
    return f"{what} drawn at random: {split.valid:.0%} for valid, {split.test:.0%} for test."


def moment(value: object) -> str:
    """A moment of params.yaml, without a time at midnight."""
    return short_moment(value.isoformat()) if isinstance(value, datetime) else str(value)


def range_of(column: Mapping[str, Any]) -> str:
    """The 5 % and 95 % quantiles of a column, or the number of its distinct values."""
    if "values" in column:
        return f"{column['distinct']} values"
    if not column.get("quantiles"):
        return ""
    ends = [column["quantiles"][share] for share in ("0.05", "0.95")]
    if column["kind"] == "date":  # in days since 1970
        return " to ".join(f"{EPOCH + timedelta(days=end)}" for end in ends)
    return " to ".join(map(number, ends))


def data_card(params: Params, test: Mapping[str, Any], data: Mapping[str, Any], source: Mapping[str, Any]) -> str:
    """The text of the data card."""
    tables = [[code(name), f"{found['rows']:,}", str(found["columns"])] for name, found in source["tables"].items()]
    parts = [[name, f"{rows:,}"] for name, rows in {**data["parts"], "test": test["rows"]}.items()]
    dropped = [f"- {reason}: {rows:,} rows" for reason, rows in data["dropped"].items()]
    columns = []
    for name, found in data["columns"].items():
        columns.append([code(name), found["kind"], f"{found['missing']:.1%}", range_of(found)])
    sections = {
        f"# The data of {params.problem.name}": [f"Source: {code(source['source'], 120)}."],
        "## Raw tables": [table(["table", "rows:", "columns:"], tables)],
        "## Rows": [
            table(["part", "rows:"], parts),
            split_in_words(params),
            "\n".join(["Dropped before the split:", "", *dropped]) if dropped else "No row was dropped.",
        ],
        "## Columns": [
            "In train and valid. The range is from the 5 % quantile to the 95 % quantile.",
            table(["column", "kind", "missing:", "range"], columns),
        ],
    }
    return "\n\n".join("\n\n".join([title, *lines]) for title, lines in sections.items()) + "\n"


def main() -> None:
    params = read_params()
    test, data, evaluation, source = (
        json.loads(Path(name).read_text(encoding="utf-8"))
        for name in ("release/test.json", "metrics/data.json", "metrics/evaluation.json", "metrics/source.json")
    )
    cards = {
        MODEL_CARD: model_card(params, test, data, evaluation),
        DATA_CARD: data_card(params, test, data, source),
    }
    for path, text in cards.items():
        write_bytes(text.encode(), path)
    print(f"{MODEL_CARD}, {DATA_CARD}")


if __name__ == "__main__":
    main()
