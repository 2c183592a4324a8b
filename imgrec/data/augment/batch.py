"""What the flags ask for, on whole batches in TensorFlow: each a pure function of (seed, epoch, index).

An operation takes and returns a dictionary of `image` uint8 `[B, H, W, C]`, `label`, `epoch` and `index`
int64 `[B]`.
"""

from collections.abc import Callable
from typing import Any, Literal

import cv2
import numpy as np
import tensorflow as tf

from imgrec.data.augment.policies import augmix
from imgrec.data.augment.view import View
from imgrec.data.order.draws import Draws
from imgrec.data.order.randomness import CROP_LEFT, CROP_TOP, ERASE, FLIP, uniform

Example = dict[str, Any]
Operation = Callable[[Example], Example]

_VIEWS = 3
"""The image itself and two AugMix views of it."""
# Of the 64 streams of draws `randomness.py` takes the first and a line of operations up to 56.
_VIEW_STREAM = 60


def flip_left_right(seed: int) -> Operation:
    """Mirror each image of a batch with probability ½."""

    def flip(batch: Example) -> Example:
        chosen = flipped(seed, batch)
        image = batch["image"]
        return {**batch, "image": tf.where(chosen[:, None, None, None], image[:, :, ::-1], image)}

    return flip


def flipped(seed: int, batch: Example) -> Any:
    """Return bool `[B]`: which images of a batch `flip_left_right` mirrors."""
    return uniform(seed, batch["epoch"], batch["index"], FLIP) < 0.5


def pad_and_crop(seed: int, share: float = 0.125, mode: Literal["zeros", "reflect"] = "zeros") -> Operation:
    """Pad each side by `share` of the size and cut the old size out of it at random.

    Source: Lee et al., "Deeply-supervised nets", 2015, with 4 pixels around 32; the CIFAR recipe of
    ResNet (arXiv 1512.03385).
    """

    def crop(batch: Example) -> Example:
        image = batch["image"]
        _, height, width, _ = image.shape
        pad_y, pad_x = max(1, round(height * share)), max(1, round(width * share))
        kind = "CONSTANT" if mode == "zeros" else "REFLECT"
        padded = tf.pad(image, [[0, 0], [pad_y, pad_y], [pad_x, pad_x], [0, 0]], kind)
        rows = _drawn(seed, batch, CROP_TOP, 2 * pad_y + 1)[:, None] + tf.range(height)
        columns = _drawn(seed, batch, CROP_LEFT, 2 * pad_x + 1)[:, None] + tf.range(width)
        cut = tf.gather(padded, rows, axis=1, batch_dims=1)
        return {**batch, "image": tf.gather(cut, columns, axis=2, batch_dims=1)}

    return crop


def random_erasing(
    seed: int,
    probability: float = 0.5,
    scale: tuple[float, float] = (0.02, 0.4),
    ratio: tuple[float, float] = (0.3, 3.3),
) -> Operation:
    """Hide a random rectangle of each image of a batch under noise, with `probability`.

    The rectangle has `scale` of the area and an aspect in `ratio`, and is cut to the image's sides. Adds
    `visible`, float32 `[B, H, W, 1]`: 0 where the image is hidden, else 1. The noise is a part, another
    for every draw, of one large image of independent uniform pixels.

    Source: Zhong et al., "Random Erasing Data Augmentation", 2020 (arXiv 1708.04896).
    """
    low, high = np.log(ratio[0]), np.log(ratio[1])

    def erase(batch: Example) -> Example:
        image = batch["image"]
        _, height, width, channels = image.shape
        draws = tf.unstack(uniform(seed, batch["epoch"], batch["index"], ERASE, 7), axis=-1)
        chosen, share, aspect = draws[0] < probability, draws[1], tf.exp(low + (high - low) * draws[2])
        area = height * width * (scale[0] + (scale[1] - scale[0]) * share)
        rows = _span(tf.sqrt(area * aspect), draws[3], height)
        columns = _span(tf.sqrt(area / aspect), draws[4], width)
        hidden = (rows[:, :, None] & columns[:, None, :] & chosen[:, None, None])[..., None]
        large = np.random.default_rng(seed).integers(0, 256, (2 * height, 2 * width, channels), np.uint8)
        top, left = (tf.cast(d * n, tf.int32)[:, None] for d, n in ((draws[5], height), (draws[6], width)))
        noise = tf.gather(tf.constant(large), top + tf.range(height))
        noise = tf.gather(noise, left + tf.range(width), axis=2, batch_dims=1)
        return {
            **batch,
            "image": tf.where(hidden, noise, image),
            "visible": 1.0 - tf.cast(hidden, tf.float32),
        }

    return erase


def augmix_views(seed: int) -> Operation:
    """Put two AugMix views beside each image of a batch: uint8 `[B, H, W, C]` → `[B, 3, H, W, C]`.

    The image itself comes first. It is as all augmentation before has left it, and so are what the views are
    made of: they share its crop and its mirroring. A view is a function of (seed, epoch, index).

    Source: Hendrycks et al., "AugMix", 2020 (arXiv 1912.02781), section 3.
    """
    cv2.setNumThreads(1)  # batches are worked on side by side already

    def mix(images: np.ndarray, epoch: np.ndarray, index: np.ndarray) -> np.ndarray:
        result = np.repeat(images[:, np.newaxis], _VIEWS, axis=1)
        for row, (e, i) in enumerate(zip(epoch.tolist(), index.tolist(), strict=True)):
            own = View.of(images[row], 0 if images.shape[-1] == 1 else "reflect")
            for view in range(1, _VIEWS):
                draws = Draws(seed, e, i, _VIEW_STREAM + view)
                result[row, view] = augmix(own, draws).pixels()
        return result

    def put(batch: Example) -> Example:
        image = batch["image"]
        views = tf.numpy_function(mix, [image, batch["epoch"], batch["index"]], tf.uint8, stateful=False)
        return {**batch, "image": tf.ensure_shape(views, (None, _VIEWS, *image.shape[1:]))}

    return put


def _span(length: Any, index: Any, side: int) -> Any:
    """Return bool `[B, side]`: the pixels of a span of rounded `length`, at `index` 0…1 of what is free."""
    length = tf.clip_by_value(tf.round(length), 1.0, float(side))
    begin = tf.floor(index * (side - length + 1))
    pixel = tf.range(side, dtype=tf.float32)
    return (pixel >= begin[:, None]) & (pixel < (begin + length)[:, None])


def _drawn(seed: int, batch: Example, stream: int, count: int) -> Any:
    """Return a number below `count` for each image, int32 `[B]`."""
    return tf.cast(uniform(seed, batch["epoch"], batch["index"], stream) * count, tf.int32)
