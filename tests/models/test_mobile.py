"""Mobile networks: what the common tests do not show."""

import re
from typing import Any

import keras
import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.models import build_model
from imgrec.models.forms import early_strides, round_channels
from imgrec.models.weights import candidates

MOBILE = [
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "shufflenet_v2_x0_5",
]
WIDTHS = [
    # timm 1.0.31's mobilenetv1_125 and mobilenetv2_140, built and counted
    ("mobilenet_v1", 1.25, 6_270_840),
    ("mobilenet_v2", 1.4, 6_108_776),
    # torchvision 0.28's MobileNetV2(width_mult=0.5) and MobileNetV3 with width_mult=0.75, likewise
    ("mobilenet_v2", 0.5, 1_968_680),
    ("mobilenet_v3_small", 0.75, 1_653_920),
]
NAMES = {
    "mobilenet_v1": (
        "conv_stem.weight bn1.running_var blocks.0.0.conv_dw.weight blocks.0.0.bn1.bias "
        "blocks.3.5.conv_pw.weight blocks.4.1.bn2.weight classifier.bias"
    ),
    "mobilenet_v2": (
        "features.0.0.weight features.1.conv.0.0.weight features.1.conv.0.1.bias features.1.conv.1.weight "
        "features.1.conv.2.bias features.2.conv.0.0.weight features.2.conv.1.1.running_mean "
        "features.17.conv.2.weight features.17.conv.3.bias features.18.1.weight classifier.1.weight"
    ),
    "mobilenet_v3_small": (
        "features.0.0.weight features.1.block.0.0.weight features.1.block.1.fc1.weight "
        "features.1.block.2.1.bias features.2.block.0.1.weight features.4.block.2.fc2.bias "
        "features.11.block.3.0.weight features.12.0.weight classifier.0.weight classifier.3.bias"
    ),
    "mobilenet_v3_large": (
        "features.1.block.1.0.weight features.4.block.2.fc1.weight features.7.block.2.1.weight "
        "features.15.block.3.1.running_var features.16.1.bias classifier.0.bias classifier.3.weight"
    ),
    "shufflenet_v2_x0_5": (
        "conv1.0.weight stage2.0.branch1.0.weight stage2.0.branch1.3.bias stage2.3.branch2.6.bias "
        "stage3.7.branch2.1.weight stage4.3.branch2.3.weight conv5.1.running_var fc.weight"
    ),
}
"""Some of each kind, read in timm 1.0.31 and torchvision 0.28."""
TIMM_V2 = (
    "conv_stem.weight bn1.bias blocks.0.0.conv_dw.weight blocks.0.0.conv_pw.weight blocks.0.0.bn2.bias "
    "blocks.1.0.conv_pw.weight blocks.1.0.bn1.weight blocks.1.0.conv_dw.weight blocks.1.0.conv_pwl.weight "
    "blocks.6.0.bn3.running_mean conv_head.weight bn2.weight classifier.weight"
)


def trainable(model: keras.Model) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def small(name: str, **options: Any) -> keras.Model:
    return build_model(name, (32, 32, 3), options.pop("classes", 1000), **options)


@pytest.mark.parametrize(("name", "width", "count"), WIDTHS)
def test_width(name: str, width: float, count: int) -> None:
    assert trainable(small(name, width=width)) == count


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_small_images_keep_the_network_and_lose_two_halvings(name: str) -> None:
    maps = {}
    for size in (64, 65):
        model = build_model(name, (size, size, 3), 5)
        maps[size] = model.get_layer("stem").output.shape[1], last_map(model)
    # The stem of ShuffleNet holds a pooling, those of the others do not.
    assert maps == {64: (64, 8), 65: (17 if "shuffle" in name else 33, 3)}


def last_map(model: keras.Model) -> int:
    pooling = [y for y in model.layers if isinstance(y, keras.layers.GlobalAveragePooling2D)]
    return int(pooling[-1].input.shape[1])


@pytest.mark.parametrize("name", MOBILE)
def test_reference_names(name: str) -> None:
    found = [names for names, *_ in candidates(small(name, classes=5))]
    assert set(NAMES[name].split()) <= {names[0] for names in found}
    for which in range(len(found[0])):
        assert len({names[which] for names in found}) == len(found)


def test_mobilenet_v2_also_has_the_names_of_timm() -> None:
    assert set(TIMM_V2.split()) <= {names[1] for names, *_ in candidates(small("mobilenet_v2", classes=5))}


@pytest.mark.parametrize(
    ("channels", "rounded"), [(4, 8), (12, 16), (18, 24), (19.2, 24), (20, 24), (44.8, 48), (107.5, 104)]
)
def test_channels_come_in_eights(channels: float, rounded: int) -> None:
    # Values of TF-slim's make_divisible; 18 → 24, since 16 would be more than a tenth below.
    assert round_channels(channels) == rounded


def test_early_strides() -> None:
    assert early_strides((2, 1, 2, 2, 1, 2), True) == [1, 1, 1, 2, 1, 2]
    assert early_strides((2, 1, 2, 2, 1, 2), False) == [2, 1, 2, 2, 1, 2]


@pytest.mark.parametrize(
    ("name", "side", "options", "message"),
    [
        ("mobilenet_v2", 32, {"width": 0}, "width=0: expected a factor on the channels from 0.1 to 4"),
        ("mobilenet_v1", 32, {"width": "half"}, "width='half': expected a factor"),
        (
            "mobilenet_v3_large",
            31,
            {"small_stem": False},
            "31×31 px, expected at least 32×32 with small_stem=f",
        ),
        ("shufflenet_v2_x1_0", 15, {}, "got 15×15 px, expected at least 16×16"),
        ("shufflenet_v2_x1_0", 32, {"width": 2.0}, "unknown option of shufflenet_v2_x1_0 'width'"),
        ("mobilenet_v2", 32, {"small_stem": 1}, "small_stem=1: expected true or false"),
    ],
)
def test_refusals(name: str, side: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        build_model(name, (side, side, 3), 5, **options)
