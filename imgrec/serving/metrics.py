"""What the server counts, for Prometheus: plain numbers, which take their form when they are asked for."""

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from imgrec.serving.facts import Facts
from imgrec.serving.observed import Seen
from imgrec.serving.source import Source

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
TWENTIETHS = tuple(k / 20 for k in range(1, 21))
FINE = tuple(1e-4 * 10 ** (k / 10) for k in range(61))
"""Seconds, a quarter more each, from which quantiles can be read."""
BATCHES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Spread:
    """How often values fell between bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """Begin with none; values above the last bound are counted, too."""
        self._bounds, self.counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def into(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add the counts, each with those below it, to a family of Prometheus."""
        buckets, below = [], 0
        for bound, found in zip((*map(str, self._bounds), "+Inf"), self.counts, strict=True):
            below += found
            buckets.append((bound, below))
        family.add_metric(labels, buckets, self.sum)


class Metrics:
    """The counts of one server.

    Attributes:
        requests: how many, by route and status.
        times: seconds of all that were answered by a worker, by `FINE`.
        classes: version → its facts, and images by class.
        probability: version → images by `TWENTIETHS`.
        batch: images answered at once.
    """

    def __init__(self, source: Source) -> None:
        """Begin with none."""
        self._source = source
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._began = time.time()
        ProcessCollector(registry=self._registry)
        self.requests: Counter[tuple[str, int]] = Counter()
        self._seconds: dict[str, Spread] = defaultdict(lambda: Spread(SECONDS))
        self.times = Spread(FINE)
        self.classes: dict[str, tuple[Facts, Counter[int]]] = {}
        self.probability: dict[str, Spread] = defaultdict(lambda: Spread(TWENTIETHS))
        self.batch = Spread(BATCHES)

    def answered(self, route: str, status: int, seconds: float | None = None) -> None:
        """Count a request, and how long it took; None of one that was refused at once."""
        self.requests[route, status] += 1
        if seconds is not None:
            self._seconds[route].add(seconds)
            self.times.add(seconds)

    def images(self, seen: Sequence[Seen], together: int) -> None:
        """Count the images of a request, by class and probability, and how many were answered together."""
        self.batch.add(together)
        for each in seen:
            facts = each.facts
            if each.label < 0:
                continue
            if facts.version not in self.classes:
                self.classes[facts.version] = (facts, Counter())
            self.classes[facts.version][1][each.label] += 1
            self.probability[facts.version].add(each.probability)

    def register(self, collector: Collector) -> None:
        """Let somebody else's families stand in the text, too."""
        self._registry.register(collector)

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Give every family, as a collector of Prometheus does."""
        requests = CounterMetricFamily("imgrec_requests", "Requests answered", labels=["route", "status"])
        for (route, status), found in self.requests.items():
            requests.add_metric([route, str(status)], found)
        yield requests
        answers = CounterMetricFamily(
            "imgrec_answers", "Images by their most probable class", labels=["version", "label"]
        )
        for version, (facts, classes) in self.classes.items():
            for index, found in classes.items():
                answers.add_metric([version, facts.labels[index]], found)
        yield answers
        yield from self._spreads()
        yield from self._now()

    def _spreads(self) -> Iterator[Metric]:
        seconds = HistogramMetricFamily(
            "imgrec_request_seconds", "From a request's headers to its answer", labels=["route"]
        )
        for route, spread in self._seconds.items():
            spread.into(seconds, [route])
        yield seconds
        probability = HistogramMetricFamily(
            "imgrec_probability", "Of the most probable class", labels=["version"]
        )
        for version, spread in self.probability.items():
            spread.into(probability, [version])
        yield probability
        batch = HistogramMetricFamily("imgrec_batch_images", "Images answered at once", labels=[])
        self.batch.into(batch, [])
        yield batch

    def _now(self) -> Iterator[Metric]:
        source = self._source
        labels = ["model", "version", "role", "called"]
        versions = GaugeMetricFamily("imgrec_version", "Versions that have workers", labels=labels)
        for each in source.versions():
            facts = each.facts
            versions.add_metric([facts.name, facts.version, source.role(each), each.called], 1)
        yield versions
        refused = GaugeMetricFamily(
            "imgrec_version_refused", "Versions of the store that cannot be served", labels=["called"]
        )
        for called in source.refused:
            refused.add_metric([called], 1)
        yield refused
        yield CounterMetricFamily(
            "imgrec_version_swaps", "Times that another version took over", value=source.swaps
        )
        pools = [each.pool for each in source.versions()]
        for name, words, value in (
            ("waiting_requests", "Requests in the queue", sum(pool.waiting for pool in pools)),
            ("workers", "Workers that are ready", sum(each.ready for pool in pools for each in pool.workers)),
            ("workers_died", "Workers that ended by themselves", sum(pool.died for pool in pools)),
        ):
            yield GaugeMetricFamily(f"imgrec_{name}", words, value)
