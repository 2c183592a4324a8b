"""Whether images are answered faster together: measured, not guessed."""

import time

import numpy as np

from imgrec.serving.predictor import Predictor

WORTHWHILE = 0.9
"""Images are answered together where one then takes at most this share of its time alone."""


def fitting_batch(predictor: Predictor) -> tuple[int, float]:
    """Measure how many images are best answered together; return that and one's seconds in such a batch.

    1, 2, 4 … up to what the runtime takes; the fastest of three rounds counts, after a first that warms up.
    The smallest within 5 % of the best is taken, if it gains as much as `WORTHWHILE` says.
    """
    sizes = [1 << k for k in range(predictor.runtime.batch.bit_length())]
    shape, rounds = predictor.preprocess.shape, 4
    noise = np.random.default_rng(0).integers(0, 256, (sizes[-1], *shape), np.uint8)
    seconds = {}
    for size in sizes:
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            predictor.predict(noise[:size])
            times.append((time.perf_counter() - start) / size)
        seconds[size] = min(times[1:])
    size = next(size for size in sizes if seconds[size] <= 1.05 * min(seconds.values()))
    return (size, seconds[size]) if seconds[size] <= WORTHWHILE * seconds[1] else (1, seconds[1])
