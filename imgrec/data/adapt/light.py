"""Brightness, contrast, colour and noise: tables of 256 levels, equalisation of the luma, a filter.

All take uint8 `[h, w, 1|3]` and return the same shape and type.
"""

from collections.abc import Callable

import cv2
import numpy as np

from imgrec.data.adapt.statistics import bright, luma, noise, quantile, thinned

Plane = Callable[[np.ndarray], np.ndarray]
TARGET = 235.0
"""Where the level of `bright` comes to lie; it is 229 in the median of the photographs looked at."""


def expose(pixels: np.ndarray) -> np.ndarray:
    """Multiply linear light so that the `bright` level comes to `TARGET`: the exposure that was missed.

    Light is proportional to the time that a sensor collects it, and pixel values are close to the power
    1 / 2.2 of light, so that a factor on light is one factor on values, which keeps hue and saturation.
    """
    return _levels(pixels, np.arange(256) * (TARGET / max(1.0, bright(pixels))))


def gamma(pixels: np.ndarray) -> np.ndarray:
    """Raise values to the power that brings the `bright` level to `TARGET`; black and white stay.

    The power-law transform of Gonzalez and Woods, "Digital Image Processing", section 3.2, with the
    exponent taken from the image. It lifts the darkest levels most.
    """
    level = min(max(bright(pixels), 1.0), TARGET)
    exponent = np.log(TARGET / 255) / np.log(level / 255)
    return _levels(pixels, 255 * (np.arange(256) / 255) ** exponent)


def equalize(pixels: np.ndarray) -> np.ndarray:
    """Equalise the histogram of the luma; the colour differences stay.

    Gonzalez and Woods, "Digital Image Processing", section 3.3; as OpenCV's `equalizeHist`.
    """
    return _on_luma(pixels, cv2.equalizeHist)


def clahe(pixels: np.ndarray) -> np.ndarray:
    """Equalise the luma in tiles, each histogram cut at twice its mean count; the colour differences stay.

    Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", Graphics Gems IV, 1994. At most 8 × 8
    tiles, of 32 pixels a side or more.
    """
    tiles = min(8, max(1, min(pixels.shape[:2]) // 32))
    # Made anew: an OpenCV CLAHE object holds buffers that threads must not share.
    return _on_luma(pixels, cv2.createCLAHE(clipLimit=2.0, tileGridSize=(tiles, tiles)).apply)


def stretch_contrast(pixels: np.ndarray) -> np.ndarray:
    """Spread the levels between the luma's darkest and brightest 1 % over 0…255, alike in all channels.

    Linear contrast stretching, Gonzalez and Woods, section 3.2.
    """
    levels = luma(thinned(pixels))
    low, high = quantile(levels, 0.01), quantile(levels, 0.99)
    return _levels(pixels, (np.arange(256) - low) * (255 / max(1.0, high - low)))


def white_balance(pixels: np.ndarray) -> np.ndarray:
    """Scale the channels to equal Minkowski means of order 6; grey images stay as they are.

    Finlayson and Trezzi, "Shades of Gray and Colour Constancy", 2004, who found 6 best, between the mean
    (grey world) and the maximum (white patch). The mean over the channels keeps its level.
    """
    if pixels.shape[-1] == 1:
        return pixels
    power = ((thinned(pixels) / 255.0) ** 6).reshape(-1, 3).mean(axis=0)
    light = np.maximum(power ** (1 / 6), 1 / 255)
    tables = [_table(np.arange(256) * (light.mean() / value)) for value in light]
    return cv2.LUT(pixels, np.stack(tables, axis=-1)[np.newaxis])


def standardize(pixels: np.ndarray) -> np.ndarray:
    """Bring the image's own mean to 128 and its standard deviation to 64, over all channels together.

    Per-image standardisation as in `tf.image.per_image_standardization`, (x − μ) / max(σ, 1 / √N) for N
    values, laid on bytes: ±2 σ fill the range and what lies beyond is clipped. Thus the model that
    follows, float or int8, still takes raw bytes, and no statistic is computed in int8.
    """
    mean, deviation = float(pixels.mean()), float(pixels.std())
    return _levels(pixels, 128 + (np.arange(256) - mean) * (64 / max(deviation, pixels.size**-0.5)))


def denoise(pixels: np.ndarray) -> np.ndarray:
    """Return the non-local mean of uint8 `[h, w, 1|3]`, as strong as the image is noisy.

    Buades, Coll and Morel, "A non-local algorithm for image denoising", CVPR 2005: patches of 5 pixels,
    searched for in 15; the filter's h is the noise that Immerkær's estimator finds. All channels are
    weighted alike.
    """
    strength = noise(pixels)
    if strength == 0.0:
        return pixels
    whole = np.ascontiguousarray(pixels)
    result = cv2.fastNlMeansDenoising(whole, h=strength, templateWindowSize=5, searchWindowSize=15)
    return result.reshape(pixels.shape)


def _levels(pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Map every level to `values[level]`, rounded and clipped to bytes."""
    return _table(values)[pixels]


def _table(values: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


def _on_luma(pixels: np.ndarray, change: Plane) -> np.ndarray:
    """Change the luma (ITU-R 601) and keep the colour differences; `change` maps uint8 `[h, w]` to itself."""
    if pixels.shape[-1] == 1:
        return change(np.ascontiguousarray(pixels[..., 0]))[..., np.newaxis]
    parts = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2YCrCb)
    parts[..., 0] = change(np.ascontiguousarray(parts[..., 0]))
    return cv2.cvtColor(parts, cv2.COLOR_YCrCb2RGB)
