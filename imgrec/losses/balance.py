"""Losses for classes of unequal size: weights and logit adjustment around any loss on soft targets."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops


def inverse_frequency(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return a weight for each class, ∝ 1 / n, float64 `[C]`.

    The mean weight over the training images is 1, so that the rate need not change: N / (C n).

    Args:
        counts: n, training images of each class, `[C]`, each at least 1.
    """
    return _mean_one(1.0 / np.asarray(counts, np.float64), counts)


def effective_number(counts: Sequence[int] | np.ndarray, beta: float = 0.999) -> np.ndarray:
    """Return a weight for each class, ∝ 1 / effective number of samples, (1 − β) / (1 − β^n), `[C]`.

    β = 0 weighs all alike, β → 1 inversely to n. As above the mean over images is 1 (in the paper the
    weights add up to C).

    Source: Cui et al., "Class-balanced loss based on effective number of samples", 2019 (arXiv
    1901.05555), equations 2 and 10.

    Args:
        counts: n, training images of each class, `[C]`, each at least 1.
        beta: β, from 0 up to but not including 1.
    """
    if beta == 0:
        return np.ones(len(counts))
    # log1p and expm1: with β near 1, 1 − β^n is a small difference.
    numbers = -np.expm1(np.asarray(counts, np.float64) * np.log1p(beta - 1.0))
    return _mean_one(1.0 / numbers, counts)


def log_prior(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return log(n / N), the logarithm of each class's share of the training images, float64 `[C]`."""
    numbers = np.asarray(counts, np.float64)
    return np.log(numbers / numbers.sum())


def _mean_one(weights: np.ndarray, counts: Sequence[int] | np.ndarray) -> np.ndarray:
    return weights / np.average(weights, weights=np.asarray(counts, np.float64))


class _Around(keras.losses.Loss):
    """A loss made of another one, `inner`, that gives a figure an image."""

    def __init__(
        self, inner: keras.losses.Loss, values: Sequence[float] | np.ndarray, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.inner = inner
        self.values = tuple(float(value) for value in values)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        inner = keras.saving.serialize_keras_object(self.inner)
        return {"inner": inner, "values": self.values, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "_Around":
        """Build the loss, and the one within, from `get_config`."""
        return cls(**{**config, "inner": keras.saving.deserialize_keras_object(config["inner"])})


@keras.saving.register_keras_serializable("imgrec")
class ClassWeighted(_Around):
    """Every image's loss times the weight of its class, Σ y w; a mixed image has the mixed weight.

    Keras's `class_weight` takes the largest entry of a soft target for its class, which is wrong with
    Mixup. Label smoothing within `inner` does not change the weights.

    Args:
        inner: the loss of an image.
        values: w, `[C]`, such as `inverse_frequency` gives.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of every image, `[B]`."""
        values = ops.convert_to_tensor(self.values, "float32")
        weights = ops.sum(ops.cast(y_true, "float32") * values, axis=-1)
        return weights * self.inner.call(y_true, y_pred)


@keras.saving.register_keras_serializable("imgrec")
class LogitAdjusted(_Around):
    """The loss of logits + τ log π in training, so that the plain logits are right for equal classes.

    With τ = 1 and cross-entropy within it is the balanced softmax of Ren et al., 2020 (arXiv 2007.10740).

    Labels are smoothed towards π^τ rather than evenly: a rare class with an even share of every target would
    have more of it than its prior, and win on images of the common ones.

    Source: Menon et al., "Long-tail learning via logit adjustment", 2021 (arXiv 2007.07314), equation 10.

    Args:
        inner: a loss of softmax, without smoothing of its own.
        values: τ log π, `[C]`, π being each class's share of the training images; see `log_prior`.
        label_smoothing: share of the target that is spread over all classes, 0…1.
    """

    def __init__(
        self,
        inner: keras.losses.Loss,
        values: Sequence[float] | np.ndarray,
        label_smoothing: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(inner, values, name)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of every image, `[B]`."""
        shift = ops.convert_to_tensor(self.values, "float32")
        targets = ops.cast(y_true, "float32") * (1.0 - self.label_smoothing)
        targets = targets + self.label_smoothing * ops.softmax(shift)
        return self.inner.call(targets, ops.cast(y_pred, "float32") + shift)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}
