"""Occlusion maps: what the class's score loses where a square is hidden. Any runtime can answer them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError
from imgrec.explain.asked import Asked, Maps
from imgrec.spec import Spec, number_option

PARTS = 7
"""A square is this part of the picture's shorter side, where nobody says otherwise."""
AT_A_TIME = 256
"""So many copies of a picture are in memory; a call for each few would cost more than their answers."""
FLAT = 1e-3
"""A highest drop of the score below this is called flat."""


def occlusion(asked: Asked, window: int = 0, stride: int = 0) -> Maps:
    """Hide a square, at one place after the other, and see how far the score of the class falls.

    The square has the picture's own mean colour. A pixel's value is the mean fall over the squares that hid
    it; where the score rises, it is negative.

    Args:
        asked: what is explained.
        window: side of the square in pixels of the model's picture; 0 for a seventh of the shorter side.
        stride: from one square to the next; 0 for half of the window.

    Raises:
        InputError: a window larger than the picture, or a stride larger than the window: some pixels would
            never be hidden.

    Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014 (arXiv
    1311.2901), § 4.2.
    """
    side = int(number_option("window", window, 0, min(asked.sides))) or max(
        2, round(min(asked.sides) / PARTS)
    )
    step = int(number_option("stride", stride, 0)) or max(1, side // 2)
    if step > side:
        raise InputError(f"stride={step}: expected at most the window of {side}, or pixels stay unseen")
    values = np.stack([_falls(asked, index, side, step) for index in range(len(asked.images))])
    most = values.reshape(len(values), -1).max(axis=1)
    notes = tuple(
        f"hiding one square costs {100 * fall:.2g} points of the score at most"
        + (": the map is flat" if fall < FLAT else "")
        for fall in most
    )
    return Maps(str(Spec("occlusion", options={"window": side, "stride": step})), values, notes)


def _falls(asked: Asked, index: int, side: int, step: int) -> NDArray[np.float32]:
    """Return the mean fall of the score at each pixel of picture `index`, float32 `[H, W]`."""
    image = asked.images[index]
    whole = float(asked.score_of(image[None], index)[0])
    colour = np.rint(image.mean(axis=(0, 1))).astype(np.uint8)
    sums, counts = np.zeros((2, *asked.sides))
    places = list(_places(asked.sides, side, step))
    for start in range(0, len(places), AT_A_TIME):
        some = places[start : start + AT_A_TIME]
        hidden = np.repeat(image[None], len(some), axis=0)
        for copy, (top, left) in zip(hidden, some, strict=True):
            copy[top : top + side, left : left + side] = colour
        for score, (top, left) in zip(asked.score_of(hidden, index), some, strict=True):
            sums[top : top + side, left : left + side] += whole - score
            counts[top : top + side, left : left + side] += 1
    return (sums / counts).astype(np.float32)


def _places(sides: tuple[int, int], window: int, stride: int) -> Iterator[tuple[int, int]]:
    """Give the top left corners of squares that together hide every pixel."""
    rows, columns = ([*range(0, side - window, stride), side - window] for side in sides)
    for row in rows:
        for column in columns:
            yield row, column
