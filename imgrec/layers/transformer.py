"""The parts of a vision transformer, on tokens `[B, N, D]`.

Dense layers get `[B·N, D]`: TensorFlow Lite then runs a fully connected operation, with a scale for
each output channel, where three dimensions would give it a batched matrix product with one scale.
Their kernels start Glorot-uniform (Keras's default), as in ViT's own code and torchvision's; a
normal of σ 0.02, as timm has it, is too small for narrow models trained from nothing. Swin starts from
that normal in its own code and in torchvision's: there `stddev` says so.
"""

import math
from typing import Any, ClassVar

import keras
from keras import ops

from imgrec.errors import InputError
from imgrec.layers.composite import Composite
from imgrec.layers.relative_position import RelativePositionBias

EPSILON = 1e-6
"""ε of every layer normalisation, as in the reference implementations of ViT."""

_DENSITY = 1 / math.sqrt(2 * math.pi)


@ops.custom_gradient
def exact_gelu(x: Any) -> Any:
    """Return x · Φ(x), Φ the normal distribution function; any shape, floating point.

    The derivative, Φ(x) + x · φ(x), takes Φ from the forward pass. Derived from the composed operation it
    takes half as many passes again, which is 6 % of a ViT-Ti's step in float32 on a CPU.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016 (arXiv 1606.08415), section 2.
    """
    below = 0.5 * ops.erf(x * math.sqrt(0.5)) + 0.5

    def gradient(*arguments: Any, upstream: Any = None) -> Any:
        # TensorFlow and JAX hand it over in their own ways.
        outer = arguments[0] if upstream is None else upstream
        return outer * (x * (ops.exp(-0.5 * ops.square(x)) * _DENSITY) + below)

    return x * below, gradient


def truncated_normal() -> keras.initializers.Initializer:
    """Return a fresh truncated normal initialiser, σ 0.02: for tokens, positions and logits."""
    return keras.initializers.TruncatedNormal(stddev=0.02)


def _dense(units: int, stddev: float, name: str, dtype: Any) -> keras.layers.Dense:
    """A dense layer whose kernel starts truncated-normal, or Glorot-uniform where `stddev` is 0."""
    start = keras.initializers.TruncatedNormal(stddev=stddev) if stddev else "glorot_uniform"
    return keras.layers.Dense(units, kernel_initializer=start, name=name, dtype=dtype)


def layer_norm(x: Any, name: str, epsilon: float = EPSILON) -> Any:
    """Normalise every token, or every place of a map `[B, H, W, C]`, over its features."""
    return keras.layers.LayerNormalization(epsilon=epsilon, name=name)(x)


