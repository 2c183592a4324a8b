"""DenseNet-BC as torchvision has it: every layer reads all maps before it in its stage."""

import re
from collections.abc import Sequence
from typing import Any

import keras
from keras.initializers import HeNormal

from imgrec.layers.conv import Style, bn_relu, conv, conv_bn, max_pool
from imgrec.models.architecture import Architecture, Shape, family
from imgrec.models.forms import wants_small_stem
from imgrec.models.head import logits_out, pixels_in
from imgrec.models.learning import Learning, Pace

GROWTH = 32
BOTTLENECK = 4
STYLE = Style("relu", initializer=HeNormal)


def _densenet(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    depths: Sequence[int],
    small_stem: bool | str = "auto",
    dropout: float = 0.0,
) -> keras.Model:
    """Build DenseNet: 7×7 stem at stride 2 and a max-pool, then four dense blocks.

    `small_stem=True` makes the stem a 3×3 convolution at stride 1 without pooling, for small images;
    "auto" does so up to 64 px.
    """
    small = wants_small_stem(row, shape, small_stem)
    image, x = pixels_in(row, shape)
    if small:
        x = conv_bn(x, 2 * GROWTH, 3, block="stem", style=STYLE.named("stem"))
    else:
        x = conv_bn(x, 2 * GROWTH, 7, 2, block="stem", style=STYLE)
        x = max_pool(x, 3, 2, padding=1, name="stem")
    for stage, depth in enumerate(depths, start=1):
        if stage > 1:
            x = _transition(x, f"transition{stage - 1}")
        for index in range(1, depth + 1):
            name = f"stage{stage}_layer{index}"
            # The last stage ends with the network's last normalisation and ReLU.
            last = index == depth and stage < len(depths)
            x = _dense_layer(x, name, end=f"stage{stage}" if last else f"{name}_concat")
    x = bn_relu(x, "final_bn", f"stage{len(depths)}")
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, logits_out(x, num_classes, dropout), name=row.name)


def _dense_layer(x: Any, name: str, end: str) -> Any:
    """Add 32 maps to `x`: normalise, 1×1 to 128, normalise, 3×3."""
    y = bn_relu(x, f"{name}_bn1", f"{name}_relu1")
    y = conv(y, BOTTLENECK * GROWTH, 1, name=f"{name}_conv1", style=STYLE)
    y = bn_relu(y, f"{name}_bn2", f"{name}_relu2")
    y = conv(y, GROWTH, 3, name=f"{name}_conv2", style=STYLE)
    return keras.layers.Concatenate(name=end)([x, y])


def _transition(x: Any, name: str) -> Any:
    """Halve the channels by a 1×1 convolution, then the sides by averaging."""
    x = bn_relu(x, f"{name}_bn", f"{name}_relu")
    x = conv(x, x.shape[-1] // 2, 1, name=f"{name}_conv", style=STYLE)
    return keras.layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def _reference_names(layer: str) -> tuple[str, ...]:
    """Torchvision's and timm's names; torchvision's older checkpoints write `norm.1` for `norm1`."""
    ends = {
        "stem_conv": "features.conv0",
        "stem_bn": "features.norm0",
        "final_bn": "features.norm5",
        "logits": "classifier",
    }
    if layer in ends:
        return (ends[layer],)
    owner, kind, index = re.fullmatch(r"(.+)_(conv|bn)(\d?)", layer).groups()  # type: ignore[union-attr]
    kind = kind.replace("bn", "norm")
    if not index:
        return (f"features.{owner}.{kind}",)
    path = re.sub(r"stage(\d)_layer(\d+)", r"features.denseblock\1.denselayer\2", owner)
    return f"{path}.{kind}{index}", f"{path}.{kind}.{index}"


_row = family(
    _densenet,
    "Huang et al., Densely Connected Convolutional Networks, 2017 (arXiv 1608.06993), table 1; "
    "torchvision {}",
    stages=4,
    learning=Learning(Pace(0.1, 1e-4), Pace(2e-3, 0.05), "the paper, § 4.2: SGD 0.1 in batches of 256, 1e-4"),
    min_size=16,
    reference_names=_reference_names,
)

densenet121 = _row("densenet121", {"depths": (6, 12, 24, 16)}, 7_978_856, 2_834_161_664)
densenet169 = _row("densenet169", {"depths": (6, 12, 32, 32)}, 14_149_480, 3_359_843_328)
densenet201 = _row("densenet201", {"depths": (6, 12, 48, 32)}, 20_013_928, 4_291_365_888)
