"""An image seen through an affine map and a colour matrix, computed only when its pixels are asked for.

However many flips, crops, rotations, shears and shifts follow one another, they are one matrix and the
image is resampled once; likewise brightness, contrast, saturation and hue are one 3 × 4 matrix. So what a
crop has cut off comes back into view where a rotation follows it, and only what lies outside of the image
is `border`: one for the whole resample, the last that was named.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

Border = int | Literal["reflect"]

# (a, b, c, d, e, f) takes (x, y) to (ax + by + c, dx + ey + f).
Matrix = tuple[float, float, float, float, float, float]

IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
# Source pixels for one of the result, along one side: up to so many, one bilinear sample sees nearly all of
# them; above, the image is halved beforehand.
_HALVED = 2.0
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601


@dataclass(frozen=True)
class View:
    """What is seen of an image; `pixels()` computes it.

    image: uint8 `[h, w, C]`, C = 1 or 3.
    size: height and width of what is seen.
    matrix: takes a point (x, y) of what is seen to a point of the image, x to the right, y down. The
        pixel in row i and column j is the square from (j, i) to (j + 1, i + 1).
    border: what lies around the image: a grey level, or its reflection.
    colour: float64 `[3, 4]` on (red, green, blue, 1) of 0…255, applied after the resample; or None.
    """

    image: np.ndarray
    size: tuple[int, int]
    matrix: Matrix
    border: Border = "reflect"
    colour: np.ndarray | None = None

    @classmethod
    def of(cls, image: np.ndarray, border: Border = "reflect") -> "View":
        """See the whole of an image as it is."""
        return cls(image, image.shape[:2], IDENTITY, border)

    @property
    def channels(self) -> int:
        """1 or 3."""
        return self.image.shape[-1]

    def moved(
        self, matrix: Matrix, border: Border | None = None, size: tuple[int, int] | None = None
    ) -> "View":
        """See the same through `matrix` as well, which takes a new point to where it is seen now."""
        held = self if self.colour is None else View.of(self.pixels(), self.border)
        return replace(
            held,
            matrix=product(held.matrix, matrix),
            border=held.border if border is None else border,
            size=held.size if size is None else size,
        )

    def coloured(self, matrix: np.ndarray) -> "View":
        """See the same with colours through `matrix`, float64 `[3, 4]`, as well."""
        if self.colour is None:
            return replace(self, colour=matrix)
        colour = np.vstack([self.colour, [0.0, 0.0, 0.0, 1.0]])
        return replace(self, colour=matrix @ colour)

    def painted(self, pixels: np.ndarray) -> "View":
        """See `pixels`, uint8 `[H, W, C]`, instead."""
        return View.of(pixels, self.border)

    def pixels(self) -> np.ndarray:
        """Return what is seen, uint8 `[*size, C]`; perhaps the image itself: not to be written to."""
        pixels = self.settled().image
        return pixels if self.colour is None else _recoloured(pixels, self.colour)

    def settled(self) -> "View":
        """Return the same with the resample done, the colours still to come."""
        if self.matrix is IDENTITY:
            return self
        pixels = _resampled(self.image, self.matrix, self.size, self.border)
        return View(pixels, self.size, IDENTITY, self.border, self.colour)

    def luma(self) -> float:
        """Return the mean ITU-R 601 luma of what is seen, 0…255, its colours not yet cut to that range."""
        seen = self.settled()
        mean = np.array(cv2.mean(seen.image)[:3])
        if seen.channels == 1:
            mean[:] = mean[0]
        if self.colour is not None:
            mean = self.colour[:, :3] @ mean + self.colour[:, 3]
        return float(LUMA @ mean)


def _recoloured(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Apply a colour matrix to uint8 `[h, w, C]`, rounded and cut to 0…255."""
    if pixels.shape[-1] == 1:
        # Grey is (g, g, g), and its answer the luma of what becomes of that.
        colour = np.array([[LUMA @ colour[:, :3].sum(axis=1), LUMA @ colour[:, 3]]])
    return cv2.transform(pixels, colour).reshape(pixels.shape)


def product(first: Matrix, second: Matrix) -> Matrix:
    """Return the matrix that does what `second` does and then what `first` does."""
    a, b, c, d, e, f = first
    g, h, i, j, k, m = second
    return (a * g + b * j, a * h + b * k, a * i + b * m + c, d * g + e * j, d * h + e * k, d * i + e * m + f)


def _resampled(image: np.ndarray, matrix: Matrix, size: tuple[int, int], border: Border) -> np.ndarray:
    """Return uint8 `[*size, C]`: the image through `matrix`, bilinear, halved first where it shrinks."""
    shrink = _shrink(matrix)
    straight = _straight(image, matrix, size) if shrink <= _HALVED else None
    if straight is not None:
        return straight
    a, b, c, d, e, f = matrix
    while shrink > _HALVED and min(image.shape[:2]) > 1:
        image, shrink = _halved(image), shrink / 2
        a, b, c, d, e, f = (number / 2 for number in (a, b, c, d, e, f))
    # OpenCV numbers the centres of pixels by whole numbers.
    inverse = np.array([[a, b, c + (a + b - 1) / 2], [d, e, f + (d + e - 1) / 2]])
    mode = cv2.BORDER_REFLECT_101 if border == "reflect" else cv2.BORDER_CONSTANT
    fill = (0,) * 4 if border == "reflect" else (border,) * 4
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(image, inverse, size[::-1], flags=flags, borderMode=mode, borderValue=fill)
    return _with_channels(seen, image)


def _shrink(matrix: Matrix) -> float:
    """Return the larger singular value of the linear part: source pixels for one of the result."""
    a, b, _, d, e, _ = matrix
    total, determinant = a * a + b * b + d * d + e * e, a * e - b * d
    return math.sqrt((total + math.sqrt(max(0.0, total * total - 4 * determinant * determinant))) / 2)


def _straight(image: np.ndarray, matrix: Matrix, size: tuple[int, int]) -> np.ndarray | None:
    """Cut, resize and mirror, where a matrix does no more than that with whole pixels of the image.

    Returns None where it turns, slants, cuts through pixels or shows what lies outside.
    """
    x_scale, b, left, d, y_scale, top = matrix
    if b or d:
        return None
    box = []
    ends = ((left, x_scale * size[1]), (top, y_scale * size[0]))
    for (begin, length), side in zip(ends, image.shape[1::-1], strict=True):
        low, high = min(begin, begin + length), max(begin, begin + length)
        if max(abs(low - round(low)), abs(high - round(high))) > 1e-6 or low < -0.5 or high > side + 0.5:
            return None
        box.append(slice(round(low), round(high)))
    part = image[box[1], box[0]]
    if part.shape[:2] != size:  # as `_resampled` does, in half the time
        part = _with_channels(cv2.resize(part, size[::-1], interpolation=cv2.INTER_LINEAR), image)
    if x_scale < 0 or y_scale < 0:
        both = x_scale < 0 and y_scale < 0
        part = _with_channels(cv2.flip(part, -1 if both else int(x_scale < 0)), image)
    return part


def _halved(pixels: np.ndarray) -> np.ndarray:
    """Return the means of 2 × 2 pixels; the last row or column of an odd number is left out."""
    height, width = (side // 2 for side in pixels.shape[:2])
    even = pixels[: 2 * height, : 2 * width]
    return _with_channels(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), pixels)


def _with_channels(pixels: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Give back the axis of one channel, which OpenCV drops."""
    return pixels.reshape(*pixels.shape[:2], like.shape[-1])
