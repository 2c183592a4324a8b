"""A learned factor for each channel of a residual branch."""

from typing import Any

import keras
from keras import ops

from imgrec.layers.composite import Configured


@keras.saving.register_keras_serializable("imgrec")
class LayerScale(Configured):
    """Multiply each channel of `[B, …, C]` by a learned factor, small at first.

    A primitive, not a composite: the quantiser folds it into the convolution before it, as it does
    with a normalisation, so that an int8 file holds no product at all.

    Args:
        start: every factor's first value.

    Weight: `scale` `[C]`.

    Source: Touvron et al., "Going deeper with Image Transformers", 2021 (arXiv 2103.17239), § 2.
    """

    def __init__(self, start: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the factors."""
        start = keras.initializers.Constant(self.start)
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer=start, name="scale")

    def call(self, x: Any) -> Any:
        """Return `x` times the factors."""
        return ops.multiply(x, ops.cast(self.scale, x.dtype))
