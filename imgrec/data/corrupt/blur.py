"""A lens out of focus, frosted glass, a moving and a zooming camera. Images are float64 0…1, `[h, w, C]`."""

import math
from functools import lru_cache

import cv2
import numpy as np


def defocus_blur(image: np.ndarray, draw: np.random.Generator, radius: float, softness: float) -> np.ndarray:
    """Return the image under a disc of `radius` pixels whose rim a Gaussian of `softness` pixels smooths."""
    return filtered(image, disc(radius, softness), cv2.BORDER_REFLECT_101)


@lru_cache(maxsize=32)
def disc(radius: float, softness: float) -> np.ndarray:
    """Return the kernel of `defocus_blur`, float32 `[side, side]` that sums to 1."""
    reach, side = (8, 3) if radius <= 8 else (math.ceil(radius), 5)
    along = np.arange(-reach, reach + 1)
    inside = (along**2 + along[:, None] ** 2 <= radius**2).astype(np.float32)
    return cv2.GaussianBlur(inside / inside.sum(), (side, side), softness)


def glass_blur(
    image: np.ndarray, draw: np.random.Generator, sigma: float, reach: int, rounds: int
) -> np.ndarray:
    """Return the image blurred, its pixels swapped with near ones, and blurred again.

    Row by row from the lower right, `rounds` times: each pixel swaps places with the one that lies a drawn
    −reach … reach − 1 pixels away in both directions. The published code means to swap, but its NumPy views
    make it a copy of the other pixel; here it is the swap.
    """
    height, width = image.shape[:2]
    pixels = np.clip(np.rint(255 * blurred(image, sigma)), 0, 255) / 255
    places = list(range(height * width))
    rows, columns = range(height - reach, reach, -1), range(width - reach, reach, -1)
    for _ in range(rounds):
        offsets = draw.integers(-reach, reach, (2, len(rows), len(columns)))
        partners = (offsets[0] * width + offsets[1]).tolist()
        for row, line in zip(rows, partners, strict=True):
            for place, offset in zip(range(row * width + width - reach, 0, -1), line, strict=False):
                other = place + offset
                places[place], places[other] = places[other], places[place]
    shuffled = pixels.reshape(height * width, -1)[places].reshape(image.shape)
    return blurred(shuffled, sigma)


def blurred(
    image: np.ndarray, sigma: float, cut: float = 4.0, border: int = cv2.BORDER_REPLICATE
) -> np.ndarray:
    """Return `image` under a Gaussian of `sigma` pixels that ends at `cut` of them; 0 changes nothing."""
    side = 2 * int(cut * sigma + 0.5) + 1
    if side == 1:
        return image
    return cv2.GaussianBlur(image, (side, side), sigma, borderType=border).reshape(image.shape)


def motion_blur(image: np.ndarray, draw: np.random.Generator, radius: int, sigma: float) -> np.ndarray:
    """Return the image blurred along a line, −45° to 45° from the horizontal."""
    return moved(image, radius, sigma, draw.uniform(-45.0, 45.0))


def moved(image: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """Return the image blurred along `angle` degrees, to one side, as by ImageMagick; edges are repeated."""
    kernel, anchor = trail(radius, sigma, angle)
    return filtered(image, kernel, cv2.BORDER_REPLICATE, anchor)


def trail(radius: int, sigma: float, angle: float) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the kernel of `moved`, float64 that sums to 1, and the place (x, y) in it of the pixel itself.

    2 · radius + 1 points one pixel apart, the first on the pixel, weighted by half a Gaussian of `sigma`
    (ImageMagick's MotionBlurImage: GetMotionBlurKernel and its offsets, rounded half down).
    """
    steps = np.arange(2 * math.ceil(radius) + 1)
    weights = np.exp(-(steps**2) / (2.0 * sigma**2))
    turn = math.radians(angle)
    x, y = (np.ceil(steps * part - 0.5).astype(int) for part in (math.cos(turn), math.sin(turn)))
    kernel = np.zeros((int(np.ptp(y)) + 1, int(np.ptp(x)) + 1))
    np.add.at(kernel, (y - y.min(), x - x.min()), weights / weights.sum())
    return kernel, (int(-x.min()), int(-y.min()))


def filtered(
    image: np.ndarray, kernel: np.ndarray, border: int, anchor: tuple[int, int] = (-1, -1)
) -> np.ndarray:
    """Return the correlation of each channel with `kernel`, float64 `[h, w, C]`."""
    return cv2.filter2D(image, -1, kernel, anchor=anchor, borderType=border).reshape(image.shape)


def zoom_blur(image: np.ndarray, draw: np.random.Generator, end: float, step: float) -> np.ndarray:
    """Return the mean of the image and of its enlargements by 1, 1 + step … below `end`."""
    factors = np.arange(1, end, step)
    total = image.copy()
    for factor in factors:
        total += zoomed(image, float(factor))
    return total / (len(factors) + 1)


def zoomed(image: np.ndarray, factor: float) -> np.ndarray:
    """Return the middle of the image, `factor` times as large, in the image's own size.

    Bilinear, the corners of what is enlarged in the corners of the result, as `scipy.ndimage.zoom`.
    """
    (rows, down), (columns, right) = (_places(side, factor) for side in image.shape[:2])
    down, right = down[:, None, None], right[None, :, None]
    lines = image[rows] * (1 - down) + image[np.minimum(rows + 1, image.shape[0] - 1)] * down
    return lines[:, columns] * (1 - right) + lines[:, np.minimum(columns + 1, image.shape[1] - 1)] * right


@lru_cache(maxsize=256)
def _places(side: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixel before each place of an enlarged side, and how far behind it the place lies, 0…1."""
    part = math.ceil(side / factor)
    whole = round(part * factor)
    start = (side - part) // 2
    trim = (whole - side) // 2
    at = np.arange(trim, trim + side) * ((part - 1) / max(whole - 1, 1))
    before = np.minimum(np.floor(at).astype(int), max(part - 2, 0))
    return start + before, at - before
