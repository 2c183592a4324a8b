"""Losses against what another network says of the same images: its answers, and its features."""

import math
from typing import Any

import keras
from keras import ops

SMALLEST = 1e-6
"""Mean square below which features count as silent: what is held against them is not divided by less."""


@keras.saving.register_keras_serializable("imgrec")
class SoftTargets(keras.losses.Loss):
    """T² KL(p ‖ q) of a teacher's softened answers p and the student's q, in nats: 0 where they are equal.

    Called on the teachers' logits float `[B, K, C]` and the student's `[B, C]`; p is the mean of the K
    teachers' probabilities, each at temperature T. T² keeps the size of the gradient, about that of (1/C)
    (z − v), while T changes. Of classes that do not exclude each other, each is a choice of two, and the
    mean over the classes counts, as in binary cross-entropy.

    Args:
        temperature: T, above 0.
        activation: what makes logits probabilities, softmax or sigmoid, as `Task.activation`.

    Source: Hinton et al., "Distilling the knowledge in a neural network", 2015 (arXiv 1503.02531), section
    2; the mean of several teachers: section 1, "the arithmetic or geometric mean".
    """

    def __init__(
        self,
        temperature: float = 4.0,
        activation: str = "softmax",
        name: str = "soft_targets",
    ) -> None:
        super().__init__(name=name)
        self.temperature, self.activation = temperature, activation

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of every image, float32 `[B]`."""
        taught = ops.cast(y_true, "float32") / self.temperature
        logits = ops.cast(y_pred, "float32") / self.temperature
        if self.activation == "softmax":
            log_p, log_q = _mean(ops.log_softmax(taught, axis=-1)), ops.log_softmax(logits, axis=-1)
            return self.temperature**2 * ops.sum(_divergence(log_p, log_q), axis=-1)
        yes = _divergence(_mean(ops.log_sigmoid(taught)), ops.log_sigmoid(logits))
        no = _divergence(_mean(ops.log_sigmoid(-taught)), ops.log_sigmoid(-logits))
        return self.temperature**2 * ops.mean(yes + no, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"temperature": self.temperature, "activation": self.activation, "name": self.name}


def _mean(log_p: Any) -> Any:
    """The logarithm of the teachers' mean, `[B, C]`, from logarithms `[B, K, C]`: no answer is too sure."""
    return ops.logsumexp(log_p, axis=1) - math.log(log_p.shape[1])


def _divergence(log_p: Any, log_q: Any) -> Any:
    return ops.exp(log_p) * (log_p - log_q)


@keras.saving.register_keras_serializable("imgrec")
class Hint(keras.losses.Loss):
    """Mean squared difference of features, as a share of the mean square of the teacher's.

    Called on the teacher's features float `[B, …, D]` and the student's, brought to the same shape. The share
    of an image is about 1 where the student says nothing, whatever the endpoint's scale is, so that one
    weight fits all; the paper's squared difference is in the teacher's units.

    Source: Romero et al., "FitNets: hints for thin deep nets", 2015 (arXiv 1412.6550), equation (3).
    """

    def __init__(self, name: str = "hint") -> None:
        super().__init__(name=name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of every image, float32 `[B]`."""
        taught, shown = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        inner = tuple(range(1, len(taught.shape)))
        scale = ops.maximum(ops.mean(ops.square(taught), axis=inner), SMALLEST)
        return ops.mean(ops.square(shown - taught), axis=inner) / scale

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name}
