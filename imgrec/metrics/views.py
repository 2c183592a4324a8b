"""Answers for several pictures of one object, made into one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError

FUSIONS = ("probability", "logit")
"""Mean probability; or mean logit (of classes: mean log-probability), the product of what pictures say."""
FLOOR = 1e-7
"""Probability that stands for every smaller one, so that one picture alone rules nothing out."""


def fuse(
    probabilities: NDArray[np.floating], objects: NDArray[np.integer], fusion: str, activation: str
) -> NDArray[np.float64]:
    """Return the probabilities of each object, float64 `[M, C]`.

    Args:
        probabilities: of the pictures, `[N, C]`.
        objects: number of each picture's object, 0…M−1, `[N]`.
        fusion: one of `FUSIONS`.
        activation: softmax or sigmoid: what makes the probabilities.

    Raises:
        InputError: another fusion, or numbers that do not go together.
    """
    if fusion not in FUSIONS or len(objects) != len(probabilities) or not len(objects):
        raise InputError(
            f"{fusion} of {len(probabilities)} pictures of {len(objects)} objects: expected "
            f"{' or '.join(FUSIONS)}, and the object of each of one picture or more"
        )
    p = np.clip(np.asarray(probabilities, np.float64), FLOOR, 1 - FLOOR)
    if fusion == "probability":
        return _means(np.asarray(probabilities, np.float64), objects)
    if activation == "softmax":
        raised = np.exp(_means(np.log(p), objects))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))
    return np.asarray(1 / (1 + np.exp(-_means(np.log(p) - np.log(1 - p), objects))))


def _means(values: NDArray[np.floating], objects: NDArray[np.integer]) -> NDArray[np.float64]:
    sums = np.zeros((int(objects.max()) + 1, values.shape[1]))
    np.add.at(sums, objects, values)
    return np.asarray(sums / np.bincount(objects)[:, None])


def labels_of(labels: NDArray[Any], objects: NDArray[np.integer]) -> NDArray[Any]:
    """Return the labels of each object: the class of its pictures, or every label that one of them has."""
    found = np.zeros((int(objects.max()) + 1, *labels.shape[1:]), labels.dtype)
    np.maximum.at(found, objects, labels)
    return found
