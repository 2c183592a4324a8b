"""Two actions timed in turn, so that a machine whose speed drifts does not decide between them."""

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ratio:
    """How the first action compares with the second: medians of wall seconds, and of each pair's ratio."""

    first: float
    second: float
    wall: float
    """second / first in wall time: above 1, the first is faster."""
    cpu: float
    """The same in processor time, which other processes disturb less."""


def compare(first: Callable[[], Any], second: Callable[[], Any], rounds: int = 15, warmup: int = 3) -> Ratio:
    """Time `first` and `second` alternately, `rounds` times each after `warmup` uncounted rounds."""
    pairs = []
    for turn in range(warmup + rounds):
        pair = (_timed(first), _timed(second))
        if turn >= warmup:
            pairs.append(pair)
    return Ratio(
        first=statistics.median(a.wall for a, _ in pairs),
        second=statistics.median(b.wall for _, b in pairs),
        wall=statistics.median(b.wall / a.wall for a, b in pairs),
        cpu=statistics.median(b.cpu / max(a.cpu, 1e-9) for a, b in pairs),
    )


@dataclass(frozen=True)
class _Seconds:
    wall: float
    cpu: float


def seconds(action: Callable[[], Any]) -> tuple[float, float]:
    """Return the wall and the processor seconds that `action` takes."""
    taken = _timed(action)
    return taken.wall, taken.cpu


def _timed(action: Callable[[], Any]) -> _Seconds:
    wall, cpu = time.perf_counter(), processor_seconds()
    action()
    return _Seconds(time.perf_counter() - wall, processor_seconds() - cpu)


def processor_seconds() -> float:
    """Of this process and of those it started that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
