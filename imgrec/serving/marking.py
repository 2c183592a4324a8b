"""What a worker says of each image beside its answer: numbers that tell whether the world has changed."""

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.serving.predictor import Predictor
from imgrec.tasks.classes import ClassTask
from imgrec.unknown.scores import Seen
from imgrec.watching import measures

MEASURES = (measures.BRIGHTNESS, measures.CONTRAST, measures.SHARPNESS)
UNKNOWN = ("unlikeness", "unknown")
LITTLE = 1.1
"""Features are looked at where an answer then takes at most this many times as long."""
ROUNDS = 5
RATE, BURST = 250, 4096
"""Images a second of which a worker measures what they are like, and how many at once after a quiet time."""
_NOT_MEASURED = (math.nan,) * len(MEASURES)


class Marking:
    """Makes the marks of images that a predictor answers.

    Attributes:
        names: of the numbers that each image has behind its class, probability and margin.
    """

    def __init__(self, predictor: Predictor) -> None:
        """Find out what this predictor can say at little cost; it answers some images for that."""
        self._predictor, self._classes = predictor, isinstance(predictor.task, ClassTask)
        self.looks, self._allowance = _looks(predictor), Allowance(RATE, BURST)
        self.names: tuple[str, ...] = MEASURES + (UNKNOWN if self.looks else ())

    def seen(self, images: NDArray[np.uint8]) -> Seen:
        """Return the predictor's answers to N images, with features where they cost little."""
        return self._predictor.seen(images) if self.looks else Seen(self._predictor.predict(images))

    def decoded(self, seen: Seen, top: int) -> list[dict[str, Any]]:
        """Return the answer to each image; where features are looked at, with whether it is unknown."""
        return (
            self._predictor.decoded(seen, top)
            if self.looks
            else self._predictor.task.decode(seen.scores, top)
        )

    def rows(self, images: NDArray[np.uint8], seen: Seen) -> list[list[float]]:
        """Return class, probability, margin and, behind them, numbers in the order of `names` for each image.

        A task without classes has class -1, and 0 as probability and margin. Images that come faster than
        anybody could watch them have NaN behind these three: of those, what they are like is not measured.
        """
        told = self._unlikeness(seen)
        rows: list[list[float]] = []
        for place, (scores, image) in enumerate(zip(seen.scores.tolist(), images, strict=True)):
            row = _best(scores) if self._classes else [-1.0, 0.0, 0.0]
            measured = self._allowance.takes()
            row += measures.of(image).values() if measured else _NOT_MEASURED
            row += told[place] if told else ()
            rows.append(row)
        return rows

    def _unlikeness(self, seen: Seen) -> list[tuple[float, float]]:
        """Return how unlike training images each is, and whether it is unknown; nothing if not looked at."""
        detector = self._predictor.unknown
        if not self.looks or detector is None or not len(seen.scores):
            return []
        name = detector.chosen(seen)
        values = detector.values(seen)[name]
        unknown = detector.alarms(detector.shares(name, values))
        return list(zip(values.tolist(), unknown.astype(float).tolist(), strict=True))


class Allowance:
    """Lets `rate` a second pass, and `burst` at once after a quiet time."""

    def __init__(self, rate: float, burst: int) -> None:
        """Begin with a whole burst."""
        self._rate, self._burst = rate, burst
        self._left, self._then = float(burst), time.monotonic()

    def takes(self) -> bool:
        """Whether one more may pass; counts it."""
        if self._left < 1:
            now = time.monotonic()
            self._left = min(self._burst, self._left + self._rate * (now - self._then))
            self._then = now
        passes = self._left >= 1
        self._left -= passes
        return passes


def _best(scores: list[float]) -> list[float]:
    """Return the index of the highest score, the score, and by how much it is above the second."""
    highest = max(scores)
    index = scores.index(highest)
    scores[index] = -math.inf
    second = max(scores) if len(scores) > 1 else 0.0
    return [index, highest, highest - second]


def _looks(predictor: Predictor) -> bool:
    """Whether the run tells unknown images by features, and looking at these costs little: measured."""
    images = np.zeros((1, *predictor.preprocess.shape), np.uint8)
    if predictor.unknown is None or predictor.seen(images).features is None:
        return False
    predictor.predict(images)
    alone, both = np.inf, np.inf
    for _ in range(ROUNDS):
        start = time.perf_counter()
        predictor.predict(images)
        middle = time.perf_counter()
        predictor.decoded(predictor.seen(images))
        alone, both = min(alone, middle - start), min(both, time.perf_counter() - middle)
    return bool(both <= LITTLE * alone)
