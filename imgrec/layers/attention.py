"""Channel and spatial attention for convolutional networks: SE and CBAM."""

from typing import Any, ClassVar

import keras
from keras import ops

from imgrec.layers.composite import Composite

MIN_HIDDEN = 4
"""Fewest hidden units of a bottleneck: narrow stages keep some capacity, published counts are unchanged."""


@keras.saving.register_keras_serializable("imgrec")
class SqueezeExcitation(Composite):
    """Weigh the channels of `[B, H, W, C]` by a two-layer network on their averages.

    `x · σ(W₂ relu(W₁ avg(x) + b₁) + b₂)`.

    Args:
        ratio: C // ratio hidden units, at least 4, where `hidden` is 0.
        hidden: hidden units.
        activation: of the hidden units, a Keras name such as "relu" or "silu".
        gate: σ, a Keras name: "sigmoid" or "hard_sigmoid".

    Source: Hu et al., "Squeeze-and-Excitation Networks", 2018 (arXiv 1709.01507).
    """

    widths: ClassVar = {"reduce": "hidden"}
    gates: ClassVar = ("expand",)

    def __init__(
        self,
        ratio: int = 16,
        hidden: int = 0,
        activation: str = "relu",
        gate: str = "sigmoid",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ratio = ratio
        self.hidden = hidden
        self.activation = activation
        self.gate = gate

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the two dense layers for C channels."""
        channels, dtype = input_shape[-1], self.dtype_policy
        hidden = self.hidden or max(channels // self.ratio, MIN_HIDDEN)
        self.squeeze = keras.layers.GlobalAveragePooling2D(name="squeeze", dtype=dtype)
        self.reduce = keras.layers.Dense(hidden, kernel_initializer="he_normal", name="reduce", dtype=dtype)
        self.activate = keras.layers.Activation(self.activation, name="activate", dtype=dtype)
        self.expand = keras.layers.Dense(channels, name="expand", dtype=dtype)
        self.weigh = keras.layers.Activation(self.gate, name="gate", dtype=dtype)
        self.reshape = keras.layers.Reshape((1, 1, channels), name="reshape", dtype=dtype)
        self.scale = keras.layers.Multiply(name="scale", dtype=dtype)
        self.build_sublayers((self.reduce, (None, channels)), (self.expand, (None, hidden)))

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return `x` with every channel times its gate in 0…1."""
        gate = self.weigh(self.expand(self.activate(self.reduce(self.squeeze(x)))))
        return self.scale([x, self.reshape(gate)])


@keras.saving.register_keras_serializable("imgrec")
class ChannelAttention(Composite):
    """Weigh the channels of `[B, H, W, C]` by one shared network on their averages and their maxima.

    `x · σ(mlp(avg(x)) + mlp(max(x)))`; the network has biases and `hidden` units, where that is 0
    `max(C // ratio, 4)`.

    Source: Woo et al., "CBAM: Convolutional Block Attention Module", 2018 (arXiv 1807.06521), § 3.
    """

    widths: ClassVar = {"reduce": "hidden"}
    gates: ClassVar = ("expand",)

    def __init__(self, ratio: int = 16, hidden: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ratio = ratio
        self.hidden = hidden

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the shared dense layers for C channels."""
        channels, dtype = input_shape[-1], self.dtype_policy
        hidden = self.hidden or max(channels // self.ratio, MIN_HIDDEN)
        self.average = keras.layers.GlobalAveragePooling2D(name="average", dtype=dtype)
        self.maximum = keras.layers.GlobalMaxPooling2D(name="maximum", dtype=dtype)
        self.reduce = keras.layers.Dense(hidden, kernel_initializer="he_normal", name="reduce", dtype=dtype)
        self.relu = keras.layers.ReLU(name="relu", dtype=dtype)
        self.expand = keras.layers.Dense(channels, name="expand", dtype=dtype)
        self.add = keras.layers.Add(name="add", dtype=dtype)
        self.gate = keras.layers.Activation("sigmoid", name="gate", dtype=dtype)
        self.reshape = keras.layers.Reshape((1, 1, channels), name="reshape", dtype=dtype)
        self.scale = keras.layers.Multiply(name="scale", dtype=dtype)
        self.build_sublayers((self.reduce, (None, channels)), (self.expand, (None, hidden)))

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return `x` with every channel times its gate in 0…1."""
        average, maximum = (self.expand(self.relu(self.reduce(p(x)))) for p in (self.average, self.maximum))
        gate = self.gate(self.add([average, maximum]))
        return self.scale([x, self.reshape(gate)])


@keras.saving.register_keras_serializable("imgrec")
class SpatialAttention(Composite):
    """Weigh the places of `[B, H, W, C]` by a convolution over the channels' mean and maximum.

    `x · σ(conv([mean_c(x), max_c(x)]))`; the convolution keeps the size and has no bias.

    Source: Woo et al., "CBAM: Convolutional Block Attention Module", 2018 (arXiv 1807.06521), § 3.
    """

    def __init__(self, kernel: int = 7, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel = kernel
        dtype = self.dtype_policy
        self.concatenate = keras.layers.Concatenate(name="concatenate", dtype=dtype)
        self.conv = keras.layers.Conv2D(1, kernel, padding="same", use_bias=False, name="conv", dtype=dtype)
        self.gate = keras.layers.Activation("sigmoid", name="gate", dtype=dtype)
        self.scale = keras.layers.Multiply(name="scale", dtype=dtype)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the convolution's kernel for the two maps."""
        self.build_sublayers((self.conv, (*input_shape[:3], 2)))

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return `x` with every place times its gate in 0…1."""
        maps = [ops.mean(x, axis=-1, keepdims=True), ops.max(x, axis=-1, keepdims=True)]
        return self.scale([x, self.gate(self.conv(self.concatenate(maps)))])


@keras.saving.register_keras_serializable("imgrec")
class CBAM(Composite):
    """Channel attention, then spatial attention, on `[B, H, W, C]`.

    Source: Woo et al., "CBAM: Convolutional Block Attention Module", 2018 (arXiv 1807.06521).
    """

    widths: ClassVar = {"channel_reduce": "hidden"}
    gates: ClassVar = ("channel_expand",)

    def __init__(self, ratio: int = 16, kernel: int = 7, hidden: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ratio = ratio
        self.kernel = kernel
        self.hidden = hidden
        self.channel = ChannelAttention(ratio, hidden, name="channel", dtype=self.dtype_policy)
        self.spatial = SpatialAttention(kernel, name="spatial", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Build both attentions."""
        self.build_sublayers((self.channel, input_shape), (self.spatial, input_shape))

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return `x` with channels, then places, times their gates."""
        return self.spatial(self.channel(x))
