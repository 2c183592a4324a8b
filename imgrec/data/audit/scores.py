"""Four figures an image: brightness, contrast, blur and haze; and its thumbnail, to compare images by.

Images are halved until their shorter side is below 256 pixels, so that the figures of a photo and
of its smaller copy agree, and so that they cost a fraction of decoding.
"""

from typing import NamedTuple

import cv2
import numpy as np

from imgrec.data.adapt.statistics import dark_channel

SIDE = 32
"""Side of the grey thumbnail."""
GRID = 4
"""Side of the colour thumbnail."""
THUMBNAIL_BYTES = SIDE * SIDE + GRID * GRID * 3
_SHORT, _SHORTEST = 256, 64
_BLANK = 1.5 / 255


class Scores(NamedTuple):
    """What an image looks like, each a share of the full range.

    brightness: mean luma (ITU-R 601), 0…1.
    contrast: standard deviation of luma, 0…0.5: RMS contrast (Peli, "Contrast in complex images", 1990).
    blur: correlation of luma two pixels apart, −1…1, along rows and columns together; 1 is utterly
        blurred. It is 1 − B / 2σ² of Brenner's focus measure B (Brenner et al., "An automated
        microscope for cytologic research", 1976), which makes it independent of contrast.
    haze: mean dark channel, 0…1: the darkest colour in the neighbourhood of each pixel (He, Sun and
        Tang, "Single image haze removal using dark channel prior", 2009). Under white haze of
        transmission t it is 1 − t where the clear image had a dark channel of 0; skies and white
        backgrounds raise it too.
    """

    brightness: float
    contrast: float
    blur: float
    haze: float

    @property
    def blank(self) -> bool:
        """Whether there is nothing to see."""
        return self.contrast < _BLANK


def reduce(pixels: np.ndarray) -> np.ndarray:
    """Return what `measure` looks at of uint8 `[h, w, 1|3]`: halved until its shorter side is below 256."""
    return _halved(pixels, _SHORT)


def measure(pixels: np.ndarray) -> tuple[Scores, bytes]:
    """Return scores and thumbnails of uint8 `[h, w, 1]` (grey) or `[h, w, 3]` (RGB), or of what
    `reduce` made of it.

    The thumbnails are `SIDE` × `SIDE` grey and `GRID` × `GRID` × 3 RGB bytes, one after the other.
    """
    small = reduce(pixels)
    tiny = _halved(small, _SHORTEST)
    grey = _luma(small)
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(grey))
    scores = Scores(mean / 255, deviation / 255, _correlation(grey, deviation), _dark_channel(tiny) / 255)
    colours = cv2.resize(tiny, (GRID, GRID), interpolation=cv2.INTER_AREA)
    if colours.ndim == 2:
        colours = np.repeat(colours[..., np.newaxis], 3, axis=-1)
    return scores, _thumbnail(_luma(tiny)).tobytes() + colours.tobytes()


def _halved(pixels: np.ndarray, limit: int) -> np.ndarray:
    """Halve by averaging fours of pixels until the shorter side is below `limit`; drop an axis of one."""
    height, width = pixels.shape[:2]
    while min(height, width) >= limit:
        height, width = height // 2, width // 2
        # Even sides: only then does OpenCV take its fast way.
        pixels = cv2.resize(pixels[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels


def _luma(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


def _correlation(grey: np.ndarray, deviation: float) -> float:
    """One minus the mean square of differences over two pixels in units of twice the variance."""
    total = count = 0.0
    for left, right in ((grey[:, :-2], grey[:, 2:]), (grey[:-2], grey[2:])):
        if left.size:
            total += cv2.norm(left, right, cv2.NORM_L2SQR)
            count += left.size
    if not count or deviation == 0:
        return 1.0
    return max(-1.0, 1 - total / count / (2 * deviation**2))


def _dark_channel(pixels: np.ndarray) -> float:
    """Mean over pixels of the least colour around them; window 15 pixels of 400 (the paper's), or 3."""
    height, width = pixels.shape[:2]
    window = max(3, round(min(height, width) * 15 / 400) | 1)
    return float(cv2.mean(dark_channel(pixels.reshape(height, width, -1), window // 2))[0])


def _thumbnail(grey: np.ndarray) -> np.ndarray:
    """Average uint8 `[h, w]` to `[SIDE, SIDE]`; a tiny image is first enlarged smoothly, so that all
    its sizes give about one thumbnail.
    """
    if min(grey.shape) < SIDE:
        grey = cv2.resize(grey, (4 * SIDE, 4 * SIDE), interpolation=cv2.INTER_CUBIC)
    return cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
