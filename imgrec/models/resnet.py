"""ResNet: torchvision's for photographs, the 6n + 2 form for small images; with attention, or deformable."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from imgrec.errors import InputError
from imgrec.layers.attention import CBAM, SqueezeExcitation
from imgrec.layers.conv import RELU, activate, batch_norm, conv_bn, max_pool
from imgrec.layers.deformable import DeformableConv2D
from imgrec.layers.occlusion import OcclusionAttention
from imgrec.models.architecture import CENTRED_MEAN, CENTRED_STD, Architecture, Shape, family
from imgrec.models.forms import wants_small_stem
from imgrec.models.head import check_flag, logits_out, pixels_in
from imgrec.models.learning import Learning, Pace
from imgrec.models.stage_names import block_of
from imgrec.registry import lookup

Block = Callable[..., Any]

ATTENTION: dict[str, Callable[[Any, str], Any]] = {
    "none": lambda x, block: x,
    "se": lambda x, block: SqueezeExcitation(name=f"{block}_se")(x),
    "cbam": lambda x, block: CBAM(name=f"{block}_cbam")(x),
    "occlusion": lambda x, block: x,
}
"""What stands at the end of a residual branch, before the addition; "occlusion" stands between stages."""
HEADS = 4
"""Heads of the occlusion-aware attention, or as many of them as divide the channels."""
POSITIONS = 256
"""Largest map that the occlusion-aware attention compares position by position with itself: 16×16."""


def _resnet(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    block: Block,
    depths: Sequence[int],
    attention: str = "none",
    deformable: str = "none",
    small_stem: bool | str = "auto",
    dropout: float = 0.0,
) -> keras.Model:
    """Build a ResNet for photographs: 7×7 stem at stride 2 and a max-pool, then four stages.

    `small_stem=True` makes the stem a 3×3 convolution at stride 1 without pooling, for small images;
    "auto" does so up to 64 px. Strides of a bottleneck stand in its 3×3 convolution ("v1.5").
    `deformable` names a stage, such as "stage4", whose 3×3 convolutions read where offsets point.
    """
    small = wants_small_stem(row, shape, small_stem)
    image, x = pixels_in(row, shape)
    if small:
        x = conv_bn(x, 64, 3, block="stem", style=RELU.named("stem"))
    else:
        x = conv_bn(x, 64, 7, 2, block="stem", style=RELU)
        x = max_pool(x, 3, 2, padding=1, name="stem")
    x = _stages(x, block, depths, 64, attention, deformable)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, logits_out(x, num_classes, dropout), name=row.name)


def _resnet_small(
    row: Architecture,
    shape: Shape,
    num_classes: int,
    *,
    depths: Sequence[int],
    attention: str = "none",
    deformable: str = "none",
    width: int = 16,
    stem_pool: bool = False,
    dropout: float = 0.0,
) -> keras.Model:
    """Build a ResNet for small images: 3×3 stem, three stages of `width`, 2 and 4 times as many channels.

    `stem_pool=True` halves the image after the stem, which makes each block four times cheaper and
    lets the network be twice as wide at the same cost. `deformable` names a stage, such as "stage3".
    """
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise InputError(f"width={width!r}: expected a positive whole number of channels, such as 16")
    if check_flag(stem_pool, "stem_pool"):
        row.require_size(shape, 2 * row.min_size, " with stem_pool=true")
    image, x = pixels_in(row, shape)
    if stem_pool:
        x = max_pool(conv_bn(x, width, 3, block="stem", style=RELU), 2, 2, name="stem")
    else:
        x = conv_bn(x, width, 3, block="stem", style=RELU.named("stem"))
    x = _stages(x, basic, depths, width, attention, deformable)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, logits_out(x, num_classes, dropout), name=row.name)


def _stages(x: Any, block: Block, depths: Sequence[int], width: int, attention: str, deformable: str) -> Any:
    """Stack the stages: each but the first halves the map, each has twice the channels of the last."""
    attend = lookup(ATTENTION, attention, "attention")
    stages = {"none": 0, **{f"stage{stage}": stage for stage in range(1, len(depths) + 1)}}
    bent = lookup(stages, str(deformable), "stage to make deformable")
    hidden_ahead = attention == "occlusion"
    for stage, depth in enumerate(depths, start=1):
        for index in range(1, depth + 1):
            stride = 2 if stage > 1 and index == 1 else 1
            # The last block's ReLU is the stage's endpoint.
            end = f"stage{stage}" if index == depth else f"stage{stage}_block{index}_relu"
            name = f"stage{stage}_block{index}"
            three = _bent if stage == bent else _straight
            x = block(x, width * 2 ** (stage - 1), stride, attend, three, name=name, end=end)
        if hidden_ahead and (x.shape[1] * x.shape[2] <= POSITIONS or stage == len(depths)):
            x, hidden_ahead = _look_past_hidden(x), False
    return x


def _look_past_hidden(x: Any) -> Any:
    """Let the positions see each other, hidden ones less; the mask is the layer `occlusion`'s second output.

    Once, after the first stage whose map is small enough for attention, which is stage 3 (14×14) of a
    224 px photograph: the earlier, the sharper the mask's outline, the less of what hides has been
    mixed into the visible positions around it, and the more layers are left to use what attention brought.
    """
    x, _ = OcclusionAttention(math.gcd(HEADS, x.shape[-1]), name="occlusion")(x)
    return x


def _straight(x: Any, filters: int, stride: int, block: str, index: int) -> Any:
    """3×3 convolution, normalised."""
    return conv_bn(x, filters, 3, stride, block=block, index=index)


def _bent(x: Any, filters: int, stride: int, block: str, index: int) -> Any:
    """The same, deformable: Zhu et al., "Deformable ConvNets v2", 2019 (arXiv 1811.11168)."""
    x = DeformableConv2D(filters, 3, stride, name=f"{block}_conv{index}")(x)
    return batch_norm(x, f"{block}_bn{index}")


def basic(x: Any, filters: int, stride: int, attend: Block, three: Block, *, name: str, end: str) -> Any:
    """Two 3×3 convolutions and a shortcut."""
    y = activate(three(x, filters, stride, name, 1), "relu", f"{name}_relu1")
    y = three(y, filters, 1, name, 2)
    return _add(x, attend(y, name), stride, name, end)


def bottleneck(x: Any, filters: int, stride: int, attend: Block, three: Block, *, name: str, end: str) -> Any:
    """1×1 down, 3×3, 1×1 up to four times `filters`, and a shortcut."""
    y = conv_bn(x, filters, 1, block=name, index=1, style=RELU)
    y = activate(three(y, filters, stride, name, 2), "relu", f"{name}_relu2")
    y = conv_bn(y, 4 * filters, 1, block=name, index=3)
    return _add(x, attend(y, name), stride, name, end)


def _add(x: Any, y: Any, stride: int, name: str, end: str) -> Any:
    """Add the shortcut to the branch: a 1×1 convolution where shapes differ (option B), else `x` itself."""
    if stride != 1 or x.shape[-1] != y.shape[-1]:
        x = conv_bn(x, y.shape[-1], 1, stride, block=f"{name}_shortcut")
    return keras.layers.ReLU(name=end)(keras.layers.Add(name=f"{name}_add")([x, y]))


_SUBLAYERS = {
    "se/reduce": "se.fc1",
    "se/expand": "se.fc2",
    "cbam/channel/reduce": "cbam.ChannelGate.mlp.1",
    "cbam/channel/expand": "cbam.ChannelGate.mlp.3",
    "cbam/spatial/conv": "cbam.SpatialGate.spatial.conv",
    "shortcut_conv": "downsample.0",
    "shortcut_bn": "downsample.1",
}


def _reference_names(layer: str) -> tuple[str, ...]:
    """Torchvision's names; timm's for SE and those of the CBAM authors' repository for CBAM."""
    ends = {"stem_conv": "conv1", "stem_bn": "bn1", "logits": "fc"}
    if layer in ends:
        return (ends[layer],)
    if layer.startswith("occlusion"):
        return (layer.replace("/", "."),)  # ours alone: no reference has it
    stage, block, rest = block_of(layer)
    return (f"layer{stage + 1}.{block}.{_SUBLAYERS.get(rest, rest.replace('/', '.'))}",)


