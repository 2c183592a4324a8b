"""Three channels to the one of a grey model, as the first step of its file.

Clients hand over RGB (MediaPipe refuses a file of one channel). The weights are those of ITU-R 601 in whole
parts of 167, so that an int8 convolution has them exactly: within 0.0006 of .299, .587 and .114, and where
the three channels are equal the shade comes out unchanged, in float32 and in int8.
"""

from typing import Any

import numpy as np

PARTS = (50, 98, 19)
"""Of red, green and blue; their sum is odd, so that no product lies half-way between two shades."""
WHOLE = sum(PARTS)


def luma(pixels: Any) -> Any:
    """Return float32 `[1, H, W, 1]`, whole shades 0…255, of float32 `[1, H, W, 3]` in 0…255."""
    import tensorflow as tf

    return tf.round(tf.nn.conv2d(pixels, _kernel(), 1, "VALID"))


def luma_int8(pixels: Any) -> Any:
    """Return the same as a convolution whose input, weights and output the converter makes int8."""
    import tensorflow as tf

    end = 127 / WHOLE
    rounded = tf.quantization.fake_quant_with_min_max_args(pixels, 0.0, 255.0)
    kernel = tf.quantization.fake_quant_with_min_max_args(_kernel(), -end, end, narrow_range=True)
    grey = tf.nn.conv2d(rounded, kernel, 1, "VALID")
    return tf.quantization.fake_quant_with_min_max_args(grey, 0.0, 255.0)


def _kernel() -> np.ndarray:
    return np.array(PARTS, np.float32).reshape(1, 1, 3, 1) / np.float32(WHOLE)
