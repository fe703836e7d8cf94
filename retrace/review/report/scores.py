"""The sections about scores: each metric on both sides, what the decisions cost, and the rules of the gate."""

import math

from retrace.differences import gain, interval_of_difference, signed, verdict
from retrace.markdown import code, table
from retrace.review.gate import WORDS
from retrace.review.report.change import Change
from retrace.review.report.wording import interval_of_score, number
from retrace.review.results import Results, calibration_warning
from retrace.review.revision import Revision, flattened
from retrace.review.rules import Rule
from retrace.review.score_differences import compare, gain_from_all_rows, lead_over_baseline
from retrace.scores import higher_is_better

PAIRED = "Both sides are scored on the same rows, and compared resample by resample and refit by refit."
RESCORED = (
    "The base's model was scored again, on the validation rows of this change: both sides are compared resample by "
    "resample. Training variation is estimated from the refits of each side, which were scored on its own validation "
    "rows."
)
UNPAIRED = "The two sides are scored on other rows, and compared as independent: small differences can't be seen."


def write_metrics(change: Change) -> str:
    """The section with each metric on both sides, the difference, and the verdict on it."""
    results, base_results = change.sides.results, change.sides.base_results
    if base_results is None:
        return f"### Metrics\n\n{_table_of_scores(results)}"
    scores, base_scores = results.scores["model"], base_results.scores["model"]
    same_costs = costs_of(change.sides.here) == costs_of(change.sides.base)
    rows = []
    all_paired = True
    for metric in [*scores, *(metric for metric in base_scores if metric not in scores)]:
        difference = compare(results, base_results, metric)
        word: str = verdict(difference, metric, change.least(metric))
        value, interval = signed(difference.value), interval_of_difference(difference)
        if metric == "cost" and not same_costs:
            word, value, interval = "other costs", "", ""
        elif word == "no score":
            word, value, interval = _why_no_score(metric in scores, metric in base_scores), "", ""
        else:
            all_paired = all_paired and difference.paired
        before, after = (number(side.get(metric, {}).get("score")) for side in (base_scores, scores))
        marked = f"**{word}**" if word in ("better", "worse") else word
        rows.append((with_direction(metric), before, after, value, interval, marked))
    header = ["", "base:", "this change:", "difference:", "95 % interval", "verdict"]
    paired = RESCORED if change.sides.rescored else PAIRED
    return f"### Metrics\n\n{table(header, rows)}\n\n{paired if all_paired else UNPAIRED}"


def _table_of_scores(results: Results) -> str:
    """Each metric here, where there is nothing to compare with."""
    rows = []
    for metric, score in results.scores["model"].items():
        rows.append((with_direction(metric), number(score.get("score")), interval_of_score(score)))
    return table(["", "this change:", "95 % interval"], rows)


def write_sample(change: Change) -> str:
    """The section about the sample of train that the model is fitted on, if any, and what more rows would bring."""
    results, metric = change.sides.results, change.metric
    if results.sample is None:
        return ""
    text = (
        "### A sample of the training rows\n\n"
        f"The model is fitted on {results.sample.rows:,} of {results.sample.of:,} rows of train, because more don't "
        "fit into `train.memory`."
    )
    more = gain(gain_from_all_rows(results, metric), metric)
    if math.isnan(more.value):
        return text
    word = "worse" if more.value > 0 else "better"
    text += (
        f" With half of these rows, {code(metric)} was {abs(more.value):.2g} {word} (mean of "
        f"{len(results.refits.columns)} refits; 95 % interval of what the other half brings: "
        f"{interval_of_difference(more)})."
    )
    if more.low > 0:
        return f"{text} Twice the rows would bring about as much at most."
    return f"{text} Chance explains this difference, so twice the rows may bring nothing."


def _why_no_score(is_here: bool, is_in_base: bool) -> str:
    """The verdict on a metric that can't be compared."""
    if not is_in_base:
        return "new"
    return "no score" if is_here else "gone"


def costs_of(revision: Revision | None) -> object:
    """What an error costs by a revision's parameters."""
    params = flattened(revision.content_or_empty("params.yaml")) if revision else {}
    return {key: value for key, value in params.items() if key.startswith("problem.costs")}


def with_direction(metric: str) -> str:
    """A metric with an arrow that points to where it is better."""
    return f"{code(metric)} {'↑' if higher_is_better(metric) else '↓'}"


def write_decision(change: Change) -> str:
    """The section about the decision, if errors have costs."""
    return describe_decision(change.sides.results, change.sides.base_results)


def describe_decision(results: Results, base_results: Results | None) -> str:
    """What decisions by the threshold cost, beside the constant actions, and whether the threshold can be trusted."""
    decision = results.decision
    if decision is None:
        return ""
    rows = []
    actions = {
        "model": f"act if the probability is at least {decision.threshold:.4g}",
        "always": "always act",
        "never": "never act",
    }
    actions[decision.best_constant_action] += " (the better of the two on train)"
    for name, action in actions.items():
        score = results.scores.get(name, {}).get("cost", {})
        scores = [score] if base_results is None else [base_results.scores.get(name, {}).get("cost", {}), score]
        saved = ""
        if name != "model":
            lead = gain(lead_over_baseline(results, name, "cost"), "cost")
            saved = f"{signed(lead.value)}, {interval_of_difference(lead)}"
        rows.append((action, *(number(score.get("score")) for score in scores), interval_of_score(score), saved))
    base_header = [] if base_results is None else ["base:"]
    header = ["", *base_header, "this change:", "95 % interval of this change", "saving of the model"]
    section = f"### Decision\n\nWhat an example costs on average:\n\n{table(header, rows)}"
    warning = calibration_warning(decision)
    if not warning:
        return section
    first, *bins = warning
    return "\n> ".join([f"{section}\n\n> [!WARNING]", first, "", *(f"- {line}" for line in bins)])


def write_gate(change: Change) -> str:
    """The section with the rules and their findings; by both gates where the change brings another."""
    judgement = change.judgement
    if judgement.own_rules is None:
        return f"### Gate\n\n{_table_of_rules(judgement.rules)}"
    return (
        f"### Gate\n\nBy the base's gate, which decides:\n\n{_table_of_rules(judgement.rules)}\n\n"
        f"By the gate that this change brings:\n\n{_table_of_rules(judgement.own_rules)}"
    )


def _table_of_rules(rules: list[Rule]) -> str:
    rows = []
    for rule in rules:
        word = WORDS[rule.passes]
        rows.append((code(rule.name), f"**{word}**" if rule.passes is False else word, code(rule.finding, 160)))
    return table(["rule", "", "finding"], rows)
