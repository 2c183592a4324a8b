"""Convolution and pooling with the padding of the reference implementations, as functions on tensors."""

from collections.abc import Callable
from typing import Any

import keras

from imgrec.layers.normalization import BatchNormalization


def he_fan_out() -> keras.initializers.Initializer:
    """Return a fresh He initialiser by fan-out, as torchvision's ResNets use (arXiv 1502.01852).

    Fresh, because one Keras initialiser gives every kernel of one shape the same values.
    """
    return keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")


def pad_symmetric(x: Any, kernel: int, stride: int, padding: int, name: str) -> tuple[Any, str]:
    """Give `x` zeros for windows that start `padding` before the edge, as PyTorch pads.

    Keras's `same` puts the odd row of padding last, so at stride 2 on even sizes its windows lie one
    pixel elsewhere. Where both agree no layer is added.

    Args:
        x: `[B, H, W, C]`, H and W known.
        kernel: side of the window.
        stride: step of the window.
        padding: zeros on each side.
        name: of the padding layer, where one is needed.

    Returns:
        The tensor and the padding ("valid" or "same") to give the layer that follows.
    """
    if padding == 0:
        return x, "valid"
    if all(_same_padding(side, kernel, stride) == (padding, padding) for side in x.shape[1:3]):
        return x, "same"
    return keras.layers.ZeroPadding2D(padding, name=name)(x), "valid"


def _same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """How many zeros `same` puts before and after a side."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def conv(
    x: Any,
    filters: int,
    kernel: int,
    stride: int = 1,
    *,
    name: str,
    padding: int | None = None,
    use_bias: bool = False,
    initializer: Callable[[], keras.initializers.Initializer] = he_fan_out,
) -> Any:
    """Convolve `[B, H, W, C]`; `padding` zeros on every side, by default `(kernel - 1) // 2`."""
    padding = (kernel - 1) // 2 if padding is None else padding
    x, mode = pad_symmetric(x, kernel, stride, padding, f"{name}_pad")
    layer = keras.layers.Conv2D(
        filters,
        kernel,
        stride,
        padding=mode,
        use_bias=use_bias,
        kernel_initializer=initializer(),
        name=name,
    )
    return layer(x)


def batch_norm(x: Any, name: str) -> Any:
    """Normalise a batch with PyTorch's defaults: ε 1e-5, moving averages that keep 0.9 a step."""
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def conv_bn(x: Any, filters: int, kernel: int, stride: int = 1, *, block: str, index: int | str = "") -> Any:
    """Convolve without bias and normalise: layers `{block}_conv{index}` and `{block}_bn{index}`."""
    x = conv(x, filters, kernel, stride, name=f"{block}_conv{index}")
    return batch_norm(x, f"{block}_bn{index}")


def conv_bn_relu(
    x: Any, filters: int, kernel: int, stride: int = 1, *, block: str, index: int | str = "", name: str = ""
) -> Any:
    """`conv_bn`, then a ReLU named `name`, by default `{block}_relu{index}`."""
    x = conv_bn(x, filters, kernel, stride, block=block, index=index)
    return keras.layers.ReLU(name=name or f"{block}_relu{index}")(x)


def max_pool(x: Any, kernel: int, stride: int, *, name: str, padding: int = 0) -> Any:
    """Max-pool `[B, H, W, C]`; padding with zeros is right for `x` ≥ 0 only, that is after a ReLU."""
    x, mode = pad_symmetric(x, kernel, stride, padding, f"{name}_pad")
    return keras.layers.MaxPooling2D(kernel, stride, padding=mode, name=name)(x)
