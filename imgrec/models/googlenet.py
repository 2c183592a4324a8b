"""GoogLeNet (Inception v1) with batch normalisation, as torchvision has it, without auxiliary heads."""

import re
from functools import partial
from typing import Any

import keras
from keras.initializers import HeNormal

from imgrec.layers.conv import Style, conv_bn, max_pool
from imgrec.models.architecture import HALF, Architecture, Shape
from imgrec.models.forms import wants_small_stem
from imgrec.models.head import logits_out, pixels_in
from imgrec.models.learning import Learning, Pace

_conv = partial(conv_bn, style=Style("relu", epsilon=1e-3, initializer=HeNormal))

STAGES: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
"""Inception 3a…5b: #1×1, #3×3 reduce, #3×3, #5×5 reduce, #5×5, pool proj of table 1."""


def _googlenet(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    small_stem: bool | str = "auto",
    dropout: float = 0.2,
) -> keras.Model:
    """Build GoogLeNet: three convolutions, then nine inception modules in three stages.

    `small_stem=True` makes the first convolution 3×3 at stride 1 and leaves out the pooling after it,
    for small images; "auto" does so up to 64 px.
    """
    small = wants_small_stem(row, shape, small_stem)
    image, x = pixels_in(row, shape)
    x = _conv(x, 64, *((3, 1) if small else (7, 2)), block="stem", index=1)
    if not small:
        x = max_pool(x, 3, 2, ceil=True, name="stem_pool1")
    x = _conv(x, 64, 1, block="stem", index=2)
    x = _conv(x, 192, 3, block="stem", index=3)
    x = max_pool(x, 3, 2, ceil=True, name="stem")
    for stage, modules in enumerate(STAGES, start=1):
        if stage > 1:
            x = max_pool(x, 3 if stage == 2 else 2, 2, ceil=True, name=f"stage{stage}_pool")
        for index, filters in enumerate(modules):
            module = f"inception{stage + 2}{'abcde'[index]}"
            x = _inception(x, filters, module, end=f"stage{stage}" if index == len(modules) - 1 else module)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, logits_out(x, num_classes, dropout), name=row.name)


def _inception(x: Any, filters: tuple[int, ...], module: str, end: str) -> Any:
    """Four branches side by side; that of the paper's 5×5 is 3×3, as in torchvision and its weights."""
    one, reduce3, three, reduce5, five, project = filters
    a = _conv(x, one, 1, block=f"{module}_branch1")
    b = _conv(x, reduce3, 1, block=f"{module}_branch2", index=0)
    b = _conv(b, three, 3, block=f"{module}_branch2", index=1)
    c = _conv(x, reduce5, 1, block=f"{module}_branch3", index=0)
    c = _conv(c, five, 3, block=f"{module}_branch3", index=1)
    d = max_pool(x, 3, 1, padding=1, name=f"{module}_branch4_pool")
    d = _conv(d, project, 1, block=f"{module}_branch4", index=1)
    return keras.layers.Concatenate(name=end)([a, b, c, d])


def _reference_names(layer: str) -> tuple[str, ...]:
    """Torchvision's names."""
    if layer == "logits":
        return ("fc",)
    if stem := re.fullmatch(r"stem_(conv|bn)(\d)", layer):
        return (f"conv{stem[2]}.{stem[1]}",)
    module, branch, kind, index = re.fullmatch(r"(\w+)_(branch\d)_(conv|bn)(\d?)", layer).groups()  # type: ignore[union-attr]
    return (".".join(part for part in (module, branch, index, kind) if part),)


googlenet = Architecture(
    "googlenet",
    _googlenet,
    {},
    parameters=6_624_904,
    macs=1_498_376_192,
    source="Szegedy et al., Going Deeper with Convolutions, 2015 (arXiv 1409.4842); torchvision googlenet",
    stages=3,
    learning=Learning(Pace(0.1, 1e-4), Pace(2e-3, 0.05), "as ResNet's, since it is normalised"),
    min_size=16,
    reference_names=_reference_names,
    unused_state=r"aux[12]\..*",
    mean=HALF,
    std=HALF,
)
