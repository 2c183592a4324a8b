"""MobileNetV1 as timm has it and MobileNetV2 as torchvision has it."""

import keras

from imgrec.layers.conv import conv_bn
from imgrec.layers.separable import RELU6, inverted_residual, separable_bn
from imgrec.models.architecture import HALF, Architecture, Shape
from imgrec.models.forms import check_width, early_strides, round_channels, wants_small_stem
from imgrec.models.head import logits_out, pixels_in
from imgrec.models.learning import Learning, Pace
from imgrec.models.stage_names import block_of

V1_STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))
"""Channels, blocks and stride of the first block: table 1 of the MobileNetV1 paper."""
V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks and stride of the first block: table 2 of the MobileNetV2 paper."""


def _mobilenet_v1(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    width: float = 1.0,
    small_stem: bool | str = "auto",
    dropout: float = 0.0,
) -> keras.Model:
    """Build MobileNetV1: a full convolution, then thirteen depthwise-separable ones.

    `width` multiplies all channels. `small_stem=True` leaves out the first two halvings, for small
    images; "auto" does so up to 64 px.
    """
    check_width(width)
    small = wants_small_stem(row, shape, small_stem)
    stem_stride, *strides = early_strides((2, *(stride for *_, stride in V1_STAGES)), small)
    image, x = pixels_in(row, shape)
    x = conv_bn(x, round_channels(32 * width), 3, stem_stride, block="stem", style=RELU6.named("stem"))
    for stage, (filters, blocks, _) in enumerate(V1_STAGES, start=1):
        for index in range(1, blocks + 1):
            stride = strides[stage - 1] if index == 1 else 1
            block, end = f"stage{stage}_block{index}", f"stage{stage}" if index == blocks else ""
            x = separable_bn(x, round_channels(filters * width), 3, stride, block=block, end=end)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, logits_out(x, num_classes, dropout), name=row.name)


def _mobilenet_v2(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    width: float = 1.0,
    small_stem: bool | str = "auto",
    dropout: float = 0.2,
) -> keras.Model:
    """Build MobileNetV2: seventeen inverted residuals between two convolutions.

    `width` multiplies all channels, but those of the last convolution only where it is above 1.
    `small_stem=True` leaves out the first two halvings, for small images; "auto" does so up to 64 px.
    """
    check_width(width)
    small = wants_small_stem(row, shape, small_stem)
    stem_stride, *strides = early_strides((2, *(stride for *_, stride in V2_STAGES)), small)
    image, x = pixels_in(row, shape)
    x = conv_bn(x, round_channels(32 * width), 3, stem_stride, block="stem", style=RELU6.named("stem"))
    for stage, (expansion, filters, blocks, _) in enumerate(V2_STAGES, start=1):
        for index in range(1, blocks + 1):
            x = inverted_residual(
                x,
                (expansion * x.shape[-1], round_channels(filters * width)),
                stride=strides[stage - 1] if index == 1 else 1,
                block=f"stage{stage}_block{index}",
                end=f"stage{stage}" if index == blocks else "",
            )
    x = conv_bn(x, round_channels(1280 * max(1.0, width)), 1, block="head", style=RELU6)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, logits_out(x, num_classes, dropout, small_normal), name=row.name)


def small_normal() -> keras.initializers.Initializer:
    """Return a fresh normal initialiser, σ 0.01: torchvision's for the dense layers of mobile networks."""
    return keras.initializers.RandomNormal(stddev=0.01)


def _v1_names(layer: str) -> tuple[str, ...]:
    """Timm's name in `mobilenetv1_100`."""
    ends = {"stem_conv": "conv_stem", "stem_bn": "bn1", "logits": "classifier"}
    parts = {"depthwise": "conv_dw", "bn": "bn1", "pointwise_conv": "conv_pw", "pointwise_bn": "bn2"}
    if layer in ends:
        return (ends[layer],)
    stage, block, part = block_of(layer)
    return (f"blocks.{stage}.{block}.{parts[part]}",)


def _v2_names(layer: str) -> tuple[str, ...]:
    """Torchvision's name, then timm's in `mobilenetv2_100`, which is the same network."""
    ends = {
        "stem_conv": ("features.0.0", "conv_stem"),
        "stem_bn": ("features.0.1", "bn1"),
        "head_conv": ("features.18.0", "conv_head"),
        "head_bn": ("features.18.1", "bn2"),
        "logits": ("classifier.1", "classifier"),
    }
    plain = {
        "depthwise": ("0.0", "conv_dw"),
        "bn": ("0.1", "bn1"),
        "project_conv": ("1", "conv_pw"),
        "project_bn": ("2", "bn2"),
    }
    widened = {
        "expand_conv": ("0.0", "conv_pw"),
        "expand_bn": ("0.1", "bn1"),
        "depthwise": ("1.0", "conv_dw"),
        "bn": ("1.1", "bn2"),
        "project_conv": ("2", "conv_pwl"),
        "project_bn": ("3", "bn3"),
    }
    if layer in ends:
        return ends[layer]
    stage, block, part = block_of(layer)
    torchvision, timm = (plain if V2_STAGES[stage][0] == 1 else widened)[part]
    number = 1 + block + sum(blocks for _, _, blocks, _ in V2_STAGES[:stage])
    return f"features.{number}.conv.{torchvision}", f"blocks.{stage}.{block}.{timm}"


_LEARNING = Learning(
    Pace(0.045, 4e-5),
    Pace(8e-3, 0.05),
    "torchvision's training of V2: SGD 0.045 in batches of 256, 4e-5; AdamW as MobileNetV3's",
    "adamw",
)

mobilenet_v1 = Architecture(
    "mobilenet_v1",
    _mobilenet_v1,
    {},
    parameters=4_231_976,
    macs=568_740_352,
    source="Howard et al., MobileNets, 2017 (arXiv 1704.04861), table 1; timm mobilenetv1_100",
    stages=len(V1_STAGES),
    learning=_LEARNING,
    min_size=16,
    mean=HALF,
    std=HALF,
    reference_names=_v1_names,
)
mobilenet_v2 = Architecture(
    "mobilenet_v2",
    _mobilenet_v2,
    {},
    parameters=3_504_872,
    macs=300_774_272,
    source="Sandler et al., MobileNetV2, 2018 (arXiv 1801.04381), table 2; torchvision mobilenet_v2",
    stages=len(V2_STAGES),
    learning=_LEARNING,
    min_size=16,
    reference_names=_v2_names,
)
