"""A map laid over its picture: mapped back to the picture's own size, in colours, with a legend."""

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib import colormaps, font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from imgrec.data.decode import to_colour
from imgrec.data.preprocess import Placed
from imgrec.metrics.answers import printable

OPACITY = 0.75
"""Of the colour where the map is highest; none where it is zero."""
UNSEEN = 0.35
"""How bright the parts stay that the model never saw."""
SMALLEST = 256
"""Shortest side of a picture of a map: smaller ones are enlarged, or no legend could be read beside them."""
_COLOURS = "inferno"
_FONTS = (
    "Noto Sans CJK SC",
    "Noto Serif CJK SC",
    "PingFang SC",
    "Microsoft YaHei",
    "SimHei",
    "WenQuanYi Zen Hei",
)
"""For names in letters that matplotlib's own font lacks; those installed are taken."""
_DPI = 100


def strength(values: NDArray[np.floating], grain: float = 0.0) -> NDArray[np.float32]:
    """Return how strongly each place of a map `[H, W]` speaks for the answer, 0…1; against it counts as 0.

    The highest is 1; with `grain` that share of the places is. A map that is nowhere positive is 0.
    """
    positive = np.maximum(values, 0)
    most = float(np.quantile(positive, 1 - grain)) or float(positive.max())
    return np.minimum(positive / (most or 1.0), 1).astype(np.float32)


def brought_back(values: NDArray[np.floating], placed: Placed, size: tuple[int, int]) -> NDArray[np.float32]:
    """Bring a map over the model's picture `[H, W]` to the original picture's size, float32 `[*size]`.

    NaN where the model saw nothing of the picture.
    """
    (top, left, bottom, right), target = placed.source, placed.target
    rows, columns = (target[2] - target[0]) / (bottom - top), (target[3] - target[1]) / (right - left)
    # Centres of pixels: half a pixel in from the edge on both sides.
    way = np.array(
        [
            [columns, 0, (0.5 - left) * columns + target[1] - 0.5],
            [0, rows, (0.5 - top) * rows + target[0] - 0.5],
        ]
    )
    height, width = size
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    back = cv2.warpAffine(
        np.asarray(values, np.float32), way, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    seen_rows, seen_columns = (
        (np.arange(side) + 0.5 >= low) & (np.arange(side) + 0.5 <= high)
        for side, low, high in ((height, top, bottom), (width, left, right))
    )
    return np.where(seen_rows[:, None] & seen_columns[None, :], back, np.float32(np.nan))


def painted(pixels: NDArray[np.uint8], heat: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Lay `heat` `[h, w]`, 0…1 or NaN, over uint8 `[h, w, 1 or 3]`; return uint8 `[h, w, 3]`, RGB.

    The stronger, the brighter the colour and the less is seen through it; where it is NaN, the picture is
    darker.
    """
    unseen = np.isnan(heat)
    strong = np.where(unseen, 0, heat).astype(np.float32)[..., None]
    colour = colormaps[_COLOURS](strong[..., 0], bytes=True)[..., :3]
    below = to_colour(pixels, "rgb") * np.where(unseen, UNSEEN, 1).astype(np.float32)[..., None]
    share = OPACITY * np.sqrt(strong)
    return np.rint(below * (1 - share) + colour * share).astype(np.uint8)


def enlarged(
    pixels: NDArray[np.uint8], heat: NDArray[np.floating], smallest: int = SMALLEST
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a picture and its heat, whole times as large where the shortest side is below `smallest`."""
    height, width = pixels.shape[:2]
    times = -(-smallest // min(height, width))
    if times <= 1:
        return pixels, heat.astype(np.float32)
    larger = np.repeat(np.repeat(pixels, times, axis=0), times, axis=1)
    known = np.where(np.isnan(heat), 0, heat).astype(np.float32)
    smooth = cv2.resize(known, (width * times, height * times), interpolation=cv2.INTER_LINEAR)
    unseen = np.repeat(np.repeat(np.isnan(heat), times, axis=0), times, axis=1)
    return larger, np.where(unseen, np.float32(np.nan), smooth)


def with_legend(picture: NDArray[np.uint8], lines: Sequence[str], says: str) -> NDArray[np.uint8]:
    """Return a picture uint8 `[h, w, 3]` with a strip below it: the colours, what they say, and `lines`."""
    strip = _strip(picture.shape[1], [printable(line) for line in lines], says)
    return np.concatenate([picture, strip])


def to_png(picture: NDArray[np.uint8]) -> bytes:
    """Return uint8 `[h, w, 3]`, RGB, as the bytes of a PNG file."""
    done, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise RuntimeError(f"OpenCV could not encode an image of shape {picture.shape} as PNG")
    return encoded.tobytes()


def _strip(width: int, lines: Sequence[str], says: str) -> NDArray[np.uint8]:
    """Draw the legend, `width` pixels wide; its letters grow with it."""
    points = float(np.clip(width / 50, 7, 40))
    row = round(1.6 * points * _DPI / 72)
    style: Any = {"font.size": points, "font.family": ["DejaVu Sans", *_installed()]}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        # A letter that no font here has is drawn as a box; the name itself stands in the JSON.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        height = row * (len(lines) + 1) + row // 2
        figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        for index, line in enumerate(lines):
            _written(figure, line, 1 - row * (index + 0.75) / height, width)
        bottom = 1 - row * (len(lines) + 0.75) / height
        axes = figure.add_axes((0.02, bottom - row / 4 / height, 0.3, row / 2 / height))
        grey = np.full((1, 256, 1), 160, np.uint8)
        axes.imshow(painted(grey, np.linspace(0, 1, 256)[None]), aspect="auto")
        axes.set_axis_off()
        _written(figure, says, bottom, width, left=0.34)
        canvas.draw()
        return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :width, :3])


def _written(figure: Figure, text: str, up: float, width: int, left: float = 0.02) -> None:
    """Write a line where it fits: in smaller letters, and the end left out where those would be too small."""
    written = figure.text(left, up, text, va="center", color="black", parse_math=False)
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    size = usual = float(written.get_fontsize())
    while written.get_window_extent(renderer).width > (0.98 - left) * width and text:
        if size > 0.6 * usual:
            size *= 0.9
            written.set_fontsize(size)
        else:
            text = text[: -(1 + len(text) // 20)]
            written.set_text(f"{text}…")


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    there = {entry.name for entry in font_manager.fontManager.ttflist}
    return tuple(name for name in _FONTS if name in there)
