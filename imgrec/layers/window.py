"""Self-attention inside the windows of a map, which may be shifted: Swin's."""

from typing import Any

import keras
import numpy as np
from keras import ops

from imgrec.layers.composite import Composite, Configured
from imgrec.layers.transformer import SelfAttention

HIDDEN = -100.0
"""What is added to the score of a pair that must not meet, as in the reference implementations."""


@keras.saving.register_keras_serializable("imgrec")
class WindowAttention(Composite):
    """Multi-head self-attention within the `window`×`window` squares of `[B, H, W, C]`.

    Sides that are no multiple of the window get zeros at the end; those places take part, as in the
    reference implementations, and are cut off again. Shifted windows roll the map by `shift` places
    first; what then meets in a window without being neighbours in the map is kept apart. A side of a
    single window is not shifted.

    Args:
        heads: number of heads; C must be a multiple of it.
        window: side of a window in places.
        shift: by how many places the windows are shifted, from 0 to less than `window`.
        stddev: σ of the truncated normal that the kernels start from; 0 for Glorot-uniform.

    Source: Liu et al., "Swin Transformer", 2021 (arXiv 2103.14030), § 3.2.
    """

    def __init__(
        self, heads: int, window: int = 7, shift: int = 0, stddev: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.heads = heads
        self.window = window
        self.shift = shift
        self.stddev = stddev

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Lay the windows over an H×W map, and create the attention for C features."""
        height, width = (-(-side // self.window) * self.window for side in input_shape[1:3])
        rows, columns = (self.shift if side > self.window else 0 for side in (height, width))
        self.padded, self.shifts = (height, width), (rows, columns)
        dtype = self.dtype_policy
        mask = WindowMask(self.padded, self.window, self.shifts, name="mask", dtype=dtype)
        self.attend = _Attention(
            heads=self.heads,
            window=(self.window, self.window),
            mask=mask if any(self.shifts) else None,
            stddev=self.stddev,
            name="attend",
            dtype=dtype,
        )
        self.build_sublayers((self.attend, (None, self.window**2, input_shape[-1])))

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return every place's mixture of its window."""
        _, height, width, _ = x.shape
        below, right = self.padded[0] - height, self.padded[1] - width
        if below or right:
            x = ops.pad(x, ((0, 0), (0, below), (0, right), (0, 0)))
        x = _roll(x, self.shifts[0], self.shifts[1])
        x = self.attend(_to_windows(x, self.window), training=training)
        x = _from_windows(x, self.padded, self.window)
        x = _roll(x, -self.shifts[0], -self.shifts[1])
        return x[:, :height, :width] if below or right else x


class _Attention(SelfAttention):
    """Self-attention on windows `[B·nW, N, C]` with a bias by position and, on shifted maps, `mask`."""

    def __init__(self, mask: "WindowMask | None", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask = mask

    def adjust(self, scores: Any) -> Any:
        """Keep apart those who only met by rolling."""
        if self.mask is None:
            return scores
        _, heads, tokens, _ = scores.shape
        # Four dimensions, like everything here: one mask a window serves all images and heads.
        scores = ops.reshape(scores, (-1, self.mask.windows, heads, tokens * tokens))
        return ops.reshape(self.mask(scores), (-1, heads, tokens, tokens))


@keras.saving.register_keras_serializable("imgrec")
class WindowMask(Configured):
    """Add `HIDDEN` to the scores `[B, nW, heads, N·N]` of pairs that are not neighbours in the map.

    A primitive, so that the quantiser can put a number that int8 scores have room for.

    Args:
        sides: height and width of the map, multiples of `window`.
        window: side of a window; N is its square.
        shifts: by how many places each side was rolled.
    """

    def __init__(self, sides: tuple[int, int], window: int, shifts: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sides, self.window, self.shifts = sides, window, shifts
        self.windows = sides[0] // window * (sides[1] // window)

    def bias(self, hidden: float = HIDDEN) -> np.ndarray:
        """Return what is added: float32 `[1, nW, 1, N·N]`, 0 or `hidden`."""
        apart = parted(self.sides, self.window, self.shifts)
        return np.where(apart, np.float32(hidden), np.float32(0))[None, :, None, :]

    def call(self, scores: Any) -> Any:
        """Add."""
        return ops.add(scores, ops.convert_to_tensor(self.bias(), scores.dtype))


def parted(sides: tuple[int, int], window: int, shifts: tuple[int, int]) -> np.ndarray:
    """Say which pairs of each window come from parts of the map that are not neighbours.

    Args:
        sides: height and width of the map, multiples of `window`.
        window: side of a window.
        shifts: by how many places each side was rolled.

    Returns:
        bool `[nW, N·N]`, query by key, windows and their places row by row.
    """
    rows, columns = (
        np.repeat([0, 1, 2], [side - window, window - shift, shift]) if shift else np.zeros(side, int)
        for side, shift in zip(sides, shifts, strict=True)
    )
    parts = 3 * rows[:, None] + columns[None, :]
    parts = parts.reshape(sides[0] // window, window, sides[1] // window, window)
    parts = parts.transpose(0, 2, 1, 3).reshape(-1, window * window)
    return (parts[:, :, None] != parts[:, None, :]).reshape(len(parts), -1)


def _roll(x: Any, rows: int, columns: int) -> Any:
    """Move `[B, H, W, C]` up and left, what falls off coming back at the other side."""
    if rows:
        x = ops.concatenate([x[:, rows:], x[:, :rows]], axis=1)
    if columns:
        x = ops.concatenate([x[:, :, columns:], x[:, :, :columns]], axis=2)
    return x


def _to_windows(x: Any, window: int) -> Any:
    """`[B, H, W, C]` to `[B·nW, window², C]`, windows and their places row by row."""
    _, _, width, channels = x.shape
    x = ops.reshape(x, (-1, window, width // window, window * channels))
    return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, window * window, channels))


def _from_windows(x: Any, sides: tuple[int, int], window: int) -> Any:
    """`_to_windows` backwards, for a map of `sides`."""
    height, width = sides
    channels = x.shape[-1]
    x = ops.reshape(x, (-1, width // window, window, window * channels))
    return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, height, width, channels))
