"""What an image says of itself: brightness, haze, contrast, colour cast and noise, as numbers of 0…255.

All take uint8 `[h, w, 1|3]` and look at every n-th row and column only where the image is large, so
that the price of looking does not grow with it.
"""

import cv2
import numpy as np

LOOKED_AT = 256
"""The shorter side, in pixels, that at least is looked at of a larger image."""
_IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)


def bright(pixels: np.ndarray) -> float:
    """Return the level that 99 % of the pixels' luma do not pass.

    A high quantile rather than the mean: a well-lit object on black is dark in the mean, and not dark.
    """
    return quantile(luma(thinned(pixels)), 0.99)


def veil(pixels: np.ndarray) -> float:
    """Return the level that 98 % of the dark channel pass: the light that lies over even the darkest places.

    In images without haze the dark channel is close to 0 (He et al., 2011, on 5,000 outdoor images:
    90 % of its pixels below 25); haze adds A (1 − t) to all of it. A low quantile rather than the mean: a
    white background has a bright dark channel, and yet is no haze.
    """
    seen = thinned(pixels)
    return quantile(dark_channel(seen, patch_radius(seen)), 0.02)


def contrast(pixels: np.ndarray) -> float:
    """Return the range of luma without the darkest and the brightest 1 % of the pixels."""
    levels = luma(thinned(pixels))
    return quantile(levels, 0.99) - quantile(levels, 0.01)


def cast(pixels: np.ndarray) -> float:
    """Return the distance between the largest and the smallest channel mean; 0 for grey images.

    The means are equal in an image that keeps to the grey-world assumption (Buchsbaum, "A spatial
    processor model for object colour perception", 1980).
    """
    means = thinned(pixels).reshape(-1, pixels.shape[-1]).mean(axis=0)
    return float(means.max() - means.min())


def noise(pixels: np.ndarray) -> float:
    """Return the standard deviation of the noise by Immerkær, "Fast Noise Variance Estimation", 1996.

    The mean magnitude of the luma under the difference of two Laplacians, times √(π/2) / 6, over the
    middle of at most `LOOKED_AT` rows and columns; 0 for an image of under three pixels a side.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < 3:
        return 0.0
    top, left = (max(0, (side - LOOKED_AT) // 2) for side in (height, width))
    part = pixels[top : top + LOOKED_AT, left : left + LOOKED_AT]
    response = cv2.filter2D(luma(part).astype(np.float64), cv2.CV_64F, _IMMERKAER)[1:-1, 1:-1]
    return float(np.abs(response).mean() * np.sqrt(np.pi / 2) / 6)


def thinned(pixels: np.ndarray) -> np.ndarray:
    """Return every n-th row and column, n such that the shorter side keeps `LOOKED_AT` pixels or more."""
    step = max(1, min(pixels.shape[:2]) // LOOKED_AT)
    return np.ascontiguousarray(pixels[::step, ::step])


def luma(pixels: np.ndarray) -> np.ndarray:
    """Return OpenCV's luma (ITU-R 601), uint8 `[h, w]`: quick, a level from `to_colour` at most."""
    if pixels.shape[-1] == 1:
        return pixels[..., 0]
    return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)


def quantile(levels: np.ndarray, share: float) -> float:
    """Return the lowest level that at least `share` of the uint8 `levels` do not pass."""
    counts = cv2.calcHist([np.ascontiguousarray(levels)], [0], None, [256], [0, 256]).cumsum(dtype=np.float64)
    return float(np.searchsorted(counts, share * levels.size))


def dark_channel(pixels: np.ndarray, radius: int) -> np.ndarray:
    """Return the minimum over the channels and a square patch, uint8 `[h, w]`.

    He, Sun and Tang, "Single Image Haze Removal Using Dark Channel Prior", CVPR 2009 and PAMI 2011, eq. 5.

    Args:
        pixels: uint8 `[h, w, C]`.
        radius: of the patch, which has 2 radius + 1 pixels a side and ends at the image's edges.
    """
    lowest = pixels[..., 0]
    for channel in range(1, pixels.shape[-1]):  # many times as fast as NumPy's minimum over a short axis
        lowest = cv2.min(lowest, pixels[..., channel])
    return cv2.erode(np.ascontiguousarray(lowest), np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))


def patch_radius(pixels: np.ndarray) -> int:
    """Return the dark channel's radius, a twentieth of the shorter side and 1 at least.

    He et al. took 7 at 400 pixels. A larger patch finds something dark more often, which the prior needs,
    and its blocks are what the guided filter is there to remove.
    """
    return max(1, (min(pixels.shape[:2]) + 10) // 20)
