"""Convolution and pooling with the padding of the reference implementations, as functions on tensors."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras

from imgrec.layers.depthwise import DepthwiseConv2D
from imgrec.layers.normalization import BatchNormalization


def he_fan_out() -> keras.initializers.Initializer:
    """Return a fresh He initialiser by fan-out, as torchvision's ResNets use (arXiv 1502.01852).

    Fresh, because one Keras initialiser gives every kernel of one shape the same values.
    """
    return keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")


@dataclass(frozen=True)
class Style:
    """What the convolutions of a network, or of a part of it, have in common."""

    activation: str = "linear"
    """`relu`, `relu6`, or another activation that Keras knows by name; "linear" adds no layer."""
    epsilon: float = 1e-5
    """ε of the batch normalisations."""
    padding: int | Literal["same"] | None = None
    """Zeros on every side; None: those that keep the size at stride 1; "same": as TensorFlow pads."""
    initializer: Callable[[], keras.initializers.Initializer] = he_fan_out
    """Gives a fresh one for every kernel."""
    use_bias: bool = False
    attend: Callable[[Any, str], Any] | None = None
    """What a block puts before its last convolution, given the tensor and the name; None: nothing."""
    end: str = ""
    """Name of the activation's layer; empty: from the block's."""

    @property
    def linear(self) -> "Style":
        """The same without the activation."""
        return replace(self, activation="linear")

    def named(self, end: str) -> "Style":
        """The same with another name for the one activation that it is used for."""
        return replace(self, end=end)


_NARROW = 16
"""Channels below which a strided 1 × 1 convolution picks its pixels first. The figures are the same; but the
kernel's gradient, as oneDNN has it for AVX-512, writes past its memory for odd batches (TensorFlow 2.21)."""
PLAIN = Style()
RELU = Style("relu")
BIASED = Style(use_bias=True)


def pad_symmetric(
    x: Any,
    kernel: int | tuple[int, int],
    stride: int,
    padding: int | tuple[int, int],
    name: str,
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

    Returns:
        The tensor and the padding to give the layer that follows.
    """
    kernels = (kernel, kernel) if isinstance(kernel, int) else kernel
    zeros = (padding, padding) if isinstance(padding, int) else padding
    if zeros == (0, 0):
        return x, "valid"
    sides = zip(x.shape[1:3], kernels, zeros, strict=True)
    if all(_same_padding(side, window, stride) == (zero, zero) for side, window, zero in sides):
        return x, "same"
    return keras.layers.ZeroPadding2D(zeros, name=name)(x), "valid"


def _pad_for(
    x: Any, kernel: int | tuple[int, int], stride: int, padding: int | Literal["same"] | None, name: str
) -> tuple[Any, Literal["valid", "same"]]:
    """Pad for a convolution called `name`; the zeros and the answer are `pad_symmetric`'s."""
    if padding == "same":
        return x, "same"
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    zeros = ((height - 1) // 2, (width - 1) // 2) if padding is None else padding
    return pad_symmetric(x, kernel, stride, zeros, f"{name}_pad")


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
    style: Style = PLAIN,
) -> Any:
    """Convolve `[B, H, W, C]` with `style`'s padding, initialiser and bias."""
    if kernel == 1 and stride > 1 and x.shape[-1] < _NARROW:
        x, stride = keras.layers.MaxPooling2D(1, stride, name=f"{name}_subsample")(x), 1
    x, mode = _pad_for(x, kernel, stride, style.padding, name)
    layer = keras.layers.Conv2D(
        filters,
        kernel,
        stride,
        padding=mode,
        use_bias=style.use_bias,
        kernel_initializer=style.initializer(),
        name=name,
    )
    return layer(x)


def conv_relu(
    x: Any, filters: int, kernel: int, stride: int = 1, *, name: str, style: Style = BIASED, end: str = ""
) -> Any:
    """`conv` and a ReLU called `end`, by default `{name}_relu`."""
    x = conv(x, filters, kernel, stride, name=name, style=style)
    return keras.layers.ReLU(name=end or f"{name}_relu")(x)


def depthwise(x: Any, kernel: int, stride: int = 1, *, name: str, style: Style = PLAIN) -> Any:
    """Convolve every channel of `[B, H, W, C]` by itself."""
    x, mode = _pad_for(x, kernel, stride, style.padding, name)
    layer = DepthwiseConv2D(
        kernel,
        stride,
        padding=mode,
        use_bias=style.use_bias,
        depthwise_initializer=style.initializer(),
        name=name,
    )
    return layer(x)


def batch_norm(x: Any, name: str, epsilon: float = 1e-5) -> Any:
    """Normalise a batch with PyTorch's defaults: ε 1e-5, moving averages that keep 0.9 a step."""
    return BatchNormalization(momentum=0.9, epsilon=epsilon, name=name)(x)


def activate(x: Any, activation: str, name: str) -> Any:
    """Apply an activation as `Style` names it."""
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
    style: Style = PLAIN,
) -> Any:
    """Convolve, normalise, activate.

    The layers are `{block}_conv{index}`, `{block}_bn{index}` and, but for "linear", `style.end`, by default
    `{block}_{activation}{index}`.
    """
    x = conv(x, filters, kernel, stride, name=f"{block}_conv{index}", style=style)
    return _bn_act(x, block, index, style)


def depthwise_bn(
    x: Any, kernel: int, stride: int = 1, *, block: str, index: int | str = "", style: Style = PLAIN
) -> Any:
    """`conv_bn` with a depthwise convolution, whose layer is `{block}_depthwise{index}`."""
    x = depthwise(x, kernel, stride, name=f"{block}_depthwise{index}", style=style)
    return _bn_act(x, block, index, style)


def _bn_act(x: Any, block: str, index: int | str, style: Style) -> Any:
    x = batch_norm(x, f"{block}_bn{index}", style.epsilon)
    return activate(x, style.activation, style.end or f"{block}_{style.activation}{index}")


def bn_relu(x: Any, norm: str, relu: str) -> Any:
    """Normalise and activate, as pre-activation networks do before a convolution."""
    return activate(batch_norm(x, norm), "relu", relu)


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
