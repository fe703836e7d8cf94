"""Metrics for Prometheus."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class PredictionHistogram(Collector):
    """A histogram of predictions. prometheus_client's own takes ten times as long to count a thousand of them.

    Args:
        edges: the upper edges of the bins; a last bin without an edge follows.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        self._edges = list(edges)
        self._counts = [0] * (len(edges) + 1)
        self._sum = 0.0

    def add(self, predictions: Sequence[float]) -> None:
        """Count predictions."""
        for prediction in predictions:
            self._counts[bisect_left(self._edges, prediction)] += 1
        self._sum += sum(predictions)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram, as Prometheus reads it: each count includes those of the bins before it."""
        names = [*(str(float(edge)) for edge in self._edges), "+Inf"]
        what = "Predictions, or the probability of the last class"
        counts = list(zip(names, accumulate(self._counts), strict=True))
        found = HistogramMetricFamily("retrace_prediction", what, buckets=counts, sum_value=self._sum)
        if self._edges[0] < 0:  # then a sum has no meaning for Prometheus, and the family leaves out the count with it
            found.add_sample("retrace_prediction_count", {}, sum(self._counts))
        yield found


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
        self._values: PredictionHistogram | None = None

    def show_model(self, name: str, title: str) -> None:
        """Show which model answers."""
        self._model.clear()
        self._model.labels(name, title).set(1)

    def create_histogram(self, edges: Sequence[float]) -> None:
        """Create the histogram of predictions, if this is the first model.

        Later models keep its bins, because Prometheus can't add up histograms with different bins.
        """
        if self._values is None:
            self._values = PredictionHistogram(edges)
            self.registry.register(self._values)

    def count_predictions(self, title: str, predictions: Sequence[Any]) -> None:
        """Count the predictions of a model, each a number or a list with the probability of each class."""
        assert self._values is not None
        self._stored.labels(title).inc(len(predictions))
        self._values.add([each[-1] if isinstance(each, list) else each for each in predictions])


def edges_for(greeting: dict[str, Any]) -> list[float]:
    """The edges of the bins in which predictions are counted: tenths of a probability, or those of the release."""
    if greeting["description"]["classes"]:
        return [tenth / 10 for tenth in range(1, 11)]
    shown = greeting["predictions"] or {"first": 0, "step": 1, "counts": [0]}  # none, if the release had too few rows
    return [shown["first"] + number * shown["step"] for number in range(len(shown["counts"]) + 1)]
