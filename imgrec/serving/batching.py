"""How many requests a worker answers at once: measured when it starts, not guessed.

Two things gain by it. A network that takes a batch runs faster on several images. And where a network answers
in a fraction of a millisecond, Python's part is quicker when it does the same for several pictures in a row:
every run of the network throws it out of the processor's caches.
"""

import time
from collections.abc import Callable

WORTHWHILE = 0.9
"""Requests are answered together where one then takes at most this share of its time alone."""
MOST = 32
LONGEST = 0.1
"""Seconds that a batch may take: whoever comes first in it waits for the last."""
ROUNDS = 6


def fitting_batch(answer: Callable[[int], object]) -> tuple[int, float]:
    """Return how many requests are best answered together, and one's seconds then.

    Args:
        answer: answers so many requests at once.

    1, 2, 4 … up to `MOST` take turns, the fastest of `ROUNDS` counts. The smallest within 5 % of the best is
    taken, if it gains as much as `WORTHWHILE` says.
    """
    answer(1)  # warms up
    alone = min(_seconds(answer, 1) for _ in range(3))
    sizes = [
        size for size in (1 << k for k in range(MOST.bit_length())) if size * alone <= LONGEST or size == 1
    ]
    for size in sizes[1:]:
        answer(size)
    best = {size: float("inf") for size in sizes}
    for _ in range(ROUNDS):
        for size in sizes:
            best[size] = min(best[size], _seconds(answer, size) / size)
    size = next(size for size in sizes if best[size] <= 1.05 * min(best.values()))
    return (size, best[size]) if best[size] <= WORTHWHILE * best[1] else (1, best[1])


def _seconds(answer: Callable[[int], object], size: int) -> float:
    start = time.perf_counter()
    answer(size)
    return time.perf_counter() - start
