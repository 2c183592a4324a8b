"""Teaches a recogniser to answer alike for AugMix views of an image, through the one `fit`."""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from imgrec.data.pipeline import VIEWS
from imgrec.learning.auxiliary_loss import TwoLosses
from imgrec.learning.method import Auxiliary
from imgrec.learning.session import Session


class Consistent(TwoLosses, keras.Model):
    """A recogniser whose answers for several views of an image shall agree: a `part` of `fit_phases`.

    Training inputs are `[B, V, H, W, C]`, as a `Feed` that needs `views` gives them, the image itself
    first; all views go through `model` as one batch. The loss is that of the image's own logits plus
    `weight` times the divergence of the views' answers. Validation inputs are `[B, H, W, C]` and their loss
    that of the logits alone. Metrics see the image's own logits.

    Args:
        model: from pixels `[B, H, W, C]` to logits.
        weight: of the divergence; the paper's is 12.

    Source: Hendrycks et al., "AugMix", 2020 (arXiv 1912.02781), section 3.
    """

    def __init__(self, model: keras.Model, weight: float) -> None:
        super().__init__(name=f"{model.name}_consistent")
        self.recogniser, self.auxiliary_weight = model, weight

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return logits: `[B, V, num_classes]` of views, `[B, num_classes]` of images."""
        if len(inputs.shape) == 4:
            return self.recogniser(inputs, training=training)
        views, *shape = inputs.shape[1:]
        logits = self.recogniser(ops.reshape(inputs, (-1, *shape)), training=training)
        return ops.reshape(logits, (-1, views, logits.shape[-1]))

    def parts(self, y_pred: Any) -> tuple[Any, Any]:
        """Return the images' own logits, and those of all views where there are any."""
        return (y_pred, None) if len(y_pred.shape) == 2 else (y_pred[:, 0], y_pred)

    def auxiliary_loss(self, y: Any, second: Any, training: bool) -> Any:
        """Return the divergence of the views' answers."""
        return None if second is None else jensen_shannon(second)


def jensen_shannon(logits: Any) -> Any:
    """Return the Jensen-Shannon divergence of softmax answers, in nats: 0 (all equal) to log V.

    The mean over the views of KL(answer ‖ mean answer), equation (1) of the paper.

    Args:
        logits: float `[B, V, num_classes]`.

    Returns:
        float32, a scalar: the mean over the batch.
    """
    answers = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    # The logarithm of the mean from logarithms: no answer is too sure for it.
    mean = ops.logsumexp(answers, axis=1, keepdims=True) - ops.log(float(logits.shape[1]))
    divergence = ops.sum(ops.exp(answers) * (answers - mean), axis=-1)
    return ops.mean(divergence)


class Consistency(Auxiliary):
    """`--augmix-consistency`: equal answers for an image and two AugMix views of it."""

    trait = "consistency"
    needs: ClassVar[frozenset[str]] = frozenset({VIEWS})
    conflicts: ClassVar[Mapping[str, str]] = {
        "mixing": "compares views of one image, and a mixed one is of two; use no mixing",
        "augmix line": "makes its own AugMix views; take augmix out of --augment",
        "frozen": "expected a network that learns as a whole: --freeze none",
        "binary loss": "compares softmax answers, and {other} gives none",
        "mask loss": "one loss beside that of the logits, please: leave out the other",
        "embedding loss": "one loss beside that of the logits, please: leave out the other",
    }

    def part(self, session: Session) -> keras.Model:
        """Return the model that answers for all views of an image."""
        return Consistent(session.model, session.config.loss.augmix_consistency)
