"""Figures of the report, each as text that stands inside one HTML file: SVG curves, data-URI images."""

import base64
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape, unescape
from typing import Any, NamedTuple

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from imgrec.evaluation.language import ENGLISH, Language

# Drawn in these colours, then replaced by the page's CSS variables, so that a figure follows the
# reader's light or dark scheme. The values themselves are never shown.
_STAND_INS = {
    "#000001": "var(--ink-2)",
    "#000002": "var(--line)",
    "#000003": "var(--train)",
    "#000004": "var(--val)",
}
_TEXT, _GRID, _TRAIN, _VAL = _STAND_INS
INK, LINE, FIRST, SECOND = _STAND_INS
"""Colours of what is drawn on a `canvas`: text, lines of the grid, and two of what is compared."""
_LONGEST_SIDE = 224


def curve(
    name: str,
    epochs: Sequence[float],
    lines: Mapping[str, Sequence[float | None]],
    across: str = "epoch",
    language: Language = ENGLISH,
) -> str:
    """Return an SVG of up to two lines over epochs; gaps where a value is None.

    Args:
        name: what is drawn, such as "accuracy"; titles the vertical axis.
        epochs: the horizontal positions.
        lines: label → values, training first, validation second.
        across: what the horizontal positions are, where they are no epochs.
        language: of the words in it; they are drawn in English and then said in this one.
    """
    with matplotlib.rc_context(_style(name)):
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
    label = language(
        "{name} by {across}, {count} of them: {lines}",
        name=language(name),
        across=language(across),
        count=len(epochs),
        lines=", ".join(map(language, lines)),
    )
    return inline(stream.getvalue(), label, language)


@contextmanager
def canvas(name: str, size: tuple[float, float] = (5.4, 3.3)) -> Iterator[Figure]:
    """Give a figure of `size` inches in the page's style, which `svg` turns into text while it is open."""
    with matplotlib.rc_context(_style(name)):
        yield Figure(figsize=size, layout="constrained")


