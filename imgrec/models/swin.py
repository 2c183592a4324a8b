"""Swin transformers: self-attention in windows, shifted at every other block."""

from collections.abc import Sequence
from typing import Any

import keras

from imgrec.layers.conv import Style, conv
from imgrec.layers.patch_embedding import MergePatches, patch_embedding
from imgrec.layers.residual import drop_path, rates
from imgrec.layers.transformer import MLP, layer_norm, truncated_normal
from imgrec.layers.window import WindowAttention
from imgrec.models.architecture import Architecture, Shape, family
from imgrec.models.forms import wants_small_stem
from imgrec.models.head import check_rate, logits_out, pixels_in
from imgrec.models.learning import Learning, Pace
from imgrec.models.stage_names import StageNames

EPSILON = 1e-5
"""ε of every layer normalisation: PyTorch's default."""
STDDEV = 0.02
"""σ of the truncated normal that every dense layer starts from."""
MLP_RATIO = 4


def _swin(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    width: int,
    depths: Sequence[int],
    heads: Sequence[int],
    drop: float,
    small_stem: bool | str = "auto",
    stochastic_depth: float | str = "auto",
    dropout: float = 0.0,
) -> keras.Model:
    """Build a Swin transformer: patches of 4 px, then four stages, each but the first on merged patches.

    `small_stem=True` takes patches of 2 px and windows of 4 patches, where photographs get 4 px and
    windows of 7; "auto" does so up to 64 px. `stochastic_depth` is the last block's share of images
    that skip a branch, rising from 0 at the first block; by default the variant's.
    """
    patch, window = (2, 4) if wants_small_stem(row, shape, small_stem) else (4, 7)
    last = drop if stochastic_depth == "auto" else check_rate(stochastic_depth, "stochastic_depth")
    image, x = pixels_in(row, shape)
    x = patch_embedding(x, width, patch, name="stem_conv")
    x = layer_norm(x, "stem", EPSILON)
    skipped = iter(rates(sum(depths), last))
    for stage, depth in enumerate(depths, start=1):
        if stage > 1:
            x = _merge(x, f"stage{stage}_merge")
        for index in range(1, depth + 1):
            end = f"stage{stage}" if index == depth else f"stage{stage}_block{index}_add2"
            attention = WindowAttention(
                heads[stage - 1],
                window,
                shift=0 if index % 2 else window // 2,
                stddev=STDDEV,
                name=f"stage{stage}_block{index}_attention",
            )
            x = _block(x, attention, next(skipped), name=f"stage{stage}_block{index}", end=end)
    x = layer_norm(x, "norm", EPSILON)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, logits_out(x, num_classes, dropout, truncated_normal), name=row.name)


def _merge(x: Any, name: str) -> Any:
    """Halve the map and double the features: 2×2 patches side by side, normalised, projected."""
    x = MergePatches(name=name)(x)
    x = layer_norm(x, f"{name}_norm", EPSILON)
    return conv(x, x.shape[-1] // 2, 1, name=f"{name}_conv", style=Style(initializer=truncated_normal))


def _block(x: Any, attention: keras.layers.Layer, rate: float, *, name: str, end: str) -> Any:
    """Attention in windows and an MLP, each after a normalisation and beside a shortcut."""
    y = attention(layer_norm(x, f"{name}_norm1", EPSILON))
    x = keras.layers.Add(name=f"{name}_add1")([x, drop_path(y, rate, f"{name}_drop1")])
    y = layer_norm(x, f"{name}_norm2", EPSILON)
    y = MLP(MLP_RATIO * x.shape[-1], stddev=STDDEV, name=f"{name}_mlp")(y)
    return keras.layers.Add(name=end)([x, drop_path(y, rate, f"{name}_drop2")])


_ENDS = {
    "stem_conv": ("features.0.0", "patch_embed.proj"),
    "stem": ("features.0.2", "patch_embed.norm"),
    "norm": ("norm",),
    "logits": ("head", "head.fc"),
}
_DOWN = {"merge_norm": "norm", "merge_conv": "reduction"}
_BLOCK = {
    "norm1": ("norm1", "norm1"),
    "norm2": ("norm2", "norm2"),
    "attention/attend/qkv": ("attn.qkv", "attn.qkv"),
    "attention/attend/projection": ("attn.proj", "attn.proj"),
    "attention/attend/position/table": ("attn.relative_position_bias_table",) * 2,
    "mlp/expand": ("mlp.0", "mlp.fc1"),
    "mlp/reduce": ("mlp.3", "mlp.fc2"),
}
_NAMES = StageNames(_ENDS, _DOWN, _BLOCK, timm_stages="layers")

_row = family(
    _swin,
    "Liu et al., Swin Transformer, 2021 (arXiv 2103.14030), § 3.3; torchvision {}",
    stages=4,
    learning=Learning(
        Pace(0.05, 1e-4), Pace(5e-4, 0.05), "the paper, § 4.1: AdamW 0.001 in batches of 1024, 0.05", "adamw"
    ),
    min_size=16,
    reference_names=_NAMES,
    unused_state=r".*\.relative_position_index|.*\.attn_mask",
)

_TINY = {"width": 96, "depths": (2, 2, 6, 2), "heads": (3, 6, 12, 24), "drop": 0.2}
_SMALL = {"width": 96, "depths": (2, 2, 18, 2), "heads": (3, 6, 12, 24), "drop": 0.3}
_BASE = {"width": 128, "depths": (2, 2, 18, 2), "heads": (4, 8, 16, 32), "drop": 0.5}

swin_t = _row("swin_t", _TINY, 28_288_354, 4_490_566_656)
swin_s = _row("swin_s", _SMALL, 49_606_258, 8_740_875_264)
swin_b = _row("swin_b", _BASE, 87_768_224, 15_430_946_816)
