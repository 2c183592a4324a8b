"""Figures of the report, each as text that stands inside one HTML file: SVG curves, data-URI images."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

# Drawn in these colours, then replaced by the page's CSS variables, so that a figure follows the
# reader's light or dark scheme. The values themselves are never shown.
_STAND_INS = {
    "#000001": "var(--ink-2)",
    "#000002": "var(--line)",
    "#000003": "var(--train)",
    "#000004": "var(--val)",
}
_TEXT, _GRID, _TRAIN, _VAL = _STAND_INS
_LONGEST_SIDE = 224


def curve(
    name: str,
    epochs: Sequence[float],
    lines: Mapping[str, Sequence[float | None]],
    across: str = "epoch",
) -> str:
    """Return an SVG of up to two lines over epochs; gaps where a value is None.

    Args:
        name: what is drawn, such as "accuracy"; titles the vertical axis.
        epochs: the horizontal positions.
        lines: label → values, training first, validation second.
        across: what the horizontal positions are, where they are no epochs.
    """
    style: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text: selectable, and in the page's font
        "svg.hashsalt": name,  # ids differ between figures of one page and not between runs
        "font.size": 11,
        "text.color": _TEXT,
        "axes.labelcolor": _TEXT,
        "axes.edgecolor": _GRID,
        "xtick.color": _TEXT,
        "ytick.color": _TEXT,
        "grid.color": _GRID,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(5.4, 3.3), layout="constrained")
        axes = figure.add_subplot()
        axes.grid(axis="y", linewidth=0.8)
        axes.set_axisbelow(True)
        marker = "o" if len(epochs) <= 30 else None
        looks = ((_TRAIN, "--"), (_VAL, "-"))
        for (label, values), (colour, dash) in zip(lines.items(), looks, strict=False):
            heights = np.array([np.nan if v is None else v for v in values], np.float64)
            axes.plot(
                epochs, heights, dash, color=colour, label=label, linewidth=2, marker=marker, markersize=3.5
            )
        axes.set_xlabel(across)
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.legend(frameon=False, fontsize=10)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator")))
    return _inline(stream.getvalue(), f"{name} over {len(epochs)} {across}s: {', '.join(lines)}")


def _inline(document: str, label: str) -> str:
    """Turn a stand-alone SVG document into an element for HTML, in the page's colours and font."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r"(<svg\b[^>]*?) width=\"[^\"]*\"", r"\1", svg, count=1)
    svg = re.sub(r"(<svg\b[^>]*?) height=\"[^\"]*\"", r"\1", svg, count=1)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # equal in every figure, and ids are unique in a page
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    for colour, variable in _STAND_INS.items():
        svg = svg.replace(colour, variable)
    return svg.strip()


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return a data URI of a uint8 image [H, W, 1 or 3] (RGB): PNG when small, else JPEG, at most 224 px."""
    pixels: np.ndarray = image
    height, width = image.shape[:2]
    if max(height, width) > _LONGEST_SIDE:
        scale = _LONGEST_SIDE / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    if pixels.shape[-1] == 3:
        pixels = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2BGR)
    small = max(height, width) <= 64
    return _data_uri(pixels, "png" if small else "jpeg")


def heat_map(confusion: Sequence[Sequence[int]], classes: int) -> str:
    """Return a PNG data URI of a confusion matrix, one pixel a cell, see-through where empty.

    Right answers are blue, mistakes orange; opacity is the square root of the share of the row, so
    that rare mistakes can be seen.

    Args:
        confusion: rows `[true class, predicted class, images]`.
        classes: how many there are, the side of the image.
    """
    counts = np.zeros((classes, classes), np.int64)
    for label, predicted, images in confusion:
        counts[label, predicted] = images
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    pixels = np.zeros((classes, classes, 4), np.uint8)
    pixels[..., :3] = (18, 112, 234)  # orange, as BGR
    pixels[np.diag_indices(classes)] = (214, 120, 44, 0)  # blue, as BGR
    pixels[..., 3] = np.round(255 * np.sqrt(shares))
    return _data_uri(pixels, "png")


def _data_uri(pixels: np.ndarray, kind: str) -> str:
    done, encoded = cv2.imencode(f".{kind}", pixels)
    if not done:
        raise RuntimeError(f"OpenCV could not encode an image of shape {pixels.shape} as {kind}")
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"
