"""A contact sheet: many images in one, to look at what training sees."""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

_TILE = 1.5  # inches
_LONGEST_TITLE = 26


def contact_sheet(images: np.ndarray, titles: Sequence[str]) -> Figure:
    """Lay uint8 `[N, H, W, C]`, C = 1 or 3, out in rows, each under its title."""
    columns = min(len(images), max(4, math.ceil(math.sqrt(len(images)))))
    rows = math.ceil(len(images) / columns)
    with matplotlib.rc_context({"font.size": 6, "axes.titlesize": 6}):
        figure = Figure(figsize=(columns * _TILE, rows * (_TILE + 0.2)), dpi=150, layout="constrained")
        for index, (image, title) in enumerate(zip(images, titles, strict=True), start=1):
            axes = figure.add_subplot(rows, columns, index)
            axes.set_axis_off()
            axes.set_title(_shortened(title), parse_math=False, pad=2)
            grey = image.shape[-1] == 1
            pixels = image[..., 0] if grey else image
            axes.imshow(pixels, cmap="gray" if grey else None, vmin=0, vmax=255, interpolation="nearest")
    return figure


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TITLE else text[: _LONGEST_TITLE - 1] + "…"