@keras.saving.register_keras_serializable("imgrec")
class TokenEmbedding(Composite):
    """Put a learned class token before the patches and add a learned position to every token.

    `[B, N, D]` becomes `[B, N + 1, D]`, or stays `[B, N, D]` with `class_token=False`.

    Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021 (arXiv 2010.11929), eq. 1.
    """

    def __init__(self, class_token: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.class_token = class_token
        self.dropout = dropout
        self.drop = keras.layers.Dropout(dropout, name="drop", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the class token `[1, 1, D]` and the positions `[1, tokens, D]`."""
        _, tokens, width = self.compute_output_shape(input_shape)
        if self.class_token:
            self.token = self.add_weight((1, 1, width), truncated_normal(), name="class_token")
        self.position = self.add_weight((1, tokens, width), truncated_normal(), name="position")

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the tokens in their places."""
        if self.class_token:
            first = ops.add(ops.zeros_like(x[:, :1]), self.token)
            x = ops.concatenate([first, x], axis=1)
        return self.drop(ops.add(x, self.position), training=training)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `[B, N + 1, D]`, or the input's shape without a class token."""
        batch, tokens, width = input_shape
        return batch, tokens + int(self.class_token), width


@keras.saving.register_keras_serializable("imgrec")
class ClassToken(Composite):
    """Take the first token: `[B, N, D]` becomes `[B, D]`."""

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return token 0."""
        return x[:, 0]

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `[B, D]`."""
        return input_shape[0], input_shape[2]


@keras.saving.register_keras_serializable("imgrec")
class SelfAttention(Composite):
    """Multi-head self-attention: `[B, N, D]` to `[B, N, width]`.

    `softmax(q kᵀ / √d + bias) v` a head, then a projection. Query, key and value come from one dense
    layer, in that order and heads side by side inside each: PyTorch's `in_proj_weight` and timm's `qkv`.

    Args:
        heads: number of heads.
        dropout: share of the output dropped in training.
        width: features of query, key, value and output; 0 for D.
        window: (h, w) of the grid that the N tokens come from, row by row, for a bias by relative
            position; None for no bias.
        heads_first: whether the dense layer has its units head by head instead, query, key and value
            side by side inside each, as timm's `Attention2d`.
        stddev: σ of the truncated normal that the kernels start from; 0 for Glorot-uniform.

    Source: Vaswani et al., "Attention Is All You Need", 2017 (arXiv 1706.03762), § 3.2.
    """

    def __init__(
        self,
        heads: int,
        dropout: float = 0.0,
        width: int = 0,
        window: tuple[int, int] | None = None,
        heads_first: bool = False,
        stddev: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stddev = stddev
        self.heads = heads
        self.dropout = dropout
        self.width = width
        self.window = (int(window[0]), int(window[1])) if window else None
        self.heads_first = heads_first
        self.drop = keras.layers.Dropout(dropout, name="drop", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the projections, and the bias where there is one.

        Raises:
            InputError: the width is not a multiple of the number of heads.
        """
        _, tokens, width = self.compute_output_shape(input_shape)
        dtype = self.dtype_policy
        if width % self.heads:
            raise InputError(
                f"self-attention: got {width} features for {self.heads} heads, expected a multiple"
            )
        self.qkv = _dense(3 * width, self.stddev, "qkv", dtype)
        self.projection = _dense(width, self.stddev, "projection", dtype)
        self.softmax = keras.layers.Softmax(name="softmax", dtype=dtype)
        self.build_sublayers((self.qkv, (None, input_shape[-1])), (self.projection, (None, width)))
        if self.window:
            self.position = RelativePositionBias(self.window, self.heads, name="position", dtype=dtype)
            self.build_sublayers((self.position, (None, self.heads, tokens, tokens)))

    def call(self, x: Any, training: bool | None = None, bias: Any = None) -> Any:
        """Return every token's mixture of all tokens.

        `bias`, in a shape that broadcasts to `[B, heads, N, N]` (query, key), is added to the scores.
        """
        _, tokens, width = self.compute_output_shape(x.shape)
        weights, value = self._weighed(x, bias)
        mixed = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        projected = self.projection(ops.reshape(mixed, (-1, width)))
        return self.drop(ops.reshape(projected, (-1, tokens, width)), training=training)

    def attention(self, x: Any, bias: Any = None) -> Any:
        """Return how much of every token each token takes, `[B, heads, N, N]`: rows, queries, sum to 1."""
        return self._weighed(x, bias)[0]

    def _weighed(self, x: Any, bias: Any) -> tuple[Any, Any]:
        """The softmax of the scores, and the values that it mixes."""
        _, tokens, width = self.compute_output_shape(x.shape)
        query, key, value = self._split(self.qkv(ops.reshape(x, (-1, x.shape[-1]))), tokens, width)
        scale = (width // self.heads) ** -0.5
        scores = ops.matmul(ops.multiply(query, scale), ops.transpose(key, (0, 1, 3, 2)))
        if self.window:
            scores = self.position(scores)
        if bias is not None:
            scores = ops.add(scores, bias)
        return self.softmax(self.adjust(scores)), value

    def adjust(self, scores: Any) -> Any:
        """Return the scores `[B, heads, N, N]`, query by key, as a subclass wants them: here as they are."""
        return scores

    def _split(self, qkv: Any, tokens: int, width: int) -> tuple[Any, Any, Any]:
        """Query, key and value, each `[B, heads, N, d]`, of `[B·N, 3·width]`."""
        depth = width // self.heads
        # Never more than four dimensions: mobile GPUs and NPUs transpose no others.
        if self.heads_first:
            qkv = ops.transpose(ops.reshape(qkv, (-1, tokens, self.heads, 3 * depth)), (0, 2, 1, 3))
            return tuple(ops.split(qkv, 3, axis=-1))
        # One split rather than three slices: a slice's gradient fills the whole with zeros.
        parts = ops.split(qkv, 3, axis=-1)
        query, key, value = (
            ops.transpose(ops.reshape(part, (-1, tokens, self.heads, depth)), (0, 2, 1, 3)) for part in parts
        )
        return query, key, value

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `[B, N, width]`."""
        return (*input_shape[:-1], self.width or input_shape[-1])


@keras.saving.register_keras_serializable("imgrec")
class MLP(Composite):
    """Two dense layers with an activation between them, on every token or place `[B, …, D]` by itself.

    Args:
        hidden: units of the first layer.
        gelu: "exact" (the reference implementations') or "tanh" (the approximation that ONNX export
            and some accelerators want). TensorFlow Lite has a built-in operation for either.
        dropout: share of the output dropped in training.
        activation: "gelu", in the form that `gelu` says, or "silu".
        stddev: σ of the truncated normal that the kernels start from; 0 for Glorot-uniform.

    Source: Dosovitskiy et al., 2021 (arXiv 2010.11929), eq. 3; Hendrycks and Gimpel, "Gaussian Error
    Linear Units", 2016 (arXiv 1606.08415).
    """

    widths: ClassVar = {"expand": "hidden"}

    def __init__(
        self,
        hidden: int,
        gelu: str = "exact",
        dropout: float = 0.0,
        activation: str = "gelu",
        stddev: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stddev = stddev
        self.activation = activation
        self.hidden = hidden
        self.gelu = gelu
        self.dropout = dropout
        self.drop = keras.layers.Dropout(dropout, name="drop", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the dense layers for D features."""
        width, dtype = input_shape[-1], self.dtype_policy
        self.expand = _dense(self.hidden, self.stddev, "expand", dtype)
        self.reduce = _dense(width, self.stddev, "reduce", dtype)
        self.build_sublayers((self.expand, (None, width)), (self.reduce, (None, self.hidden)))

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the transformed tokens."""
        hidden = self.expand(ops.reshape(x, (-1, x.shape[-1])))
        if self.activation == "silu":
            hidden = ops.silu(hidden)
        elif training and self.gelu == "exact":
            hidden = exact_gelu(hidden)
        else:
            hidden = ops.gelu(hidden, approximate=self.gelu == "tanh")
        return self.drop(ops.reshape(self.reduce(hidden), (-1, *x.shape[1:])), training=training)
