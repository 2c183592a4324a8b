"""Focal losses, of softmax and of sigmoid, whose gradients stay exact however sure the answer is."""

from typing import Any

import keras
from keras import ops

from imgrec.spec import number_option

UNDERFLOW = 1e-30
"""Below this 1 − p counts as 0: its power's derivative, for γ < 1, would divide by zero."""


@keras.saving.register_keras_serializable("imgrec")
class CategoricalFocal(keras.losses.Loss):
    """Cross-entropy in which an image counts the less, the surer it is recognised: −Σ y (1 − p)^γ log p.

    Called on targets float `[B, C]`, which may be soft, and logits `[B, C]`. Both log p and 1 − p are
    computed without cancellation, so that value and gradient are right to float32's precision for any
    finite logits; γ = 0 gives cross-entropy.

    Args:
        gamma: γ, 0 or more.
        label_smoothing: share of the target that is spread evenly over all classes, 0…1.

    Raises:
        InputError: γ is no number, or negative.

    Source: Lin et al., "Focal loss for dense object detection", 2017 (arXiv 1708.02002), section 3.
    """

    def __init__(self, gamma: float = 2.0, label_smoothing: float = 0.0, name: str = "focal") -> None:
        super().__init__(name=name)
        self.gamma = number_option("gamma", gamma, low=0.0)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of every image, float32 `[B]`."""
        log_p, rest = log_softmax_and_rest(ops.cast(y_pred, "float32"))
        targets = ops.cast(y_true, "float32")
        targets = targets * (1.0 - self.label_smoothing) + self.label_smoothing / y_pred.shape[-1]
        return -ops.sum(targets * ops.power(ops.maximum(rest, UNDERFLOW), self.gamma) * log_p, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"gamma": self.gamma, "label_smoothing": self.label_smoothing, "name": self.name}


def log_softmax_and_rest(logits: Any) -> tuple[Any, Any]:
    """Return log p and 1 − p of the softmax, `[B, C]` each, to the type's relative precision.

    Where p rounds to 1, 1 − p is the sum of the other classes' shares rather than a difference.
    """
    first = ops.one_hot(ops.argmax(logits, axis=-1), logits.shape[-1], dtype="bool")
    # Not the maximum operation: among equal logits its gradient would be divided. And a plain 0 in the
    # first place: there the gradients of z − z would have to cancel.
    largest = ops.sum(ops.where(first, logits, 0.0), axis=-1, keepdims=True)
    below = ops.where(first, 0.0, logits - largest)
    others = ops.sum(ops.where(first, 0.0, ops.exp(below)), axis=-1, keepdims=True)
    log_p = below - ops.log1p(others)
    return log_p, ops.where(first, others / (1.0 + others), 1.0 - ops.exp(log_p))


@keras.saving.register_keras_serializable("imgrec")
class BinaryFocal(keras.losses.Loss):
    """The same for independent yes-or-no classes: −α y (1 − p)^γ log p − (1 − α)(1 − y) p^γ log(1 − p).

    Called on targets float `[B, C]` in 0…1 and logits `[B, C]`; the mean over classes.

    Args:
        gamma: γ, 0 or more.
        alpha: weight of the presence of a class against its absence, 0…1; None weighs both 1.
        label_smoothing: ε; targets become y (1 − ε) + ε / 2.

    Raises:
        InputError: γ or α out of range.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | None = None,
        label_smoothing: float = 0.0,
        name: str = "binary_focal",
    ) -> None:
        super().__init__(name=name)
        self.gamma = number_option("gamma", gamma, low=0.0)
        self.alpha = None if alpha is None else number_option("alpha", alpha, low=0.0, high=1.0)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of every image, float32 `[B]`."""
        logits = ops.cast(y_pred, "float32")
        log_yes, log_no = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
        targets = ops.cast(y_true, "float32") * (1.0 - self.label_smoothing) + self.label_smoothing / 2
        yes, no = (1.0, 1.0) if self.alpha is None else (self.alpha, 1.0 - self.alpha)
        # The power of 1 − p as an exponential of its logarithm: no cancellation where p rounds to 1.
        present = yes * targets * ops.exp(self.gamma * log_no) * log_yes
        absent = no * (1.0 - targets) * ops.exp(self.gamma * log_yes) * log_no
        return -ops.mean(present + absent, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "gamma": self.gamma,
            "alpha": self.alpha,
            "label_smoothing": self.label_smoothing,
            "name": self.name,
        }
