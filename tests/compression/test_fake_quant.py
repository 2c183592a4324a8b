"""Rounding: TFLite's arithmetic, straight-through gradients, learned ranges."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from imgrec.layers.fake_quant import (
    ActivationRange,
    composed_round_to_range,
    mode,
    nudge,
    round_to_range,
)
from imgrec.layers.rounded_kernel import round_kernel

RANGES = [(0.0, 255.0), (-1.3, 2.9), (0.0, 6.0), (0.4, 1.0), (-3.0, -1.0), (-0.7, 0.7)]


@pytest.mark.parametrize("low, high", RANGES)
def test_nudged_range_holds_zero_on_one_of_256_points(low: float, high: float) -> None:
    bottom, top = nudge(np.float32(low), np.float32(high), np)
    scale = (top - bottom) / 255
    assert bottom <= 0 <= top
    assert -bottom / scale == pytest.approx(round(-bottom / scale), abs=1e-4)
    assert scale == pytest.approx((max(high, 0) - min(low, 0)) / 255, rel=1e-6)
    assert np.allclose([np.asarray(v) for v in nudge(np.float32(low), np.float32(high))], [bottom, top])


def test_a_tensor_of_zeros_gets_a_usable_scale() -> None:
    assert nudge(np.float32(0), np.float32(0), np) == (0.0, 1.0)


@pytest.mark.parametrize("low, high", RANGES)
def test_fused_kernel_and_keras_ops_agree_forward_and_back(low: float, high: float) -> None:
    x = tf.constant(np.random.default_rng(0).normal(0, 3, 4000).astype("float32"))
    bottom, top = (float(v) for v in nudge(np.float32(low), np.float32(high), np))
    results = []
    for function in (round_to_range, composed_round_to_range):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x, bottom, top)
        results.append((np.asarray(y), np.asarray(tape.gradient(y, x))))
    assert np.abs(results[0][0] - results[1][0]).max() < 1e-5
    inside = (np.asarray(x) > bottom) & (np.asarray(x) < top)
    for _, gradient in results:
        assert np.array_equal(gradient, inside.astype("float32"))


def test_kernel_has_one_scale_a_channel_and_passes_gradients() -> None:
    kernel = tf.Variable(
        np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype("float32") * [1, 2, 3, 4, 0]
    )
    with tf.GradientTape() as tape:
        rounded = round_kernel(kernel, (0, 1, 2))
        loss = tf.reduce_sum(rounded * 2.0)
    assert np.array_equal(tape.gradient(loss, kernel), np.full(kernel.shape, 2.0))
    values, source = np.asarray(rounded), np.asarray(kernel)
    for channel in range(4):
        scale = np.abs(source[..., channel]).max() / 127
        steps = values[..., channel] / scale
        assert np.allclose(steps, np.round(steps), atol=1e-3)
        assert np.abs(steps).max() == pytest.approx(127)
        assert np.abs(values - source)[..., channel].max() <= scale / 2 * 1.001
    assert not values[..., 4].any()


def test_range_follows_batches_in_training_and_is_frozen_in_evaluation() -> None:
    layer = ActivationRange(momentum=0.9)
    batch = ops.convert_to_tensor(np.array([-1.0, 3.0], "float32"))
    layer(batch, training=True)
    assert (float(layer.minimum), float(layer.maximum)) == (-1.0, 3.0)
    layer(2 * batch, training=True)
    assert float(layer.minimum) == pytest.approx(-1.1)
    assert float(layer.maximum) == pytest.approx(3.3)
    frozen = np.asarray(layer(10 * batch, training=False))
    assert float(layer.maximum) == pytest.approx(3.3)
    assert frozen[1] == pytest.approx(3.3, abs=4.4 / 255)


def test_fixed_ends_stay_and_observation_averages() -> None:
    layer = ActivationRange(low=0.0)
    with mode("observe"):
        for top in (2.0, 4.0):
            x = ops.convert_to_tensor(np.array([-5.0, top], "float32"))
            assert np.array_equal(layer(x), x)
    assert (float(layer.minimum), float(layer.maximum)) == (0.0, 3.0)


def test_members_share_a_range_that_holds_all_of_theirs() -> None:
    layer = ActivationRange(momentum=0.5, members=2)
    small, large = (ops.convert_to_tensor(np.array(v, "float32")) for v in ([-1.0, 2.0], [-0.5, 8.0]))
    with mode("observe"):
        layer(small, member=0)
        layer(large, member=1)
        layer(3 * large, member=1)
    assert layer.ends() == (-1.0, 16.0)
    rounded = np.asarray(layer(small, member=0))
    step = 17 / 255
    assert np.allclose(rounded / step, np.round(rounded / step), atol=1e-3)
    layer(small / 2, training=True, member=0)
    assert layer.ends() == (-1.0, 16.0) and np.asarray(layer.minimum).tolist() == [-0.75, -1.0]


def test_config_restores_the_layer() -> None:
    layer = ActivationRange(low=0.0, momentum=0.5, name="r")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (copy.low, copy.high, copy.momentum, copy.name) == (0.0, None, 0.5, "r")
