"""Losses that bring embeddings of one class together: triplets, and supervised contrast.

Called on class numbers `[B]` and embeddings `[B, D]` of any type. Embeddings are brought to length 1, and
all is computed in float32: in bfloat16 a distance of two alike is a difference that rounds below zero, and
its root no number.
"""

from typing import Any

import keras
from keras import ops

from imgrec.errors import InputError
from imgrec.spec import number_option

FAR = 1e9
"""A distance that no pair has, for those that do not count."""
ALIKE = 1e-6
"""Squared distances below this are float32's rounding of 0; a root there has no slope to follow."""


def unit_length(embeddings: Any) -> Any:
    """Return float32 `[B, D]` of length 1; a zero vector stays zero."""
    values = ops.cast(embeddings, "float32")
    return values * ops.rsqrt(ops.maximum(ops.sum(values * values, axis=-1, keepdims=True), 1e-12))


def distances(units: Any) -> Any:
    """Return the Euclidean distances between vectors of length 1 `[B, D]`, float32 `[B, B]`, 0…2."""
    squared = 2.0 - 2.0 * ops.matmul(units, ops.transpose(units))
    apart = squared > ALIKE
    # Inside, too: a gradient through the branch not taken would be 0 × ∞.
    return ops.where(apart, ops.sqrt(ops.where(apart, squared, 1.0)), 0.0)


def pairs(labels: Any) -> tuple[Any, Any]:
    """Return bool `[B, B]`: pairs of one class (an image and itself left out), pairs of two."""
    labels = ops.reshape(labels, (-1,))
    same = ops.equal(labels[:, None], labels[None, :])
    itself = ops.eye(ops.shape(labels)[0], dtype="bool")
    return ops.logical_and(same, ops.logical_not(itself)), ops.logical_not(same)


def mean_over(values: Any, counted: Any) -> Any:
    """Return float32 `[B]` whose mean is that of `values` `[B]` or `[B, P]` where `counted`, 0 without any.

    A figure an image, so that Keras's reduction, which knows of devices, has something to reduce.
    """
    counted = ops.cast(counted, "float32")
    batch = ops.shape(values)[0]
    each = ops.sum(ops.reshape(values * counted, (batch, -1)), axis=-1)
    return each * ops.cast(batch, "float32") / ops.maximum(ops.sum(counted), 1.0)


@keras.saving.register_keras_serializable("imgrec")
class Triplet(keras.losses.Loss):
    """The nearest wrong neighbour should be farther than one of the own class, by a margin.

    `hard`: for every image its farthest positive and its nearest negative (Hermans, Beyer and Leibe, "In
    defense of the triplet loss", 2017, arXiv 1703.07737, equation 5). `semi_hard`: for every pair of one
    class the nearest negative that is farther than the positive, or where there is none the farthest
    negative (Schroff, Kalenichenko and Philbin, "FaceNet", 2015, arXiv 1503.03832, section 3.2); takes B³
    comparisons. The mean over images, or pairs, that have both a positive and a negative; 0 without any.

    Args:
        mining: hard or semi_hard.
        margin: of Euclidean distances between vectors of length 1; `soft` takes log(1 + exp(difference)).

    Raises:
        InputError: another mining, or a margin that is no positive number.
    """

    def __init__(self, mining: str = "hard", margin: float | str = 0.2, name: str = "triplet") -> None:
        super().__init__(name=name)
        if mining not in ("hard", "semi_hard"):
            raise InputError(f"mining={mining!r}: expected hard or semi_hard")
        self.mining = mining
        self.margin = margin if margin == "soft" else number_option("margin", margin, low=0.0)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return each image's part, float32 `[B]`, scaled so that the mean is that of what counts."""
        distance = distances(unit_length(y_pred))
        positive, negative = pairs(y_true)
        mine = self._hard if self.mining == "hard" else self._semi_hard
        return mean_over(*mine(distance, positive, negative))

    def _hard(self, distance: Any, positive: Any, negative: Any) -> tuple[Any, Any]:
        farthest = ops.max(ops.where(positive, distance, 0.0), axis=1)
        nearest = ops.min(ops.where(negative, distance, FAR), axis=1)
        counted = ops.logical_and(ops.any(positive, axis=1), ops.any(negative, axis=1))
        return self._hinge(farthest - nearest), counted

    def _semi_hard(self, distance: Any, positive: Any, negative: Any) -> tuple[Any, Any]:
        # [anchor, positive, negative]
        beyond = ops.logical_and(negative[:, None, :], distance[:, None, :] > distance[:, :, None])
        nearest = ops.min(ops.where(beyond, distance[:, None, :], FAR), axis=2)
        farthest = ops.max(ops.where(negative, distance, 0.0), axis=1, keepdims=True)
        chosen = ops.where(ops.any(beyond, axis=2), nearest, farthest)
        counted = ops.logical_and(positive, ops.any(negative, axis=1, keepdims=True))
        return self._hinge(distance - chosen), counted

    def _hinge(self, difference: Any) -> Any:
        return ops.softplus(difference) if self.margin == "soft" else ops.relu(difference + self.margin)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"mining": self.mining, "margin": self.margin, "name": self.name}


@keras.saving.register_keras_serializable("imgrec")
class SupervisedContrastive(keras.losses.Loss):
    """Every image should find those of its class among all others by a softmax over similarities.

    −1/|P| Σ_p log(exp(z·z_p / τ) / Σ_a exp(z·z_a / τ)), P being the others of its class in the batch and a
    all others; the mean over images that have such. One view an image, without the paper's projection head.

    Source: Khosla et al., "Supervised contrastive learning", 2020 (arXiv 2004.11362), equation 2.

    Args:
        temperature: τ, more than 0.

    Raises:
        InputError: τ is no such number.
    """

    def __init__(self, temperature: float = 0.1, name: str = "supcon") -> None:
        super().__init__(name=name)
        self.temperature = number_option("temperature", temperature, low=1e-3)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return each image's part, float32 `[B]`, scaled so that the mean is that of what counts."""
        units = unit_length(y_pred)
        similarity = ops.matmul(units, ops.transpose(units)) / self.temperature
        positive, negative = pairs(y_true)
        others = ops.logical_or(positive, negative)
        total = ops.logsumexp(ops.where(others, similarity, -FAR), axis=1, keepdims=True)
        weight = ops.cast(positive, "float32")
        count = ops.sum(weight, axis=1)
        values = ops.sum(weight * (total - similarity), axis=1) / ops.maximum(count, 1.0)
        return mean_over(values, count > 0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"temperature": self.temperature, "name": self.name}
