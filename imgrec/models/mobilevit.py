"""MobileViT: inverted residuals, and transformers over the places that share a corner of their patch."""

import re
from collections.abc import Sequence
from typing import Any

import keras

from imgrec.layers.conv import Style, batch_norm, conv, conv_bn, depthwise_bn
from imgrec.layers.patches import FoldPatches, StretchMap, UnfoldPatches
from imgrec.layers.transformer import MLP, SelfAttention, layer_norm
from imgrec.models.architecture import Architecture, Shape, family
from imgrec.models.forms import wants_small_stem
from imgrec.models.head import logits_out, pixels_in
from imgrec.models.learning import Learning, Pace

STEM = 16
PATCH = 2
HEADS = 4
DEPTHS = (2, 4, 3)
"""Transformer blocks of stages 3, 4 and 5."""
FULL = 65
"""Shortest side for the full strides: the last stage's transformers then have more than one patch."""
EPSILON = 1e-5
"""ε of the layer normalisations, in the authors' code as in timm's."""
STYLE = Style("silu")


def _mobilevit(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    expansion: int,
    widths: Sequence[int],
    token_widths: Sequence[int],
    last: int,
    small_stem: bool | str = "auto",
    dropout: float = 0.0,
) -> keras.Model:
    """Build a MobileViT: a stem, two stages of inverted residuals, three that end in a MobileViT block.

    `small_stem=True` leaves out the strides of the stem and the second stage, for small images; "auto"
    does so up to 64 px.
    """
    if small_stem is False:
        row.require_size(shape, FULL, " with small_stem=false")
    early = 1 if wants_small_stem(row, shape, small_stem) else 2
    image, x = pixels_in(row, shape)
    x = conv_bn(x, STEM, 3, early, block="stem", style=STYLE.named("stem"))
    x = _inverted_residual(x, widths[0], 1, expansion, "stage1_block1", end="stage1")
    for index in (1, 2, 3):
        end = "stage2" if index == 3 else ""
        stride = early if index == 1 else 1
        x = _inverted_residual(x, widths[1], stride, expansion, f"stage2_block{index}", end)
    for stage, width, tokens, depth in zip((3, 4, 5), widths[2:], token_widths, DEPTHS, strict=True):
        x = _inverted_residual(x, width, 2, expansion, f"stage{stage}_block1")
        x = _mobilevit_block(x, tokens, depth, f"stage{stage}")
    x = conv_bn(x, last, 1, block="final", style=STYLE)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, logits_out(x, num_classes, dropout), name=row.name)


def _inverted_residual(x: Any, width: int, stride: int, expansion: int, name: str, end: str = "") -> Any:
    """1×1 up to `expansion` times the input, depthwise 3×3, 1×1 down; the input added where shapes agree."""
    y = conv_bn(x, expansion * x.shape[-1], 1, block=name, index=1, style=STYLE)
    y = depthwise_bn(y, 3, stride, block=name, index=2, style=STYLE)
    y = conv(y, width, 1, name=f"{name}_conv3")
    if stride > 1 or x.shape[-1] != width:
        return batch_norm(y, end or f"{name}_bn3")
    return keras.layers.Add(name=end or f"{name}_add")([x, batch_norm(y, f"{name}_bn3")])


def _mobilevit_block(x: Any, tokens: int, depth: int, stage: str) -> Any:
    """Local 3×3, transformers over the whole map, back to the input's width, and both joined by a 3×3."""
    width, name = x.shape[-1], f"{stage}_vit"
    y = conv_bn(x, width, 3, block=f"{name}_local", style=STYLE)
    y = conv(y, tokens, 1, name=f"{name}_embed")
    y = _transformers(y, depth, name)
    y = conv_bn(y, width, 1, block=f"{name}_project", style=STYLE)
    y = keras.layers.Concatenate(name=f"{name}_concat")([x, y])
    return conv_bn(y, width, 3, block=f"{name}_fuse", style=STYLE.named(stage))


