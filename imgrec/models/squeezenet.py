"""SqueezeNet 1.0 and 1.1: fire modules, and a classifier that scores every place before averaging."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from imgrec.layers.conv import Style, conv_relu, max_pool
from imgrec.layers.pooling import PooledScores
from imgrec.models.architecture import Architecture, Shape, family
from imgrec.models.forms import wants_small_stem
from imgrec.models.head import check_rate, pixels_in
from imgrec.models.learning import Learning, Pace

STYLE = Style(initializer=keras.initializers.HeUniform, use_bias=True)
UNPADDED = replace(STYLE, padding=0)


def _squeezenet(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    stem: tuple[int, int],
    fires: Sequence[Sequence[int]],
    small_stem: bool | str = "auto",
    dropout: float = 0.5,
) -> keras.Model:
    """Build SqueezeNet: a convolution, then three stages of fire modules with pooling between them.

    `small_stem=True` makes the first convolution 3×3 at stride 1 and leaves out the pooling after it,
    for small images; "auto" does so up to 64 px.

    The reference's ReLU between the last convolution and the averaging makes the logits no function
    of averaged features. So `features` is the whole last map, flattened, and the layer `logits` holds
    the convolution, the ReLU and the averaging.
    """
    small = wants_small_stem(row, shape, small_stem)
    check_rate(dropout, "dropout")
    image, x = pixels_in(row, shape)
    filters, kernel = stem
    if small:
        x = conv_relu(x, filters, 3, name="stem_conv", style=STYLE, end="stem")
    else:
        x = conv_relu(x, filters, kernel, 2, name="stem_conv", style=UNPADDED, end="stem_relu")
        x = max_pool(x, 3, 2, ceil=True, name="stem")
    index = 2  # the paper's fire2 follows conv1
    for stage, widths in enumerate(fires, start=1):
        if stage > 1:
            x = max_pool(x, 3, 2, ceil=True, name=f"stage{stage}_pool")
        for last, width in zip([False] * (len(widths) - 1) + [True], widths, strict=True):
            x = _fire(x, width, f"fire{index}", end=f"stage{stage}" if last else f"fire{index}")
            index += 1
    grid = (x.shape[1], x.shape[2])
    x = keras.layers.Flatten(name="features")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="features_dropout")(x)
    logits = PooledScores(num_classes, grid, name="logits", dtype="float32")(x)
    return keras.Model(image, logits, name=row.name)


def _fire(x: Any, squeeze: int, name: str, end: str) -> Any:
    """Squeeze by 1×1, expand by 1×1 and by 3×3 to four times as many channels each, side by side."""
    x = conv_relu(x, squeeze, 1, name=f"{name}_squeeze", style=STYLE)
    one = conv_relu(x, 4 * squeeze, 1, name=f"{name}_expand1x1", style=STYLE)
    three = conv_relu(x, 4 * squeeze, 3, name=f"{name}_expand3x3", style=STYLE)
    return keras.layers.Concatenate(name=end)([one, three])


_V1_0 = {"stem": (96, 7), "fires": ((16, 16, 32), (32, 48, 48, 64), (64,))}
_V1_1 = {"stem": (64, 3), "fires": ((16, 16), (32, 32), (48, 48, 64, 64))}
"""Filters and kernel of the first convolution; squeeze widths of fire2…fire9, by stage."""


def _reference_names(version: dict[str, Any]) -> Any:
    """Torchvision's names: its fire modules are counted together with the poolings between them."""
    fires = [stage for stage, widths in enumerate(version["fires"]) for _ in widths]
    positions = {f"fire{n}": f"features.{n + 1 + stage}" for n, stage in enumerate(fires, start=2)}

    def names(layer: str) -> tuple[str, ...]:
        ends = {"stem_conv": "features.0", "logits/conv": "classifier.1"}
        if layer in ends:
            return (ends[layer],)
        fire, part = re.fullmatch(r"(fire\d)_(.+)", layer).groups()  # type: ignore[union-attr]
        return (f"{positions[fire]}.{part}",)

    return names


_row = family(
    _squeezenet,
    "Iandola et al., SqueezeNet, 2016 (arXiv 1602.07360); torchvision {}",
    stages=3,
    learning=Learning(
        Pace(0.02, 2e-4), Pace(1e-3, 0.01), "the authors' solver: SGD 0.04 in batches of 512, 2e-4"
    ),
    min_size=16,
)

squeezenet1_0 = _row("squeezenet1_0", _V1_0, 1_248_424, 818_924_576, reference_names=_reference_names(_V1_0))
squeezenet1_1 = _row("squeezenet1_1", _V1_1, 1_235_496, 349_151_936, reference_names=_reference_names(_V1_1))
