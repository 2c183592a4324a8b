"""The parts of a vision transformer, on tokens `[B, N, D]`.

Dense layers get `[B·N, D]`: TensorFlow Lite then runs a fully connected operation, with a scale for
each output channel, where three dimensions would give it a batched matrix product with one scale.
Their kernels start Glorot-uniform (Keras's default), as in the paper's own code and torchvision's; a
normal of σ 0.02, as timm has it, is too small for narrow models trained from nothing.
"""

from typing import Any

import keras
from keras import ops

from imgrec.errors import InputError
from imgrec.layers.composite import Composite

EPSILON = 1e-6
"""ε of every layer normalisation, as in the reference implementations of ViT."""


def truncated_normal() -> keras.initializers.Initializer:
    """Return a fresh truncated normal initialiser, σ 0.02: for tokens, positions and logits."""
    return keras.initializers.TruncatedNormal(stddev=0.02)


def layer_norm(x: Any, name: str) -> Any:
    """Normalise every token over its features."""
    return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)(x)


@keras.saving.register_keras_serializable("imgrec")
class TokenEmbedding(Composite):
    """Put a learned class token before the patches and add a learned position to every token.

    `[B, N, D]` becomes `[B, N + 1, D]`, or stays `[B, N, D]` with `class_token=False`.

    Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021 (arXiv 2010.11929), eq. 1.
    """

    def __init__(self, class_token: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.with_class_token = class_token
        self.drop = keras.layers.Dropout(dropout, name="drop", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the class token `[1, 1, D]` and the positions `[1, tokens, D]`."""
        _, tokens, width = self.compute_output_shape(input_shape)
        if self.with_class_token:
            self.class_token = self.add_weight(
                shape=(1, 1, width), initializer=truncated_normal(), name="class_token"
            )
        self.position = self.add_weight(
            shape=(1, tokens, width), initializer=truncated_normal(), name="position"
        )
        self.built = True

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the tokens in their places."""
        if self.with_class_token:
            first = ops.add(ops.zeros_like(x[:, :1]), self.class_token)
            x = ops.concatenate([first, x], axis=1)
        return self.drop(ops.add(x, self.position), training=training)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `[B, N + 1, D]`, or the input's shape without a class token."""
        batch, tokens, width = input_shape
        return batch, tokens + int(self.with_class_token), width

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "class_token": self.with_class_token, "dropout": self.drop.rate}


@keras.saving.register_keras_serializable("imgrec")
class ClassToken(Composite):
    """Take the first token: `[B, N, D]` becomes `[B, D]`."""

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """There is nothing to create."""
        self.built = True

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return token 0."""
        return x[:, 0]

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `[B, D]`."""
        return input_shape[0], input_shape[2]


@keras.saving.register_keras_serializable("imgrec")
class SelfAttention(Composite):
    """Multi-head self-attention on `[B, N, D]`.

    `softmax(q kᵀ / √d) v` a head, then a projection. Query, key and value come from one dense layer
    in that order, heads side by side inside each: PyTorch's `in_proj_weight` and timm's `qkv`.

    Source: Vaswani et al., "Attention Is All You Need", 2017 (arXiv 1706.03762), § 3.2.
    """

    def __init__(self, heads: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = heads
        self.drop = keras.layers.Dropout(dropout, name="drop", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the projections for D features.

        Raises:
            InputError: D is not a multiple of the number of heads.
        """
        width, dtype = input_shape[-1], self.dtype_policy
        if width % self.heads:
            raise InputError(
                f"self-attention: got {width} features for {self.heads} heads, expected a multiple"
            )
        self.qkv = keras.layers.Dense(3 * width, name="qkv", dtype=dtype)
        self.projection = keras.layers.Dense(width, name="projection", dtype=dtype)
        self.softmax = keras.layers.Softmax(name="softmax", dtype=dtype)
        self.build_sublayers((self.qkv, (None, width)), (self.projection, (None, width)))
        self.built = True

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return every token's mixture of all tokens."""
        _, tokens, width = x.shape
        depth = width // self.heads
        qkv = self.qkv(ops.reshape(x, (-1, width)))
        query, key, value = (
            # Never more than four dimensions: mobile GPUs and NPUs transpose no others.
            ops.transpose(ops.reshape(part, (-1, tokens, self.heads, depth)), (0, 2, 1, 3))
            for part in (qkv[:, :width], qkv[:, width : 2 * width], qkv[:, 2 * width :])
        )
        scores = ops.matmul(ops.multiply(query, depth**-0.5), ops.transpose(key, (0, 1, 3, 2)))
        mixed = ops.transpose(ops.matmul(self.softmax(scores), value), (0, 2, 1, 3))
        projected = self.projection(ops.reshape(mixed, (-1, width)))
        return self.drop(ops.reshape(projected, (-1, tokens, width)), training=training)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "heads": self.heads, "dropout": self.drop.rate}


@keras.saving.register_keras_serializable("imgrec")
class MLP(Composite):
    """Two dense layers with a GELU between them, on every token of `[B, N, D]` by itself.

    Args:
        hidden: units of the first layer.
        gelu: "exact" (the reference implementations') or "tanh" (the approximation that ONNX export
            and some accelerators want). TensorFlow Lite has a built-in operation for either.
        dropout: share of the output dropped in training.

    Source: Dosovitskiy et al., 2021 (arXiv 2010.11929), eq. 3; Hendrycks and Gimpel, "Gaussian Error
    Linear Units", 2016 (arXiv 1606.08415).
    """

    def __init__(self, hidden: int, gelu: str = "exact", dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = hidden
        self.gelu = gelu
        self.drop = keras.layers.Dropout(dropout, name="drop", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the dense layers for D features."""
        width, dtype = input_shape[-1], self.dtype_policy
        self.expand = keras.layers.Dense(self.hidden, name="expand", dtype=dtype)
        self.reduce = keras.layers.Dense(width, name="reduce", dtype=dtype)
        self.build_sublayers((self.expand, (None, width)), (self.reduce, (None, self.hidden)))
        self.built = True

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Return the transformed tokens."""
        _, tokens, width = x.shape
        hidden = ops.gelu(self.expand(ops.reshape(x, (-1, width))), approximate=self.gelu == "tanh")
        return self.drop(ops.reshape(self.reduce(hidden), (-1, tokens, width)), training=training)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = {"hidden": self.hidden, "gelu": self.gelu, "dropout": self.drop.rate}
        return {**super().get_config(), **config}
