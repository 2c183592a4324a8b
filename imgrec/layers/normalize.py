"""From pixels to the scale a network was designed for."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from imgrec.layers.composite import Configured


@keras.saving.register_keras_serializable("imgrec")
class PixelNormalization(Configured):
    """`(pixel - mean) / std` by channel, with the figures in the config and no weights.

    Takes `[B, H, W, C]` pixels on the 0…255 scale and keeps the shape. The result is float32 under
    every precision policy: bfloat16 tells only 256 levels apart, and augmented pixels are fractions.

    Args:
        mean: C numbers on the 0…255 scale, subtracted.
        std: C positive numbers on the 0…255 scale, divided by.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)
        self.built = True

    def call(self, x: Any) -> Any:
        """Scale and shift `x`, one multiplication and one addition a pixel."""
        scale = [1.0 / std for std in self.std]
        offset = [-mean / std for mean, std in zip(self.mean, self.std, strict=True)]
        return ops.add(
            ops.multiply(x, ops.convert_to_tensor(scale, "float32")),
            ops.convert_to_tensor(offset, "float32"),
        )
