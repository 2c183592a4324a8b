"""Teaching something beside the logits, through the one `fit`."""

from typing import Any

import keras
from keras import ops


class AuxiliaryLoss(keras.Model):
    """A recogniser with a second output beside the logits, for training: a `part` of `fit_phases`.

    It shares all layers with `model`. The loss is that of the logits plus `weight` times `auxiliary_loss`; in
    validation there is the loss of the logits alone, so that it compares with that of any other model.
    Metrics see the logits alone.

    Args:
        model: functional, from pixels to logits.
        second: a tensor within `model` that the second loss is about.
        weight: of the second loss.
        name: of this model.
    """

    def __init__(self, model: keras.Model, second: Any, weight: float, name: str) -> None:
        super().__init__(model.inputs, [model.output, second], name=name)
        self.auxiliary_weight = weight

    def targets(self, y: Any) -> Any:
        """Return the targets of the logits, `[B, num_classes]`."""
        return y

    def auxiliary_loss(self, y: Any, second: Any, training: bool) -> Any:
        """Return the second loss, a scalar, or None where there is none."""
        raise NotImplementedError

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss of the logits, plus the second where there is one."""
        loss = super().compute_loss(x, self.targets(y), y_pred[0], sample_weight, training)
        second = self.auxiliary_loss(y, y_pred[1], training)
        return loss if second is None else loss + self.auxiliary_weight * second

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Return the metrics of the logits."""
        return super().compute_metrics(x, self.targets(y), y_pred[0], sample_weight)


class EmbeddingSupervised(AuxiliaryLoss):
    """A recogniser whose features shall lie near those of their class: a loss on the endpoint `features`.

    Targets are `[B, num_classes]`, one-hot: a mixed image has no class of its own.

    Args:
        model: functional, with an endpoint `features` of `[B, D]`.
        loss: of `losses.EMBEDDING_LOSSES`, on class numbers and features.
        weight: of that loss beside the logits'.
    """

    def __init__(self, model: keras.Model, loss: keras.losses.Loss, weight: float) -> None:
        super().__init__(model, model.get_layer("features").output, weight, f"{model.name}_embedded")
        self.embedding_loss = loss

    def auxiliary_loss(self, y: Any, second: Any, training: bool) -> Any:
        """Return the loss of the features, in training."""
        return self.embedding_loss(ops.argmax(y, axis=-1), second) if training else None
