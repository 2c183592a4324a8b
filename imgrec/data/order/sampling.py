"""Which image stands where in training: as the data are, or with the classes brought nearer to each other.

Every order is a function of (seed, epoch, position), so that a run can go on at any step. Within a class all
images are shown before one comes again, from one epoch into the next.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from imgrec.data.order import episodes
from imgrec.data.order.randomness import permuted
from imgrec.errors import InputError
from imgrec.registry import lookup
from imgrec.spec import Spec

_WITHIN = 1 << 40
"""Added to the seed for the order within a class, so that it is not that of the classes."""


@dataclass(frozen=True)
class Order:
    """An order of training, without end.

    size: images that an epoch shows.
    index_at: (epoch, position in it), int64 `[...]`, to `{"epoch", "index"}`, int64 `[...]`: the image and
        how often its turn had come before. Augmentation draws from both, and no pair of them comes twice: an
        image that an epoch shows ten times is changed in ten ways.
    """

    size: int
    index_at: Callable[[Any, Any], dict[str, Any]]


def order_of(labels: np.ndarray, sampling: str, seed: int) -> Order:
    """Return the order of a split with `labels` int `[N]` under `sampling`.

    That is one of `SAMPLINGS`, or `episodes(way, images)`, see `episodes.py`.

    Raises:
        InputError: an unknown sampling, a class without images, or labels that are not one class an image; of
            episodes too few classes or images of one.
    """
    if sampling.startswith(f"{episodes.NAME}("):
        way, images = (int(str(number)) for number in Spec.parse(sampling, "sampling").args)
        if labels.ndim != 1 or labels.dtype.kind == "f":
            raise InputError("episodes: expected one class an image, and these labels are others")
        return Order(*episodes.places(labels, way, images, seed))
    quotas = lookup(SAMPLINGS, sampling, "sampling")
    if quotas is natural:
        size = len(labels)
        return Order(size, lambda epoch, spot: {"epoch": epoch, "index": permuted(seed, spot, epoch, size)})
    if labels.ndim != 1 or labels.dtype.kind == "f":
        raise InputError(f"sampling {sampling!r}: expected one class an image, and these labels are others")
    counts = np.bincount(labels)
    if not counts.all():
        raise InputError(f"sampling {sampling!r}: class {int(counts.argmin())} has no training image")
    return _by_class(labels, counts, quotas(counts), seed)


def natural(counts: np.ndarray) -> np.ndarray:
    """Every image once."""
    return counts


def balanced(counts: np.ndarray) -> np.ndarray:
    """Every class the same share of an epoch as long as ever."""
    return _shares(np.ones(len(counts)), int(counts.sum()))


def square_root(counts: np.ndarray) -> np.ndarray:
    """Every class a share ∝ √n of an epoch as long as ever (Mahajan et al., 2018, arXiv 1805.00932)."""
    return _shares(np.sqrt(counts), int(counts.sum()))


def over(counts: np.ndarray) -> np.ndarray:
    """Every class as often as the largest: the smaller ones come again, the epoch is longer."""
    return np.full_like(counts, counts.max())


def under(counts: np.ndarray) -> np.ndarray:
    """Every class as often as the smallest: an epoch shows other images of the larger ones than the last."""
    return np.full_like(counts, counts.min())


SAMPLINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "natural": natural,
    "balanced": balanced,
    "sqrt": square_root,
    "over": over,
    "under": under,
}
"""Images of each class in the split → images of each class in an epoch, int64 `[C]`."""


def _shares(weights: np.ndarray, total: int) -> np.ndarray:
    """Divide `total` in proportion to `weights`, in whole numbers, at least 1 each (largest remainders)."""
    exact = weights / weights.sum() * total
    parts = np.maximum(exact.astype(np.int64), 1)
    missing = max(total - int(parts.sum()), 0)
    parts[np.argsort(parts - exact, kind="stable")[:missing]] += 1
    return parts


def _by_class(labels: np.ndarray, counts: np.ndarray, quotas: np.ndarray, seed: int) -> Order:
    """The order in which an epoch has `quotas[c]` places for class c, taken by its images in turn."""
    total, classes = int(quotas.sum()), len(counts)
    members = np.argsort(labels, kind="stable")
    ends = np.cumsum(quotas)
    table = np.stack([counts, np.cumsum(counts) - counts, quotas, ends - quotas], axis=1)

    def index_at(epoch: Any, spot: Any) -> dict[str, Any]:
        slot = permuted(seed, spot, epoch, total)
        label = tf.searchsorted(tf.constant(ends), tf.reshape(slot, [-1]), side="right", out_type=tf.int64)
        label = tf.reshape(label, tf.shape(slot))
        count, first, quota, begin = tf.unstack(tf.gather(tf.constant(table), label), axis=-1)
        shown = epoch * quota + slot - begin
        turn = shown // count
        rank = permuted(seed + _WITHIN, shown % count, turn * classes + label, count)
        return {"epoch": turn, "index": tf.gather(tf.constant(members), first + rank)}

    return Order(total, index_at)
