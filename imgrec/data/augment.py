"""Random changes of training images, each a pure function of (seed, epoch, index).

An operation takes and returns a dictionary of `image` uint8, `label`, `epoch` and `index` int64.
`random_resized_crop` works on one example, since pictures differ in size; the others on a batch.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from imgrec.data.randomness import CROP_AREA, CROP_LEFT, CROP_RATIO, CROP_TOP, FLIP, uniform
from imgrec.data.resize import stretch

Example = dict[str, Any]
Operation = Callable[[Example], Example]

# Up to this side pictures are padded and cropped; above, a random part of them is resized.
SMALL = 64


def crop_for(crop: str, size: tuple[int, int]) -> str:
    """Resolve `auto`: `pad` for inputs of up to 64 pixels, else `random_resized`."""
    if crop != "auto":
        return crop
    return "pad" if max(size) <= SMALL else "random_resized"


def flip_left_right(seed: int) -> Operation:
    """Mirror each image of a batch with probability ½."""

    def flip(batch: Example) -> Example:
        chosen = uniform(seed, batch["epoch"], batch["index"], FLIP) < 0.5
        image = batch["image"]
        return {**batch, "image": tf.where(chosen[:, None, None, None], image[:, :, ::-1], image)}

    return flip


def pad_and_crop(seed: int, share: float = 0.125, mode: Literal["zeros", "reflect"] = "zeros") -> Operation:
    """Pad each side by `share` of the size and cut the old size out of it at a random place.

    Source: Lee et al., "Deeply-supervised nets", 2015, with 4 pixels around 32; the CIFAR recipe of
    ResNet (arXiv 1512.03385).
    """

    def crop(batch: Example) -> Example:
        image = batch["image"]
        _, height, width, _ = image.shape
        pad_y, pad_x = max(1, round(height * share)), max(1, round(width * share))
        kind = "CONSTANT" if mode == "zeros" else "REFLECT"
        padded = tf.pad(image, [[0, 0], [pad_y, pad_y], [pad_x, pad_x], [0, 0]], kind)
        rows = _places(seed, batch, CROP_TOP, 2 * pad_y + 1)[:, None] + tf.range(height)
        columns = _places(seed, batch, CROP_LEFT, 2 * pad_x + 1)[:, None] + tf.range(width)
        cut = tf.gather(padded, rows, axis=1, batch_dims=1)
        return {**batch, "image": tf.gather(cut, columns, axis=2, batch_dims=1)}

    return crop


def random_resized_crop(
    seed: int,
    size: tuple[int, int],
    scale: tuple[float, float] = (0.35, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    antialias: bool = True,
) -> Operation:
    """Cut a random part of one image `[h, w, C]` and resize it to `size`.

    The part has `scale` of the area and an aspect in `ratio`; after ten parts that do not fit, the
    largest centred one of an allowed aspect is taken. The smallest area is .35, not the .08 of
    ImageNet training: sets of a few thousand images fit poorly to crops that miss the object.

    Source: Szegedy et al., "Going deeper with convolutions", 2014 (arXiv 1409.4842), in torchvision's form.
    """

    def resize(image: np.ndarray) -> np.ndarray:
        return stretch(image, size, antialias)

    def crop(example: Example) -> Example:
        image = example["image"]
        top, left, height, width = _box(seed, example, scale, ratio)
        part = image[top : top + height, left : left + width]
        result = tf.numpy_function(resize, [part], tf.uint8, stateful=False)
        return {**example, "image": tf.ensure_shape(result, (*size, image.shape[-1]))}

    return crop


def _box(seed: int, example: Example, scale: tuple[float, float], ratio: tuple[float, float]) -> list[Any]:
    """Return top, left, height and width (int32) of a random part of `example`'s image."""
    tries = 10
    size = tf.cast(tf.shape(example["image"])[:2], tf.float32)
    where = (seed, example["epoch"], example["index"])
    area = size[0] * size[1] * (scale[0] + (scale[1] - scale[0]) * uniform(*where, CROP_AREA, tries))
    low, high = np.log(ratio[0]), np.log(ratio[1])
    aspect = tf.exp(low + (high - low) * uniform(*where, CROP_RATIO, tries))
    sides = tf.round(tf.sqrt(tf.stack([area / aspect, area * aspect], axis=1)))
    fits = tf.reduce_all((sides >= 1) & (sides <= size), axis=1)
    whole = tf.clip_by_value(size[1] / size[0], ratio[0], ratio[1])
    fallback = tf.maximum(1.0, tf.round(tf.stack([tf.minimum(size[0], size[1] / whole),
                                                  tf.minimum(size[1], size[0] * whole)])))  # fmt: skip
    found = tf.reduce_any(fits)
    chosen = tf.where(found, sides[tf.argmax(fits)], fallback)
    free = size - chosen
    random = tf.stack([uniform(*where, CROP_TOP), uniform(*where, CROP_LEFT)])
    corner = tf.where(found, tf.floor(random * (free + 1)), tf.floor(free / 2))
    return tf.unstack(tf.cast(tf.concat([tf.minimum(corner, free), chosen], axis=0), tf.int32))


def _places(seed: int, batch: Example, stream: int, count: int) -> Any:
    """Return one of `count` places for each image, int32 `[B]`."""
    return tf.cast(uniform(seed, batch["epoch"], batch["index"], stream) * count, tf.int32)
