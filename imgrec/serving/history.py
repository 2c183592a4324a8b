"""What went on in the last hour and day, in memory, for the dashboard."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imgrec.serving.metrics import FINE, Metrics

STEP = 5.0
"""Seconds of a row of the last hour."""
LONG = 24
"""Rows of the hour that make one of the day: two minutes."""
ROWS = 720
"""Of each: an hour, a day."""
RECENT = 30
"""Rows of the day whose classes are kept: an hour."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
Evidence = Mapping[str, Mapping[str, float]]
"""Version → what may have changed → how sure that is."""


@dataclass
class Window:
    """What was counted in a while; two that follow each other can be added.

    status: HTTP status → requests.
    times: requests by the bounds `FINE`.
    images, sure, batches: how many images, the sum of their probabilities, and how often workers answered.
    classes: (version, class) → images.
    waiting: the longest queue that was seen.
    """

    status: Counter[int] = field(default_factory=Counter)
    times: Sequence[int] = (0,) * (len(FINE) + 1)
    images: int = 0
    sure: float = 0.0
    batches: int = 0
    together: float = 0.0
    classes: Counter[tuple[str, int]] = field(default_factory=Counter)
    waiting: int = 0

    def __add__(self, after: "Window") -> "Window":
        return Window(
            self.status + after.status,
            [mine + others for mine, others in zip(self.times, after.times, strict=True)],
            self.images + after.images,
            self.sure + after.sure,
            self.batches + after.batches,
            self.together + after.together,
            self.classes + after.classes,
            max(self.waiting, after.waiting),
        )

    def row(self, moment: float, seconds: float, evidence: Evidence) -> dict[str, Any]:
        """Return what the dashboard draws: rates a second, milliseconds, means; None where nothing came."""
        return {
            "time": round(moment, 1),
            "rate": round(self.status.total() / seconds, 3),
            "status": {
                str(status): round(found / seconds, 3) for status, found in sorted(self.status.items())
            },
            **{name: quantile(self.times, share) for name, share in QUANTILES.items()},
            "waiting": self.waiting,
            "batch": round(self.together / self.batches, 2) if self.batches else None,
            "confidence": round(self.sure / self.images, 4) if self.images else None,
            "evidence": {version: dict(kinds) for version, kinds in evidence.items()},
        }


def quantile(times: Sequence[int], share: float) -> float | None:
    """Return the milliseconds that a share of requests took at most, within a quarter; None of none."""
    left = share * sum(times)
    if not left:
        return None
    for place, found in enumerate(times):
        if found and left <= found:
            high = FINE[min(place, len(FINE) - 1)]
            low = FINE[place - 1] if place else 0.0
            return round(1000 * (low + (high - low) * left / found), 3)
        left -= found
    return round(1000 * FINE[-1], 3)


class History:
    """Rows of the last hour and the last day, and the classes of the last hour."""

    def __init__(self, metrics: Metrics) -> None:
        """Begin with what was counted so far as nothing."""
        self._metrics = metrics
        self.hour: deque[dict[str, Any]] = deque(maxlen=ROWS)
        self.day: deque[dict[str, Any]] = deque(maxlen=ROWS)
        self._recent: deque[Counter[tuple[str, int]]] = deque(maxlen=RECENT)
        self._pending, self._parts = Window(), 0
        self._before = self._total(0)

    def sample(self, moment: float, seconds: float, waiting: int, evidence: Evidence) -> None:
        """Add a row for what was counted in the seconds before `moment`, which is in seconds since 1970."""
        total = self._total(waiting)
        before, self._before = self._before, total
        window = Window(
            total.status - before.status,
            [now - then for now, then in zip(total.times, before.times, strict=True)],
            total.images - before.images,
            total.sure - before.sure,
            total.batches - before.batches,
            total.together - before.together,
            total.classes - before.classes,
            waiting,
        )
        self.hour.append(window.row(moment, seconds, evidence))
        self._pending, self._parts = self._pending + window, self._parts + 1
        if self._parts == LONG:
            self.day.append(self._pending.row(moment, LONG * STEP, evidence))
            self._recent.append(self._pending.classes)
            self._pending, self._parts = Window(), 0

    def classes(self) -> Counter[tuple[str, int]]:
        """Return images by version and class, of about an hour."""
        return sum(self._recent, Counter()) + self._pending.classes

    def _total(self, waiting: int) -> Window:
        """Return all that was counted since the start."""
        metrics = self._metrics
        status: Counter[int] = Counter()
        for (_, code), found in metrics.requests.items():
            status[code] += found
        probability = list(metrics.probability.values())
        return Window(
            status,
            list(metrics.times.counts),
            sum(sum(spread.counts) for spread in probability),
            sum(spread.sum for spread in probability),
            sum(metrics.batch.counts),
            metrics.batch.sum,
            Counter({(v, k): n for v, (_, found) in metrics.classes.items() for k, n in found.items()}),
            waiting,
        )
