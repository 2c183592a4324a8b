"""Pre-activation ResNet for small images: nothing stands on the path of the shortcuts."""

import re
from collections.abc import Callable
from typing import Any

import keras

from imgrec.layers.conv import bn_relu, conv
from imgrec.models.architecture import Architecture, Scale, Shape, family
from imgrec.models.head import logits_out, pixels_in
from imgrec.models.learning import Learning, Pace
from imgrec.models.stage_names import block_of

WIDTHS = (16, 32, 64)


def _preact_resnet(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    branch: Callable[..., Any],
    expansion: int,
    depth: int,
    dropout: float = 0.0,
) -> keras.Model:
    """Build a pre-activation ResNet: 3×3 stem, three stages of `depth` blocks, a last BN and ReLU.

    A block adds to `x` what its branch makes of BN and ReLU of `x`; `x` itself goes on unchanged, so
    that signal and gradient reach any depth. Where sizes differ, the shortcut is a 1×1 convolution of
    the same BN and ReLU.
    """
    image, x = pixels_in(row, shape)
    x = conv(x, WIDTHS[0], 3, name="stem")
    for stage, width in enumerate(WIDTHS, start=1):
        for index in range(1, depth + 1):
            stride = 2 if stage > 1 and index == 1 else 1
            name = f"stage{stage}_block{index}"
            # The last stage ends with the network's last normalisation and ReLU.
            last = index == depth and stage < len(WIDTHS)
            end = f"stage{stage}" if last else f"{name}_add"
            x = _block(x, branch, width, expansion, stride, name=name, end=end)
    x = bn_relu(x, "final_bn", f"stage{len(WIDTHS)}")
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, logits_out(x, num_classes, dropout), name=row.name)


def _block(
    x: Any, branch: Callable[..., Any], width: int, expansion: int, stride: int, *, name: str, end: str
) -> Any:
    y = bn_relu(x, f"{name}_bn1", f"{name}_relu1")
    if stride != 1 or x.shape[-1] != expansion * width:
        x = conv(y, expansion * width, 1, stride, name=f"{name}_shortcut")
    return keras.layers.Add(name=end)([x, branch(y, width, stride, name)])


def basic(x: Any, width: int, stride: int, name: str) -> Any:
    """Two 3×3 convolutions, BN and ReLU between them."""
    x = conv(x, width, 3, stride, name=f"{name}_conv1")
    return conv(bn_relu(x, f"{name}_bn2", f"{name}_relu2"), width, 3, name=f"{name}_conv2")


def bottleneck(x: Any, width: int, stride: int, name: str) -> Any:
    """1×1, 3×3 and 1×1 up to four times `width`, BN and ReLU between them.

    The stride stands in the 3×3 convolution, as in the published weights; the authors' code has it in
    the 1×1 before, which skips three quarters of the places.
    """
    x = conv(x, width, 1, name=f"{name}_conv1")
    x = conv(bn_relu(x, f"{name}_bn2", f"{name}_relu2"), width, 3, stride, name=f"{name}_conv2")
    return conv(bn_relu(x, f"{name}_bn3", f"{name}_relu3"), 4 * width, 1, name=f"{name}_conv3")


def _reference_names(layer: str) -> tuple[str, ...]:
    """Pytorchcv's names, which count a normalisation, its ReLU and the convolution after it as one."""
    ends = {"stem": "features.init_block", "final_bn": "features.post_activ.bn", "logits": "output"}
    if layer in ends:
        return (ends[layer],)
    stage, block, part = block_of(layer)
    part = "identity_conv" if part == "shortcut" else re.sub(r"(conv|bn)(\d)", r"body.conv\2.\1", part)
    return (f"features.stage{stage + 1}.unit{block + 1}.{part}",)


_CIFAR_MEAN: Scale = (125.307, 122.961, 113.8575)
_CIFAR_STD: Scale = (51.5865, 50.847, 51.255)
"""Those of CIFAR-10 that the published weights were trained with: (0.2023, 0.1994, 0.2010) × 255."""


_row = family(
    _preact_resnet,
    "He et al., Identity Mappings in Deep Residual Networks, 2016 (arXiv 1603.05027), appendix; pytorchcv {}",
    stages=3,
    learning=Learning(
        Pace(0.1, 1e-4), Pace(2e-3, 0.05), "the paper, appendix: SGD 0.1 in batches of 128, 1e-4"
    ),
    image_size=32,
    num_classes=10,
    min_size=8,
    reference_names=_reference_names,
    mean=_CIFAR_MEAN,
    std=_CIFAR_STD,
)
_20 = {"branch": basic, "expansion": 1, "depth": 3}
_164 = {"branch": bottleneck, "expansion": 4, "depth": 18}
_1001 = {"branch": bottleneck, "expansion": 4, "depth": 111}

preact_resnet20 = _row("preact_resnet20", _20, 272_282, 40_813_184, "preresnet20_cifar10")
preact_resnet164 = _row("preact_resnet164", _164, 1_703_258, 247_646_720, "preresnet164bn_cifar10")
preact_resnet1001 = _row("preact_resnet1001", _1001, 10_327_706, 1_490_995_712, "preresnet1001_cifar10")
