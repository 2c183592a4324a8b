"""Convolution whose windows bend to the image: every point of the kernel looks where it is told."""

from typing import Any

import keras
from keras import ops

from imgrec.errors import InputError
from imgrec.layers.composite import Configured
from imgrec.layers.conv import he_fan_out


def deformable_convolution(
    x: Any,
    offsets: Any,
    mask: Any,
    kernel: Any,
    stride: int = 1,
    padding: int = 0,
) -> Any:
    """Convolve with points moved by `offsets` and weighed by `mask`.

    The value at output position p is the sum over kernel points k of `W_k · m_k(p) · x(p + k + o_k(p))`,
    where x between pixels is bilinear and outside the image zero.

    Args:
        x: float `[B, H, W, C]`, H and W known.
        offsets: float `[B, H', W', 2·K]`, pixels: y, then x of the first kernel point, of the second …,
            row by row, as torchvision's `deform_conv2d` has them along its channels.
        mask: float `[B, H', W', K]`, or None for weights of 1 (version 1 of the paper).
        kernel: float `[kh, kw, C, F]`, kh·kw = K.
        stride: step of the window.
        padding: zeros on each side.

    Returns:
        Float `[B, H', W', F]`; H' = ⌊(H + 2·padding − kh) / stride⌋ + 1, W' alike.

    Source: Zhu et al., "Deformable ConvNets v2", 2019 (arXiv 1811.11168), eq. 1; Dai et al., 2017
    (arXiv 1703.06211), eq. 3 for the interpolation.
    """
    points_y, points_x, channels, filters = kernel.shape
    height, width = offsets.shape[1:3]
    points = points_y * points_x
    moves = ops.reshape(offsets, (-1, height, width, points, 2))
    grid_y, grid_x = _grid((height, width), (points_y, points_x), stride, padding)
    samples = _bilinear(x, moves[..., 0] + grid_y, moves[..., 1] + grid_x)
    if mask is not None:
        samples = samples * ops.expand_dims(mask, -1)
    columns = ops.reshape(samples, (-1, points * channels))
    result = ops.matmul(columns, ops.reshape(kernel, (points * channels, filters)))
    return ops.reshape(result, (-1, height, width, filters))


def _grid(indices: tuple[int, int], points: tuple[int, int], stride: int, padding: int) -> tuple[Any, Any]:
    """Where each point of each window lies unmoved: y `[H', 1, K]` and x `[1, W', K]`, in pixels."""
    (height, width), (rows, columns) = indices, points
    y = ops.expand_dims(ops.arange(height, dtype="float32") * stride - padding, (1, 2))
    x = ops.expand_dims(ops.arange(width, dtype="float32") * stride - padding, (0, 2))
    steps_y = ops.repeat(ops.arange(rows, dtype="float32"), columns)
    steps_x = ops.tile(ops.arange(columns, dtype="float32"), rows)
    return y + steps_y, x + steps_x


def _bilinear(x: Any, y_at: Any, x_at: Any) -> Any:
    """Read `[B, H, W, C]` at fractional positions `[B, H', W', K]`, zero outside: `[B, H', W', K, C]`."""
    top, left = ops.floor(y_at), ops.floor(x_at)
    below, right = y_at - top, x_at - left
    return (
        _pixels(x, top, left, (1 - below) * (1 - right))
        + _pixels(x, top, left + 1, (1 - below) * right)
        + _pixels(x, top + 1, left, below * (1 - right))
        + _pixels(x, top + 1, left + 1, below * right)
    )


def _pixels(x: Any, row: Any, column: Any, share: Any) -> Any:
    """Take whole pixels of `[B, H, W, C]`, times their share, which is zero outside the image."""
    _, height, width, channels = x.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    # Clipped while still float: a huge offset would not fit an int32.
    row, column = ops.clip(row, 0, height - 1), ops.clip(column, 0, width - 1)
    # One lookup in all images' pixels: along an axis of each image it takes over four times as long.
    first = ops.arange(ops.shape(x)[0], dtype="int32") * (height * width)
    indices = ops.reshape(first, (-1, 1, 1, 1)) + ops.cast(row * width + column, "int32")
    taken = ops.take(ops.reshape(x, (-1, channels)), indices, axis=0)
    return taken * ops.expand_dims(ops.where(inside, share, ops.zeros_like(share)), -1)


@keras.saving.register_keras_serializable("imgrec")
class DeformableConv2D(Configured):
    """Modulated deformable convolution (v2) of `[B, H, W, C]`, H and W known.

    An ordinary convolution over the same windows gives every kernel point of every position an offset
    (y, x, in pixels) and, through a sigmoid, a weight. It starts at zero: offsets 0 and weights ½, as
    in the paper (§ 3.2), so that the layer starts as half an ordinary convolution.

    It stands on gathers at computed positions, which TensorFlow Lite runs in float only: the layer has no
    int8 form, and the quantiser refuses a model that holds it.

    Args:
        filters: channels of the output.
        kernel_size: side of the window, odd; the zeros around the image keep the size at stride 1.
        stride: step of the window.
        modulated: false leaves the weights out: version 1 (Dai et al., 2017, arXiv 1703.06211).

    Source: Zhu et al., "Deformable ConvNets v2", 2019 (arXiv 1811.11168).
    """

    def __init__(
        self, filters: int, kernel_size: int = 3, stride: int = 1, modulated: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = (kernel_size - 1) // 2
        self.modulated = modulated

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the kernel `[k, k, C, F]` and the convolution for offsets and weights.

        Raises:
            InputError: height or width unknown.
        """
        height, width, channels = input_shape[1:]
        if height is None or width is None:
            raise InputError(f"{self.name}: got a {height}×{width} map, expected known sides")
        side, points = self.kernel_size, self.kernel_size**2
        self.kernel = self.add_weight(
            shape=(side, side, channels, self.filters),
            initializer=he_fan_out(),
            autocast=False,
            name="kernel",
        )
        self.pad = keras.layers.ZeroPadding2D(self.padding, name="pad", dtype="float32")
        self.guide = keras.layers.Conv2D(
            (3 if self.modulated else 2) * points,
            side,
            self.stride,
            kernel_initializer="zeros",
            name="guide",
            dtype="float32",
        )
        padded = (None, height + 2 * self.padding, width + 2 * self.padding, channels)
        self.guide.build(padded)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return `[B, H', W', filters]` in the compute dtype; positions are computed in float32."""
        single = ops.cast(x, "float32")
        guide = self.guide(self.pad(single))
        split = 2 * self.kernel_size**2
        offsets = guide[..., :split]
        mask = ops.sigmoid(guide[..., split:]) if self.modulated else None
        y = deformable_convolution(single, offsets, mask, self.kernel, self.stride, self.padding)
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `[B, H', W', filters]`."""
        sides = [None if side is None else (side - 1) // self.stride + 1 for side in input_shape[1:3]]
        return input_shape[0], *sides, self.filters
