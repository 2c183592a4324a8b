"""What processing does to images: contrast, elastic, pixels, JPEG. Images are float64 0…1, `[h, w, C]`."""

import io

import cv2
import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates

from imgrec.data.corrupt.blur import blurred


def contrast(image: np.ndarray, draw: np.random.Generator, kept: float) -> np.ndarray:
    """Return (x − m) · kept + m, m the mean of each channel."""
    means = image.mean(axis=(0, 1), keepdims=True)
    return (image - means) * kept + means


def elastic(
    image: np.ndarray, draw: np.random.Generator, strength: float, smoothness: float, tilt: float
) -> np.ndarray:
    """Return the image under a random affinity, then under a smooth field of random shifts.

    The affinity moves three points of a square in the middle by up to `tilt`; the field is uniform noise of
    `strength` that a Gaussian of `smoothness` has smoothed. All three are shares of the shorter side.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    image = _tilted(image, draw, tilt * side)
    down, right = (
        strength * side * blurred(noise, smoothness * side, cut=3, border=cv2.BORDER_REFLECT)
        for noise in draw.uniform(-1, 1, (2, height, width))
    )
    rows, columns = np.mgrid[:height, :width]
    places = np.stack([rows + down, columns + right])
    channels = [
        map_coordinates(image[..., c], places, order=1, mode="reflect") for c in range(image.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def _tilted(image: np.ndarray, draw: np.random.Generator, most: float) -> np.ndarray:
    height, width = image.shape[:2]
    x, y, reach = width // 2, height // 2, min(height, width) // 3
    corners = np.array([[x + reach, y + reach], [x + reach, y - reach], [x - reach, y - reach]], np.float32)
    moved = corners + draw.uniform(-most, most, corners.shape).astype(np.float32)
    matrix = cv2.getAffineTransform(corners, moved)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101).reshape(
        image.shape
    )


def pixelate(image: np.ndarray, draw: np.random.Generator, share: float) -> np.ndarray:
    """Return the image shrunk to `share` of its sides by box means, and enlarged again."""
    height, width = image.shape[:2]
    small = _picture(image).resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    return _values(small.resize((width, height), Image.Resampling.BOX))


def jpeg(image: np.ndarray, draw: np.random.Generator, quality: int) -> np.ndarray:
    """Return the image as JPEG of `quality` gives it back, by libjpeg's tables and 4:2:0."""
    stream = io.BytesIO()
    _picture(image).save(stream, "JPEG", quality=quality)
    return _values(Image.open(stream))


def _picture(image: np.ndarray) -> Image.Image:
    pixels = np.rint(255 * image).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _values(picture: Image.Image) -> np.ndarray:
    pixels = np.asarray(picture) / 255
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels
