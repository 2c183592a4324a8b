"""VGG as torchvision has it, with and without batch normalisation, and its form for small images."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from imgrec.layers.conv import BIASED, activate, conv, conv_bn, max_pool
from imgrec.layers.pooling import adaptive_average_pool
from imgrec.models.architecture import Architecture, Shape
from imgrec.models.forms import wants_small_stem
from imgrec.models.head import check_rate, dense_relu, logits_out, pixels_in
from imgrec.models.learning import Learning, Pace

WIDTHS = (64, 128, 256, 512, 512)
GRID = 7
"""Side of the feature map that the classifier sees."""


def _vgg(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    depths: Sequence[int],
    batch_norm: bool,
    small_head: bool | str = "auto",
    dropout: float = 0.5,
) -> keras.Model:
    """Build VGG: five stages of 3×3 convolutions, each followed by pooling, and three dense layers.

    At any size the classifier sees a map of 7×7 by adaptive average pooling, so weights of one size
    fit all others. `small_head=True` is the form for small images: no pooling after the fifth stage,
    then averaging and one dense layer; "auto" takes it up to 64 px. `dropout` is the share dropped
    after each hidden dense layer, or before the only one.
    """
    small = wants_small_stem(row, shape, small_head, option="small_head")
    check_rate(dropout, "dropout")
    image, x = pixels_in(row, shape)
    for stage, (filters, depth) in enumerate(zip(WIDTHS, depths, strict=True), start=1):
        pooled = not (small and stage == len(WIDTHS))
        for index in range(1, depth + 1):
            end = f"stage{stage}" if index == depth and not pooled else f"stage{stage}_relu{index}"
            relu = "stem" if (stage, index) == (1, 1) else end
            x = _conv_relu(x, filters, batch_norm, block=f"stage{stage}", index=index, name=relu)
        if pooled:
            x = max_pool(x, 2, 2, name=f"stage{stage}")
    if small:
        x = keras.layers.GlobalAveragePooling2D(name="features")(x)
        return keras.Model(image, logits_out(x, num_classes, dropout), name=row.name)
    x = keras.layers.Flatten(name="flatten")(adaptive_average_pool(x, (GRID, GRID), "grid"))
    x = dense_relu(x, 4096, name="fc6", end="fc6_relu", initializer=_normal())
    x = keras.layers.Dropout(dropout, name="fc6_dropout")(x) if dropout else x
    x = dense_relu(x, 4096, name="fc7", end="features", initializer=_normal())
    return keras.Model(image, logits_out(x, num_classes, dropout, _normal), name=row.name)


def _conv_relu(x: Any, filters: int, batch_norm: bool, *, block: str, index: int, name: str) -> Any:
    """Convolve with a bias, which torchvision keeps where a normalisation follows."""
    if batch_norm:
        x = conv_bn(x, filters, 3, block=block, index=index, style=BIASED)
    else:
        x = conv(x, filters, 3, name=f"{block}_conv{index}", style=BIASED)
    return activate(x, "relu", name)


def _normal() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.01)


def _reference_names(depths: Sequence[int], batch_norm: bool) -> Callable[[str], tuple[str, ...]]:
    """Torchvision's names, which count every layer, and timm's for the classifier."""
    names: dict[str, tuple[str, ...]] = {
        "fc6": ("classifier.0", "pre_logits.fc1"),
        "fc7": ("classifier.3", "pre_logits.fc2"),
        "logits": ("classifier.6", "head.fc"),
    }
    position = 0
    for stage, depth in enumerate(depths, start=1):
        for index in range(1, depth + 1):
            names[f"stage{stage}_conv{index}"] = (f"features.{position}",)
            names[f"stage{stage}_bn{index}"] = (f"features.{position + 1}",)
            position += 3 if batch_norm else 2
        position += 1  # the pooling
    return names.__getitem__


_PLAIN = Learning(Pace(0.01, 5e-4), Pace(5e-4, 0.01), "the paper, § 3.1: SGD 0.01 in batches of 256, 5e-4")
_NORMALISED = Learning(Pace(0.1, 5e-4), Pace(2e-3, 0.05), "as ResNet's")


def _row(name: str, depths: Sequence[int], parameters: int, macs: int) -> Architecture:
    batch_norm = name.endswith("_bn")
    return Architecture(
        name,
        _vgg,
        {"depths": depths, "batch_norm": batch_norm},
        parameters=parameters,
        macs=macs,
        source="Simonyan and Zisserman, Very Deep Convolutional Networks, 2015 (arXiv 1409.1556), table 1; "
        f"torchvision {name}",
        stages=5,
        learning=_NORMALISED if batch_norm else _PLAIN,
        min_size=16,
        reference_names=_reference_names(depths, batch_norm),
    )


_A, _B, _D, _E = (1, 1, 2, 2, 2), (2, 2, 2, 2, 2), (2, 2, 3, 3, 3), (2, 2, 4, 4, 4)
"""Convolutions in each stage: columns A, B, D and E of table 1."""

vgg11 = _row("vgg11", _A, 132_863_336, 7_609_090_048)
vgg13 = _row("vgg13", _B, 133_047_848, 11_308_466_176)
vgg16 = _row("vgg16", _D, 138_357_544, 15_470_264_320)
vgg19 = _row("vgg19", _E, 143_667_240, 19_632_062_464)
vgg11_bn = _row("vgg11_bn", _A, 132_868_840, 7_609_090_048)
vgg13_bn = _row("vgg13_bn", _B, 133_053_736, 11_308_466_176)
vgg16_bn = _row("vgg16_bn", _D, 138_365_992, 15_470_264_320)
vgg19_bn = _row("vgg19_bn", _E, 143_678_248, 19_632_062_464)
