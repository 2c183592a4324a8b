"""Convolution and pooling with the padding of the reference implementations, as functions on tensors."""

from collections.abc import Callable
from typing import Any, Literal

import keras

from imgrec.layers.depthwise import DepthwiseConv2D
from imgrec.layers.normalization import BatchNormalization


def he_fan_out() -> keras.initializers.Initializer:
    """Return a fresh He initialiser by fan-out, as torchvision's ResNets use (arXiv 1502.01852).

    Fresh, because one Keras initialiser gives every kernel of one shape the same values.
    """
    return keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")


def pad_symmetric(
    x: Any,
    kernel: int | tuple[int, int],
    stride: int,
    padding: int | tuple[int, int],
    name: str,
    dilation: int = 1,
) -> tuple[Any, Literal["valid", "same"]]:
    """Give `x` zeros for windows that start `padding` before the edge, as PyTorch pads.

    Keras's `same` puts the odd row of padding last, so at stride 2 on even sizes its windows lie one
    pixel elsewhere. Where both agree no layer is added.

    Args:
        x: `[B, H, W, C]`, H and W known.
        kernel: side of the window, or its height and width.
        stride: step of the window.
        padding: zeros on each side, or above and below, then left and right.
        name: of the padding layer, where one is needed.
        dilation: distance of the window's points.

    Returns:
        The tensor and the padding to give the layer that follows.
    """
    kernels = (kernel, kernel) if isinstance(kernel, int) else kernel
    zeros = (padding, padding) if isinstance(padding, int) else padding
    if zeros == (0, 0):
        return x, "valid"
    windows = [dilation * (side - 1) + 1 for side in kernels]
    sides = zip(x.shape[1:3], windows, zeros, strict=True)
    if all(_same_padding(side, window, stride) == (zero, zero) for side, window, zero in sides):
        return x, "same"
    return keras.layers.ZeroPadding2D(zeros, name=name)(x), "valid"


def pad_for(
    x: Any,
    kernel: int | tuple[int, int],
    stride: int,
    padding: int | tuple[int, int] | Literal["same"] | None,
    name: str,
    dilation: int = 1,
) -> tuple[Any, Literal["valid", "same"]]:
    """Pad for a convolution called `name`; the zeros and the answer are `pad_symmetric`'s."""
    if padding == "same":
        return x, "same"
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    if padding is None:
        padding = (dilation * (sides[0] - 1) // 2, dilation * (sides[1] - 1) // 2)
    return pad_symmetric(x, sides, stride, padding, f"{name}_pad", dilation)


def _same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """How many zeros `same` puts before and after a side."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def conv(
    x: Any,
    filters: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    *,
    name: str,
    padding: int | tuple[int, int] | Literal["same"] | None = None,
    use_bias: bool = False,
    dilation: int = 1,
    initializer: Callable[[], keras.initializers.Initializer] = he_fan_out,
) -> Any:
    """Convolve `[B, H, W, C]`.

    `padding` is the zeros on every side (or on those of height and width), by default those that keep
    the size at stride 1; "same" pads as TensorFlow does.
    """
    x, mode = pad_for(x, kernel, stride, padding, name, dilation)
    layer = keras.layers.Conv2D(
        filters,
        kernel,
        stride,
        padding=mode,
        dilation_rate=dilation,
        use_bias=use_bias,
        kernel_initializer=initializer(),
        name=name,
    )
    return layer(x)


def depthwise(
    x: Any,
    kernel: int,
    stride: int = 1,
    *,
    name: str,
    padding: int | Literal["same"] | None = None,
    use_bias: bool = False,
    initializer: Callable[[], keras.initializers.Initializer] = he_fan_out,
) -> Any:
    """Convolve every channel of `[B, H, W, C]` by itself; `padding` as `conv` has it."""
    x, mode = pad_for(x, kernel, stride, padding, name)
    layer = DepthwiseConv2D(
        kernel,
        stride,
        padding=mode,
        use_bias=use_bias,
        depthwise_initializer=initializer(),
        name=name,
    )
    return layer(x)


def batch_norm(x: Any, name: str, epsilon: float = 1e-5) -> Any:
    """Normalise a batch with PyTorch's defaults: ε 1e-5, moving averages that keep 0.9 a step."""
    return BatchNormalization(momentum=0.9, epsilon=epsilon, name=name)(x)


def activate(x: Any, activation: str, name: str) -> Any:
    """Apply `relu`, `relu6`, or another activation that Keras knows by name; "linear" adds no layer."""
    if activation == "linear":
        return x
    if activation in ("relu", "relu6"):
        return keras.layers.ReLU(6.0 if activation == "relu6" else None, name=name)(x)
    return keras.layers.Activation(activation, name=name)(x)


def conv_bn(
    x: Any,
    filters: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    *,
    block: str,
    index: int | str = "",
    epsilon: float = 1e-5,
    activation: str = "linear",
    name: str = "",
    **options: Any,
) -> Any:
    """Convolve without bias, normalise, activate.

    The layers are `{block}_conv{index}`, `{block}_bn{index}` and, but for "linear", the activation
    `name`, by default `{block}_{activation}{index}`. `options` are `conv`'s.
    """
    x = conv(x, filters, kernel, stride, name=f"{block}_conv{index}", **options)
    x = batch_norm(x, f"{block}_bn{index}", epsilon)
    return activate(x, activation, name or f"{block}_{activation}{index}")


def depthwise_bn(
    x: Any,
    kernel: int,
    stride: int = 1,
    *,
    block: str,
    index: int | str = "",
    epsilon: float = 1e-5,
    activation: str = "linear",
    name: str = "",
    **options: Any,
) -> Any:
    """`conv_bn` with a depthwise convolution, whose layer is `{block}_depthwise{index}`."""
    x = depthwise(x, kernel, stride, name=f"{block}_depthwise{index}", **options)
    x = batch_norm(x, f"{block}_bn{index}", epsilon)
    return activate(x, activation, name or f"{block}_{activation}{index}")


def conv_bn_relu(
    x: Any, filters: int, kernel: int | tuple[int, int], stride: int = 1, *, block: str, **options: Any
) -> Any:
    """`conv_bn` with a ReLU."""
    return conv_bn(x, filters, kernel, stride, block=block, activation="relu", **options)


def max_pool(x: Any, kernel: int, stride: int, *, name: str, padding: int = 0, ceil: bool = False) -> Any:
    """Max-pool `[B, H, W, C]`; padding with zeros is right for `x` ≥ 0 only, that is after a ReLU.

    `ceil=True` rounds the size up: a last window that lacks pixels counts too, PyTorch's `ceil_mode`
    (for `padding` 0 and a kernel no shorter than the stride).
    """
    if ceil:
        x, mode = _pad_last_window(x, kernel, stride, f"{name}_pad")
    else:
        x, mode = pad_symmetric(x, kernel, stride, padding, f"{name}_pad")
    return keras.layers.MaxPooling2D(kernel, stride, padding=mode, name=name)(x)


def _pad_last_window(x: Any, kernel: int, stride: int, name: str) -> tuple[Any, Literal["valid", "same"]]:
    """Zeros after each side that complete its last window; the answer is `pad_symmetric`'s."""
    sides = x.shape[1:3]
    after = [kernel - side if side < kernel else -(side - kernel) % stride for side in sides]
    if after == [0, 0]:
        return x, "valid"
    if all(
        _same_padding(side, kernel, stride) == (0, zeros) for side, zeros in zip(sides, after, strict=True)
    ):
        return x, "same"
    return keras.layers.ZeroPadding2D(tuple((0, zeros) for zeros in after), name=name)(x), "valid"
