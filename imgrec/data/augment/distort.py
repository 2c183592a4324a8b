"""Noise, blur, elastic deformation and erasing: changes of pixels that no matrix describes."""

import math
from functools import lru_cache

import cv2
import numpy as np

from imgrec.data.augment.view import View
from imgrec.data.order.draws import Draws

Pair = tuple[float, float]


def noise(view: View, draws: Draws, sigma: float = 10.0, p: float = 0.5) -> View:
    """Add Gaussian noise with a standard deviation of 0 to `sigma` levels, with probability `p`.

    Source: Bishop, "Training with noise is equivalent to Tikhonov regularization", 1995.
    """
    strength = draws.uniform(0.0, sigma)
    if not draws.chance(p):
        return view
    pixels = view.pixels()
    added = draws.generator().standard_normal(pixels.shape, np.float32)
    added *= strength
    return view.painted(cv2.add(pixels, added, dtype=cv2.CV_8U).reshape(pixels.shape))


def blur(view: View, draws: Draws, low: float = 0.1, high: float = 2.0, p: float = 0.5) -> View:
    """Blur by a Gaussian of a standard deviation from `low` to `high` pixels, with probability `p`.

    Source: Chen et al., "A simple framework for contrastive learning", 2020 (arXiv 2002.05709).
    """
    sigma = draws.uniform(low, high)
    return view.painted(blurred(view.pixels(), sigma)) if draws.chance(p) else view


def blurred(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Return uint8 `[h, w, C]` under a Gaussian of `sigma` pixels, cut at four of them, edges mirrored."""
    side = 2 * math.ceil(4 * sigma) + 1
    return cv2.GaussianBlur(pixels, (side, side), sigma, borderType=cv2.BORDER_REFLECT).reshape(pixels.shape)


def elastic(view: View, draws: Draws, alpha: float = 50.0, sigma: float = 5.0, p: float = 0.5) -> View:
    """Move every pixel by `alpha` × a random field in (−1, 1) that a Gaussian of `sigma` pixels has smoothed.

    Bilinear; the image is reflected at its edges. With the defaults a pixel moves by about 1.6 pixels.

    Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks", 2003.
    """
    if not draws.chance(p):
        return view
    pixels = view.pixels()
    field = displacement(draws, view.size, alpha, sigma)
    rows, columns = _grid(view.size)
    moved = cv2.remap(
        pixels, columns + field[0], rows + field[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return view.painted(moved.reshape(pixels.shape))


def displacement(draws: Draws, size: tuple[int, int], alpha: float, sigma: float) -> np.ndarray:
    """Return how far each pixel moves to the right and down, float32 `[2, H, W]`, in pixels."""
    field = draws.generator().random((2, *size), np.float32) * 2 - 1
    return np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in field]) * np.float32(alpha)


@lru_cache(maxsize=8)
def _grid(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the row and the column of every pixel, float32 `[H, W]` each."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return rows, columns


def erasing(
    view: View, draws: Draws, p: float = 0.5, area: Pair = (0.02, 0.4), ratio: Pair = (0.3, 3.3)
) -> View:
    """Hide a rectangle with `area` of the image and an aspect in `ratio` under noise, with probability `p`.

    A rectangle longer than the image is cut off. The noise is uniform, each value for itself.

    Source: Zhong et al., "Random erasing data augmentation", 2020 (arXiv 1708.04896).
    """
    if not draws.chance(p):
        return view
    height, width = view.size
    hidden = height * width * draws.uniform(*area)
    aspect = math.exp(draws.uniform(math.log(ratio[0]), math.log(ratio[1])))
    high = min(max(round(math.sqrt(hidden * aspect)), 1), height)
    wide = min(max(round(math.sqrt(hidden / aspect)), 1), width)
    top, left = draws.below(height - high + 1), draws.below(width - wide + 1)
    pixels = view.pixels().copy()
    shape = (high, wide, view.channels)
    pixels[top : top + high, left : left + wide] = draws.generator().integers(0, 256, shape, np.uint8)
    return view.painted(pixels)
