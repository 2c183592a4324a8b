"""What an image's outlines look like, from its thumbnail: features that need no trained network."""

import numpy as np

from imgrec.data.audit.scores import SIDE

_CELL, _BINS = 4, 8
_BLOCK = 1024


def describe(thumbnails: np.ndarray) -> np.ndarray:
    """Return features float32 `[N, 768]` of thumbnails uint8 `[N, THUMBNAIL_BYTES]`.

    Histograms of gradient directions over cells of 4 × 4 pixels (Dalal and Triggs, "Histograms of
    oriented gradients for human detection", 2005), their square roots scaled to length 3, followed by
    the grey values on a grid of 16 × 16.
    """
    parts = [_describe(thumbnails[top : top + _BLOCK]) for top in range(0, len(thumbnails), _BLOCK)]
    return np.concatenate(parts)


def _describe(thumbnails: np.ndarray) -> np.ndarray:
    grey = thumbnails[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE).astype(np.float32)
    count = len(grey)
    cells = np.sqrt(_histograms(grey)).reshape(count, -1)
    cells *= 3 / np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), 1e-6)
    means = grey.reshape(count, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4)).reshape(count, -1)
    return np.concatenate([cells, 0.3 * means / 255], axis=1)


def _histograms(grey: np.ndarray) -> np.ndarray:
    """Gradient strength by row and column of cells and by direction, float32 `[n, 8, 8, 8]`."""
    across, down = np.zeros_like(grey), np.zeros_like(grey)
    across[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    strength = np.hypot(across, down)
    turn = (np.arctan2(down, across) % np.pi) / np.pi * _BINS
    lower = np.floor(turn)
    share = turn - lower
    lower = lower.astype(np.int64) % _BINS
    cells = SIDE // _CELL
    result = np.empty((len(grey), cells, cells, _BINS), np.float32)
    for number in range(_BINS):
        weight = (lower == number) * (1 - share) + ((lower + 1) % _BINS == number) * share
        part = (strength * weight).reshape(-1, cells, _CELL, cells, _CELL)
        result[..., number] = part.sum(axis=(2, 4))
    return result
