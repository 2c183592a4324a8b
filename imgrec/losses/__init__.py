"""What training minimises: losses on logits and soft targets, and losses on embeddings; by name."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from imgrec.losses.embedding import SupervisedContrastive, Triplet
from imgrec.losses.focal import BinaryFocal, CategoricalFocal
from imgrec.registry import build
from imgrec.spec import Spec

__all__ = ["BINARY", "EMBEDDING_LOSSES", "LOSSES", "build_embedding_loss", "build_loss", "is_binary"]


def _cross_entropy(label_smoothing: float) -> keras.losses.Loss:
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)


def _binary_cross_entropy(label_smoothing: float) -> keras.losses.Loss:
    return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=label_smoothing)


LOSSES: dict[str, Callable[..., keras.losses.Loss]] = {
    "cross_entropy": _cross_entropy,
    "focal": CategoricalFocal,
    "binary_cross_entropy": _binary_cross_entropy,
    "binary_focal": BinaryFocal,
}
"""Every loss on (targets float `[B, C]`, logits `[B, C]`) by its name.

A loss of one's own is one entry more: a function of `label_smoothing` and its options, given by keyword,
that returns a `keras.losses.Loss` whose `call` gives a figure an image, `[B]`. Class weights and logit
adjustment are put around it (`losses.balance`).
"""

BINARY = frozenset({"binary_cross_entropy", "binary_focal"})
"""Those of `LOSSES` that take every class by itself, by a sigmoid; the others compare by a softmax."""


def is_binary(spec: str) -> bool:
    """Whether `spec` names a loss that takes every class by itself, such as `binary_focal(gamma=1)`."""
    return spec.partition("(")[0] in BINARY


EMBEDDING_LOSSES: dict[str, Callable[..., keras.losses.Loss]] = {
    "triplet": Triplet,
    "supcon": SupervisedContrastive,
}
"""Every loss on (class numbers `[B]`, embeddings `[B, D]`) by its name; takes its options by keyword."""


def build_loss(
    spec: str, label_smoothing: float = 0.0, options: Mapping[str, Any] | None = None
) -> keras.losses.Loss:
    """Return the loss of `LOSSES` that `spec` names, such as `focal(gamma=2)`; `options` go over its own.

    Raises:
        InputError: an unknown name or option (the known and the nearest are listed), or a value out of range.
    """
    asked = Spec.named(spec, "--loss")
    given = {**asked.options, **(options or {})}
    return build(LOSSES, asked.name, "loss", given, label_smoothing=label_smoothing)


def build_embedding_loss(spec: str, options: Mapping[str, Any] | None = None) -> keras.losses.Loss:
    """Return the loss of `EMBEDDING_LOSSES` that `spec` names; as `build_loss`."""
    asked = Spec.named(spec, "--embedding-loss")
    return build(EMBEDDING_LOSSES, asked.name, "embedding loss", {**asked.options, **(options or {})})
