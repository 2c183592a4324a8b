"""What stands at the end of a residual branch: a learned factor a channel, and stochastic depth."""

from typing import Any

import keras
from keras import ops

from imgrec.layers.composite import Composite, Configured


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


@keras.saving.register_keras_serializable("imgrec")
class StochasticDepth(Composite):
    """Leave a residual branch `[B, …]` out for a random share `rate` of the batch's images.

    In training an image's branch is zero with probability `rate` and else divided by `1 - rate`, so
    that its mean stays; in inference nothing changes. Stands at the end of a branch, before the addition.

    Source: Huang et al., "Deep Networks with Stochastic Depth", 2016 (arXiv 1603.09382), by image as in
    torchvision's `StochasticDepth(mode="row")`.
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the dropout that draws one number an image."""
        shape = (None, *(1 for _ in input_shape[1:]))
        self.drop = keras.layers.Dropout(self.rate, noise_shape=shape, name="drop", dtype=self.dtype_policy)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return `x` with whole images dropped."""
        return self.drop(x, training=training)


def drop_path(x: Any, rate: float, name: str) -> Any:
    """Put stochastic depth behind a branch; no layer where `rate` is 0."""
    return StochasticDepth(rate, name=name)(x) if rate else x


def rates(total: int, last: float) -> list[float]:
    """Return the rate of each of `total` blocks, rising linearly from 0 to `last` (§ 4 of the paper)."""
    return [last * index / max(total - 1, 1) for index in range(total)]
