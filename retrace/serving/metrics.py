"""Metrics for Prometheus."""

from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """Metrics for Prometheus.

    Attributes:
        registry: prometheus_client's.
        requests: how many requests there were, by path and status.
        seconds: how long they took, by path.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "retrace_requests", "Requests by path and status", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "retrace_request_seconds", "From the request to the reply", ["path"], registry=self.registry
        )
        self._stored = Counter("retrace_predictions", "Stored predictions", ["version"], registry=self.registry)
        self._model = Gauge("retrace_model_info", "The model that answers", ["name", "version"], registry=self.registry)
        self._values: Histogram | None = None

    def show_model(self, name: str, title: str) -> None:
        """Show which model answers."""
        self._model.clear()
        self._model.labels(name, title).set(1)

    def create_histogram(self, edges: Sequence[float]) -> None:
        """Create the histogram of predictions, if this is the first model.

        Later models keep its bins, because Prometheus can't add up histograms with different bins.
        """
        if self._values is None:
            what = "Predictions, or the probability of the last class"
            self._values = Histogram("retrace_prediction", what, buckets=edges, registry=self.registry)

    def count_predictions(self, title: str, predictions: Sequence[Any]) -> None:
        """Count the predictions of a model, each a number or a list with the probability of each class."""
        assert self._values is not None
        self._stored.labels(title).inc(len(predictions))
        for prediction in predictions:
            self._values.observe(prediction[-1] if isinstance(prediction, list) else prediction)


def edges_for(greeting: dict[str, Any]) -> list[float]:
    """The edges of the bins in which predictions are counted: tenths of a probability, or those of the release."""
    if greeting["description"]["classes"]:
        return [tenth / 10 for tenth in range(1, 11)]
    shown = greeting["predictions"] or {"first": 0, "step": 1, "counts": [0]}  # none, if the release had too few rows
    return [shown["first"] + number * shown["step"] for number in range(len(shown["counts"]) + 1)]
