"""Figures of an epoch where an image may have several labels: each is said or not, at a probability of ½."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("imgrec")
class MicroF1(keras.metrics.Metric):
    """F1 of all decisions about labels together: 2 TP / (2 TP + FP + FN), over all batches seen.

    Called on targets float `[B, C]`, of which what is above ½ counts as there (a mixed image's labels too),
    and logits `[B, C]`, of which what is above 0 counts as said.
    """

    def __init__(self, name: str = "f1", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.right = self.add_variable((), "zeros", name="right")
        self.wrong = self.add_variable((), "zeros", name="wrong")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch; each image counts once, whatever its weight."""
        there, said = _decided(y_true, y_pred)
        both = ops.cast(ops.logical_and(there, said), self.right.dtype)
        one = ops.cast(ops.logical_xor(there, said), self.right.dtype)
        self.right.assign(self.right + ops.sum(both))
        self.wrong.assign(self.wrong + ops.sum(one))

    def result(self) -> Any:
        """Return F1 so far; 1 where no label was there or said."""
        total = 2 * self.right + self.wrong
        return ops.where(total > 0, 2 * self.right / ops.maximum(total, 1.0), 1.0)


@keras.saving.register_keras_serializable("imgrec")
class ExactMatch(keras.metrics.Mean):
    """The share of images of which every label is right, over all batches seen; called as `MicroF1`."""

    def __init__(self, name: str = "exact_match", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch; each image counts once, whatever its weight."""
        there, said = _decided(y_true, y_pred)
        super().update_state(ops.cast(ops.all(ops.equal(there, said), axis=-1), self.dtype))


def _decided(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    return ops.convert_to_tensor(y_true) > 0.5, ops.convert_to_tensor(y_pred) > 0
