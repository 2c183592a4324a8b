"""Window attention, merged patches and layer scale against plain NumPy, and against their unfolding."""

import math
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_attention import Weights, dense, prepared

from imgrec.compression.graph import expand
from imgrec.layers.composite import Composite
from imgrec.layers.patch_embedding import MergePatches, patch_embedding
from imgrec.layers.residual import LayerScale
from imgrec.layers.window import WindowAttention

HEADS, WINDOW = 2, 3
# Sides that are multiples of the window and that are not; one, two and three windows a side.
MAPS = [(2, 6, 9, 8), (2, 7, 5, 8), (2, 2, 7, 8), (2, 3, 3, 8)]


def window_attention(x: np.ndarray, w: Weights, shift: int) -> np.ndarray:
    """Every place looks at every other of the padded map, and sees those of its own window alone."""
    height, width = x.shape[1:3]
    sides = [-(-side // WINDOW) * WINDOW for side in (height, width)]
    x = np.pad(x, ((0, 0), (0, sides[0] - height), (0, sides[1] - width), (0, 0)))
    places = np.stack(np.mgrid[: sides[0], : sides[1]], axis=-1).reshape(-1, 2)
    # Shifting the grid of windows instead of the map: what lies before the first window is its own.
    shifts = [shift if side > WINDOW else 0 for side in sides]
    windows = (places - shifts) // WINDOW
    together = (windows[:, None] == windows[None, :]).all(axis=-1)
    offset = places[:, None] - places[None, :] + WINDOW - 1
    row = np.where(together, offset[..., 0] * (2 * WINDOW - 1) + offset[..., 1], 0)
    tokens = dense(x.reshape(len(x), -1, x.shape[-1]), w, "attend/qkv")
    mixed = []
    for head, (q, k, v) in enumerate(
        zip(*(np.split(part, HEADS, axis=-1) for part in np.split(tokens, 3, axis=-1)), strict=True)
    ):
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]) + w["attend/position/table"][row, head]
        scores = np.where(together, np.exp(scores), 0)
        mixed.append(scores / scores.sum(axis=-1, keepdims=True) @ v)
    y = dense(np.concatenate(mixed, axis=-1), w, "attend/projection")
    return y.reshape(x.shape)[:, :height, :width]


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("shape", MAPS)
def test_window_attention_equals_numpy(shape: tuple[int, ...], shift: int) -> None:
    layer, x, weights = prepared(WindowAttention(HEADS, WINDOW, shift, name="layer"), shape)
    y = layer(x).numpy()
    assert y.shape == layer.compute_output_shape(x.shape)
    expected = window_attention(x.astype(np.float64), weights, shift)
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-5)


def test_merged_patches_equal_numpy() -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    even = np.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0)))
    expected = np.zeros((2, 3, 2, 12), np.float32)
    for i in range(3):
        for j in range(2):
            square = even[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            expected[:, i, j] = np.concatenate([square[:, r, c] for c in (0, 1) for r in (0, 1)], axis=-1)
    layer = MergePatches()
    np.testing.assert_array_equal(layer(x).numpy(), expected)
    assert layer.compute_output_shape(x.shape) == expected.shape


COMPOSITES: list[tuple[Composite, tuple[int, ...]]] = [
    (WindowAttention(HEADS, WINDOW, 1, stddev=0.02, name="layer"), MAPS[1]),
    (MergePatches(name="layer"), (2, 5, 4, 3)),
]


@pytest.mark.parametrize(("case", "shape"), COMPOSITES, ids=["window", "merge"])
def test_unfolds_to_primitives_over_the_same_weights(case: Composite, shape: tuple[int, ...]) -> None:
    layer, x, _ = prepared(case, shape)
    symbolic = keras.Input(shape[1:])
    graph = expand(keras.Model(symbolic, layer(symbolic)))
    assert not [step for step in graph.steps if isinstance(step.operation, Composite)]
    flat = keras.Model(graph.input, graph.output)
    np.testing.assert_allclose(flat(x).numpy(), layer(x).numpy(), rtol=1e-6, atol=1e-6)
    values = [weight.value for weight in layer.trainable_weights]
    if values:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(flat(x) ** 2)
        assert all(g is not None and np.any(g.numpy()) for g in tape.gradient(loss, values))


@pytest.mark.parametrize(("case", "shape"), COMPOSITES, ids=["window", "merge"])
def test_config_is_complete(case: Composite, shape: tuple[int, ...]) -> None:
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(case))
    assert type(copy) is type(case) and copy.get_config() == case.get_config()


def test_layer_scale_multiplies_channels() -> None:
    layer = LayerScale(0.5)
    x = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(layer(x).numpy(), x / 2)
    layer.scale.assign([1.0, 0.0, -2.0])
    np.testing.assert_array_equal(layer(x).numpy(), x * np.array([1, 0, -2], np.float32))
    assert LayerScale.from_config(layer.get_config()).start == 0.5


def test_patches_are_projected_and_rests_left_out() -> None:
    x = np.random.default_rng(0).normal(size=(1, 5, 9, 2)).astype(np.float32)
    symbolic = keras.Input(x.shape[1:])
    model = keras.Model(symbolic, patch_embedding(symbolic, 3, 4, name="patches"))
    kernel = model.get_layer("patches").kernel.numpy().reshape(-1, 3)
    expected: Any = np.stack([x[:, :4, j : j + 4].reshape(1, -1) @ kernel for j in (0, 4)], axis=1)[:, None]
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-5, atol=1e-6)
