"""Our fused batch normalisation is Keras's own, number for number."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.layers.normalization import BatchNormalization

TOLERANCE = {"float32": 2e-5, "mixed_bfloat16": 2e-2, "mixed_float16": 2e-3}
PLACES = (6, 5, 7)


def pair(policy: str, channels: int = 3) -> tuple[BatchNormalization, keras.layers.BatchNormalization]:
    """Both layers with the same, uneven, weights."""
    draw = np.random.default_rng(1)
    spread, shift, mean, variance = draw.random((4, channels))
    weights = [0.5 + 1.5 * spread, 4 * shift - 2, 4 * mean - 2, 0.5 + 1.5 * variance]
    layers = []
    for kind in (BatchNormalization, keras.layers.BatchNormalization):
        layer = kind(momentum=0.9, epsilon=1e-5, dtype=policy)
        layer.build((None, *PLACES[1:], channels))
        layer.set_weights(weights)
        layers.append(layer)
    return layers[0], layers[1]


def batch(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(3, 2, (*PLACES, channels)).astype(np.float32)


@pytest.mark.parametrize("policy", TOLERANCE)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("channels", [3, 16])
def test_equals_keras(policy: str, training: bool, channels: int) -> None:
    ours, theirs = pair(policy, channels)
    results = []
    for layer in (ours, theirs):
        x = tf.Variable(batch(channels))
        with tf.GradientTape() as tape:
            y = layer(x, training=training)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) ** 3)
        results.append((y, *tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])))
    assert results[0][0].dtype == results[1][0].dtype
    for mine, reference in zip(*results, strict=True):
        reference = tf.cast(reference, tf.float32).numpy()
        scale = np.abs(reference).max()
        assert np.abs(tf.cast(mine, tf.float32).numpy() - reference).max() <= TOLERANCE[policy] * scale
    for mine, reference in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, reference, rtol=TOLERANCE[policy], atol=TOLERANCE[policy])


def test_moving_statistics_by_hand() -> None:
    ours, _ = pair("float32")
    _, _, mean, variance = ours.get_weights()
    ours(batch(), training=True)
    expected = 0.9 * mean + 0.1 * batch().mean(axis=(0, 1, 2))
    np.testing.assert_allclose(ours.moving_mean.numpy(), expected, rtol=1e-5)
    expected = 0.9 * variance + 0.1 * batch().var(axis=(0, 1, 2))
    np.testing.assert_allclose(ours.moving_variance.numpy(), expected, rtol=1e-5)


def test_frozen_layers_keep_their_statistics() -> None:
    ours, _ = pair("float32")
    ours.trainable = False
    before = ours.get_weights()
    y = ours(batch(), training=True).numpy()
    gamma, beta, mean, variance = before
    np.testing.assert_allclose(
        y, (batch() - mean) / np.sqrt(variance + 1e-5) * gamma + beta, rtol=1e-4, atol=1e-4
    )
    for mine, old in zip(ours.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)


def test_other_ranks_take_keras_own_path() -> None:
    layer = BatchNormalization(momentum=0.9)
    x = np.random.default_rng(0).normal(2, 3, (64, 4)).astype(np.float32)
    y = layer(x, training=True).numpy()
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=0), 1, atol=1e-3)
