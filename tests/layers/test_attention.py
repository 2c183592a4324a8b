"""SE, CBAM and the transformer's layers against plain NumPy; every composite against its unfolding."""

import math
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.errors import InputError
from imgrec.layers.attention import CBAM, ChannelAttention, SpatialAttention, SqueezeExcitation
from imgrec.layers.composite import Composite
from imgrec.layers.transformer import MLP, ClassToken, SelfAttention, TokenEmbedding

Weights = dict[str, np.ndarray]
MAPS = (3, 5, 4, 80)
TOKENS = (3, 7, 12)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def dense(x: np.ndarray, w: Weights, name: str) -> np.ndarray:
    return x @ w[f"{name}/kernel"] + w[f"{name}/bias"]


def bottleneck(x: np.ndarray, w: Weights, prefix: str = "") -> np.ndarray:
    return dense(np.maximum(dense(x, w, f"{prefix}reduce"), 0), w, f"{prefix}expand")


def squeeze_excitation(x: np.ndarray, w: Weights) -> np.ndarray:
    return x * sigmoid(bottleneck(x.mean(axis=(1, 2)), w))[:, None, None]


def channel_attention(x: np.ndarray, w: Weights, prefix: str = "") -> np.ndarray:
    average, maximum = x.mean(axis=(1, 2)), x.max(axis=(1, 2))
    gate = sigmoid(bottleneck(average, w, prefix) + bottleneck(maximum, w, prefix))
    return x * gate[:, None, None]


def spatial_attention(x: np.ndarray, w: Weights, prefix: str = "") -> np.ndarray:
    kernel = w[f"{prefix}conv/kernel"][..., 0]
    maps = np.stack([x.mean(axis=-1), x.max(axis=-1)], axis=-1)
    padded = np.pad(maps, ((0, 0), (3, 3), (3, 3), (0, 0)))
    gate = np.empty(x.shape[:3])
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            gate[:, i, j] = (padded[:, i : i + 7, j : j + 7] * kernel).sum(axis=(1, 2, 3))
    return x * sigmoid(gate)[..., None]


def cbam(x: np.ndarray, w: Weights) -> np.ndarray:
    return spatial_attention(channel_attention(x, w, "channel/"), w, "spatial/")


def token_embedding(x: np.ndarray, w: Weights) -> np.ndarray:
    token = np.repeat(w["class_token"], len(x), axis=0)
    return np.concatenate([token, x], axis=1) + w["position"]


def self_attention(x: np.ndarray, w: Weights, heads: int = 3) -> np.ndarray:
    query, key, value = np.split(dense(x, w, "qkv"), 3, axis=-1)
    mixed = []
    for q, k, v in zip(*(np.split(part, heads, axis=-1) for part in (query, key, value)), strict=True):
        scores = np.exp(q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]))
        mixed.append(scores / scores.sum(axis=-1, keepdims=True) @ v)
    return dense(np.concatenate(mixed, axis=-1), w, "projection")


def mlp_exact(x: np.ndarray, w: Weights) -> np.ndarray:
    h = dense(x, w, "expand")
    return dense(h * 0.5 * (1 + np.vectorize(math.erf)(h / math.sqrt(2))), w, "reduce")


def mlp_tanh(x: np.ndarray, w: Weights) -> np.ndarray:
    h = dense(x, w, "expand")
    return dense(h * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3))), w, "reduce")


CASES: list[tuple[Composite, tuple[int, ...], Any]] = [
    (SqueezeExcitation(name="layer"), MAPS, squeeze_excitation),
    (ChannelAttention(name="layer"), MAPS, channel_attention),
    (SpatialAttention(name="layer"), MAPS, spatial_attention),
    (CBAM(ratio=8, name="layer"), MAPS, cbam),
    (TokenEmbedding(name="layer"), TOKENS, token_embedding),
    (TokenEmbedding(class_token=False, name="layer"), TOKENS, lambda x, w: x + w["position"]),
    (ClassToken(name="layer"), TOKENS, lambda x, w: x[:, 0]),
    (SelfAttention(3, name="layer"), TOKENS, self_attention),
    (MLP(20, name="layer"), TOKENS, mlp_exact),
    (MLP(20, gelu="tanh", name="layer"), TOKENS, mlp_tanh),
]
IDS = [f"{type(layer).__name__}-{i}" for i, (layer, *_) in enumerate(CASES)]


