"""ConvNeXt: a ResNet brought up to date with what made vision transformers good."""

from collections.abc import Sequence
from typing import Any

import keras

from imgrec.layers.conv import Style, activate, conv, depthwise
from imgrec.layers.patch_embedding import patch_embedding
from imgrec.layers.residual import LayerScale, drop_path, rates
from imgrec.layers.transformer import layer_norm, truncated_normal
from imgrec.models.architecture import Architecture, Shape, family
from imgrec.models.forms import wants_small_stem
from imgrec.models.head import check_rate, logits_out, pixels_in
from imgrec.models.learning import Learning, Pace
from imgrec.models.stage_names import StageNames

EXPANSION = 4
"""How many times as many channels a block has inside."""
STYLE = Style(initializer=truncated_normal, use_bias=True)


def _convnext(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    widths: Sequence[int],
    depths: Sequence[int],
    drop: float,
    small_stem: bool | str = "auto",
    stochastic_depth: float | str = "auto",
    dropout: float = 0.0,
) -> keras.Model:
    """Build a ConvNeXt: patches of 4 px, then four stages, each but the first at half the sides.

    `small_stem=True` takes patches of 2 px, for small images; "auto" does so up to 64 px.
    `stochastic_depth` is the last block's share of images that skip it, rising from 0 at the first
    block; by default the variant's.
    """
    patch = 2 if wants_small_stem(row, shape, small_stem) else 4
    last = drop if stochastic_depth == "auto" else check_rate(stochastic_depth, "stochastic_depth")
    image, x = pixels_in(row, shape)
    x = patch_embedding(x, widths[0], patch, name="stem_conv", initializer=truncated_normal)
    x = layer_norm(x, "stem")
    skipped = iter(rates(sum(depths), last))
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        if stage > 1:
            x = layer_norm(x, f"stage{stage}_down_norm")
            x = patch_embedding(x, width, 2, name=f"stage{stage}_down_conv", initializer=truncated_normal)
        for index in range(1, depth + 1):
            end = f"stage{stage}" if index == depth else f"stage{stage}_block{index}_add"
            x = _block(x, next(skipped), name=f"stage{stage}_block{index}", end=end)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = layer_norm(x, "features")
    return keras.Model(image, logits_out(x, num_classes, dropout, truncated_normal), name=row.name)


def _block(x: Any, rate: float, *, name: str, end: str) -> Any:
    """7×7 depthwise, a normalisation, 1×1 up, GELU, 1×1 down, layer scale, beside a shortcut."""
    width = x.shape[-1]
    y = depthwise(x, 7, name=f"{name}_depthwise", style=STYLE)
    y = layer_norm(y, f"{name}_norm")
    y = conv(y, EXPANSION * width, 1, name=f"{name}_expand", style=STYLE)
    y = activate(y, "gelu", f"{name}_gelu")
    y = conv(y, width, 1, name=f"{name}_reduce", style=STYLE)
    y = LayerScale(name=f"{name}_scale")(y)
    return keras.layers.Add(name=end)([x, drop_path(y, rate, f"{name}_drop")])


_ENDS = {
    "stem_conv": ("features.0.0", "stem.0"),
    "stem": ("features.0.1", "stem.1"),
    "features": ("classifier.0", "head.norm"),
    "logits": ("classifier.2", "head.fc"),
}
_DOWN = {"down_norm": "0", "down_conv": "1"}
_BLOCK = {
    "depthwise": ("block.0", "conv_dw"),
    "norm": ("block.2", "norm"),
    "expand": ("block.3", "mlp.fc1"),
    "reduce": ("block.5", "mlp.fc2"),
    "scale/scale": ("layer_scale", "gamma"),
}
_NAMES = StageNames(_ENDS, _DOWN, _BLOCK, timm_stages="stages")

_row = family(
    _convnext,
    "Liu et al., A ConvNet for the 2020s, 2022 (arXiv 2201.03545), § 3; torchvision {}",
    stages=4,
    learning=Learning(
        Pace(0.05, 1e-4),
        Pace(1e-3, 0.05),
        "the paper, appendix A.1: AdamW 0.004 in batches of 4096, 0.05",
        "adamw",
    ),
    min_size=16,
    reference_names=_NAMES,
)

_TINY = {"widths": (96, 192, 384, 768), "depths": (3, 3, 9, 3), "drop": 0.1}
_SMALL = {"widths": (96, 192, 384, 768), "depths": (3, 3, 27, 3), "drop": 0.4}
_BASE = {"widths": (128, 256, 512, 1024), "depths": (3, 3, 27, 3), "drop": 0.5}

convnext_tiny = _row("convnext_tiny", _TINY, 28_589_128, 4_455_531_264)
convnext_small = _row("convnext_small", _SMALL, 50_223_688, 8_683_712_256)
convnext_base = _row("convnext_base", _BASE, 88_591_464, 15_354_729_472)
