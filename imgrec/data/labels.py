"""What labels are: of one class, int32 `[N]`, or of several at once, 0 or 1 in float32 `[N, C]`.

The one place that asks which of the two it is on behalf of figures, files and targets.
"""

from collections.abc import Sequence

import numpy as np

SEPARATOR = "|"
"""Stands between the labels of one image where they are written as text."""


def decide(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return what logits `[N, C]` say, in the form of `labels`.

    Of one class the position of the largest logit, int64 `[N]`; of several bool `[N, C]`: those with a
    probability (by a sigmoid) above a half.
    """
    return np.asarray(logits.argmax(axis=1) if labels.ndim == 1 else logits > 0)


def equal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return for each image whether both say the same, bool `[N]`; several labels must all be the same."""
    same = np.asarray(one == other)
    return same if same.ndim == 1 else np.asarray(same.all(axis=1))


def targets(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return float32 `[N, num_classes]`: one-hot, or several labels as they are."""
    return np.eye(num_classes, dtype=np.float32)[labels] if labels.ndim == 1 else labels.astype(np.float32)


def worded(labels: np.ndarray, classes: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of each image in words: `cat`, or `cat|dog`, or nothing where there is none."""
    if labels.ndim == 1:
        return tuple(classes[label] for label in labels.tolist())
    return tuple(SEPARATOR.join(classes[index] for index in np.flatnonzero(row).tolist()) for row in labels)
