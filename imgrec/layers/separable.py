"""Convolutions split into depth and width: the blocks of mobile networks, as functions on tensors."""

from typing import Any

import keras

from imgrec.layers.conv import Style, conv_bn, depthwise_bn

RELU6 = Style("relu6")


def separable_bn(
    x: Any,
    filters: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    block: str,
    style: Style = RELU6,
    end: str = "",
) -> Any:
    """Convolve `[B, H, W, C]` depthwise and then pointwise, each normalised and activated.

    A `kernel`×`kernel` convolution on every channel by itself finds patterns, a 1×1 convolution mixes
    channels: `1/filters + 1/kernel²` of the multiplications of one full convolution.

    The layers are `{block}_depthwise`, `{block}_bn`, `{block}_{activation}`, `{block}_pointwise_conv`,
    `{block}_pointwise_bn` and the activation `end`, by default `{block}_pointwise_{activation}`.

    Source: Howard et al., "MobileNets", 2017 (arXiv 1704.04861), § 3.1.
    """
    x = depthwise_bn(x, kernel, stride, block=block, style=style)
    return conv_bn(x, filters, 1, block=f"{block}_pointwise", style=style.named(end))


def inverted_residual(
    x: Any,
    widths: tuple[int, int],
    kernel: int = 3,
    stride: int = 1,
    *,
    block: str,
    style: Style = RELU6,
    end: str = "",
) -> Any:
    """Widen `[B, H, W, C]`, convolve depthwise, narrow without activation; add `x` where shapes agree.

    `widths` are the channels in between and those of the result. The layers are `{block}_expand_*` (1×1,
    left out where C is the first of them), `{block}_depthwise`, `{block}_bn`, `{block}_{activation}`, what
    `style.attend` puts in as `{block}_se`, `{block}_project_*` (1×1, linear) and `{block}_add`. Where `end`
    is given, the last layer bears that name.

    Source: Sandler et al., "MobileNetV2", 2018 (arXiv 1801.04381), § 3.3; attention as in Howard et al.,
    "Searching for MobileNetV3", 2019 (arXiv 1905.02244), § 5.3.
    """
    expanded, filters = widths
    y = x
    if expanded != x.shape[-1]:
        y = conv_bn(y, expanded, 1, block=f"{block}_expand", style=style)
    y = depthwise_bn(y, kernel, stride, block=block, style=style)
    if style.attend is not None:
        y = style.attend(y, f"{block}_se")
    y = conv_bn(y, filters, 1, block=f"{block}_project", style=style.linear)
    if stride == 1 and x.shape[-1] == filters:
        return keras.layers.Add(name=end or f"{block}_add")([x, y])
    return keras.layers.Identity(name=end)(y) if end else y
