"""Mixup and CutMix on batches: KerasCV's layers, made right and repeatable. Its one import site.

KerasCV's CutMix labels by the box it drew, of which part may lie outside the picture; here the label
share is the share of pixels. Its draws come from hidden state; here they are a function of
(seed, step). Both layers compute in float32 whatever the precision policy.
"""

from collections.abc import Callable
from typing import Any

import keras_cv
import tensorflow as tf
from keras_cv.src.utils import fill_utils

from imgrec.config import AugmentConfig
from imgrec.data.randomness import MIX

Pair = tuple[Any, Any]
Mixer = Callable[[Any, Pair], Pair]


class MixUp(keras_cv.layers.MixUp):
    """Blend each image and target with those of another: x ← λx + (1 − λ)x′, λ ~ Beta(α, α) an image.

    Called on `{"images": float32 [B, H, W, C], "labels": float32 [B, K], "seed": int64 [2]}`.

    Source: Zhang et al., "mixup: Beyond empirical risk minimization", 2018 (arXiv 1710.09412).
    """

    def _batch_augment(self, inputs: dict[str, Any]) -> dict[str, Any]:
        self._validate_inputs(inputs)
        images, labels = inputs["images"], inputs["labels"]
        share, order, _ = _draws(inputs["seed"], self.alpha, tf.shape(images)[0])
        weight = share[:, None, None, None]
        mixed = weight * images + (1.0 - weight) * tf.gather(images, order)
        return {**inputs, "images": mixed, "labels": self._update_labels(labels, share, order)}


class CutMix(keras_cv.layers.CutMix):
    """Put a box of another image into each; the target's share is the share of pixels left.

    The box has √(1 − λ) of each side, λ ~ Beta(α, α) an image, centred anywhere and cut off at the
    border. Called as `MixUp`.

    Source: Yun et al., "CutMix", 2019 (arXiv 1905.04899).
    """

    def _batch_augment(self, inputs: dict[str, Any]) -> dict[str, Any]:
        self._validate_inputs(inputs)
        images, labels = inputs["images"], inputs["labels"]
        share, order, centre = _draws(inputs["seed"], self.alpha, tf.shape(images)[0])
        size = tf.cast(tf.shape(images)[1:3], tf.float32)
        box = tf.cast(tf.sqrt(1.0 - share)[:, None] * size, tf.int32)
        centre = tf.cast(centre * size, tf.int32)
        blank = tf.zeros_like(images[..., :1])
        inside = fill_utils.fill_rectangle(
            blank, centre[:, 1], centre[:, 0], box[:, 1], box[:, 0], tf.ones_like(blank)
        )
        share = 1.0 - tf.reduce_mean(inside, axis=[1, 2, 3])
        mixed = tf.where(inside > 0, tf.gather(images, order), images)
        return {**inputs, "images": mixed, "labels": self._update_labels(labels, share, order)}


def mixer(augment: AugmentConfig, seed: int) -> Mixer | None:
    """Return `(step, (images, targets)) → (images, targets)` for what is switched on, or None.

    A share `mix_probability` of the batches is mixed; with both kinds on, each takes half of them.
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

    def mix(step: Any, pair: Pair) -> Pair:
        key = tf.stack([tf.constant(seed * 64 + MIX, tf.int64), tf.cast(step, tf.int64)])
        choice = tf.random.stateless_uniform([], key) / augment.mix_probability
        branches = [_branch(layer, pair, key) for layer in layers]
        kind = tf.minimum(tf.cast(choice * len(layers), tf.int32), len(layers))
        return tf.switch_case(kind, [*branches, lambda: pair])

    return mix


def _branch(layer: Any, pair: Pair, key: Any) -> Callable[[], Pair]:
    def run() -> Pair:
        mixed = layer({"images": pair[0], "labels": pair[1], "seed": key})
        return mixed["images"], mixed["labels"]

    return run


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
