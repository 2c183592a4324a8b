"""What the server counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from imgrec.serving.source import Source
from imgrec.serving.wire import Frame, marks_of

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self, source: Source) -> None:
        self._registry = held = CollectorRegistry()
        self._source = source
        self._requests = Counter(
            "imgrec_requests_total", "Requests that were answered", ["route", "status"], registry=held
        )
        self._seconds = Histogram(
            "imgrec_request_seconds",
            "From a request's headers to its answer",
            ["route"],
            buckets=SECONDS,
            registry=held,
        )
        self._images = Counter("imgrec_images_total", "Images answered", ["version"], registry=held)
        self._classes = Counter(
            "imgrec_answers_total", "Images by their most probable class", ["version", "label"], registry=held
        )
        self._confidence = Histogram(
            "imgrec_probability",
            "Of the most probable class",
            ["version"],
            buckets=[k / 20 for k in range(1, 21)],
            registry=held,
        )
        self._batch = Histogram(
            "imgrec_batch_images", "Images answered at once", buckets=[1, 2, 4, 8, 16, 32, 64], registry=held
        )
        waiting = Gauge("imgrec_waiting_requests", "Requests in the queue", registry=held)
        waiting.set_function(lambda: sum(each.pool.waiting for each in source.versions()))
        workers = Gauge("imgrec_workers", "Workers that are ready", registry=held)
        workers.set_function(
            lambda: sum(worker.ready for each in source.versions() for worker in each.pool.workers)
        )
        self._died = Gauge("imgrec_workers_died", "Workers that ended by themselves", registry=held)
        self._died.set_function(lambda: sum(each.pool.died for each in source.versions()))
        self._version = Gauge(
            "imgrec_version", "The versions that answer", ["model", "version"], registry=held
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def images(self, version: str, labels: tuple[str, ...], reply: Frame) -> None:
        """Count the images of a reply, by class and probability."""
        marks = marks_of(reply)
        self._images.labels(version).inc(len(marks))
        self._batch.observe(reply.many)
        for index, probability in marks:
            self._classes.labels(version, labels[index] if index < len(labels) else str(index)).inc()
            self._confidence.labels(version).observe(probability)

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        self._version.clear()
        for each in self._source.versions():
            self._version.labels(each.facts.name, each.facts.version).set(1)
        return generate_latest(self._registry)
