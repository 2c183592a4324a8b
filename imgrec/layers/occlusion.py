"""Attention that knows which places of a feature map are hidden, and looks past them."""

from typing import Any

import keras
from keras import ops

from imgrec.errors import InputError
from imgrec.layers.composite import Composite, Configured
from imgrec.layers.transformer import SelfAttention

EPSILON = 1e-4
"""What stands in for a visibility of 0 in the logarithm: such a key keeps a ten-thousandth of its weight."""
MIN_HIDDEN = 8
"""Fewest channels between the mask's convolutions."""
START_VISIBLE = 2.0
"""Bias of the mask at the start, σ(2) ≈ 0.88: everything counts as visible until training says otherwise."""
GAIN = 0.5
"""Start of the attention's gain: where something is hidden, little else stands in the features."""


@keras.saving.register_keras_serializable("imgrec")
class OcclusionMask(Composite):
    """How visible each place of `[B, H, W, C]` is: `[B, H, W, 1]` in 0…1, 1 for visible.

    `σ(conv(relu(conv(x))))`, both convolutions 3×3 with biases.

    Args:
        ratio: C // ratio channels between the convolutions, at least 8.
    """

    def __init__(self, ratio: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ratio = ratio

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the two convolutions."""
        channels, dtype = input_shape[-1], self.dtype_policy
        hidden = max(channels // self.ratio, MIN_HIDDEN)
        start = keras.initializers.Constant(START_VISIBLE)
        self.conv1 = keras.layers.Conv2D(
            hidden, 3, padding="same", kernel_initializer="he_normal", name="conv1", dtype=dtype
        )
        self.relu = keras.layers.ReLU(name="relu", dtype=dtype)
        self.conv2 = keras.layers.Conv2D(
            1, 3, padding="same", bias_initializer=start, name="conv2", dtype=dtype
        )
        self.gate = keras.layers.Activation("sigmoid", name="gate", dtype=dtype)
        self.build_sublayers((self.conv1, input_shape), (self.conv2, (*input_shape[:3], hidden)))

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the visibility of every place."""
        return self.gate(self.conv2(self.relu(self.conv1(x))))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `[B, H, W, 1]`."""
        return (*input_shape[:3], 1)


@keras.saving.register_keras_serializable("imgrec")
class LogVisibility(Configured):
    """`log(m + ε)` of a visibility m in 0…1.

    A layer rather than two operations, because ε is smaller than an int8 step: a file with rounded
    tensors computes the whole of it in float32.

    Args:
        epsilon: ε, to which the weight of a key shrinks where m is 0.
    """

    def __init__(self, epsilon: float = EPSILON, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, visibility: Any) -> Any:
        """Return the logarithm, log ε…0, in the shape of `visibility`."""
        return ops.log(ops.add(visibility, self.epsilon))


@keras.saving.register_keras_serializable("imgrec")
class OcclusionAttention(Composite):
    """Multi-head self-attention over the places of `[B, H, W, C]` that gives hidden places less weight.

    `y = m x + g · W softmax(q kᵀ / √d + log m) v`, with m the `OcclusionMask` of x, in the attention that of
    each *key*, and g a gain for each channel: visible places keep their features, and what stands at
    hidden ones, which only tells of what hides, gives way to what the visible ones bring. Since
    `softmax(s + log m) = m eˢ / Σ m eˢ`, the weight of a key is multiplied by its visibility, for every
    query alike. Multiplying the scores by m instead, as is often sketched, draws the score of a hidden
    key towards 0, and 0 is a score like any other: above every negative one.

    There is no position embedding: convolutions that pad with zeros tell places apart (Islam et al.,
    2020, arXiv 2001.08248). Called on `x`; returns the features `[B, H, W, C]` and the mask
    `[B, H, W, 1]` in 0…1, 1 for visible.

    Args:
        heads: attention heads, of C / heads channels each.

    Source: Vaswani et al., 2017 (arXiv 1706.03762), § 3.2, for the attention; Touvron et al., "Going
    deeper with image transformers", 2021 (arXiv 2103.17239), for the gain. The mask is ours.
    """

    def __init__(self, heads: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = heads
        dtype = self.dtype_policy
        self.mask = OcclusionMask(name="mask", dtype=dtype)
        self.logarithm = LogVisibility(name="logarithm", dtype=dtype)
        self.attention = SelfAttention(heads, name="attention", dtype=dtype)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create mask, attention and the gain `[C]`.

        Raises:
            InputError: C is not a multiple of `heads`, or height and width are not known.
        """
        _, height, width, channels = input_shape
        if height is None or width is None:
            raise InputError(f"occlusion attention: got a map of {height}×{width}, expected a known size")
        self.build_sublayers(
            (self.mask, input_shape), (self.attention, (input_shape[0], height * width, channels))
        )
        gain = keras.initializers.Constant(GAIN)
        self.gain = self.add_weight(shape=(channels,), initializer=gain, name="gain")

    def call(self, x: Any, training: bool | None = None) -> tuple[Any, Any]:
        """Return the features and the mask."""
        _, height, width, channels = x.shape
        mask = self.mask(x)
        bias = ops.reshape(self.logarithm(mask), (-1, 1, 1, height * width))
        tokens = ops.reshape(x, (-1, height * width, channels))
        mixed = ops.reshape(self.attention(tokens, bias=bias), (-1, height, width, channels))
        return ops.add(ops.multiply(x, mask), ops.multiply(mixed, self.gain)), mask

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> Any:
        """Return the shapes of features and mask."""
        return input_shape, (*input_shape[:3], 1)


def mask_of(model: keras.Model) -> keras.KerasTensor:
    """Return the occlusion mask `[B, h, w, 1]` of a functional model, to supervise, explain or draw.

    Raises:
        InputError: the model has no occlusion-aware attention, or more than one.
    """
    found = [layer for layer in model.layers if isinstance(layer, OcclusionAttention)]
    if len(found) != 1:
        raise InputError(
            f"model {model.name!r} has {len(found)} occlusion-aware attentions, expected one: "
            'choose a ResNet with it, such as --model "resnet20(attention=occlusion)"'
        )
    return found[0].output[1]
