"""The zoo: functional Keras models that take pixels 0…255 and give float32 logits."""

from collections.abc import Sequence
from typing import Any

import keras

from imgrec.models import alexnet, lenet, resnet, vit
from imgrec.models.architecture import Architecture
from imgrec.registry import lookup

MODELS: dict[str, Architecture] = {
    "lenet5": lenet.lenet5,
    "alexnet": alexnet.alexnet,
    "resnet8": resnet.resnet8,
    "resnet14": resnet.resnet14,
    "resnet20": resnet.resnet20,
    "resnet56": resnet.resnet56,
    "resnet18": resnet.resnet18,
    "resnet34": resnet.resnet34,
    "resnet50": resnet.resnet50,
    "resnet101": resnet.resnet101,
    "resnet152": resnet.resnet152,
    "vit_small_image": vit.vit_small_image,
    "vit_ti_16": vit.vit_ti_16,
    "vit_s_16": vit.vit_s_16,
    "vit_b_16": vit.vit_b_16,
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


def list_models() -> list[str]:
    """Return the names of all models, families together."""
    return list(MODELS)


def info(name: str) -> Architecture:
    """Return the facts about a model.

    Its fields: `parameters` (trainable, at `image_size`, `channels`, `num_classes`), `image_size`,
    `min_size`, `mean` and `std` (0…255), `endpoints`, `options` with their defaults, `source`.

    Raises:
        InputError: an unknown name; the message lists the nearest and all known.
    """
    return lookup(MODELS, name, "model")
