"""Depthwise-separable blocks and channel shuffling against plain NumPy."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from imgrec.compression.graph import expand
from imgrec.compression.lower import lower
from imgrec.errors import InputError
from imgrec.layers.attention import SqueezeExcitation
from imgrec.layers.conv import Style
from imgrec.layers.separable import RELU6, inverted_residual, separable_bn
from imgrec.layers.shuffle import ChannelShuffle, ChannelSlice

Array = np.ndarray


def windows(x: Array, kernel: int, stride: int) -> Array:
    """PyTorch's windows of `[B, H, W, C]`: `[B, H', W', C, kernel, kernel]`."""
    border = kernel // 2
    x = np.pad(x, ((0, 0), (border, border), (border, border), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))
    return view[:, ::stride, ::stride]


def randomised(model: keras.Model) -> keras.Model:
    draw = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(draw.uniform(0.5, 1.5, weight.shape) * draw.choice([1.0, 0.4], weight.shape))
    return model


def normalised(x: Array, model: keras.Model, name: str, epsilon: float) -> Array:
    gamma, beta, mean, variance = (w.numpy().astype(np.float64) for w in model.get_layer(name).weights)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def depthwise(x: Array, model: keras.Model, name: str, kernel: int, stride: int) -> Array:
    weights = model.get_layer(name).kernel.numpy()[..., 0].astype(np.float64)
    return np.einsum("bhwcij,ijc->bhwc", windows(x, kernel, stride), weights)


def pointwise(x: Array, model: keras.Model, name: str) -> Array:
    return x @ model.get_layer(name).kernel.numpy()[0, 0].astype(np.float64)


def relu6(x: Array) -> Array:
    return np.clip(x, 0, 6)


@pytest.mark.parametrize(("size", "kernel", "stride"), [(7, 3, 1), (8, 3, 2), (9, 5, 2)])
def test_separable_convolution(size: int, kernel: int, stride: int) -> None:
    image = keras.Input((size, size, 3))
    y = separable_bn(image, 5, kernel, stride, block="block", style=replace(RELU6, epsilon=0.1))
    model = randomised(keras.Model(image, y))
    x = np.random.default_rng(1).normal(size=(2, size, size, 3)).astype(np.float32)
    expected = depthwise(x, model, "block_depthwise", kernel, stride)
    expected = relu6(normalised(expected, model, "block_bn", 0.1))
    expected = pointwise(expected, model, "block_pointwise_conv")
    expected = relu6(normalised(expected, model, "block_pointwise_bn", 0.1))
    np.testing.assert_allclose(model(x, training=False).numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("filters", "stride", "expanded"), [(4, 1, 12), (6, 1, 12), (4, 2, 12), (4, 1, 4)])
def test_inverted_residual(filters: int, stride: int, expanded: int) -> None:
    image = keras.Input((6, 6, 4))
    y = inverted_residual(image, (expanded, filters), 3, stride, block="block", end="stage1")
    model = randomised(keras.Model(image, y))
    x = np.random.default_rng(1).normal(size=(2, 6, 6, 4)).astype(np.float32)
    expected = x
    if expanded != 4:
        expected = pointwise(x, model, "block_expand_conv")
        expected = relu6(normalised(expected, model, "block_expand_bn", 1e-5))
    expected = depthwise(expected, model, "block_depthwise", 3, stride)
    expected = relu6(normalised(expected, model, "block_bn", 1e-5))
    expected = pointwise(expected, model, "block_project_conv")
    expected = normalised(expected, model, "block_project_bn", 1e-5)
    if stride == 1 and filters == 4:
        expected = expected + x
    np.testing.assert_allclose(model(x, training=False).numpy(), expected, rtol=1e-4, atol=1e-4)
    assert model.layers[-1].name == "stage1"


def test_attention_stands_before_the_projection() -> None:
    image = keras.Input((6, 6, 4))
    style = Style("relu6", attend=lambda x, name: SqueezeExcitation(hidden=2, name=name)(x))
    y = inverted_residual(image, (8, 4), block="b", style=style)
    names = [layer.name for layer in keras.Model(image, y).layers]
    assert names[-4:] == ["b_se", "b_project_conv", "b_project_bn", "b_add"]


@pytest.mark.parametrize("groups", [2, 3])
def test_shuffle_and_slice(groups: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 12)).astype(np.float32)
    # The paper's own words: reshape to (groups, n), transpose, flatten.
    expected = x.reshape(2, 3, 4, groups, -1).swapaxes(3, 4).reshape(x.shape)
    np.testing.assert_array_equal(ChannelShuffle(groups)(x).numpy(), expected)
    np.testing.assert_array_equal(ChannelSlice(3, 7)(x).numpy(), x[..., 3:7])
    for layer in (ChannelShuffle(groups), ChannelSlice(3, 7)):
        copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert copy.get_config() == layer.get_config()
        assert copy(x).shape == layer.compute_output_shape(x.shape)


def test_shuffle_becomes_moves_without_arithmetic() -> None:
    image = keras.Input((4, 4, 6), name="image")
    first, last = ChannelSlice(0, 3, name="first")(image), ChannelSlice(3, 6, name="last")(image)
    joined = keras.layers.Concatenate(name="concat")([last, first])
    model = keras.Model(image, ChannelShuffle(name="shuffle")(joined))
    operations, problems = lower(expand(model))
    assert not problems
    assert [op.kind for op in operations] == ["same", "same", "concat", "same", "same", "same"]
    assert max(len(op.outputs[0].shape) for op in operations) == 4


def test_refusals() -> None:
    with pytest.raises(InputError, match="got 10 channels for 3 groups, expected a multiple"):
        ChannelShuffle(3).build((None, 4, 4, 10))
    with pytest.raises(InputError, match="got 2…6, expected 0 ≤ start < stop ≤ 5"):
        ChannelSlice(2, 6).build((None, 4, 4, 5))
