"""predictions/watch.prom: what `make watch` found, in the form that Prometheus reads.

Prometheus' node exporter reads such files with its textfile collector.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile


def write_metrics(content: Mapping[str, Any], path: Path) -> None:
    """Write the metrics.

    Args:
        content: of watch.json.
        path: of the file.
    """
    registry = CollectorRegistry()
    model = {"model": content["model"], "version": content["version"] or content["package"][:12]}

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"retrace_watch_{name}", text, [*model, *labels], registry=registry)

    alarm = gauge("alarm", "Whether an alarm is open", "series")
    shift = gauge("shift", "How far the mean has moved, in multiples of what chance explains", "series", "statistic")
    score = gauge("score", "The score of predictions: on test, served or estimated", "metric", "of")
    for series in content["series"]:
        is_open = any(each["over"] is None for each in series["alarms"])
        alarm.labels(**model, series=series["name"]).set(is_open)
        for name, statistic in series["statistics"].items():
            shift.labels(**model, series=series["name"], statistic=name).set(statistic["moved"])
    for metric, scores in content["performance"]["scores"].items():
        for of, found in scores.items():
            if found is not None and found["score"] is not None:
                score.labels(**model, metric=metric, of=of).set(found["score"])
    gauge("predictions", "Predictions on the days that were compared").labels(**model).set(sum(content["predictions"]))
    gauge("labels", "Predictions among these that have a label").labels(**model).set(sum(content["labels"]))
    write_to_textfile(str(path), registry)
