"""The three kinds of labels that sources give; which task learns from them is `imgrec.tasks`' to say.

class: int32 `[N]`, one class an image. classes: 0 or 1 in float32 `[N, C]`, any number of them (multi-label).
value: float32 `[N]`, a number an image.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

LabelKind = Literal["class", "classes", "value"]

SEPARATOR = "|"
"""Stands between the labels of one image where they are written as text."""


def kind_of(labels: np.ndarray) -> LabelKind:
    """Return which kind labels are of, from their shape and dtype."""
    if labels.ndim == 2:
        return "classes"
    return "value" if labels.dtype.kind == "f" else "class"


def worded(labels: np.ndarray, classes: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of each image in words: `cat`, or `cat|dog`, or a number; nothing where none is."""
    kind = kind_of(labels)
    if kind == "classes":
        return tuple(
            SEPARATOR.join(classes[index] for index in np.flatnonzero(row).tolist()) for row in labels
        )
    return tuple(f"{label:g}" if kind == "value" else classes[label] for label in labels.tolist())