_PAPER = "He et al., Deep Residual Learning, 2016 (arXiv 1512.03385)"

_LEARNING = Learning(Pace(0.1, 1e-4), Pace(2e-3, 0.05), f"{_PAPER}, § 3.4: SGD 0.1 in batches of 256, 1e-4")
_SMALL_LEARNING = Learning(
    Pace(0.1, 5e-4),
    Pace(2e-3, 0.05),
    "Zagoruyko and Komodakis, Wide ResNets, 2016 (arXiv 1605.07146), § 3: 0.1 in batches of 128, 5e-4",
)
_photo = family(
    _resnet,
    f"{_PAPER}, table 1; torchvision {{}}",
    stages=4,
    learning=_LEARNING,
    min_size=16,
    reference_names=_reference_names,
)
_small = family(
    _resnet_small,
    f"{_PAPER}, § 4.2, with projection shortcuts",
    stages=3,
    learning=_SMALL_LEARNING,
    image_size=32,
    num_classes=10,
    min_size=8,
    reference_names=_reference_names,
    mean=CENTRED_MEAN,
    std=CENTRED_STD,
)

resnet18 = _photo("resnet18", {"block": basic, "depths": (2, 2, 2, 2)}, 11_689_512, 1_814_073_344)
resnet34 = _photo("resnet34", {"block": basic, "depths": (3, 4, 6, 3)}, 21_797_672, 3_663_761_408)
resnet50 = _photo("resnet50", {"block": bottleneck, "depths": (3, 4, 6, 3)}, 25_557_032, 4_089_184_256)
resnet101 = _photo("resnet101", {"block": bottleneck, "depths": (3, 4, 23, 3)}, 44_549_160, 7_801_405_440)
resnet152 = _photo("resnet152", {"block": bottleneck, "depths": (3, 8, 36, 3)}, 60_192_808, 11_513_626_624)

resnet8 = _small("resnet8", {"depths": (1, 1, 1)}, 78_042, 12_501_632)
resnet14 = _small("resnet14", {"depths": (2, 2, 2)}, 175_258, 26_657_408)
resnet20 = _small("resnet20", {"depths": (3, 3, 3)}, 272_474, 40_813_184)
resnet56 = _small("resnet56", {"depths": (9, 9, 9)}, 855_770, 125_747_840)
