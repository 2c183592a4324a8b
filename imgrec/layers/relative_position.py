"""A learned bias for every offset between two places of a grid, added to the scores of attention."""

from typing import Any

import keras
import numpy as np
from keras import ops

from imgrec.errors import InputError
from imgrec.layers.composite import Configured


@keras.saving.register_keras_serializable("imgrec")
class RelativePositionBias(Configured):
    """Add to attention's scores a bias by where the key lies as seen from the query.

    `scores + table[offset(query, key)]`, `[B, heads, N, N]` to the same, N = h·w places of a grid in
    row-major order. A primitive, not a composite: gathering is an operation on a weight alone, which
    unfolding would turn into a constant. The quantiser adds the gathered bias as one trained tensor.

    Args:
        window: (h, w) of the grid.
        heads: number of attention heads.

    Weight: `table` `[(2h - 1)(2w - 1), heads]`, a row for each offset (Δy, Δx) in row-major order from
    (1 - h, 1 - w); the layout of torchvision's and timm's `relative_position_bias_table`.

    Source: Liu et al., "Swin Transformer", 2021 (arXiv 2103.14030), eq. 4.
    """

    def __init__(self, window: tuple[int, int], heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.window = (int(window[0]), int(window[1]))
        self.heads = heads
        self.index = offset_index(self.window)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the table.

        Raises:
            InputError: the scores are not `[B, heads, h·w, h·w]`.
        """
        indices = self.window[0] * self.window[1]
        if tuple(input_shape[1:]) != (self.heads, indices, indices):
            raise InputError(
                f"relative position bias: got scores of shape {tuple(input_shape)}, expected "
                f"(batch, {self.heads}, {indices}, {indices}) for a window of {self.window}"
            )
        offsets = (2 * self.window[0] - 1) * (2 * self.window[1] - 1)
        start = keras.initializers.TruncatedNormal(stddev=0.02)
        self.table = self.add_weight(shape=(offsets, self.heads), initializer=start, name="table")

    def bias(self) -> Any:
        """Return the table spread out: `[heads, N, N]`."""
        # Gathered along axis 1: along axis 0 TensorFlow's gradient is sparse, which some optimisers refuse.
        return ops.take(ops.transpose(self.table), self.index, axis=1)

    def call(self, scores: Any) -> Any:
        """Return `scores` with every pair's bias added."""
        return ops.add(scores, self.bias())


def offset_index(window: tuple[int, int]) -> np.ndarray:
    """Return which row of the table belongs to each pair of places.

    Args:
        window: (h, w).

    Returns:
        int32 `[h·w, h·w]`, query by key: `(y_q - y_k + h - 1)(2w - 1) + x_q - x_k + w - 1`.
    """
    height, width = window
    y, x = np.divmod(np.arange(height * width), width)
    rows = y[:, None] - y[None, :] + height - 1
    columns = x[:, None] - x[None, :] + width - 1
    return (rows * (2 * width - 1) + columns).astype("int32")
