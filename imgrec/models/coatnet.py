"""CoAtNet: two stages of inverted residuals, then two of attention with a relative position bias."""

from collections.abc import Sequence
from typing import Any

import keras

from imgrec.layers.attention import SqueezeExcitation
from imgrec.layers.conv import BIASED, Style, batch_norm, conv, conv_bn, depthwise_bn
from imgrec.layers.residual import drop_path, rates
from imgrec.layers.transformer import MLP, SelfAttention, layer_norm
from imgrec.models.architecture import HALF, Architecture, Shape
from imgrec.models.forms import wants_small_stem
from imgrec.models.head import check_rate, logits_out, pixels_in
from imgrec.models.learning import Learning, Pace
from imgrec.models.stage_names import block_of

HEAD = 32
"""Features of an attention head."""
STYLE = Style("gelu")


def _coatnet(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    stem_width: int,
    widths: Sequence[int],
    depths: Sequence[int],
    small_stem: bool | str = "auto",
    stochastic_depth: float = 0.2,
    dropout: float = 0.0,
) -> keras.Model:
    """Build a CoAtNet: a stem of two convolutions, stages C, C, T, T, and a hidden layer before the logits.

    `small_stem=True` leaves out the strides of the stem and the first stage, for small images; "auto"
    does so up to 64 px. `stochastic_depth` is the last block's share of images that skip a branch,
    rising from 0 at the first block; by default the paper's.
    """
    # Attention wants more than one place in the last stage.
    small = wants_small_stem(row, shape, small_stem, times=4)
    image, x = pixels_in(row, shape)
    x = _stem(x, stem_width, stride=1 if small else 2)
    skipped = iter(rates(sum(depths), check_rate(stochastic_depth, "stochastic_depth")))
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        name, skips = f"stage{stage}", [next(skipped) for _ in range(depth)]
        if stage <= 2:
            x = _conv_stage(x, width, 1 if small and stage == 1 else 2, skips, name)
        else:
            x = _attention_stage(x, width, skips, name)
    x = _hidden(x, widths[-1])
    return keras.Model(image, logits_out(x, num_classes, dropout), name=row.name)


def _stem(x: Any, width: int, stride: int) -> Any:
    """Two 3×3 convolutions; the first stage's blocks normalise first."""
    x = conv_bn(x, width, 3, stride, block="stem", index=1, style=STYLE)
    return conv(x, width, 3, name="stem")


def _conv_stage(x: Any, width: int, stride: int, skips: Sequence[float], stage: str) -> Any:
    """Inverted residuals, the first with the stage's stride; `skips` are their rates of stochastic depth."""
    for index, rate in enumerate(skips, start=1):
        end = stage if index == len(skips) else ""
        x = _inverted_residual(x, width, stride if index == 1 else 1, rate, f"{stage}_block{index}", end)
    return x


