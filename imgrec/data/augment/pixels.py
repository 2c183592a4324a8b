"""Operations on an image's pixels that AutoAugment and its followers draw from, as Pillow defines them.

Each takes uint8 `[h, w, C]`, C = 1 or 3, and gives a new array of the same kind.

Source: Cubuk et al., "AutoAugment", 2019 (arXiv 1805.09501), table 6; Pillow's ImageOps and ImageFilter.
"""

import cv2
import numpy as np

_LEVELS = np.arange(256)


def solarize(pixels: np.ndarray, threshold: float) -> np.ndarray:
    """Invert the pixels of at least `threshold`."""
    return _through(pixels, np.where(threshold > _LEVELS, _LEVELS, 255 - _LEVELS))


def posterize(pixels: np.ndarray, bits: int) -> np.ndarray:
    """Keep the `bits` highest bits of 8."""
    return pixels & np.uint8(256 - (1 << (8 - bits)) & 255)


def autocontrast(pixels: np.ndarray) -> np.ndarray:
    """Stretch each channel's darkest pixel to 0 and its brightest to 255."""
    tables = []
    for counts in _histograms(pixels):
        used = np.flatnonzero(counts)
        low, high = int(used[0]), int(used[-1])
        scale = 255.0 / (high - low) if high > low else 1.0
        offset = -low * scale if high > low else 0.0
        tables.append(np.clip((_LEVELS * scale + offset).astype(int), 0, 255))
    return _through(pixels, *tables)


def equalize(pixels: np.ndarray) -> np.ndarray:
    """Spread each channel's levels so that all are about as frequent."""
    tables = []
    for counts in _histograms(pixels):
        used = counts[counts > 0]
        step = int(counts.sum() - used[-1]) // 255
        before = np.cumsum(counts) - counts
        flat = len(used) <= 1 or step == 0
        tables.append(_LEVELS if flat else np.minimum((step // 2 + before) // step, 255))
    return _through(pixels, *tables)


def sharpen(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Blend with a smoothed copy: 0 is smooth, 1 as it was, above 1 sharper; the outermost pixels stay."""
    smooth = np.ones((3, 3)) / 13.0
    smooth[1, 1] = 5.0 / 13.0
    kernel = (1.0 - factor) * smooth
    kernel[1, 1] += factor
    result = cv2.filter2D(pixels, -1, kernel).reshape(pixels.shape)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        result[edge] = pixels[edge]
    return result


def _histograms(pixels: np.ndarray) -> list[np.ndarray]:
    """Return how often each level occurs, int64 `[256]` a channel."""
    found = (cv2.calcHist([pixels], [c], None, [256], [0, 256]) for c in range(pixels.shape[-1]))
    return [counts.ravel().astype(np.int64) for counts in found]


def _through(pixels: np.ndarray, *tables: np.ndarray) -> np.ndarray:
    """Look every pixel up in one table of 256, or in its channel's own."""
    if len(tables) == 1:
        return cv2.LUT(pixels, tables[0].astype(np.uint8)).reshape(pixels.shape)
    table = np.stack(tables, axis=-1).astype(np.uint8)[np.newaxis]
    return cv2.LUT(pixels, table)
