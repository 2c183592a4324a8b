"""MobileNetV3-Small and -Large as torchvision has them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import keras

from imgrec.layers.attention import SqueezeExcitation
from imgrec.layers.conv import Style, conv_bn
from imgrec.layers.separable import inverted_residual
from imgrec.models.architecture import Architecture, Shape
from imgrec.models.forms import check_width, early_strides, round_channels, wants_small_stem
from imgrec.models.head import logits_out, pixels_in
from imgrec.models.learning import Learning, Pace
from imgrec.models.mobilenet import small_normal

STYLE = Style("hard_silu", epsilon=1e-3)
"""Of the first and the last convolution; ε as in the authors' code and torchvision's."""


class Block(NamedTuple):
    """One line of the paper's tables 1 and 2."""

    kernel: int
    expanded: int
    filters: int
    attention: bool
    activation: str
    stride: int


# Stages are runs of one width, as timm groups the blocks.
LARGE = (
    (Block(3, 16, 16, False, "relu", 1),),
    (Block(3, 64, 24, False, "relu", 2), Block(3, 72, 24, False, "relu", 1)),
    (
        Block(5, 72, 40, True, "relu", 2),
        Block(5, 120, 40, True, "relu", 1),
        Block(5, 120, 40, True, "relu", 1),
    ),
    (
        Block(3, 240, 80, False, "hard_silu", 2),
        Block(3, 200, 80, False, "hard_silu", 1),
        Block(3, 184, 80, False, "hard_silu", 1),
        Block(3, 184, 80, False, "hard_silu", 1),
    ),
    (Block(3, 480, 112, True, "hard_silu", 1), Block(3, 672, 112, True, "hard_silu", 1)),
    (
        Block(5, 672, 160, True, "hard_silu", 2),
        Block(5, 960, 160, True, "hard_silu", 1),
        Block(5, 960, 160, True, "hard_silu", 1),
    ),
)
"""Table 1 of the paper."""
SMALL = (
    (Block(3, 16, 16, True, "relu", 2),),
    (Block(3, 72, 24, False, "relu", 2), Block(3, 88, 24, False, "relu", 1)),
    (
        Block(5, 96, 40, True, "hard_silu", 2),
        Block(5, 240, 40, True, "hard_silu", 1),
        Block(5, 240, 40, True, "hard_silu", 1),
    ),
    (Block(5, 120, 48, True, "hard_silu", 1), Block(5, 144, 48, True, "hard_silu", 1)),
    (
        Block(5, 288, 96, True, "hard_silu", 2),
        Block(5, 576, 96, True, "hard_silu", 1),
        Block(5, 576, 96, True, "hard_silu", 1),
    ),
)
"""Table 2 of the paper."""
Stages = Sequence[Sequence[Block]]


def _mobilenet_v3(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    stages: Stages,
    hidden: int,
    width: float = 1.0,
    small_stem: bool | str = "auto",
    dropout: float = 0.2,
) -> keras.Model:
    """Build MobileNetV3: inverted residuals, some with squeeze-and-excitation, and a hidden dense layer.

    `width` multiplies all channels. `small_stem=True` leaves out the first two halvings, for small
    images; "auto" does so up to 64 px.
    """
    check_width(width)
    small = wants_small_stem(row, shape, small_stem)
    stem_stride, *strides = early_strides((2, *(blocks[0].stride for blocks in stages)), small)
    image, x = pixels_in(row, shape)
    x = conv_bn(x, round_channels(16 * width), 3, stem_stride, block="stem", style=STYLE.named("stem"))
    for stage, blocks in enumerate(stages, start=1):
        for index, block in enumerate(blocks, start=1):
            stride = strides[stage - 1] if index == 1 else 1
            end = f"stage{stage}" if index == len(blocks) else ""
            x = _block(x, block, width, stride, f"stage{stage}_block{index}", end)
    x = conv_bn(x, 6 * x.shape[-1], 1, block="head", style=STYLE)
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = keras.layers.Dense(
        round_channels(hidden * width), kernel_initializer=small_normal(), name="features_dense"
    )(x)
    x = keras.layers.Activation("hard_silu", name="features")(x)
    return keras.Model(image, logits_out(x, num_classes, dropout, small_normal), name=row.name)


def _block(x: Any, block: Block, width: float, stride: int, name: str, end: str) -> Any:
    widths = (round_channels(block.expanded * width), round_channels(block.filters * width))
    attend = _attend if block.attention else None
    style = replace(STYLE, activation=block.activation, attend=attend)
    return inverted_residual(x, widths, block.kernel, stride, block=name, style=style, end=end)


def _attend(x: Any, name: str) -> Any:
    hidden = round_channels(x.shape[-1] // 4)
    return SqueezeExcitation(hidden=hidden, gate="hard_sigmoid", name=name)(x)


def _reference_names(stages: Stages) -> Callable[[str], tuple[str, ...]]:
    """Torchvision's names. timm's checkpoints of the same tables want ε 1e-5 and are not read."""
    last = 1 + sum(map(len, stages))
    names = {
        "stem_conv": "features.0.0",
        "stem_bn": "features.0.1",
        "head_conv": f"features.{last}.0",
        "head_bn": f"features.{last}.1",
        "features_dense": "classifier.0",
        "logits": "classifier.3",
    }
    blocks = ((s, b, block) for s, row in enumerate(stages, 1) for b, block in enumerate(row, 1))
    for number, (stage, index, block) in enumerate(blocks, start=1):
        # Only the first block is as wide inside as it is outside, so that it has nothing to expand.
        for ours, theirs in _parts(block, expands=number > 1):
            names[f"stage{stage}_block{index}_{ours}"] = f"features.{number}.block.{theirs}"
    return lambda layer: (names[layer],)


def _parts(block: Block, *, expands: bool) -> Iterator[tuple[str, str]]:
    """Each weighted layer of a block and its place in torchvision's sequence."""
    order = [
        *([("expand_conv", "0"), ("expand_bn", "1")],) * expands,
        [("depthwise", "0"), ("bn", "1")],
        *([("se/reduce", "fc1"), ("se/expand", "fc2")],) * block.attention,
        [("project_conv", "0"), ("project_bn", "1")],
    ]
    for spot, parts in enumerate(order):
        yield from ((ours, f"{spot}.{theirs}") for ours, theirs in parts)


_LEARNING = Learning(
    Pace(0.045, 4e-5),
    Pace(8e-3, 0.05),
    "SGD as MobileNetV2's; AdamW by the sample: .877 in three epochs in batches of 64",
    "adamw",
)


def _row(name: str, stages: Stages, hidden: int, parameters: int, macs: int, table: int) -> Architecture:
    return Architecture(
        name,
        _mobilenet_v3,
        {"stages": stages, "hidden": hidden},
        parameters=parameters,
        macs=macs,
        source=f"Howard et al., Searching for MobileNetV3, 2019 (arXiv 1905.02244), table {table}; "
        f"torchvision {name}",
        stages=len(stages),
        learning=_LEARNING,
        min_size=16,
        reference_names=_reference_names(stages),
    )


mobilenet_v3_large = _row("mobilenet_v3_large", LARGE, 1280, 5_483_032, 216_589_760, table=1)
mobilenet_v3_small = _row("mobilenet_v3_small", SMALL, 1024, 2_542_856, 56_510_400, table=2)
