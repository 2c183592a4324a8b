"""The zoo: functional Keras models that take pixels 0…255 and give float32 logits."""

from collections.abc import Sequence
from typing import Any

import keras

from imgrec.models import (
    alexnet,
    coatnet,
    convnext,
    densenet,
    efficientnet,
    googlenet,
    inception,
    lenet,
    mobilenet,
    mobilenet_v3,
    mobilevit,
    preact_resnet,
    resnet,
    shufflenet,
    squeezenet,
    swin,
    vgg,
    vit,
)
from imgrec.models.architecture import Architecture
from imgrec.registry import lookup

MODELS: dict[str, Architecture] = {
    "lenet5": lenet.lenet5,
    "alexnet": alexnet.alexnet,
    "vgg11": vgg.vgg11,
    "vgg13": vgg.vgg13,
    "vgg16": vgg.vgg16,
    "vgg19": vgg.vgg19,
    "vgg11_bn": vgg.vgg11_bn,
    "vgg13_bn": vgg.vgg13_bn,
    "vgg16_bn": vgg.vgg16_bn,
    "vgg19_bn": vgg.vgg19_bn,
    "googlenet": googlenet.googlenet,
    "inception_v3": inception.inception_v3,
    "resnet8": resnet.resnet8,
    "resnet14": resnet.resnet14,
    "resnet20": resnet.resnet20,
    "resnet56": resnet.resnet56,
    "resnet18": resnet.resnet18,
    "resnet34": resnet.resnet34,
    "resnet50": resnet.resnet50,
    "resnet101": resnet.resnet101,
    "resnet152": resnet.resnet152,
    "preact_resnet20": preact_resnet.preact_resnet20,
    "preact_resnet164": preact_resnet.preact_resnet164,
    "preact_resnet1001": preact_resnet.preact_resnet1001,
    "densenet121": densenet.densenet121,
    "densenet169": densenet.densenet169,
    "densenet201": densenet.densenet201,
    "squeezenet1_0": squeezenet.squeezenet1_0,
    "squeezenet1_1": squeezenet.squeezenet1_1,
    "mobilenet_v1": mobilenet.mobilenet_v1,
    "mobilenet_v2": mobilenet.mobilenet_v2,
    "mobilenet_v3_small": mobilenet_v3.mobilenet_v3_small,
    "mobilenet_v3_large": mobilenet_v3.mobilenet_v3_large,
    "shufflenet_v2_x0_5": shufflenet.shufflenet_v2_x0_5,
    "shufflenet_v2_x1_0": shufflenet.shufflenet_v2_x1_0,
    "shufflenet_v2_x1_5": shufflenet.shufflenet_v2_x1_5,
    "shufflenet_v2_x2_0": shufflenet.shufflenet_v2_x2_0,
    "efficientnet_b0": efficientnet.efficientnet_b0,
    "efficientnet_b1": efficientnet.efficientnet_b1,
    "efficientnet_b2": efficientnet.efficientnet_b2,
    "efficientnet_b3": efficientnet.efficientnet_b3,
    "efficientnet_b4": efficientnet.efficientnet_b4,
    "efficientnet_b5": efficientnet.efficientnet_b5,
    "efficientnet_b6": efficientnet.efficientnet_b6,
    "efficientnet_b7": efficientnet.efficientnet_b7,
    "efficientnet_lite0": efficientnet.efficientnet_lite0,
    "efficientnet_lite1": efficientnet.efficientnet_lite1,
    "efficientnet_lite2": efficientnet.efficientnet_lite2,
    "efficientnet_lite3": efficientnet.efficientnet_lite3,
    "efficientnet_lite4": efficientnet.efficientnet_lite4,
    "convnext_tiny": convnext.convnext_tiny,
    "convnext_small": convnext.convnext_small,
    "convnext_base": convnext.convnext_base,
    "vit_small_image": vit.vit_small_image,
    "vit_ti_16": vit.vit_ti_16,
    "vit_s_16": vit.vit_s_16,
    "vit_b_16": vit.vit_b_16,
    "vit_b_32": vit.vit_b_32,
    "vit_l_16": vit.vit_l_16,
    "swin_t": swin.swin_t,
    "swin_s": swin.swin_s,
    "swin_b": swin.swin_b,
    "coatnet_0": coatnet.coatnet_0,
    "mobilevit_xxs": mobilevit.mobilevit_xxs,
    "mobilevit_xs": mobilevit.mobilevit_xs,
    "mobilevit_s": mobilevit.mobilevit_s,
}
"""Every model by its name."""


def build_model(
    name: str, input_shape: Sequence[int], num_classes: int = 1000, **options: Any
) -> keras.Model:
    """Build the model `name`: pixels `image` `[B, H, W, C]`, float32 0…255, to float32 `logits` `[B, N]`.

    Args:
        name: a key of `MODELS`.
        input_shape: (H, W, C), C being 1 (grey) or 3 (colour).
        num_classes: N, at least 2.
        options: those that `info(name).options` lists.

    Raises:
        InputError: an unknown name or option, or a size, class count or value that the model refuses.
    """
    return info(name)(input_shape, num_classes, **options)


def info(name: str) -> Architecture:
    """Return the facts about a model.

    Its fields: `parameters` (trainable, at `image_size`, `channels`, `num_classes`), `image_size`,
    `min_size`, `mean` and `std` (0…255), `endpoints`, `options` with their defaults, `source`, and
    `learning` with `rate(optimizer, batch)`, `decay(optimizer)` and the `optimizer` of its own.

    Raises:
        InputError: an unknown name; the message lists the nearest and all known.
    """
    return lookup(MODELS, name, "model")
