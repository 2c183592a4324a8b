"""Our depthwise convolution is Keras's own, and its bfloat16 gradients are those of float32."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.layers.depthwise import DepthwiseConv2D
from imgrec.processors import on_processors

ROUNDING = 2.0**-8
"""Half the distance of neighbouring bfloat16 numbers, as a share of the larger."""


def pair(policy: str, kernel: int, stride: int, padding: str) -> list[keras.layers.Layer]:
    """Both layers with the same weights, numbers that bfloat16 holds exactly."""
    draw = np.random.default_rng(1)
    weights = [draw.integers(-8, 9, (kernel, kernel, 6, 1)) / 8, draw.integers(-8, 9, 6) / 8]
    made = []
    for kind in (DepthwiseConv2D, keras.layers.DepthwiseConv2D):
        layer = kind(kernel, stride, padding=padding, activation="relu", dtype=policy)
        layer.build((None, 9, 11, 6))
        layer.set_weights(weights)
        made.append(layer)
    return made


def results(layer: keras.layers.Layer, traced: bool) -> list[np.ndarray]:
    """Output and gradients by input, kernel and bias, float32."""
    draw = np.random.default_rng(0)
    x = tf.Variable((draw.integers(-8, 9, (4, 9, 11, 6)) / 8).astype(np.float32))

    def step() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            y = layer(x)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) ** 2)
        return [y, *tape.gradient(loss, [x, *(variable.value for variable in layer.trainable_variables)])]

    run = tf.function(step) if traced else step
    return [tf.cast(part, tf.float32).numpy() for part in run()]


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("traced", [False, True])
def test_equals_keras(policy: str, kernel: int, stride: int, padding: str, traced: bool) -> None:
    ours, theirs = (results(layer, traced) for layer in pair(policy, kernel, stride, padding))
    np.testing.assert_array_equal(ours[0], theirs[0])
    for mine, reference in zip(ours[1:], theirs[1:], strict=True):
        tolerance = 1e-6 if policy == "float32" else 2 * ROUNDING
        assert np.abs(mine - reference).max() <= tolerance * np.abs(reference).max()


def operations(layer: keras.layers.Layer) -> set[tuple[str, str]]:
    """Kind and dtype of the gradient operations of a step."""

    @tf.function
    def step(x: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.cast(layer(x), tf.float32))
        return tape.gradient(loss, [x, layer.kernel.value])

    graph = step.get_concrete_function(tf.TensorSpec((4, 9, 11, 6), tf.float32)).graph
    return {(op.type, op.outputs[0].dtype.name) for op in graph.get_operations() if "Backprop" in op.type}


def test_gradients_of_bfloat16_are_computed_in_float32_where_that_is_faster() -> None:
    if not on_processors():  # asked here, since asking starts TensorFlow's devices
        pytest.skip("an accelerator has its own kernels")
    kinds = ("DepthwiseConv2dNativeBackpropInput", "DepthwiseConv2dNativeBackpropFilter")
    assert operations(pair("mixed_bfloat16", 3, 2, "same")[0]) == {(kind, "float32") for kind in kinds}
    assert operations(pair("mixed_bfloat16", 3, 1, "same")[0]) == {(kind, "bfloat16") for kind in kinds}
    assert operations(pair("mixed_bfloat16", 3, 2, "same")[1]) == {(kind, "bfloat16") for kind in kinds}


def test_config_is_that_of_keras() -> None:
    ours, theirs = pair("float32", 3, 2, "same")
    mine, reference = ours.get_config(), theirs.get_config()
    assert {**mine, "name": ""} == {**reference, "name": ""}
    again = keras.layers.deserialize(keras.layers.serialize(ours))
    assert isinstance(again, DepthwiseConv2D)
