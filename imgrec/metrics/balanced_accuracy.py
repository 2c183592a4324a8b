"""Balanced accuracy while training: the mean of the classes' recalls."""

from typing import Any

import keras
from keras import ops


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
