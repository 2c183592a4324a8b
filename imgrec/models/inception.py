"""Inception-v3 as torchvision has it, without the auxiliary head."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
from keras.initializers import HeNormal

from imgrec.layers.conv import Style, conv_bn, max_pool
from imgrec.models.architecture import HALF, Architecture, Shape
from imgrec.models.forms import wants_small_stem
from imgrec.models.head import logits_out, pixels_in
from imgrec.models.learning import Learning, Pace

STYLE = Style("relu", epsilon=1e-3, initializer=HeNormal)
UNPADDED = replace(STYLE, padding=0)
MIN_SIZE = 25
TIMES = 3
PHOTO_SIZE = TIMES * MIN_SIZE
"""Smallest side that the stem for photographs and the two reductions after it leave a pixel of."""

Kernel = int | tuple[int, int]


def _inception_v3(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    small_stem: bool | str = "auto",
    dropout: float = 0.5,
) -> keras.Model:
    """Build Inception-v3: five convolutions, then modules A, a reduction, C, a reduction, and E.

    `small_stem=True` spares the first stride and the first pooling, for small images; "auto" does so
    below 75 px, which is the least for the other form.
    """
    if small_stem == "auto":
        small_stem = min(shape[:2]) < PHOTO_SIZE
    small = wants_small_stem(row, shape, small_stem, TIMES)
    image, x = pixels_in(row, shape)
    x = conv_bn(x, 32, 3, 1 if small else 2, block="stem", index="1a", style=UNPADDED)
    x = conv_bn(x, 32, 3, block="stem", index="2a", style=UNPADDED)
    x = conv_bn(x, 64, 3, block="stem", index="2b", style=STYLE)
    if not small:
        x = max_pool(x, 3, 2, name="stem_pool1")
    x = conv_bn(x, 80, 1, block="stem", index="3b", style=STYLE)
    x = conv_bn(x, 192, 3, block="stem", index="4a", style=UNPADDED)
    x = max_pool(x, 3, 2, name="stem")
    x = _module_a(x, 32, "mixed5b")
    x = _module_a(x, 64, "mixed5c")
    x = _module_a(x, 64, "mixed5d", end="stage1")
    x = _reduction_b(x, "mixed6a")
    x = _module_c(x, 128, "mixed6b")
    x = _module_c(x, 160, "mixed6c")
    x = _module_c(x, 160, "mixed6d")
    x = _module_c(x, 192, "mixed6e", end="stage2")
    x = _reduction_d(x, "mixed7a")
    x = _module_e(x, "mixed7b")
    x = _module_e(x, "mixed7c", end="stage3")
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, logits_out(x, num_classes, dropout), name=row.name)


def _module_a(x: Any, pooled: int, name: str, end: str = "") -> Any:
    """Figure 5: a 5×5 branch, and one of two 3×3 in its place."""
    branch = _branches(name)
    one = branch(x, "branch1x1", (64, 1))
    five = branch(x, "branch5x5", (48, 1), (64, 5))
    double = branch(x, "branch3x3dbl", (64, 1), (96, 3), (96, 3))
    pool = branch(_average(x, name), "branch_pool", (pooled, 1))
    return keras.layers.Concatenate(name=end or name)([one, five, double, pool])


def _reduction_b(x: Any, name: str) -> Any:
    """Figure 10: convolutions at stride 2 beside a max-pool."""
    branch = _branches(name)
    three = branch(x, "branch3x3", (384, 3), reduce=True)
    double = branch(x, "branch3x3dbl", (64, 1), (96, 3), (96, 3), reduce=True)
    pool = max_pool(x, 3, 2, name=f"{name}_branch_pool")
    return keras.layers.Concatenate(name=name)([three, double, pool])


def _module_c(x: Any, width: int, name: str, end: str = "") -> Any:
    """Figure 6: 7×7 convolutions as 1×7 and 7×1."""
    branch = _branches(name)
    row, column = (width, (1, 7)), (width, (7, 1))
    one = branch(x, "branch1x1", (192, 1))
    seven = branch(x, "branch7x7", (width, 1), row, (192, (7, 1)))
    double = branch(x, "branch7x7dbl", (width, 1), column, row, column, (192, (1, 7)))
    pool = branch(_average(x, name), "branch_pool", (192, 1))
    return keras.layers.Concatenate(name=end or name)([one, seven, double, pool])


def _reduction_d(x: Any, name: str) -> Any:
    branch = _branches(name)
    three = branch(x, "branch3x3", (192, 1), (320, 3), reduce=True)
    seven = branch(x, "branch7x7x3", (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3), reduce=True)
    pool = max_pool(x, 3, 2, name=f"{name}_branch_pool")
    return keras.layers.Concatenate(name=name)([three, seven, pool])


def _module_e(x: Any, name: str, end: str = "") -> Any:
    """Figure 7: 3×3 convolutions split into a 1×3 and a 3×1 side by side."""
    branch = _branches(name)
    one = branch(x, "branch1x1", (320, 1))
    three = _split(branch(x, "branch3x3", (384, 1), numbered=True), f"{name}_branch3x3", "2")
    double = _split(branch(x, "branch3x3dbl", (448, 1), (384, 3)), f"{name}_branch3x3dbl", "3")
    pool = branch(_average(x, name), "branch_pool", (192, 1))
    return keras.layers.Concatenate(name=end or name)([one, three, double, pool])


def _split(x: Any, block: str, index: str) -> Any:
    kernels = {"a": (1, 3), "b": (3, 1)}
    pair = [conv_bn(x, 384, k, block=block, index=index + half, style=STYLE) for half, k in kernels.items()]
    return keras.layers.Concatenate(name=f"{block}_concat")(pair)


def _branches(module: str) -> Callable[..., Any]:
    """Return a function that stacks convolutions `(filters, kernel)` as one branch of `module`."""

    def branch(
        x: Any, name: str, *layers: tuple[int, Kernel], reduce: bool = False, numbered: bool = False
    ) -> Any:
        numbered = numbered or len(layers) > 1
        for index, (filters, kernel) in enumerate(layers, start=1):
            stride, style = (2, UNPADDED) if reduce and index == len(layers) else (1, STYLE)
            number = str(index) if numbered else ""
            x = conv_bn(x, filters, kernel, stride, block=f"{module}_{name}", index=number, style=style)
        return x

    return branch


def _average(x: Any, module: str) -> Any:
    """Average 3×3 with the zeros of the padding counted, as the reference does and `same` does not."""
    x = keras.layers.ZeroPadding2D(1, name=f"{module}_branch_pool_pad")(x)
    return keras.layers.AveragePooling2D(3, 1, name=f"{module}_branch_pool_average")(x)


def _reference_names(layer: str) -> tuple[str, ...]:
    """Torchvision's names, which timm shares."""
    if layer == "logits":
        return ("fc",)
    if stem := re.fullmatch(r"stem_(conv|bn)(\d\w)", layer):
        kernel = "1x1" if stem[2] == "3b" else "3x3"
        return (f"Conv2d_{stem[2]}_{kernel}.{stem[1]}",)
    module, branch, kind, index = re.fullmatch(r"mixed(\w\w)_(\w+)_(conv|bn)(\w*)", layer).groups()  # type: ignore[union-attr]
    return (f"Mixed_{module}.{branch}_{index}.{kind}" if index else f"Mixed_{module}.{branch}.{kind}",)


inception_v3 = Architecture(
    "inception_v3",
    _inception_v3,
    {},
    parameters=23_834_568,
    macs=5_713_216_096,
    source="Szegedy et al., Rethinking the Inception Architecture, 2016 (arXiv 1512.00567); "
    "torchvision inception_v3",
    stages=3,
    learning=Learning(Pace(0.1, 1e-4), Pace(2e-3, 0.05), "as ResNet's"),
    image_size=299,
    min_size=MIN_SIZE,
    reference_names=_reference_names,
    unused_state=r"AuxLogits\..*",
    mean=HALF,
    std=HALF,
)
