"""Teaches an occlusion mask from what random erasing hid, through the one `fit`."""

from typing import Any

import keras
from keras import ops

from imgrec.layers.occlusion import mask_of

TOO_SURE = 1e-3
"""How near to 0 and 1 the loss follows the mask: beyond, what bfloat16 rounds to 1 would cost infinity."""


class MaskSupervised(keras.Model):
    """A recogniser with its occlusion mask beside the logits, for training: a `part` of `fit_phases`.

    It shares all layers with `model`. Targets are (targets `[B, num_classes]`, visible `[B, H, W, 1]`), as
    `training_dataset(…, visibility=True)` gives them, and the loss is that of the logits plus `weight` times
    `mask_loss`. With plain targets, in validation, there is the loss of the logits alone, so that it
    compares with that of any other model; metrics see the logits alone.

    Args:
        model: functional, with one `OcclusionAttention`.
        weight: of the mask's loss.

    Raises:
        InputError: the model has no occlusion mask.
    """

    def __init__(self, model: keras.Model, weight: float) -> None:
        super().__init__(model.inputs, [model.output, mask_of(model)], name=f"{model.name}_masked")
        self.mask_weight = weight

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss of the logits, plus the mask's where `y` tells what was visible."""
        targets, visible = _split(y)
        loss = super().compute_loss(x, targets, y_pred[0], sample_weight, training)
        return loss if visible is None else loss + self.mask_weight * mask_loss(visible, y_pred[1])

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Return the metrics of the logits."""
        return super().compute_metrics(x, _split(y)[0], y_pred[0], sample_weight)


def mask_loss(visible: Any, mask: Any) -> Any:
    """Binary cross-entropy between a mask and the visible share of the pixels under each of its places.

    Args:
        visible: float `[B, H, W, 1]`, 1 for visible, 0 for hidden.
        mask: float `[B, h, w, 1]` in 0…1, h ≤ H and w ≤ W.

    Returns:
        float32, a scalar: the mean over places and batch.
    """
    share = visible_share(visible, mask.shape[1:3])
    mask = ops.clip(ops.cast(mask, "float32"), TOO_SURE, 1 - TOO_SURE)
    return keras.losses.BinaryCrossentropy()(share, mask)


def visible_share(visible: Any, size: tuple[int, int]) -> Any:
    """Return the mean of `visible` float `[B, H, W, 1]` under each place of a map of `size`, float32."""
    # Keras's pooling takes tensors only, not arrays.
    visible = ops.convert_to_tensor(visible, "float32")
    return ops.adaptive_average_pool(visible, size, data_format="channels_last")


def _split(y: Any) -> tuple[Any, Any]:
    return (y[0], y[1]) if isinstance(y, (tuple, list)) else (y, None)
