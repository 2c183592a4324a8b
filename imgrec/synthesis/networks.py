"""The two networks of a conditional GAN for images of 16 to 64 pixels.

Class numbers come as one-hot targets `[B, num_classes]`, float32. Pixels are float32, 0…255, on both sides.
"""

import math
from typing import Any

import keras
from keras import layers, ops

SMALLEST, LARGEST = 16, 64
_CLASS_SIZE = 32
_LEAK = 0.2


def generator(shape: tuple[int, int, int], num_classes: int, width: int, noise: int) -> keras.Model:
    """Return (noise float32 `[B, noise]`, targets) → pixels `[B, *shape]`.

    A map of a quarter or an eighth of the side is doubled by transposed convolutions. Each result is brought
    to unit length a pixel (Karras et al., 2018, arXiv 1710.10196) and scaled and shifted by noise and class
    (self-modulation: Chen et al., 2019, arXiv 1810.01365). No batch normalisation: an image is a function of
    its own noise and class, also under averaged weights.

    Args:
        shape: height, width and channels; sides of `SMALLEST` to `LARGEST`.
        num_classes: of the targets.
        width: channels of the last map times 2.
        noise: length of the noise.
    """
    given, targets = layers.Input((noise,), name="noise"), layers.Input((num_classes,), name="targets")
    label = layers.Dense(_CLASS_SIZE, use_bias=False, name="class")(targets)
    style = layers.Concatenate(name="style")([given, label])
    doublings = 2 if max(shape[:2]) <= 32 else 3
    height, across = (math.ceil(side / 2**doublings) for side in shape[:2])
    channels = width // 2 * 2**doublings
    x = layers.Dense(height * across * channels, name="start")(style)
    x = layers.Reshape((height, across, channels), name="start_map")(x)
    x = _modulated(x, style, "start")
    for stage in range(1, doublings + 1):
        channels //= 2
        x = layers.Conv2DTranspose(channels, 4, 2, "same", use_bias=False, name=f"double{stage}")(x)
        x = _modulated(x, style, f"double{stage}")
    x = layers.Conv2D(shape[2], 3, padding="same", activation="tanh", name="paint")(x)
    top, left = ((have - want) // 2 for have, want in zip(x.shape[1:3], shape[:2], strict=True))
    x = x[:, top : top + shape[0], left : left + shape[1]]
    return keras.Model([given, targets], (x + 1.0) * 127.5, name="generator")


def _modulated(x: Any, style: Any, name: str) -> Any:
    channels = x.shape[-1]
    x = x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-8)
    change = layers.Dense(2 * channels, name=f"{name}_modulation")(style)
    change = layers.Reshape((1, 1, 2 * channels))(change)
    scale, shift = change[..., :channels], change[..., channels:]
    return _leaky(x * (1.0 + scale) + shift)


def _leaky(x: Any) -> Any:
    # Not Keras's layer: behind a convolution TensorFlow fuses it, fails at its gradient and says so.
    return ops.maximum(x, _LEAK * x)


def discriminator(shape: tuple[int, int, int], num_classes: int, width: int) -> keras.Model:
    """Return (pixels `[B, *shape]`, targets) → score float32 `[B]`: high for a true image of its class.

    Convolutions of stride 2 down to a map of about 4 × 4, every weight spectrally normalised (Miyato et al.,
    2018, arXiv 1802.05957); the class comes in as a projection of the summed features (Miyato and Koyama,
    2018, arXiv 1802.05637).
    """
    pixels, targets = layers.Input(shape, name="pixels"), layers.Input((num_classes,), name="targets")
    x, channels, stage = pixels / 127.5 - 1.0, width, 1
    while max(x.shape[1:3]) > 4:
        x = _leaky(_bounded(layers.Conv2D(channels, 4, 2, "same"), f"halve{stage}")(x))
        channels, stage = min(2 * channels, 4 * width), stage + 1
    features = ops.sum(x, axis=(1, 2))
    alone = _bounded(layers.Dense(1), "score")(features)
    known = _bounded(layers.Dense(features.shape[-1], use_bias=False), "class")(targets)
    score = alone + ops.sum(features * known, axis=-1, keepdims=True)
    return keras.Model([pixels, targets], score[:, 0], name="discriminator")


def _bounded(layer: keras.Layer, name: str) -> keras.Layer:
    return layers.SpectralNormalization(layer, name=name)
