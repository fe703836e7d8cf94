"""predictions/watch.prom: what `make watch` found, in the form that Prometheus reads.

Prometheus' node exporter reads such files with its textfile collector.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from retrace.monitoring.page import has_open_alarm


def write_metrics(content: Mapping[str, Any], path: Path) -> None:
    """Write the metrics.

    Args:
        content: of watch.json.
        path: of the file.
    """
    registry = CollectorRegistry()
    model = {"model": content["model"], "version": content["version"]}

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"retrace_watch_{name}", text, [*model, *labels], registry=registry)

    alarm = gauge("alarm", "1 if an alarm is open, otherwise 0", "series")
    shift = gauge(
        "shift_ratio", "How far the mean has moved, as a multiple of what chance explains", "series", "statistic"
    )
    score = gauge("score", "The score: on test, of served predictions with labels, or estimated", "metric", "source")
    for series in content["series"]:
        alarm.labels(**model, series=series["name"]).set(has_open_alarm(series))
        for name, statistic in series["statistics"].items():
            shift.labels(**model, series=series["name"], statistic=name).set(statistic["moved"])
    for metric, scores in content["performance"]["scores"].items():
        for source, found in scores.items():
            if found is not None and found["score"] is not None:
                score.labels(**model, metric=metric, source=source).set(found["score"])
    gauge("predictions", "Predictions on the days that were compared").labels(**model).set(sum(content["predictions"]))
    gauge("labels", "Predictions among these that have a label").labels(**model).set(sum(content["labels"]))
    write_to_textfile(str(path), registry)
