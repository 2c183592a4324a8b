"""Teaches an occlusion mask from what random erasing hid, through the one `fit`."""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from imgrec.config import Config
from imgrec.data.pipeline import VISIBILITY
from imgrec.layers.occlusion import mask_of
from imgrec.learning.auxiliary_loss import AuxiliaryLoss
from imgrec.learning.method import Auxiliary
from imgrec.learning.session import Session

TOO_SURE = 1e-3
"""How near to 0 and 1 the loss follows the mask: beyond, what bfloat16 rounds to 1 would cost infinity."""


class MaskSupervised(AuxiliaryLoss):
    """A recogniser with its occlusion mask beside the logits, which is taught what was visible.

    Targets are (targets `[B, num_classes]`, visible `[B, H, W, 1]`), as
    a `Feed` that needs `visibility` gives them, or in validation the targets alone.

    Args:
        model: functional, with one `OcclusionAttention`.
        weight: of the mask's loss.

    Raises:
        InputError: the model has no occlusion mask.
    """

    def __init__(self, model: keras.Model, weight: float) -> None:
        super().__init__(model, mask_of(model), weight, f"{model.name}_masked")

    def targets(self, y: Any) -> Any:
        """Return the targets of the logits."""
        return _split(y)[0]

    def auxiliary_loss(self, y: Any, second: Any, training: bool) -> Any:
        """Return the mask's loss where `y` tells what was visible."""
        visible = _split(y)[1]
        return None if visible is None else mask_loss(visible, second)


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


class MaskLoss(Auxiliary):
    """`--mask-loss`: the mask of attention=occlusion learns what --erasing hid."""

    trait = "mask loss"
    needs: ClassVar[frozenset[str]] = frozenset({VISIBILITY})
    conflicts: ClassVar[Mapping[str, str]] = {
        "no erasing": "nothing is hidden without erasing: add --erasing 0.5",
        "mixing": "cannot follow what is hidden in mixed images; use no mixing",
        "frozen": "expected a network that learns as a whole: --freeze none",
        "embedding loss": "one loss beside that of the logits, please: leave out --mask-loss",
        "consistency": "one loss beside that of the logits, please: leave out {other}",
    }

    def check(self, config: Config, model: keras.Model) -> None:
        """Make sure that the model has an occlusion mask.

        Raises:
            InputError: it has none.
        """
        mask_of(model)

    def part(self, session: Session) -> keras.Model:
        """Return the model with its mask as a second output."""
        return MaskSupervised(session.model, session.config.optim.mask_loss)
