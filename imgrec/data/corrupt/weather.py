"""Snow, frost, fog and bright light. Images are float64 0…1, `[h, w, C]`."""

import cv2
import numpy as np

from imgrec.data.corrupt.blur import moved, zoomed
from imgrec.data.corrupt.textures import frost_texture, plasma


def snow(image: np.ndarray, draw: np.random.Generator, *look: float) -> np.ndarray:
    """Return the image behind flakes that fall, and paler, as under an overcast sky.

    look: mean and deviation of the flakes' noise, how large they are, the noise below which there is none,
        radius and sigma of their fall, and the share of the image's own colours.
    """
    mean, deviation, size, least, radius, sigma, kept = look
    flakes = zoomed(draw.normal(mean, deviation, (*image.shape[:2], 1)), size)
    flakes = np.clip(np.where(flakes < least, 0.0, flakes), 0, 1)
    flakes = moved(flakes, int(radius), sigma, draw.uniform(-135.0, -45.0))
    pale = kept * image + (1 - kept) * np.maximum(image, grey(image) * 1.5 + 0.5)
    return pale + flakes + flakes[::-1, ::-1]


def frost(image: np.ndarray, draw: np.random.Generator, kept: float, ice: float, scale: float) -> np.ndarray:
    """Return `kept` of the image and `ice` of a place in a frost texture, at `scale` of its size."""
    height, width, channels = image.shape
    texture = frost_texture(int(draw.integers(5)), scale, max(height, width))
    top, left = (
        int(draw.integers(0, space - side + 1))
        for space, side in zip(texture.shape[:2], (height, width), strict=True)
    )
    part = texture[top : top + height, left : left + width]
    return kept * image + ice * (grey(part) if channels == 1 else part)


def fog(image: np.ndarray, draw: np.random.Generator, thickness: float, decay: float) -> np.ndarray:
    """Return the image under a plasma fractal of `thickness`, scaled so that the brightest stays so."""
    height, width = image.shape[:2]
    side = 1 << (max(height, width) - 1).bit_length()
    most = image.max()
    mist = plasma(draw, side, decay)[:height, :width, np.newaxis]
    return (image + thickness * mist) * (most / (most + thickness))


def brightness(image: np.ndarray, draw: np.random.Generator, more: float) -> np.ndarray:
    """Return the image with `more` added to the value of HSV, hue and saturation kept."""
    value = image.max(axis=-1, keepdims=True)
    brighter = np.minimum(value + more, 1.0)
    # Black has no hue: it becomes grey.
    return np.where(value > 0, image * (brighter / np.where(value > 0, value, 1.0)), brighter)


def grey(image: np.ndarray) -> np.ndarray:
    """Return the luma of the image, `[h, w, 1]`; a grey image is its own."""
    if image.shape[-1] == 1:
        return image
    return cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY)[..., np.newaxis].astype(np.float64)
