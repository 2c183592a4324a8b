"""What a worker says of each image beside its answer: numbers that tell whether the world has changed."""

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


class Marking:
    """Makes the marks of images that a predictor answers.

    Attributes:
        names: of the numbers that each image has behind its class, probability and margin.
    """

    def __init__(self, predictor: Predictor) -> None:
        """Find out what this predictor can say at little cost; it answers some images for that."""
        self._predictor, self._classes = predictor, isinstance(predictor.task, ClassTask)
        self.looks = _looks(predictor)
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

    def table(self, images: NDArray[np.uint8], seen: Seen) -> NDArray[np.float32]:
        """Return class, probability, margin and what `names` says of each image, float32 `[N, 3 + names]`.

        A task without classes has class -1, and 0 as probability and margin.
        """
        table = np.zeros((len(images), 3 + len(self.names)), np.float32)
        table[:, 0] = -1
        if self._classes and len(images):
            ordered = np.sort(seen.scores, axis=1)
            table[:, 0] = seen.scores.argmax(axis=1)
            table[:, 1] = ordered[:, -1]
            table[:, 2] = ordered[:, -1] - (ordered[:, -2] if ordered.shape[1] > 1 else 0)
        for row, image in zip(table, images, strict=True):
            row[3:6] = tuple(measures.of(image).values())
        detector = self._predictor.unknown
        if self.looks and detector is not None and len(images):
            name = detector.chosen(seen)
            values = detector.values(seen)[name]
            table[:, 6] = values
            table[:, 7] = detector.alarms(detector.shares(name, values))
        return table


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
