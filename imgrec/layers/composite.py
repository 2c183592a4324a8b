"""What layers of our own have in common, and the marker of those that are nothing but other layers."""

import inspect
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import keras


class Configured(keras.layers.Layer):
    """A layer that keeps each of its constructor's arguments as an attribute of that name, for its config.

    Its output has its input's shape where a subclass does not say otherwise.
    """

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, tuples as JSON's lists."""
        _, *names = inspect.getfullargspec(type(self).__init__).args
        values = {name: getattr(self, name) for name in names}
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        return {**super().get_config(), **values, **lists}


class Composite(Configured):
    """A layer whose `call` can be unfolded into primitive layers and operations.

    A subclass creates its sublayers in `__init__`, builds them in `build`, and writes
    `call(x, training=None)` with those sublayers, its own weights and `keras.ops` alone. So
    `layer.call(symbolic)` on a `KerasTensor` records the same computation as a flat functional
    graph over the same weights; the quantiser unfolds every composite that way and then has to know
    primitive operations only.

    A weight of the layer's own may only meet a tensor computed from `x`: an operation on weights
    alone would be evaluated once, while unfolding, and its result would train no further.

    `widths` and `gates` say how it is made narrower inside, by the names of sublayers in the unfolded
    graph, after the composite's own. Pruning leaves whole all other sublayers.

    Attributes:
        widths: sublayer → the constructor argument that is its number of units.
        gates: sublayers with a unit for each channel of the input, which what they give is multiplied with.
    """

    widths: ClassVar[Mapping[str, str]] = {}
    gates: ClassVar[Collection[str]] = ()

    def build_sublayers(self, *pairs: tuple[keras.layers.Layer, tuple[int | None, ...]]) -> None:
        """Build each `(sublayer, input shape)` pair, so that its weights exist under stable names."""
        for layer, shape in pairs:
            if not layer.built:
                layer.build(shape)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Compute the output from sublayers, own weights and `keras.ops`."""
        raise NotImplementedError(f"{type(self).__name__} has no call")
