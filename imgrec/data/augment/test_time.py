"""Further views of an image for the time of use: mirrored, shifted or cut as the training's images were.

A view that the training never showed would be an image of another kind, and would lower the accuracy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from imgrec.data.augment.compose import parse
from imgrec.data.augment.engine import crop_for
from imgrec.phrases import Phrase

Images = NDArray[np.uint8]
CUT = 0.875
"""Side of a cut out part, which is resized: 224 of 256, as in Krizhevsky et al., 2012, section 4.1."""
_PLACES = ((0, 0), (-1, -1), (1, 1), (-1, 1), (1, -1), (-1, 0), (1, 0), (0, -1), (0, 1))


@dataclass(frozen=True)
class Views:
    """Ways to see an image: uint8 `[N, H, W, C]` → the same; the first as it is.

    said: what they are.
    """

    ways: tuple[Callable[[Images], Images], ...]
    said: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ways)

    def scores(self, images: Images, answer: Callable[[Images], NDArray[np.floating]]) -> NDArray[np.float32]:
        """Return the mean of what `answer` gives for every view, float32 `[N, S]`."""
        total = np.zeros(())
        for way in self.ways:
            total = total + answer(way(images)).astype(np.float64)
        return np.asarray(total / len(self.ways), np.float32)


def views(settings: Mapping[str, Any], size: tuple[int, int], most: int) -> Views:
    """Return up to `most` views that fit the training, alternately plain and mirrored where it mirrored.

    Shifts are half of what it padded and cropped by; where it cut random parts out, five parts of seven
    eighths of the side are cut out and resized. Other operations have no views: they are made by chance.

    Args:
        settings: augment, crop, crop_share and flip, as `AugmentConfig` has them.
        size: height and width of prepared images.
        most: how many, 1 or more.
    """
    line = {step.name: step.options for step in parse(settings["augment"])} if settings["augment"] else None
    crop = crop_for(settings["crop"], size) if line is None else _crop_of(line)
    mirrors = bool(settings["flip"]) if line is None else "flip" in line
    moves: list[tuple[str, Callable[[Images], Images]]] = [(Phrase("as they are"), lambda images: images)]
    if crop == "pad":
        share = float(settings["crop_share"]) if line is None else _padding(line, size) / min(size)
        step = max(1, round(min(size) * share / 2))
        moves += [(Phrase("shifted"), _shift(down * step, right * step)) for down, right in _PLACES[1:]]
    elif crop == "random_resized":
        moves += [(Phrase("cut out"), _cut(down, right)) for down, right in _PLACES[:5]]
    both = [(name, move, mirror) for (name, move), mirror in product(moves, (False, True)[: 1 + mirrors])]
    chosen = both[: max(1, most)]
    names = dict.fromkeys(
        [*(name for name, _, _ in chosen), *[Phrase("mirrored")] * any(m for *_, m in chosen)]
    )
    ways = tuple(_mirrored(move) if mirror else move for _, move, mirror in chosen)
    return Views(ways, tuple(names))


def _crop_of(line: Mapping[str, Mapping[str, Any]]) -> str:
    return "random_resized" if "resized_crop" in line else "pad" if _padding(line, (1, 1)) else "none"


def _padding(line: Mapping[str, Mapping[str, Any]], size: tuple[int, int]) -> float:
    """Return by how many pixels images are padded before they are cropped."""
    pad = line.get("crop", {}).get("pad", 0)
    return float(pad) if isinstance(pad, (int, float)) else 0.0


def _mirrored(move: Callable[[Images], Images]) -> Callable[[Images], Images]:
    return lambda images: np.ascontiguousarray(move(images)[:, :, ::-1])


def _shift(down: int, right: int) -> Callable[[Images], Images]:
    """Move images by so many pixels; what comes in is black where they are grey, else a mirror image."""

    def move(images: Images) -> Images:
        height, width, channels = images.shape[1:]
        most = max(abs(down), abs(right))
        sides = ((0, 0), (most, most), (most, most), (0, 0))
        padded = np.pad(images, sides) if channels == 1 else np.pad(images, sides, "reflect")
        top, left = most - down, most - right
        return np.ascontiguousarray(padded[:, top : top + height, left : left + width])

    return move


def _cut(down: int, right: int) -> Callable[[Images], Images]:
    """Cut out a part that lies in the centre (0) or at an edge (-1, 1), and bring it back to size."""

    def move(images: Images) -> Images:
        height, width, channels = images.shape[1:]
        tall, wide = round(height * CUT), round(width * CUT)
        top = round((height - tall) * (1 + down) / 2)
        left = round((width - wide) * (1 + right) / 2)
        parts = images[:, top : top + tall, left : left + wide]
        resized = [cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR) for part in parts]
        return np.stack(resized).reshape(len(images), height, width, channels)

    return move
