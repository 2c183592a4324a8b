"""Bilinear resampling in whole numbers: equal pixels on every machine, in every order of summation.

The triangle filter is widened when it shrinks an image (antialiasing), as in Pillow and in
`tf.image.resize(antialias=True)`. Weights are multiples of 2⁻¹⁶ that sum to one, so each weighted
sum of bytes is a whole number below 2²⁴: float32 holds it exactly, whatever the order, the vector
width or the library that adds. After each of the two passes the result is rounded to a byte.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

_UNIT = 1 << 16
_ROWS = 8
# OpenBLAS starts threads above this many multiplications. Small pieces keep to the cache and leave
# the cores to the images that are resized at the same time.
_PIECE = 1 << 18


@dataclass(frozen=True)
class Axis:
    """One direction of a resize: `length` pixels become `resized`, of which `[first, first + count)` stay."""

    length: int
    resized: int
    first: int
    count: int


def resample(pixels: np.ndarray, rows: Axis, columns: Axis, antialias: bool = True) -> np.ndarray:
    """Resize uint8 `[rows.length, columns.length, C]` to uint8 `[rows.count, columns.count, C]`."""
    height, width, channels = pixels.shape
    if rows.resized != height or rows.count != height:
        flat = _along_rows(pixels.reshape(height, width * channels), rows, antialias)
        pixels, height = flat.reshape(rows.count, width, channels), rows.count
    if columns.resized != width or columns.count != width:
        turned = _transposed(pixels).reshape(width, height * channels)
        flat = _along_rows(turned, columns, antialias)
        pixels = _transposed(flat.reshape(columns.count, height, channels))
    return pixels


def stretch(pixels: np.ndarray, size: tuple[int, int], antialias: bool = True) -> np.ndarray:
    """Resize uint8 `[h, w, C]` to uint8 `[*size, C]`, both sides on their own."""
    rows, columns = (
        Axis(length, wanted, 0, wanted) for length, wanted in zip(pixels.shape[:2], size, strict=True)
    )
    return resample(pixels, rows, columns, antialias)


def _transposed(pixels: np.ndarray) -> np.ndarray:
    """Swap rows and columns of `[h, w, C]`; OpenCV does so four times as fast as a NumPy copy."""
    height, width, channels = pixels.shape
    return cv2.transpose(np.ascontiguousarray(pixels)).reshape(width, height, channels)


def _along_rows(pixels: np.ndarray, axis: Axis, antialias: bool) -> np.ndarray:
    """Resample `[axis.length, M]` along its first axis to uint8 `[axis.count, M]`."""
    starts, weights = _filter(axis, antialias)
    support, columns = weights.shape[1], pixels.shape[1]
    result = np.empty((axis.count, columns), np.uint8)
    for top in range(0, axis.count, _ROWS):
        block = starts[top : top + _ROWS]
        first, last = int(block[0]), int(block[-1]) + support
        matrix = np.zeros((len(block), last - first), np.float32)
        at = block[:, np.newaxis] - first + np.arange(support)
        matrix[np.arange(len(block))[:, np.newaxis], at] = weights[top : top + _ROWS]
        step = max(64, _PIECE // matrix.size)
        for left in range(0, columns, step):
            sums = matrix @ pixels[first:last, left : left + step].astype(np.float32)
            sums += _UNIT / 2
            sums *= 1 / _UNIT
            result[top : top + _ROWS, left : left + step] = sums
    return result


@lru_cache(maxsize=256)
def _filter(axis: Axis, antialias: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the first input pixel `[count]` and the weights float32 `[count, support]` in units of 2⁻¹⁶."""
    scale = axis.length / axis.resized
    radius = max(scale, 1.0) if antialias else 1.0
    centre = (np.arange(axis.first, axis.first + axis.count) + 0.5) * scale
    low = np.maximum(np.floor(centre - radius + 0.5), 0).astype(np.int64)
    high = np.minimum(np.floor(centre + radius + 0.5), axis.length).astype(np.int64)
    support = int((high - low).max())
    starts = np.minimum(low, axis.length - support)
    inputs = starts[:, np.newaxis] + np.arange(support)
    share = np.maximum(0.0, 1.0 - np.abs(inputs + 0.5 - centre[:, np.newaxis]) / radius)
    share[(inputs < low[:, np.newaxis]) | (inputs >= high[:, np.newaxis])] = 0.0
    weights = np.floor(share / share.sum(axis=1, keepdims=True) * _UNIT + 0.5)
    # Rounding may miss the unit by a few parts: the heaviest pixel takes them.
    weights[np.arange(axis.count), weights.argmax(axis=1)] += _UNIT - weights.sum(axis=1)
    return starts, weights.astype(np.float32)
