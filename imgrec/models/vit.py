"""Vision transformers."""

import re
from typing import Any

import keras

from imgrec.errors import InputError
from imgrec.layers.patch_embedding import patch_embedding
from imgrec.layers.residual import drop_path, rates
from imgrec.layers.transformer import (
    MLP,
    ClassToken,
    SelfAttention,
    TokenEmbedding,
    layer_norm,
    truncated_normal,
)
from imgrec.models.architecture import CENTRED_MEAN, CENTRED_STD, HALF, Architecture, Shape
from imgrec.models.head import check_rate, logits_out, pixels_in
from imgrec.models.learning import Learning, Pace

GELUS = ("exact", "tanh")


def _vit(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    patch: int,
    width: int,
    depth: int,
    heads: int,
    mlp_ratio: int,
    class_token: bool,
    gelu: str = "exact",
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
) -> keras.Model:
    """Build a pre-norm vision transformer; every encoder block is a stage.

    `gelu` is "exact", as the reference implementations have it, or "tanh"; `dropout` stands after the
    position embedding, every attention and every MLP, and before the classifier; `stochastic_depth` is
    the last block's share of images that skip a branch, rising from 0 at the first block.
    """
    if any(side % patch for side in shape[:2]):
        raise InputError(
            f"{row.name}: got {shape[0]}×{shape[1]} px, expected sides that are multiples of {patch}, "
            f"such as {max(round(shape[0] / patch) * patch, row.min_size)}"
        )
    if gelu not in GELUS:
        raise InputError(f"gelu={gelu!r}: expected {' or '.join(GELUS)}")
    check_rate(dropout, "dropout")
    skipped = rates(depth, check_rate(stochastic_depth, "stochastic_depth"))
    image, x = pixels_in(row, shape)
    x = patch_embedding(x, width, patch, name="stem_conv")
    x = keras.layers.Reshape((x.shape[1] * x.shape[2], width), name="stem")(x)
    x = TokenEmbedding(class_token, dropout, name="embedding")(x)
    for index, rate in enumerate(skipped, start=1):
        attention = SelfAttention(heads, dropout, name=f"stage{index}_attention")
        mlp = MLP(mlp_ratio * width, gelu, dropout, name=f"stage{index}_mlp")
        x = _encoder_block(x, attention, mlp, rate, f"stage{index}")
    x = _pool(x, class_token)
    return keras.Model(image, logits_out(x, num_classes, dropout, truncated_normal), name=row.name)


def _encoder_block(x: Any, attention: SelfAttention, mlp: MLP, rate: float, stage: str) -> Any:
    """Attention and an MLP, each after a normalisation and beside a shortcut."""
    y = attention(layer_norm(x, f"{stage}_norm1"))
    x = keras.layers.Add(name=f"{stage}_add")([x, drop_path(y, rate, f"{stage}_drop1")])
    y = mlp(layer_norm(x, f"{stage}_norm2"))
    return keras.layers.Add(name=stage)([x, drop_path(y, rate, f"{stage}_drop2")])


def _pool(x: Any, class_token: bool) -> Any:
    """Reduce tokens to `features` `[B, D]`: the normalised class token, or the mean of all, normalised.

    A normalisation works token by token, so taking the class token first gives the same numbers.
    """
    if class_token:
        x = ClassToken(name="class_token")(x)
    else:
        x = keras.layers.GlobalAveragePooling1D(name="mean_token")(x)
    return layer_norm(x, "features")


_TIMM = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attention/qkv": "attn.qkv",
    "attention/projection": "attn.proj",
    "mlp/expand": "mlp.fc1",
    "mlp/reduce": "mlp.fc2",
}
_TORCHVISION = {
    "norm1": "ln_1",
    "norm2": "ln_2",
    "attention/qkv": "self_attention.in_proj",
    "attention/projection": "self_attention.out_proj",
    "mlp/expand": "mlp.0",
    "mlp/reduce": "mlp.3",
}
_ENDS = {
    "stem_conv": ("patch_embed.proj", "conv_proj"),
    "embedding/class_token": ("cls_token", "class_token"),
    "embedding/position": ("pos_embed", "encoder.pos_embedding"),
    "features": ("norm", "encoder.ln", "fc_norm"),
    "logits": ("head", "heads.head"),
}


def _reference_names(layer: str) -> tuple[str, ...]:
    """Timm's name, then torchvision's."""
    if layer in _ENDS:
        return _ENDS[layer]
    stage, part = re.fullmatch(r"stage(\d+)_(.+)", layer).groups()  # type: ignore[union-attr]
    index = int(stage) - 1
    return f"blocks.{index}.{_TIMM[part]}", f"encoder.layers.encoder_layer_{index}.{_TORCHVISION[part]}"


_PAPER = "Dosovitskiy et al., An Image is Worth 16x16 Words, 2021 (arXiv 2010.11929)"
_TABLE = f"{_PAPER}, table 1; torchvision"
_DEIT = "Touvron et al., DeiT, 2021 (arXiv 2012.12877), table 1; timm"


_LEARNING = Learning(
    Pace(0.05, 1e-4), Pace(1e-3, 0.05), "DeiT, table 9: AdamW 0.0005 in batches of 512, 0.05", "adamw"
)
_SMALL_LEARNING = Learning(
    Pace(0.05, 1e-4), Pace(2e-3, 0.05), "measured on the sample: 0.001 in batches of 64", "adamw"
)


def _row(
    name: str, sizes: tuple[int, int, int], parameters: int, macs: int, source: str, **facts: Any
) -> Architecture:
    """A row of the papers' tables by patch, width and depth: a class token, heads of 64 features."""
    patch, width, depth = sizes
    layout = {"patch": patch, "width": width, "depth": depth, "heads": width // 64}
    return Architecture(
        name,
        _vit,
        {**layout, "mlp_ratio": 4, "class_token": True},
        parameters=parameters,
        macs=macs,
        source=source,
        stages=depth,
        learning=_LEARNING,
        reference_names=_reference_names,
        **facts,
    )


_TI, _S = f"{_DEIT} vit_tiny_patch16_224", f"{_DEIT} vit_small_patch16_224"

vit_ti_16 = _row("vit_ti_16", (16, 192, 12), 5_717_416, 1_253_683_200, _TI, mean=HALF, std=HALF)
vit_s_16 = _row("vit_s_16", (16, 384, 12), 22_050_664, 4_598_882_304, _S, mean=HALF, std=HALF)
vit_b_16 = _row("vit_b_16", (16, 768, 12), 86_567_656, 17_563_828_224, f"{_TABLE} vit_b_16")
vit_b_32 = _row("vit_b_32", (32, 768, 12), 88_224_232, 4_409_186_304, f"{_TABLE} vit_b_32")
vit_l_16 = _row("vit_l_16", (16, 1024, 24), 304_326_632, 61_554_712_576, f"{_TABLE} vit_l_16")
vit_small_image = Architecture(
    "vit_small_image",
    _vit,
    {"patch": 4, "width": 128, "depth": 6, "heads": 4, "mlp_ratio": 2, "class_token": False},
    parameters=810_890,
    macs=57_017_600,
    source=f"{_PAPER}, scaled down; mean over tokens as in Beyer et al., 2022 (arXiv 2205.01580)",
    stages=6,
    learning=_SMALL_LEARNING,
    image_size=32,
    num_classes=10,
    min_size=8,
    reference_names=_reference_names,
    mean=CENTRED_MEAN,
    std=CENTRED_STD,
)
