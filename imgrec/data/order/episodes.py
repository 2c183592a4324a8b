"""An order in which a batch is an episode: some classes, and as many images of each.

Source: Vinyals et al., "Matching networks for one shot learning", 2016 (arXiv 1606.04080), section 2: a
network is trained in the way in which it will be asked. Which classes and images an episode has is a function
of the seed and the episode's number, so that a training goes on exactly.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from imgrec.data.order.randomness import permuted
from imgrec.errors import InputError

NAME = "episodes"
"""The sampling `episodes(way, images)`, beside those of `sampling.SAMPLINGS`."""
_WITHIN = 1 << 41
"""Added to the seed for the images of a class, so that their order is not that of the classes."""


def sampling_of(way: int, images: int) -> str:
    """Return the sampling of episodes of `way` classes with `images` images each."""
    return f"{NAME}({way}, {images})"


def check(counts: Sequence[int], names: Sequence[str], way: int, images: int, what: str = "training") -> None:
    """Make sure that classes are enough, and images in each of them.

    Args:
        counts: images of each class.
        names: of the classes.
        way, images: classes of an episode, images of each.
        what: which images these are, for the message.

    Raises:
        InputError: they are not.
    """
    if len(counts) < way:
        raise InputError(
            f"an episode of {way} classes: the data has {len(counts)}; expected way={len(counts)} or less"
        )
    fewest = int(np.argmin(counts))
    if counts[fewest] < images:
        raise InputError(
            f"an episode takes {images} images a class: class {names[fewest]!r} has {counts[fewest]} {what} "
            "images; ask for fewer by shot= and query=, or add images"
        )


def places(labels: np.ndarray, way: int, images: int, seed: int) -> tuple[int, Any]:
    """Return how many images an epoch shows, and the function that `sampling.Order` calls `index_at`.

    Episode after episode, class after class: `images` places in turn are of one class, `way` × `images` of
    one episode, in which no class and no image comes twice.

    Args:
        labels: int `[N]`, every class 0 … max there.
        way, images, seed: as they are named.

    Raises:
        InputError: too few classes, or images of one.
    """
    counts = np.bincount(labels)
    check(counts.tolist(), [str(number) for number in range(len(counts))], way, images)
    members = np.argsort(labels, kind="stable")
    table = np.stack([counts, np.cumsum(counts) - counts], axis=1)
    each = way * images
    episodes = max(1, len(labels) // each)

    def index_at(epoch: Any, spot: Any) -> dict[str, Any]:
        number = epoch * episodes + spot // each
        label = permuted(seed, spot % each // images, number, len(counts))
        count, first = tf.unstack(tf.gather(tf.constant(table), label), axis=-1)
        rank = permuted(seed + _WITHIN, spot % images, number * len(counts) + label, count)
        return {"epoch": number, "index": tf.gather(tf.constant(members), first + rank)}

    return episodes * each, index_at
