"""Maps as sequences and back: the places that share a corner of their patch attend to each other."""

from typing import Any

import keras
import numpy as np
from keras import ops

from imgrec.errors import InputError
from imgrec.layers.composite import Composite


@keras.saving.register_keras_serializable("imgrec")
class UnfoldPatches(Composite):
    """Cut a map into p×p patches: `[B, H, W, C]` to `[B·p², N, C]`, N = H·W / p².

    Sequence i of an image holds place i of every patch, row by row, so that attention along N looks
    over the whole map. `FoldPatches` undoes it.

    Args:
        patch: p, side of a patch; H and W are multiples of it.

    Source: Mehta and Rastegari, "MobileViT", 2022 (arXiv 2110.02178), § 3.1.
    """

    def __init__(self, patch: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.patch = patch

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Check the sides; there is nothing to create.

        Raises:
            InputError: H or W is not a multiple of p.
        """
        if any(side % self.patch for side in input_shape[1:3]):
            raise InputError(
                f"patches: got a map of {input_shape[1]}×{input_shape[2]}, expected multiples of {self.patch}"
            )

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the sequences."""
        p = self.patch
        rows, columns, channels = x.shape[1] // p, x.shape[2] // p, x.shape[3]
        # Two transpositions of four dimensions, one for rows and one for columns, instead of one of six.
        x = ops.transpose(ops.reshape(x, (-1, rows, p, columns * p * channels)), (0, 2, 1, 3))
        x = ops.transpose(ops.reshape(x, (-1, rows * columns, p, channels)), (0, 2, 1, 3))
        return ops.reshape(x, (-1, rows * columns, channels))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `[B·p², N, C]`."""
        batch, height, width, channels = input_shape
        area = self.patch**2
        return None if batch is None else batch * area, height * width // area, channels


@keras.saving.register_keras_serializable("imgrec")
class FoldPatches(Composite):
    """Put patches back into a map: `[B·p², N, C]` to `[B, H, W, C]`, as `UnfoldPatches` cut them.

    Args:
        patch: p, side of a patch.
        height: H, a multiple of p.
        width: W, a multiple of p.
    """

    def __init__(self, patch: int, height: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.patch = patch
        self.height = height
        self.width = width

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the map."""
        p, channels = self.patch, x.shape[-1]
        rows, columns = self.height // p, self.width // p
        x = ops.transpose(ops.reshape(x, (-1, p, rows * columns, channels)), (0, 2, 1, 3))
        x = ops.transpose(ops.reshape(x, (-1, p, rows, columns * p * channels)), (0, 2, 1, 3))
        return ops.reshape(x, (-1, self.height, self.width, channels))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `[B, H, W, C]`."""
        batch, _, channels = input_shape
        return None if batch is None else batch // self.patch**2, self.height, self.width, channels


@keras.saving.register_keras_serializable("imgrec")
class StretchMap(Composite):
    """Resize a map by at most one row and one column: `[B, H, W, C]` to `[B, height, width, C]`.

    Bilinear, half-pixel centres, no antialiasing: PyTorch's `interpolate(mode="bilinear")`. Made of
    slices, products and sums, which the int8 file has, for maps whose sides are no multiple of a patch.

    Args:
        height: H - 1, H or H + 1.
        width: W - 1, W or W + 1.
    """

    def __init__(self, height: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height = height
        self.width = width

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Check the sides; there is nothing to create.

        Raises:
            InputError: a side that differs by more than one.
        """
        if abs(input_shape[1] - self.height) > 1 or abs(input_shape[2] - self.width) > 1:
            raise InputError(
                f"stretch: got {input_shape[1]}×{input_shape[2]} for {self.height}×{self.width}, "
                "expected sides that differ by one at most"
            )

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the resized map."""
        if self.height != x.shape[1]:
            shares = ops.convert_to_tensor(_shares(x.shape[1], self.height).reshape(-1, 1, 1), x.dtype)
            ends = (x[:, :1], x[:, -1:], x[:, :-1], x[:, 1:])
            x = _interpolate(x, ends, shares, self.height > x.shape[1], axis=1)
        if self.width != x.shape[2]:
            shares = ops.convert_to_tensor(_shares(x.shape[2], self.width).reshape(1, -1, 1), x.dtype)
            ends = (x[:, :, :1], x[:, :, -1:], x[:, :, :-1], x[:, :, 1:])
            x = _interpolate(x, ends, shares, self.width > x.shape[2], axis=2)
        return x

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `[B, height, width, C]`."""
        return input_shape[0], self.height, self.width, input_shape[3]


def _shares(before: int, after: int) -> np.ndarray:
    """How far each of `after` places lies from its lower towards its upper neighbour among `before`."""
    index = np.arange(after)
    return (index + 0.5) * before / after - 0.5 - (index - (after > before))


def _interpolate(x: Any, ends: tuple[Any, Any, Any, Any], shares: Any, grows: bool, axis: int) -> Any:
    first, last, all_but_last, all_but_first = ends
    # A place outside the first or last centre has the border for both neighbours.
    lower = ops.concatenate([first, x], axis=axis) if grows else all_but_last
    upper = ops.concatenate([x, last], axis=axis) if grows else all_but_first
    return ops.add(ops.multiply(lower, 1.0 - shares), ops.multiply(upper, shares))
