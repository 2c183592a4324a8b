"""The marker of a layer that is nothing but other layers and `keras.ops` operations."""

from typing import Any

import keras


class Composite(keras.layers.Layer):
    """A layer whose `call` can be unfolded into primitive layers and operations.

    A subclass creates its sublayers in `__init__`, builds them in `build`, and writes
    `call(x, training=None)` with those sublayers, its own weights and `keras.ops` alone. So
    `layer.call(symbolic)` on a `KerasTensor` records the same computation as a flat functional
    graph over the same weights; the quantiser unfolds every composite that way and then has to know
    primitive operations only.

    A weight of the layer's own may only meet a tensor computed from `x`: an operation on weights
    alone would be evaluated once, while unfolding, and its result would train no further.
    """

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's shape, which every composite keeps that does not say otherwise."""
        return input_shape

    def build_sublayers(self, *pairs: tuple[keras.layers.Layer, tuple[int | None, ...]]) -> None:
        """Build each `(sublayer, input shape)` pair, so that its weights exist under stable names."""
        for layer, shape in pairs:
            if not layer.built:
                layer.build(shape)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Compute the output from sublayers, own weights and `keras.ops`."""
        raise NotImplementedError(f"{type(self).__name__} has no call")
