"""Teaching something beside the outputs, through the one `fit`; of it, losses on the features."""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from imgrec.config import Config
from imgrec.learning.method import Auxiliary
from imgrec.learning.session import Session
from imgrec.losses import build_embedding_loss


class TwoLosses:
    """Mixin before a Keras model: to the loss of the logits `auxiliary_weight` times another one is added.

    Metrics see the logits alone.
    """

    auxiliary_weight: float

    def parts(self, y_pred: Any) -> tuple[Any, Any]:
        """Return the logits `[B, num_classes]`, and what the second loss is about."""
        return y_pred

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
        logits, second = self.parts(y_pred)
        loss = super().compute_loss(x, self.targets(y), logits, sample_weight, training)  # type: ignore[misc]
        second = self.auxiliary_loss(y, second, training)
        return loss if second is None else loss + self.auxiliary_weight * second

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Return the metrics of the logits."""
        logits, _ = self.parts(y_pred)
        return super().compute_metrics(x, self.targets(y), logits, sample_weight)  # type: ignore[misc]


class AuxiliaryLoss(TwoLosses, keras.Model):
    """A recogniser with a second output beside the logits, for training: a `part` of `fit_phases`.

    It shares all layers with `model`. In validation there is the loss of the logits alone, so that it
    compares with that of any other model.

    Args:
        model: functional, from pixels to logits.
        second: a tensor within `model` that the second loss is about.
        weight: of the second loss.
        name: of this model.
    """

    def __init__(self, model: keras.Model, second: Any, weight: float, name: str) -> None:
        super().__init__(model.inputs, [model.output, second], name=name)
        self.auxiliary_weight = weight


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


class Embedding(Auxiliary):
    """`--embedding-loss`: features near those of their class."""

    trait = "embedding loss"
    conflicts: ClassVar[Mapping[str, str]] = {
        "mixing": "a mixed image has no class of its own; use no mixing",
        "frozen": "expected features that learn: --freeze none",
        "mask loss": "one loss beside that of the logits, please: leave out --mask-loss",
        "consistency": "one loss beside that of the logits, please: leave out {other}",
    }

    def check(self, config: Config, model: keras.Model) -> None:
        """Make sure that there is such a loss.

        Raises:
            InputError: an unknown loss or option.
        """
        build_embedding_loss(config.loss.embedding_loss)

    def part(self, session: Session) -> keras.Model:
        """Return the model with its features as a second output."""
        settings = session.config.loss
        loss = build_embedding_loss(settings.embedding_loss)
        return EmbeddingSupervised(session.model, loss, settings.embedding_weight)