def _transformers(x: Any, depth: int, name: str) -> Any:
    """Unfold a map into sequences, transform each, fold it again; odd sides are stretched to even ones."""
    height, width, tokens = x.shape[1:]
    even = [side + side % PATCH for side in (height, width)]
    odd = even != [height, width]
    x = StretchMap(*even, name=f"{name}_stretch")(x) if odd else x
    x = UnfoldPatches(PATCH, name=f"{name}_unfold")(x)
    for index in range(1, depth + 1):
        block = f"{name}_layer{index}"
        y = layer_norm(x, f"{block}_norm1", EPSILON)
        y = SelfAttention(HEADS, name=f"{block}_attention")(y)
        x = keras.layers.Add(name=f"{block}_add1")([x, y])
        y = layer_norm(x, f"{block}_norm2", EPSILON)
        y = MLP(2 * tokens, activation="silu", name=f"{block}_mlp")(y)
        x = keras.layers.Add(name=f"{block}_add2")([x, y])
    x = layer_norm(x, f"{name}_norm", EPSILON)
    x = FoldPatches(PATCH, *even, name=f"{name}_fold")(x)
    return StretchMap(height, width, name=f"{name}_shrink")(x) if odd else x


_BLOCK = {
    "conv1": "conv1_1x1.conv",
    "bn1": "conv1_1x1.bn",
    "depthwise2": "conv2_kxk.conv",
    "bn2": "conv2_kxk.bn",
    "conv3": "conv3_1x1.conv",
    "bn3": "conv3_1x1.bn",
}
_VIT = {
    "local_conv": "conv_kxk.conv",
    "local_bn": "conv_kxk.bn",
    "embed": "conv_1x1",
    "norm": "norm",
    "project_conv": "conv_proj.conv",
    "project_bn": "conv_proj.bn",
    "fuse_conv": "conv_fusion.conv",
    "fuse_bn": "conv_fusion.bn",
}
_LAYER = {
    "norm1": "norm1",
    "attention/qkv": "attn.qkv",
    "attention/projection": "attn.proj",
    "norm2": "norm2",
    "mlp/expand": "mlp.fc1",
    "mlp/reduce": "mlp.fc2",
}
_ENDS = {
    "stem_conv": "stem.conv",
    "stem_bn": "stem.bn",
    # The endpoint of a stage without a shortcut is its last normalisation.
    "stage1": "stages.0.0.conv3_1x1.bn",
    "final_conv": "final_conv.conv",
    "final_bn": "final_conv.bn",
    "logits": "head.fc",
}


def _reference_names(layer: str) -> tuple[str, ...]:
    """Timm's names."""
    if layer in _ENDS:
        return (_ENDS[layer],)
    stage, rest = re.fullmatch(r"stage(\d+)_(.+)", layer).groups()  # type: ignore[union-attr]
    prefix = f"stages.{int(stage) - 1}"
    if match := re.fullmatch(r"block(\d+)_(.+)", rest):
        return (f"{prefix}.{int(match[1]) - 1}.{_BLOCK[match[2]]}",)
    if match := re.fullmatch(r"vit_layer(\d+)_(.+)", rest):
        return (f"{prefix}.1.transformer.{int(match[1]) - 1}.{_LAYER[match[2]]}",)
    return (f"{prefix}.1.{_VIT[rest.removeprefix('vit_')]}",)


_row = family(
    _mobilevit,
    "Mehta and Rastegari, MobileViT, 2022 (arXiv 2110.02178), table 4; timm {}",
    stages=5,
    learning=Learning(
        Pace(0.1, 1e-4), Pace(1e-3, 0.01), "the paper, § 4.1: AdamW 0.002 in batches of 1024, 0.01", "adamw"
    ),
    image_size=256,
    min_size=24,
    reference_names=_reference_names,
    mean=(0.0, 0.0, 0.0),
    std=(255.0, 255.0, 255.0),
)
_XXS = {"expansion": 2, "widths": (16, 24, 48, 64, 80), "token_widths": (64, 80, 96), "last": 320}
_XS = {"expansion": 4, "widths": (32, 48, 64, 80, 96), "token_widths": (96, 120, 144), "last": 384}
_S = {"expansion": 4, "widths": (32, 64, 96, 128, 160), "token_widths": (144, 192, 240), "last": 640}

mobilevit_xxs = _row("mobilevit_xxs", _XXS, 1_272_024, 407_364_096)
mobilevit_xs = _row("mobilevit_xs", _XS, 2_317_848, 1_025_911_808)
mobilevit_s = _row("mobilevit_s", _S, 5_578_632, 2_000_831_488)
