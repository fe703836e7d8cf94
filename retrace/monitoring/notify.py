"""Tell GitHub about alarms: one issue for each, which is closed when the alarm is over.

It calls `gh`, GitHub's command-line program, in the project's folder. An issue is recognised by a comment in its body,
and only among those with the label `alarm`, which only people with the right to do so can give. The comment names the
series, which has at most one open alarm, and says whether the alarm is over. An issue that somebody closed while its
alarm was open isn't opened again.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from retrace.errors import UserError
from retrace.markdown import code, table

LABEL = "alarm"
MOST_ISSUES = "10000"


def notify_github(content: Mapping[str, Any]) -> None:
    """Open, update and close the issues of a model's alarms.

    Args:
        content: of watch.json.

    Raises:
        UserError: `gh` isn't installed, isn't logged in, or fails.
    """
    call_gh("label", "create", LABEL, "--force", "--description", "make watch noticed a change", "--color", "C62828")
    fields = "number,state,title,body"
    found = json.loads(
        call_gh("issue", "list", "--label", LABEL, "--state", "all", "--limit", MOST_ISSUES, "--json", fields)
    )
    for series in content["series"]:
        mark = mark_of(content, series["name"], "open")
        issue = next((each for each in found if mark in each["body"]), None)
        alarm = next((each for each in series["alarms"] if each["over"] is None), None)
        if alarm is not None:
            body = f"{describe(content, series, alarm)}\n\n{mark}\n"
            if issue is None:
                title = f"Alarm: {content['model']}: {series['name']}"
                call_gh("issue", "create", "--label", LABEL, "--title", title, "--body", body)
            elif issue["body"].strip() != body.strip():
                call_gh("issue", "edit", str(issue["number"]), "--body", body)
        elif issue is not None:
            # Closed first: if a call fails, the next run still recognises the issue by its mark.
            if issue["state"] == "OPEN":
                call_gh("issue", "close", str(issue["number"]), "--comment", end_of(series["alarms"]))
            over = issue["body"].replace(mark, mark_of(content, series["name"], "over"))
            call_gh("issue", "edit", str(issue["number"]), "--body", over)


def end_of(alarms: Sequence[Mapping[str, Any]]) -> str:
    """What is said when an issue is closed."""
    if not alarms:
        return "This alarm no longer exists, because predictions or labels have changed."
    return f"Over since {alarms[-1]['over']}."


def mark_of(content: Mapping[str, Any], series: str, state: str) -> str:
    """The comment by which the issue of an alarm is recognised; JSON, whose `>` is escaped, so that nothing ends it.

    Args:
        content: of watch.json.
        series: its name.
        state: of the alarm, open or over.
    """
    key = [content["package"], content["by"], series, state]
    text = json.dumps(key).replace(">", "\\u003e").replace("--", "-\\u002d")
    return f"<!-- retrace watch {text} -->"


def describe(content: Mapping[str, Any], series: Mapping[str, Any], alarm: Mapping[str, Any]) -> str:
    """An alarm in Markdown; names from the data are in code spans, where GitHub recognises nothing."""
    row = [code(alarm["statistic"]), *(f"{alarm[key]:.4g}" for key in ("before", "now", "low", "high"))]
    return "\n\n".join(
        [
            f"{code(series['name'])} of {code(content['model'])} {code(content['version'])} has changed.",
            table(["statistic", "before:", "since:", "expected from:", "to:"], [row]),
            f"The change began about {alarm['since']}. The alarm was raised on {alarm['raised']}. Without a change, "
            "the mean would be in the expected range 95 times in 100.",
            "What to do is in docs/operating.md, under After an alarm.",
        ]
    )


def call_gh(*words: str) -> str:
    """What a command of `gh` prints.

    Raises:
        UserError: it isn't installed, or fails.
    """
    try:
        done = subprocess.run(["gh", *words], capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError:
        raise UserError(
            "gh: not found; install GitHub's command-line program, and log in with `gh auth login`"
        ) from None
    if done.returncode:
        reason = (done.stderr.strip() or "no message").splitlines()[-1]
        raise UserError(f"gh {words[0]} {words[1]}: {reason}")
    return done.stdout
