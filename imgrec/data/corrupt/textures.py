"""Fog and frost out of random numbers: a plasma fractal, and ice crystals on glass."""

from functools import lru_cache

import cv2
import numpy as np

_SIDE = 1024
_BEND = 25.0  # pixels
_TINT = (0.85, 0.93, 1.0)  # ice is a little blue


def plasma(draw: np.random.Generator, side: int, decay: float) -> np.ndarray:
    """Return a height map 0…1, float64 `[side, side]`, by the diamond-square algorithm; it tiles.

    Source: Fournier, Fussell and Carpenter, "Computer rendering of stochastic models", CACM 1982; wobble and
    its `decay` from one step to the next as in ImageNet-C's code.

    Args:
        draw: where the numbers come from.
        side: a power of two.
        decay: above 1; the smaller, the finer the structure.
    """
    heights = np.zeros((side, side))
    step, wobble = side, 100.0
    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        sums = corners + np.roll(corners, -1, axis=0)
        heights[half::step, half::step] = _wobbly(sums + np.roll(sums, -1, axis=1), draw, wobble)
        middles = heights[half::step, half::step]
        beside = middles + np.roll(middles, 1, axis=0) + corners + np.roll(corners, -1, axis=1)
        heights[::step, half::step] = _wobbly(beside, draw, wobble)
        above = middles + np.roll(middles, 1, axis=1) + corners + np.roll(corners, -1, axis=0)
        heights[half::step, ::step] = _wobbly(above, draw, wobble)
        step, wobble = half, wobble / decay
    heights -= heights.min()
    return heights / heights.max()


def _wobbly(sums: np.ndarray, draw: np.random.Generator, wobble: float) -> np.ndarray:
    """Return the mean of four, moved by up to wobble² either way."""
    return sums / 4 + wobble * draw.uniform(-wobble, wobble, sums.shape)


@lru_cache(maxsize=16)
def frost_texture(number: int, scale: float, least: int) -> np.ndarray:
    """Return frost on glass, float64 0…1 `[side, side, 3]`, at `scale` of 1024 px and at least `least` px.

    Drawn in place of the photographs of ImageNet-C, which are not shipped: needles of crystals in patches
    of several directions, on a grainy film that is thick in some places and thin in others.

    Args:
        number: which of the textures; equal numbers give equal ice.
        scale: of its size; 0.2 for images of CIFAR's size, as published.
        least: the longer side of the image that is to fit into it.
    """
    draw = np.random.default_rng([1903, 12261, number])
    bend = [_BEND * _smooth(draw, 9) for _ in range(2)]
    needles = np.zeros((_SIDE, _SIDE))
    for angle in draw.uniform(0, np.pi, 5):
        needles = np.maximum(needles, _patches(draw) * _needles(draw, bend, angle))
    cover = _patches(draw)
    grain = draw.normal(0.0, 0.08, (_SIDE, _SIDE))
    ice = np.clip(0.12 + 0.35 * cover + 0.65 * needles + grain * (0.3 + 0.7 * cover), 0, 1)
    side = max(round(_SIDE * scale), least)
    how = cv2.INTER_AREA if side < _SIDE else cv2.INTER_CUBIC
    fitted = cv2.resize(ice, (side, side), interpolation=how)[..., np.newaxis]
    return np.clip(fitted * np.array(_TINT), 0, 1)


def _smooth(draw: np.random.Generator, rows: int, columns: int | None = None) -> np.ndarray:
    """Return noise of deviation about 1 with `rows` × `columns` bumps, float64 `[_SIDE, _SIDE]`."""
    noise = draw.normal(0.0, 1.3, (rows, columns or rows))
    return cv2.resize(noise, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)


def _patches(draw: np.random.Generator) -> np.ndarray:
    """Return where something is and where it is not, 0…1, with soft borders."""
    return 1 / (1 + np.exp(-3 * _smooth(draw, 7)))


def _needles(draw: np.random.Generator, bend: list[np.ndarray], angle: float) -> np.ndarray:
    """Return thin crystals that lie along `angle`, a little bent, 0…1: ridges where long noise is near 0."""
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    along, across = (
        columns * np.cos(angle) + rows * np.sin(angle),
        rows * np.cos(angle) - columns * np.sin(angle),
    )
    noise = _smooth(draw, 160, 12)
    ridges = cv2.remap(
        np.exp(-5 * np.abs(noise)),
        (along + bend[0]).astype(np.float32),
        (across + bend[1]).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    return ridges
