"""The range of normalised pixels, which are few and known."""

import numpy as np

from imgrec.layers.fake_quant import LEVELS, nudge

CLEAR = 1e-3  # steps; float32 and integer multipliers differ by a hundredth of this


def pixel_range(scale: np.ndarray, offset: np.ndarray) -> tuple[float, float]:
    """The range of `scale · pixel + offset` over whole pixels 0…255 and all channels.

    Widened by up to 1 % where needed to keep every pixel's value clear of the middle between two int8
    points: float and integer arithmetic might round it to different sides, in every image.

    Args:
        scale: `[C]`, positive.
        offset: `[C]`.
    """
    values = np.arange(256)[:, None] * scale.astype("float64") + offset
    candidates = []
    for widening in np.linspace(1, 1.01, 41):
        low, high = nudge(np.float32(values.min() * widening), np.float32(values.max() * widening), np)
        position = (values - low) / ((high - low) / LEVELS)
        candidates.append((np.abs(position % 1 - 0.5).min(), float(low), float(high)))
        if candidates[-1][0] > CLEAR:
            break
    return max(candidates)[1:]
