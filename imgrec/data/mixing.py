"""Mixup and CutMix on batches: KerasCV's layers, made right, repeatable and quick. Its one import site.

KerasCV's CutMix labels by the box it drew, of which part may lie outside the image; here the label
share is the share of pixels. Its draws come from hidden state; here they are a function of
(seed, step). Both layers take uint8 or float32 pixels and give float32, whatever the precision policy;
targets are any float32 `[B, K]`, one-hot, soft or multi-hot.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import keras_cv
import numpy as np
import tensorflow as tf

from imgrec.config import AugmentConfig
from imgrec.data.order.randomness import MIX

Pair = tuple[Any, Any]
Mixer = Callable[[Any, Pair], Pair]


class MixUp(keras_cv.layers.MixUp):
    """Blend each image and target with those of another: x ← λx + (1 − λ)x′, λ ~ Beta(α, α) an image.

    Called on `{"images": uint8 or float32 [B, H, W, C], "labels": float32 [B, K], "seed": int64 [2]}`.

    Source: Zhang et al., "mixup: Beyond empirical risk minimization", 2018 (arXiv 1710.09412).
    """

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Mix without KerasCV's cast to float beforehand: bytes are a quarter of it to move."""
        self._validate_inputs(inputs)
        images, labels = inputs["images"], inputs["labels"]
        share, order, _ = _draws(inputs["seed"], self.alpha, tf.shape(images)[0])
        mixed = _in_numpy(_blend, images, order, share)
        return {**inputs, "images": mixed, "labels": self._update_labels(labels, share, order)}


class CutMix(keras_cv.layers.CutMix):
    """Put a box of another image into each; the target's share is the share of pixels left.

    The box has √(1 − λ) of each side, λ ~ Beta(α, α) an image, centred anywhere and cut off at the
    border. Called as `MixUp`.

    Source: Yun et al., "CutMix", 2019 (arXiv 1905.04899).
    """

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """As `MixUp.call`."""
        self._validate_inputs(inputs)
        images, labels = inputs["images"], inputs["labels"]
        share, order, centre = _draws(inputs["seed"], self.alpha, tf.shape(images)[0])
        size = tf.shape(images)[1:3]
        extent = tf.cast(size, tf.float32)
        length = tf.cast(tf.sqrt(1.0 - share)[:, None] * extent, tf.int32)
        # Half of the length lies before the centre; of an odd one the smaller half.
        begin = tf.cast(centre * extent, tf.int32) - length // 2
        begin, end = (tf.clip_by_value(edge, 0, size) for edge in (begin, begin + length))
        hidden = tf.cast(tf.reduce_prod(end - begin, axis=1), tf.float32)
        share = 1.0 - hidden / tf.reduce_prod(extent)
        mixed = _in_numpy(_paste, images, order, begin, end)
        return {**inputs, "images": mixed, "labels": self._update_labels(labels, share, order)}


def _in_numpy(function: Callable[..., np.ndarray], images: Any, *values: Any) -> Any:
    """Run `function` on the batch: OpenCV blends and copies in a third of TensorFlow's time, or less."""
    return tf.ensure_shape(
        tf.numpy_function(function, [images, *values], tf.float32, stateful=False), images.shape
    )


def _blend(images: np.ndarray, order: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return λx + (1 − λ)x′, float32 `[B, H, W, C]`."""
    flat = images.reshape(len(images), len(images[0]), -1)
    mixed = np.empty(flat.shape, np.float32)
    for row, (other, weight) in enumerate(zip(order, share.tolist(), strict=True)):
        mixed[row] = cv2.addWeighted(flat[row], weight, flat[other], 1.0 - weight, 0.0, dtype=cv2.CV_32F)
    return mixed.reshape(images.shape)


def _paste(images: np.ndarray, order: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the images with the boxes `begin` to `end`, int32 `[B, 2]` (row, column), from the others."""
    mixed = images.copy()
    for row, (other, (top, left), (bottom, right)) in enumerate(zip(order, begin, end, strict=True)):
        mixed[row, top:bottom, left:right] = images[other, top:bottom, left:right]
    return mixed.astype(np.float32)


def mixer(augment: AugmentConfig, seed: int, steps_per_epoch: int) -> Mixer | None:
    """Return `(step, (images, targets)) → (images, targets)` for what is switched on, or None.

    Images are uint8 or float32 and become float32. A share `mix_probability` of the batches is mixed, in
    the first `mix_epochs` epochs where that is not 0; with both kinds on, CutMix takes `cutmix_share` of
    them.
    """
    # The seed only feeds KerasCV's own generator, unused here; without one it asks the system for entropy,
    # which TensorFlow's deterministic mode forbids.
    layers = [
        layer(alpha, seed=0, dtype="float32")
        for layer, alpha in ((MixUp, augment.mixup), (CutMix, augment.cutmix))
        if alpha > 0
    ]
    if not layers or augment.mix_probability <= 0:
        return None
    first = 1.0 - augment.cutmix_share if len(layers) == 2 else 1.0

    def mix(step: Any, pair: Pair) -> Pair:
        step = tf.cast(step, tf.int64)
        key = tf.stack([tf.constant(seed * 64 + MIX, tf.int64), step])
        choice = tf.random.stateless_uniform([], key) / augment.mix_probability
        if augment.mix_epochs:
            choice = tf.where(step < augment.mix_epochs * steps_per_epoch, choice, 1.0)
        kind = tf.where(choice < 1.0, tf.cast(choice >= first, tf.int32), len(layers))

        def mixed(layer: Any) -> Pair:
            held = layer({"images": pair[0], "labels": pair[1], "seed": key})
            return held["images"], held["labels"]

        branches = [partial(mixed, layer) for layer in layers]
        return tf.switch_case(kind, [*branches, lambda: (tf.cast(pair[0], tf.float32), pair[1])])

    return mix


def _draws(seed: Any, alpha: float, batch: Any) -> tuple[Any, Any, Any]:
    """Return λ ~ Beta(α, α) `[B]`, an order `[B]` and places in [0, 1) `[B, 2]`, from `seed` alone."""
    streams = tf.unstack(tf.random.split(seed, 4))
    # float64: with a small α both Gamma draws may be too small for float32.
    first, second = (
        tf.random.stateless_gamma([batch], key, alpha=tf.constant(alpha, tf.float64), dtype=tf.float64)
        for key in streams[:2]
    )
    share = tf.cast(tf.math.divide_no_nan(first, first + second), tf.float32)
    order = tf.random.experimental.stateless_shuffle(tf.range(batch), streams[2])
    return share, order, tf.random.stateless_uniform([batch, 2], streams[3])
