"""How much each channel matters: what the loss loses without it, or how large its weights are."""

from collections.abc import Callable, Iterable

import keras
import numpy as np
from numpy.typing import NDArray

from imgrec.compression.pruning.groups import Groups

Batch = tuple[NDArray[np.floating], NDArray[np.floating]]
"""Images float32 `[B, H, W, C]` in 0…255, and targets float32 `[B, N]`."""
Importance = Callable[[keras.Model, Groups, Iterable[Batch], keras.losses.Loss], NDArray[np.float64]]


def taylor(
    model: keras.Model, found: Groups, batches: Iterable[Batch], loss: keras.losses.Loss
) -> NDArray[np.float64]:
    """Return `[U]`: the mean over batches of the squared first-order change of the loss without the channel.

    Without a channel means: with zeros in all that reads it, so the change is the sum of gradient × weight
    over those slices, shortcuts and all branches together.

    Source: Molchanov et al., "Importance Estimation for Neural Network Pruning", 2019 (arXiv 1906.10771),
    Taylor-FO, on what reads the channel instead of what makes it: that needs no normalisation to stand there.
    """
    import tensorflow as tf

    reading = [cut for cut in found.channels.cuts.values() if cut.reads]
    indices = [found.index(cut.labels) for cut in reading]
    values = [cut.variable.value for cut in reading]

    @tf.function
    def gradients(images: tf.Tensor, targets: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            lost = loss(targets, model(images, training=False))
        products = []
        for cut, value, slope in zip(reading, values, tape.gradient(lost, values), strict=True):
            others = [axis for axis in range(len(value.shape)) if axis != cut.axis]
            products.append(tf.reduce_sum(value * slope, axis=others))
        return products

    total, count = np.zeros(len(found.roots)), 0
    for images, targets in batches:
        change = np.zeros(len(found.roots) + 1)
        for index, product in zip(indices, gradients(images, targets), strict=True):
            np.add.at(change, index, product.numpy())
        total += change[:-1] ** 2
        count += 1
    return total / max(count, 1)


def norm(
    model: keras.Model, found: Groups, batches: Iterable[Batch], loss: keras.losses.Loss
) -> NDArray[np.float64]:
    """Return `[U]`: the sum of squares of all weights of a channel, against the mean of its family.

    Source: Fang et al., "DepGraph", 2023 (arXiv 2301.12900); images and loss are not asked.
    """
    squares = np.zeros(len(found.roots) + 1)
    for cut in found.channels.cuts.values():
        if cut.variable.trainable:
            value = keras.ops.convert_to_numpy(cut.variable).astype(float)
            others = tuple(axis for axis in range(value.ndim) if axis != cut.axis)
            np.add.at(squares, found.index(cut.labels), (value**2).sum(axis=others))
    mean = np.bincount(found.family, squares[:-1]) / found.sizes
    return squares[:-1] / np.maximum(mean, 1e-30)[found.family]


IMPORTANCES: dict[str, Importance] = {"taylor": taylor, "norm": norm}
"""Values of the option `importance`."""
