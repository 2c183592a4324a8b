"""ShuffleNetV2 as torchvision has it."""

from collections.abc import Sequence
from typing import Any

import keras

from imgrec.layers.conv import RELU, conv_bn, depthwise_bn, max_pool
from imgrec.layers.shuffle import ChannelShuffle, ChannelSlice
from imgrec.models.architecture import Architecture, Shape, family
from imgrec.models.forms import wants_small_stem
from imgrec.models.head import logits_out, pixels_in
from imgrec.models.learning import Learning, Pace
from imgrec.models.stage_names import block_of

STEM = 24
"""Channels of the first convolution in every variant."""
DEPTHS = (4, 8, 4)
"""Blocks of the three stages."""


def _shufflenet_v2(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    widths: Sequence[int],
    head: int,
    small_stem: bool | str = "auto",
    dropout: float = 0.0,
) -> keras.Model:
    """Build ShuffleNetV2: stages of blocks in which half of the channels pass untouched.

    `small_stem=True` makes the first convolution's stride 1 and leaves the max-pool out, for small
    images; "auto" does so up to 64 px.
    """
    small = wants_small_stem(row, shape, small_stem)
    image, x = pixels_in(row, shape)
    if small:
        x = conv_bn(x, STEM, 3, block="stem", style=RELU.named("stem"))
    else:
        x = conv_bn(x, STEM, 3, 2, block="stem", style=RELU)
        x = max_pool(x, 3, 2, padding=1, name="stem")
    for stage, (filters, depth) in enumerate(zip(widths, DEPTHS, strict=True), start=1):
        x = _downsample(x, filters, f"stage{stage}_block1")
        for index in range(2, depth + 1):
            x = _block(x, f"stage{stage}_block{index}", f"stage{stage}" if index == depth else "")
    x = conv_bn(x, head, 1, block="head", style=RELU)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, logits_out(x, num_classes, dropout), name=row.name)


def _downsample(x: Any, filters: int, block: str) -> Any:
    """Halve the map: both branches see all channels, and each gives half of `filters`."""
    y = depthwise_bn(x, 3, 2, block=f"{block}_short")
    y = conv_bn(y, filters // 2, 1, block=f"{block}_short_pointwise", style=RELU)
    return _join(y, _branch(x, filters // 2, 2, block), block)


def _block(x: Any, block: str, end: str) -> Any:
    """Transform one half of the channels, then mix both halves."""
    half = x.shape[-1] // 2
    kept = ChannelSlice(0, half, name=f"{block}_kept")(x)
    x = ChannelSlice(half, 2 * half, name=f"{block}_half")(x)
    return _join(kept, _branch(x, half, 1, block), block, end)


def _branch(x: Any, filters: int, stride: int, block: str) -> Any:
    """1×1, 3×3 depthwise without activation, 1×1."""
    x = conv_bn(x, filters, 1, block=f"{block}_first", style=RELU)
    x = depthwise_bn(x, 3, stride, block=block)
    return conv_bn(x, filters, 1, block=f"{block}_last", style=RELU)


def _join(first: Any, second: Any, block: str, end: str = "") -> Any:
    x = keras.layers.Concatenate(name=f"{block}_concat")([first, second])
    return ChannelShuffle(2, name=end or f"{block}_shuffle")(x)


_ENDS = {
    "stem_conv": "conv1.0",
    "stem_bn": "conv1.1",
    "head_conv": "conv5.0",
    "head_bn": "conv5.1",
    "logits": "fc",
}
_PARTS = {
    "short_depthwise": "branch1.0",
    "short_bn": "branch1.1",
    "short_pointwise_conv": "branch1.2",
    "short_pointwise_bn": "branch1.3",
    "first_conv": "branch2.0",
    "first_bn": "branch2.1",
    "depthwise": "branch2.3",
    "bn": "branch2.4",
    "last_conv": "branch2.5",
    "last_bn": "branch2.6",
}


def _reference_names(layer: str) -> tuple[str, ...]:
    """Torchvision's names, which count the stem as a stage."""
    if layer in _ENDS:
        return (_ENDS[layer],)
    stage, block, part = block_of(layer)
    return (f"stage{stage + 2}.{block}.{_PARTS[part]}",)


_row = family(
    _shufflenet_v2,
    "Ma et al., ShuffleNet V2, 2018 (arXiv 1807.11164), table 5; torchvision {}",
    stages=len(DEPTHS),
    learning=Learning(
        Pace(0.125, 4e-5),
        Pace(8e-3, 0.05),
        "the authors' training: SGD 0.5 in batches of 1024, 4e-5; AdamW by the sample, three epochs in "
        "batches of 64: .798, with a quarter of the rate .702",
        "adamw",
    ),
    min_size=16,
    reference_names=_reference_names,
)
_X0_5 = {"widths": (48, 96, 192), "head": 1024}
_X1_0 = {"widths": (116, 232, 464), "head": 1024}
_X1_5 = {"widths": (176, 352, 704), "head": 1024}
_X2_0 = {"widths": (244, 488, 976), "head": 2048}

shufflenet_v2_x0_5 = _row("shufflenet_v2_x0_5", _X0_5, 1_366_792, 40_476_448)
shufflenet_v2_x1_0 = _row("shufflenet_v2_x1_0", _X1_0, 2_278_604, 144_907_992)
shufflenet_v2_x1_5 = _row("shufflenet_v2_x1_5", _X1_5, 3_503_624, 295_759_392)
shufflenet_v2_x2_0 = _row("shufflenet_v2_x2_0", _X2_0, 7_393_996, 583_253_464)
