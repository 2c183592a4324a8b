"""The input pipelines that `benchmarks.input` stands beside: bare tf.data, KerasCV's and Keras's own layers.

Each reads the same JPEG files and gives batches of float32 `[B, SIDE, SIDE, 3]` and one-hot targets.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import keras_cv
import tensorflow as tf

SIDE = 224
CLASSES = 10
AREA, ASPECT = (0.35, 1.0), (3 / 4, 4 / 3)


def bare(paths: Sequence[str], batch: int, steps: int) -> tf.data.Dataset:
    """Decode and resize (bilinear, no antialiasing: TensorFlow's default), nothing else."""
    read = _each(paths, batch, steps, lambda x: tf.image.resize(x, (SIDE, SIDE)))
    return read.prefetch(tf.data.AUTOTUNE)


def kerascv(paths: Sequence[str], batch: int, steps: int) -> tf.data.Dataset:
    """Random crop, flip, RandAugment, then Mixup or CutMix, by KerasCV's layers."""
    layers = keras_cv.layers
    crop = layers.RandomCropAndResize((SIDE, SIDE), AREA, ASPECT)
    changes = [layers.RandomFlip("horizontal"), layers.RandAugment((0, 255), 2, magnitude=9 / 30)]
    mixed = [layers.MixUp(alpha=0.2), layers.CutMix(alpha=1.0)]

    def augment(images: Any, targets: Any) -> Any:
        for change in changes:
            images = change(images)
        pair = {"images": images, "labels": targets}
        return _either([lambda layer=layer: layer(pair) for layer in mixed])

    read = _each(paths, batch, steps, lambda x: crop(tf.cast(x, tf.float32)))
    return read.map(augment, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def keras_layers(paths: Sequence[str], batch: int, steps: int) -> tf.data.Dataset:
    """The same by the layers of Keras 3; its crop has a size, not a share, and comes after a resize."""
    layers = keras.layers
    crop = layers.RandomCrop(SIDE, SIDE)
    changes = [layers.RandomFlip("horizontal"), layers.RandAugment((0, 255), 2, factor=9 / 30)]
    mixed = [layers.MixUp(alpha=0.2), layers.CutMix(factor=1.0)]

    def augment(images: Any, targets: Any) -> Any:
        for change in changes:
            images = change(images, training=True)
        pair = {"images": images, "labels": targets}
        return _either([lambda layer=layer: layer(pair, training=True) for layer in mixed])

    shorter = (256, 341)
    read = _each(paths, batch, steps, lambda x: crop(tf.image.resize(x, shorter), training=True))
    return read.map(augment, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _either(branches: list[Callable[[], Any]]) -> Any:
    """Run one branch of two, each as often."""
    return tf.cond(tf.random.uniform([]) < 0.5, *branches)


def _each(paths: Sequence[str], batch: int, steps: int, change: Callable[[Any], Any]) -> tf.data.Dataset:
    """Read, decode and `change` one image after another, in `steps` batches."""
    data = tf.data.Dataset.from_tensor_slices(list(paths)).shuffle(len(paths), seed=0).repeat()

    def read(path: Any) -> tuple[Any, Any]:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        target = tf.one_hot(tf.strings.to_hash_bucket_fast(path, CLASSES), CLASSES)
        return change(image), target

    return data.map(read, tf.data.AUTOTUNE).batch(batch, drop_remainder=True).take(steps)
