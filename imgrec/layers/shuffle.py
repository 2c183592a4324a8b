"""Channels taken apart and shuffled: what lets groups of channels exchange information for nothing."""

from typing import Any

from keras import ops
from keras.saving import register_keras_serializable

from imgrec.errors import InputError
from imgrec.layers.composite import Composite


@register_keras_serializable("imgrec")
class ChannelShuffle(Composite):
    """Interleave the groups of channels of `[B, H, W, C]`: the first of each group, then the second of each.

    H and W must be known.

    Source: Zhang et al., "ShuffleNet", 2018 (arXiv 1707.01083), § 3.1.
    """

    def __init__(self, groups: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.groups = groups

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Check the channels.

        Raises:
            InputError: C is not a multiple of the number of groups.
        """
        if input_shape[-1] % self.groups:
            raise InputError(
                f"channel shuffle: got {input_shape[-1]} channels for {self.groups} groups, "
                f"expected a multiple"
            )

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return `x` with its channels in their new order."""
        _, height, width, channels = x.shape
        # Places in one dimension: the transposition then has four, which mobile GPUs can do.
        x = ops.reshape(x, (-1, height * width, self.groups, channels // self.groups))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2)), (-1, height, width, channels))


@register_keras_serializable("imgrec")
class ChannelSlice(Composite):
    """Take the channels from `start` up to but not including `stop` of `[B, H, W, C]`.

    Source: Ma et al., "ShuffleNet V2", 2018 (arXiv 1807.11164), § 3.2, whose channel split is two of these.
    """

    def __init__(self, start: int, stop: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start
        self.stop = stop

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Check the channels.

        Raises:
            InputError: the slice is empty or leaves the C channels.
        """
        if not 0 <= self.start < self.stop <= input_shape[-1]:
            raise InputError(
                f"channel slice: got {self.start}…{self.stop}, expected 0 ≤ start < stop ≤ {input_shape[-1]}"
            )

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the slice."""
        return x[:, :, :, self.start : self.stop]

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `[B, H, W, stop − start]`."""
        return (*input_shape[:-1], self.stop - self.start)