def _inverted_residual(x: Any, width: int, stride: int, rate: float, name: str, end: str) -> Any:
    """Normalise, 1×1 up to four times `width`, depthwise 3×3, SE, 1×1 down; beside it pool and 1×1."""
    y = batch_norm(x, f"{name}_bn")
    y = conv_bn(y, 4 * width, 1, block=name, index=1, style=STYLE)
    y = depthwise_bn(y, 3, stride, block=name, index=2, style=STYLE)
    y = SqueezeExcitation(hidden=width // 4, activation="silu", name=f"{name}_se")(y)
    y = conv(y, width, 1, name=f"{name}_conv3", style=BIASED)
    y = drop_path(y, rate, f"{name}_drop")
    if stride > 1 or x.shape[-1] != width:
        x = _shortcut(x, width, stride, f"{name}_shortcut")
    return keras.layers.Add(name=end or f"{name}_add")([x, y])


def _shortcut(x: Any, width: int, stride: int, name: str) -> Any:
    x = _halve(x, f"{name}_pool") if stride > 1 else x
    return conv(x, width, 1, name=name, style=BIASED)


def _halve(x: Any, name: str) -> Any:
    """Average 2×2 squares; an odd last row or column is averaged by itself, as a strided convolution ends."""
    return keras.layers.AveragePooling2D(2, padding="same", name=name)(x)


def _attention_stage(x: Any, width: int, skips: Sequence[float], stage: str) -> Any:
    """Transformer blocks on the places of a map, which the first of them halves."""
    first = f"{stage}_block1"
    y = _halve(layer_norm(x, f"{first}_norm1"), f"{first}_pool")
    grid = (y.shape[1], y.shape[2])
    y = keras.layers.Reshape((grid[0] * grid[1], y.shape[-1]), name=f"{first}_tokens")(y)
    x = _shortcut(x, width, 2, f"{first}_shortcut")
    x = keras.layers.Reshape((grid[0] * grid[1], width), name=f"{first}_shortcut_tokens")(x)
    for index, rate in enumerate(skips, start=1):
        name = f"{stage}_block{index}"
        if index > 1:
            y = layer_norm(x, f"{name}_norm1")
        attention = SelfAttention(
            width // HEAD, width=width, window=grid, heads_first=True, name=f"{name}_attention"
        )
        x = keras.layers.Add(name=f"{name}_add1")([x, drop_path(attention(y), rate, f"{name}_drop1")])
        y = MLP(4 * width, name=f"{name}_mlp")(layer_norm(x, f"{name}_norm2"))
        x = keras.layers.Add(name=f"{name}_add2")([x, drop_path(y, rate, f"{name}_drop2")])
    return keras.layers.Reshape((*grid, width), name=stage)(x)


def _hidden(x: Any, width: int) -> Any:
    """Pool, normalise, and one dense layer with tanh."""
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = keras.layers.Dense(width, name="head_dense")(layer_norm(x, "head_norm"))
    return keras.layers.Activation("tanh", name="features")(x)


_TIMM = {
    "bn": "pre_norm",
    "conv1": "conv1_1x1",
    "bn1": "norm1",
    "depthwise2": "conv2_kxk",
    "bn2": "norm2",
    "se/reduce": "se.fc1",
    "se/expand": "se.fc2",
    "conv3": "conv3_1x1",
    "shortcut": "shortcut.expand",
    "norm1": "norm1",
    "attention/qkv": "attn.qkv",
    "attention/position/table": "attn.rel_pos.relative_position_bias_table",
    "attention/projection": "attn.proj",
    "norm2": "norm2",
    "mlp/expand": "mlp.fc1",
    "mlp/reduce": "mlp.fc2",
}
_ENDS = {
    "stem_conv1": "stem.conv1",
    "stem_bn1": "stem.norm1",
    "stem": "stem.conv2",
    "head_norm": "head.norm",
    "head_dense": "head.pre_logits.fc",
    "logits": "head.fc",
}


def _reference_names(layer: str) -> tuple[str, ...]:
    """Timm's names."""
    if layer in _ENDS:
        return (_ENDS[layer],)
    stage, block, part = block_of(layer)
    # Where a block halves the map, timm's normalisation stands in one sequence with the pooling.
    norm = "norm1.norm" if part == "norm1" and block == 0 else _TIMM[part]
    return (f"stages.{stage}.blocks.{block}.{norm}",)


coatnet_0 = Architecture(
    "coatnet_0",
    _coatnet,
    {"stem_width": 64, "widths": (96, 192, 384, 768), "depths": (2, 3, 5, 2)},
    parameters=25_036_820,
    macs=4_546_507_776,
    source="Dai et al., CoAtNet, 2021 (arXiv 2106.04803), table 3; timm coatnet_0_224",
    stages=4,
    learning=Learning(
        Pace(0.05, 1e-4),
        Pace(5e-4, 0.05),
        "the paper, appendix A.2: AdamW 0.001 in batches of 4096, 0.05",
        "adamw",
    ),
    min_size=16,
    reference_names=_reference_names,
    mean=HALF,
    std=HALF,
)