def prepared(case: Composite, shape: tuple[int, ...]) -> tuple[Composite, np.ndarray, Weights]:
    """A copy of `case` from its config with random weights, an input, and the weights by name."""
    draw = np.random.default_rng(0)
    layer = type(case).from_config(case.get_config())
    layer.build((None, *shape[1:]))
    for weight in layer.weights:
        weight.assign(draw.normal(size=weight.shape) / math.sqrt(weight.shape[0]))
    named = {w.path.removeprefix("layer/"): w.numpy().astype(np.float64) for w in layer.weights}
    return layer, draw.normal(size=shape).astype(np.float32), named


@pytest.mark.parametrize(("case", "shape", "reference"), CASES, ids=IDS)
def test_equals_numpy(case: Composite, shape: tuple[int, ...], reference: Any) -> None:
    layer, x, weights = prepared(case, shape)
    y = layer(x).numpy()
    assert y.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(y, reference(x.astype(np.float64), weights), rtol=2e-5, atol=2e-5)


def unfolded(layer: Composite, shape: tuple[int, ...]) -> keras.Model:
    """`layer.call` as a functional model of primitive layers and operations."""
    symbolic = keras.Input(shape[1:])
    flat = keras.Model(symbolic, layer.call(symbolic))
    assert not [part for part in flat.layers if isinstance(part, Composite)]
    return flat


def in_turn(parts: list[keras.Model], x: Any) -> Any:
    for part in parts:
        x = part(x)
    return x


@pytest.mark.parametrize(("case", "shape", "reference"), CASES, ids=IDS)
def test_unfolds_to_primitives_over_the_same_weights(
    case: Composite, shape: tuple[int, ...], reference: Any
) -> None:
    layer, x, _ = prepared(case, shape)
    parts = [layer.channel, layer.spatial] if isinstance(layer, CBAM) else [layer]
    flat = [unfolded(part, shape) for part in parts]
    np.testing.assert_allclose(in_turn(flat, x).numpy(), layer(x).numpy(), rtol=1e-6, atol=1e-6)
    values = [weight.value for weight in layer.trainable_weights]
    if values:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(in_turn(flat, x) ** 2)
        assert all(g is not None and np.any(g.numpy()) for g in tape.gradient(loss, values))


@pytest.mark.parametrize(("case", "shape", "reference"), CASES, ids=IDS)
def test_config_is_complete(case: Composite, shape: tuple[int, ...], reference: Any) -> None:
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(case))
    assert type(copy) is type(case) and copy.get_config() == case.get_config()


@pytest.mark.parametrize("kind", [SqueezeExcitation, ChannelAttention])
@pytest.mark.parametrize(("channels", "hidden"), [(16, 4), (64, 4), (256, 16), (2048, 128)])
def test_bottleneck_width(kind: type[Composite], channels: int, hidden: int) -> None:
    layer = kind()
    layer.build((None, 7, 7, channels))
    assert layer.reduce.units == hidden


def test_dropout_works_in_training_only() -> None:
    layer = MLP(20, dropout=0.5)
    x = np.ones(TOKENS, np.float32)
    kept, dropped = layer(x, training=False).numpy(), layer(x, training=True).numpy()
    zeros = dropped == 0
    assert 0.2 < zeros.mean() < 0.8
    np.testing.assert_allclose(dropped[~zeros], 2 * kept[~zeros], rtol=1e-5)


def test_heads_divide_the_features() -> None:
    with pytest.raises(InputError, match="got 12 features for 5 heads, expected a multiple"):
        SelfAttention(5).build((None, 7, 12))
