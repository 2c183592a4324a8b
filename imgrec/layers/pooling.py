"""Pooling to a grid of a given size, and the classifier that pools its scores."""

from itertools import pairwise
from typing import Any

import keras
from keras import ops

from imgrec.layers.composite import Composite


def adaptive_windows(side: int, count: int) -> list[tuple[int, int]]:
    """Return the `count` windows (first, one past the last) that adaptive pooling lays over a side.

    Window i is ⌊i·side/count⌋ … ⌈(i + 1)·side/count⌉, as PyTorch's `AdaptiveAvgPool2d` has them: they
    overlap where `side` is no multiple of `count`, and repeat values where it is shorter.
    """
    return [(i * side // count, -(-(i + 1) * side // count)) for i in range(count)]


def adaptive_average_pool(x: Any, grid: tuple[int, int], name: str) -> Any:
    """Average `[B, H, W, C]`, H and W known, down or up to `grid` (height, width).

    One average pooling where the windows are equal and evenly spread, no layer where `x` has the grid
    already, else an `AdaptiveAveragePooling`. All are static, with the numbers of PyTorch's layer.
    """
    sides = [_even_windows(adaptive_windows(*pair)) for pair in zip(x.shape[1:3], grid, strict=True)]
    if None in sides:
        return AdaptiveAveragePooling(grid, name=name)(x)
    sizes, steps = zip(*sides, strict=True)
    if sizes == (1, 1):
        return x
    return keras.layers.AveragePooling2D(sizes, steps, name=name)(x)


def _even_windows(windows: list[tuple[int, int]]) -> tuple[int, int] | None:
    """Length and distance of the windows, or None where they differ or repeat values."""
    lengths = {end - start for start, end in windows}
    starts = [start for start, _ in windows]
    steps = {after - before for before, after in pairwise(starts)} or {1}
    if len(lengths) > 1 or len(steps) > 1 or 0 in steps:
        return None
    return lengths.pop(), steps.pop()


@keras.saving.register_keras_serializable("imgrec")
class AdaptiveAveragePooling(Composite):
    """Average `[B, H, W, C]` over windows that cover it, to `[B, *grid, C]`: PyTorch's `AdaptiveAvgPool2d`.

    Windows may differ in length, so each row and column of the grid is a slice and a mean, which every
    export format has. H and W must be known.

    Args:
        grid: height and width of the result.
    """

    def __init__(self, grid: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        height, width = grid
        self.grid = (height, width)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Average rows, then columns: windows are rectangles, so the mean of means is the mean."""
        rows = [
            _mean(x[:, start:end], start, end, axis=1)
            for start, end in adaptive_windows(x.shape[1], self.grid[0])
        ]
        x = ops.concatenate(rows, axis=1)
        columns = [
            _mean(x[:, :, start:end], start, end, axis=2)
            for start, end in adaptive_windows(x.shape[2], self.grid[1])
        ]
        return ops.concatenate(columns, axis=2)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return `(B, *grid, C)`."""
        return (input_shape[0], *self.grid, input_shape[-1])


def _mean(part: Any, start: int, end: int, axis: int) -> Any:
    return part if end - start == 1 else ops.mean(part, axis=axis, keepdims=True)


@keras.saving.register_keras_serializable("imgrec")
class PooledScores(Composite):
    """Score every place of a feature map, then average: `[B, H·W·C]` to `[B, N]`.

    `mean over places of relu(W f + b)`. The ReLU stands before the mean, so that no dense layer on
    averaged features is equal to it. The map comes flattened, rows first.

    The bias starts at 1: with zero, about half of the classes would start at zero everywhere, where a
    ReLU has no gradient. A shift that all classes share changes no probability.

    Args:
        num_classes: N.
        grid: H and W of the map.

    Source: Iandola et al., "SqueezeNet", 2016 (arXiv 1602.07360), conv10.
    """

    def __init__(self, num_classes: int, grid: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        height, width = grid
        self.num_classes = num_classes
        self.grid = (height, width)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the 1×1 convolution for C = D // (H·W) channels."""
        dtype = self.dtype_policy
        channels = input_shape[-1] // (self.grid[0] * self.grid[1])
        self.reshape = keras.layers.Reshape((*self.grid, channels), name="reshape", dtype=dtype)
        self.conv = keras.layers.Conv2D(
            self.num_classes,
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer="ones",
            name="conv",
            dtype=dtype,
        )
        self.relu = keras.layers.ReLU(name="relu", dtype=dtype)
        self.average = keras.layers.GlobalAveragePooling2D(name="average", dtype=dtype)
        self.build_sublayers((self.conv, (None, *self.grid, channels)))

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return each class's average score, 0 or more."""
        return self.average(self.relu(self.conv(self.reshape(x))))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return `(B, N)`."""
        return (input_shape[0], self.num_classes)
