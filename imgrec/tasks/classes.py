"""What the tasks about named classes have in common, whether an image shows one of them or any number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.tasks.task import Outputs, Task

WIDEST = 20
"""Columns of the terminal that a name fills up; longer ones push the rest of their line."""


@dataclass(frozen=True)
class ClassTask(Task):
    """A task whose outputs are a logit for each class, float32 `[N, C]`."""

    def telling(self, scores: Outputs, labels: np.ndarray) -> NDArray[np.intp]:
        """Return for each image the class whose score its answer rests on, `[N]`: here the most probable.

        Args:
            scores: `[N, C]`.
            labels: of the images, as `Split.labels` has them.
        """
        return np.asarray(scores.argmax(axis=1))

    def caption(self, target: NDArray[np.floating]) -> str:
        """Return `cat`, or `cat 0.7 + dog 0.3` of a mixed image."""
        shown = [k for k in np.argsort(-target, kind="stable") if target[k] >= 0.005]
        if len(shown) == 1:
            return self.classes[shown[0]]
        return " + ".join(f"{self.classes[k]} {target[k]:.2g}" for k in shown)

    def decode(self, scores: Outputs, top: int = 5) -> list[dict[str, Any]]:
        """Return `{"top": [{"label", "probability"}]}` of each image, the most probable first.

        Equal ones stand in the order of the classes.
        """
        best = (-scores).argsort(axis=1, kind="stable")[:, :top]
        return [
            {"top": [{"label": self.classes[k], "probability": float(row[k])} for k in chosen]}
            for row, chosen in zip(scores, best, strict=True)
        ]

    def line(self, answer: Mapping[str, Any]) -> str:
        """Return an answer's classes with their per cent, in columns for all answers."""
        width = max(min(len(name), WIDEST) for name in self.classes)
        return "  ".join(f"{e['label']:<{width}} {100 * e['probability']:5.1f} %" for e in answer["top"])
