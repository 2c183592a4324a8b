"""Things hidden, turned and moved: changes of one size that say how far a model's answers carry.

Images are uint8 `[h, w, C]` and stay so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from imgrec.data.corrupt import generator
from imgrec.phrases import Phrase


def occlude(image: np.ndarray, share: float, seed: int, key: str) -> np.ndarray:
    """Hide a square of `share` of the shorter side, anywhere inside, under the image's mean colour."""
    height, width = image.shape[:2]
    side = round(share * min(height, width))
    if not side:
        return image
    draw = generator(seed, key, "occlude")
    top, left = (int(draw.random() * (space - side + 1)) for space in (height, width))
    hidden = image.copy()
    hidden[top : top + side, left : left + side] = np.rint(image.mean(axis=(0, 1)))
    return hidden


def rotate(image: np.ndarray, degrees: float) -> np.ndarray:
    """Turn about the middle, counter-clockwise, bilinear; the pixels of the edge are repeated outside."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return _warped(image, matrix)


def translate(image: np.ndarray, right: float, down: float) -> np.ndarray:
    """Move by shares of width and height, in whole pixels; the pixels of the edge are repeated."""
    height, width = image.shape[:2]
    matrix = np.array([[1, 0, round(right * width)], [0, 1, round(down * height)]], np.float64)
    return _warped(image, matrix)


def _warped(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    size = (image.shape[1], image.shape[0])
    moved = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return moved.reshape(image.shape)


Change = Callable[[np.ndarray, str], np.ndarray]
"""An image and its id → the image changed."""


@dataclass(frozen=True)
class Shift:
    """One kind of change at rising sizes, the first of which changes nothing.

    name: of it on pages.
    sizes: in `unit`.
    changes: (size, seed) → what is done to each image, one way after another; accuracies are their mean.
    """

    name: Phrase
    unit: Phrase
    sizes: Sequence[float]
    changes: Callable[[float, int], Sequence[Change]]


def _occlusions(per_cent: float, seed: int) -> Sequence[Change]:
    return [lambda image, key: occlude(image, per_cent / 100, seed, key)]


def _rotations(degrees: float, seed: int) -> Sequence[Change]:
    return [partial(_turned, degrees=turn) for turn in dict.fromkeys((degrees, -degrees))]


def _translations(per_cent: float, seed: int) -> Sequence[Change]:
    far = per_cent / 100
    # Nothing done to the left is nothing done to the right: 0 goes one way only.
    ways = dict.fromkeys(((far, 0.0), (-far, 0.0), (0.0, far), (0.0, -far)))
    return [partial(_pushed, way=way) for way in ways]


def _turned(image: np.ndarray, key: str, degrees: float) -> np.ndarray:
    return rotate(image, degrees)


def _pushed(image: np.ndarray, key: str, way: tuple[float, float]) -> np.ndarray:
    return translate(image, *way)


SHIFTS: dict[str, Shift] = {
    "occlusion": Shift(
        Phrase("occlusion"), Phrase("% of the side"), (0, 10, 20, 30, 40, 50, 60), _occlusions
    ),
    "rotation": Shift(
        Phrase("rotation"), Phrase("degree"), (0, 5, 10, 15, 20, 30, 45, 60, 90, 135, 180), _rotations
    ),
    "translation": Shift(
        Phrase("translation"), Phrase("% of the side"), (0, 4, 8, 12, 16, 20, 25, 30), _translations
    ),
}
"""Every shift by its name."""
