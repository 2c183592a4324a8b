"""Figures of an epoch, counted over batches: Keras metrics on targets and logits."""

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


@keras.saving.register_keras_serializable("imgrec")
class BalancedAccuracy(keras.metrics.Metric):
    """The share of images that are recognised, every class counting the same, over all batches seen.

    Called on targets float `[B, C]` and logits `[B, C]`; a soft target counts for its largest entry. Classes
    not seen stay out of the mean.

    Args:
        num_classes: C.
    """

    def __init__(self, num_classes: int, name: str = "balanced_accuracy", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.num_classes = num_classes
        self.right = self.add_variable((num_classes,), "zeros", name="right")
        self.seen = self.add_variable((num_classes,), "zeros", name="seen")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch; each image counts once, whatever its weight."""
        label = ops.argmax(y_true, axis=-1)
        members = ops.one_hot(label, self.num_classes, dtype=self.seen.dtype)
        hit = ops.cast(ops.equal(label, ops.argmax(y_pred, axis=-1)), self.seen.dtype)
        self.seen.assign(self.seen + ops.sum(members, axis=0))
        self.right.assign(self.right + ops.sum(members * hit[:, None], axis=0))

    def result(self) -> Any:
        """Return the mean recall so far, 0 before anything was seen."""
        present = ops.cast(self.seen > 0, self.seen.dtype)
        recall = self.right / ops.maximum(self.seen, 1.0)
        return ops.sum(recall * present) / ops.maximum(ops.sum(present), 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "num_classes": self.num_classes}