def svg(figure: Figure, label: str, language: Language = ENGLISH) -> str:
    """Return what was drawn on a `canvas` for a page, as `inline`."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator")))
    return inline(stream.getvalue(), label, language)


def banded(
    names: tuple[str, str],
    across: NDArray[np.floating],
    line: NDArray[np.floating],
    band: NDArray[np.floating] | None,
    faint: Sequence[NDArray[np.floating]] = (),
    guess: Sequence[float] | None = None,
    language: Language = ENGLISH,
) -> str:
    """Return an SVG of one line with its band, others behind it, over shares from 0 to 1.

    Args:
        names: of the horizontal and the vertical axis.
        across: `[P]`, places of all lines.
        line: `[P]`.
        band: `[2, P]`, its low and high ends, or None.
        faint: further lines.
        guess: heights at 0 and 1 of the straight line that guessing reaches, dashed.
        language: of the words in it.
    """
    with matplotlib.rc_context(_style(" ".join(names))):
        figure = Figure(figsize=(4.8, 4.0), layout="constrained")
        axes = figure.add_subplot()
        axes.grid(linewidth=0.8)
        axes.set_axisbelow(True)
        for each in faint:
            axes.plot(across, each, color=_TRAIN, linewidth=0.8, alpha=0.5)
        if guess is not None:
            axes.plot((0, 1), guess, "--", color=_TRAIN, linewidth=1)
        if band is not None:
            axes.fill_between(across, band[0], band[1], color=_VAL, alpha=0.25, linewidth=0)
        axes.plot(across, line, color=_VAL, linewidth=2)
        axes.set(xlabel=names[0], ylabel=names[1], xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator")))
    label = language("{up} by {across}", up=language(names[1]), across=language(names[0]))
    return inline(stream.getvalue(), label, language)


class Point(NamedTuple):
    """What stands in `front`: a name, its place, and the size that its disc has the area of, if any."""

    name: str
    across: float
    up: float
    size: float | None


def front(name: str, points: Sequence[Point], *, highest: bool) -> str:
    """Return an SVG of points over milliseconds, the best of them joined by a line.

    Args:
        name: what is drawn upwards, such as "accuracy, %"; titles the vertical axis.
        points: in any order, milliseconds across; N ≥ 1.
        highest: whether high values are the good ones; milliseconds are good where they are few.
    """
    largest = max((point.size or 0.0 for point in points), default=0.0) or 1.0
    with matplotlib.rc_context(_style(name)):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes = figure.add_subplot()
        axes.grid(linewidth=0.8)
        axes.set_axisbelow(True)
        best = _undominated(points, highest)
        axes.plot([p.across for p in best], [p.up for p in best], "-", color=_VAL, linewidth=1.5)
        for point in points:
            area = 30 + 370 * (point.size or 0.0) / largest
            axes.scatter(point.across, point.up, s=area, color=_VAL if point in best else _TRAIN, alpha=0.75)
            up, right, align = _side(point, points)
            shift = 5 + area**0.5 / 2
            offset = (right * shift, up * shift)
            axes.annotate(
                point.name, (point.across, point.up), offset, textcoords="offset points",
                ha="left" if right else "center", va=align, fontsize=10,
            )  # fmt: skip
        axes.margins(0.25)
        _across(axes, [point.across for point in points])
        axes.set_xlabel("ms an image")
        axes.set_ylabel(name)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator")))
    names = ", ".join(f"{p.name} {p.across:.3g} ms {p.up:.4g}" for p in points)
    return inline(stream.getvalue(), f"{name} over ms an image: {names}")


def _side(point: Point, points: Sequence[Point]) -> tuple[int, int, str]:
    """Return on which side of its disc a name stands: up, right, and its vertical alignment.

    Of points above each other the highest has it above, the lowest below, those between beside.
    """
    farthest = max(other.across for other in points) / min(other.across for other in points)
    near = [
        p for p in points if abs(math.log(p.across / point.across)) <= 0.25 * max(math.log(farthest), 1e-9)
    ]
    ranked = sorted(near, key=lambda other: (-other.up, other.across))
    if ranked[0] is point:
        return 1, 0, "bottom"
    return (-1, 0, "top") if ranked[-1] is point else (0, 1, "center")


def _across(axes: Axes, values: Sequence[float]) -> None:
    """Let the horizontal axis be logarithmic where values differ enough, and its numbers plain."""
    if max(values) < 4 * min(values):
        axes.xaxis.set_major_locator(MaxNLocator(5))
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _undominated(points: Sequence[Point], highest: bool) -> list[Point]:
    """Return the points that no other beats in both, the quickest first."""
    sign = 1 if highest else -1
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.across, -sign * point.up)):
        if not best or sign * point.up > sign * best[-1].up:
            best.append(point)
    return best


def _style(name: str) -> dict[Any, Any]:
    """Matplotlib's settings for a figure called `name`."""
    return {
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


def inline(document: str, label: str, language: Language = ENGLISH) -> str:
    """Turn a stand-alone SVG document into an element for HTML, in the page's colours, font and language.

    Args:
        document: as matplotlib writes it in `_style`.
        label: what the figure shows, for who cannot see it.
        language: its words that are keys of the catalogue are said in it.
    """
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r"(<svg\b[^>]*?) width=\"[^\"]*\"", r"\1", svg, count=1)
    svg = re.sub(r"(<svg\b[^>]*?) height=\"[^\"]*\"", r"\1", svg, count=1)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # equal in every figure, and ids are unique in a page
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
    # Words, not only their glyphs: matplotlib's own font need not have them.
    svg = re.sub(r"(<text[^>]*>)([^<]+)(</text>)", lambda m: m[1] + _said(m[2], language) + m[3], svg)
    for colour, variable in _STAND_INS.items():
        svg = svg.replace(colour, variable)
    return svg.strip()


def _said(text: str, language: Language) -> str:
    return escape(language(unescape(text)), quote=False)


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
