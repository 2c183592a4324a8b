"""An image of a network: one block an endpoint, as tall as its map and as deep as its channels."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from imgrec.errors import InputError

FORMATS = (".png", ".svg", ".pdf")
_FACE, _SIDE, _TOP, _EDGE = "#8fb4e3", "#5b87c0", "#b9d2f1", "#24466f"
_INK, _FAINT = "#1a1a1a", "#5c5c5c"
_TALLEST, _WIDTH, _GAP, _SLANT = 2.2, 0.34, 1.0, 0.32
_AXIS = -0.25


class Block(NamedTuple):
    """One endpoint, or several in a row of one shape: `times` of them, from `name` to `last`."""

    name: str
    last: str
    times: int
    shape: tuple[int, ...]
    parameters: int
    macs: int


def merge(parts: Sequence[tuple[str, tuple[int, ...], int, int]]) -> list[Block]:
    """Join neighbouring stages of equal shape, whose parameters and multiply-accumulates are added.

    Args:
        parts: endpoint, shape without the batch, trainable parameters, multiply-accumulates.
    """
    blocks: list[Block] = []
    for name, shape, parameters, macs in parts:
        last = blocks[-1] if blocks else None
        if last and last.shape == shape and last.name.startswith("stage") and name.startswith("stage"):
            total = (last.parameters + parameters, last.macs + macs)
            blocks[-1] = Block(last.name, name, last.times + 1, shape, *total)
        else:
            blocks.append(Block(name, name, 1, shape, parameters, macs))
    return blocks


def check_path(path: Path) -> None:
    """Raise InputError where `draw` could not write an image to `path`."""
    if path.suffix not in FORMATS:
        raise InputError(f"--out {path}: expected a name that ends in {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise InputError(f"--out {path}: the folder {path.parent} does not exist")


def draw(
    title: str,
    subtitle: str,
    input_shape: tuple[int, int, int],
    parts: Sequence[tuple[str, tuple[int, ...], int, int]],
    path: Path,
) -> None:
    """Write the image; the ending of `path` (.png, .svg, .pdf) chooses the format.

    Args:
        title: the model's name.
        subtitle: what stands below it, such as its cost and source; wrapped to the width.
        input_shape: (H, W, C).
        parts: as `merge` takes them, input to output.
        path: of the image.
    """
    blocks = [Block("image", "image", 1, input_shape, 0, 0), *merge(parts)]
    columns = [_depth(block.shape) for block in blocks]
    width = max(sum(_WIDTH + depth * _SLANT + _GAP for depth in columns) + 0.4, 7.0)
    figure = Figure(figsize=(width, 5.0), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(-2.5, 2.5)
    axes.axis("off")
    axes.text(0.35, 2.2, title, fontsize=15, weight="bold", color=_INK, va="center")
    lines = [line for text in subtitle.splitlines() for line in textwrap.wrap(text, int(width * 13))]
    axes.text(0.35, 2.0, "\n".join(lines), fontsize=9, color=_FAINT, va="top", linespacing=1.4)
    x = 0.55
    for number, (block, depth) in enumerate(zip(blocks, columns, strict=True)):
        height = _height(block.shape, input_shape)
        _box(axes, x, height, depth * _SLANT)
        _label(axes, x + _WIDTH / 2, block)
        x += _WIDTH + depth * _SLANT
        if number < len(blocks) - 1:
            axes.annotate(
                "",
                (x + _GAP - 0.12, _AXIS),
                (x + 0.12, _AXIS),
                arrowprops={"arrowstyle": "-|>", "color": _FAINT, "lw": 1},
            )
        x += _GAP
    figure.savefig(path, dpi=160)


def _depth(shape: tuple[int, ...]) -> float:
    """How far a block reaches back: the logarithm of its channels, up to about 2."""
    return math.log2(shape[-1] + 1) / 6


def _height(shape: tuple[int, ...], input_shape: tuple[int, int, int]) -> float:
    """By the side of the map (of the square that tokens would fill), against the input's; at least a stub."""
    side = shape[0] if len(shape) == 3 else math.sqrt(shape[0]) if len(shape) == 2 else 1
    return max(_TALLEST * math.sqrt(side / input_shape[0]), 0.16)


def _box(axes: Any, x: float, height: float, slant: float) -> None:
    """A cuboid whose front stands at `x`, centred a little below zero."""
    low, high = _AXIS - height / 2, _AXIS + height / 2
    right, up = x + _WIDTH, slant * 0.55
    faces = [
        Polygon([(x, high), (right, high), (right + slant, high + up), (x + slant, high + up)], fc=_TOP),
        Polygon(
            [(right, low), (right + slant, low + up), (right + slant, high + up), (right, high)], fc=_SIDE
        ),
        Rectangle((x, low), _WIDTH, height, fc=_FACE),
    ]
    for face in faces:
        face.set(edgecolor=_EDGE, linewidth=0.8)
        axes.add_patch(face)


def _label(axes: Any, x: float, block: Block) -> None:
    name = block.name if block.times == 1 else f"{block.name}…{block.last[len('stage') :]}"
    shape = " × ".join(str(side) for side in block.shape)
    lines = [shape]
    if block.parameters:
        lines.append(f"{_short(block.parameters)} params")
    if block.macs:
        lines.append(f"{_short(block.macs)} MACs")
    axes.text(x, -1.6, name, ha="center", fontsize=9.5, weight="bold", color=_INK)
    axes.text(x, -1.68, "\n".join(lines), ha="center", va="top", fontsize=8, color=_FAINT)


def _short(number: int) -> str:
    """`1,234,567` as `1.23M`."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)
