"""Padding as PyTorch pads, and pixels brought to scale."""

import keras
import numpy as np
import pytest

from imgrec.layers.conv import conv, max_pool
from imgrec.layers.normalize import PixelNormalization


def windows(x: np.ndarray, kernel: int, stride: int, padding: int) -> np.ndarray:
    """PyTorch's windows of `[B, H, W, C]`: `[B, H', W', kernel, kernel, C]`."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))
    return view[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)


@pytest.mark.parametrize("size", [7, 8, 28, 33])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2), (5, 2), (7, 2), (11, 4)])
def test_convolution(size: int, kernel: int, stride: int) -> None:
    image = keras.Input((size, size, 2))
    model = keras.Model(image, conv(image, 3, kernel, stride, name="conv"))
    x = np.random.default_rng(0).normal(size=(2, size, size, 2)).astype(np.float32)
    weights = model.get_layer("conv").kernel.numpy()
    expected = np.einsum("bhwijc,ijco->bhwo", windows(x, kernel, stride, (kernel - 1) // 2), weights)
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_narrow_strided_convolution_learns_from_an_odd_batch() -> None:
    """As one layer it ends the process on processors with AVX-512: `imgrec.layers.conv._NARROW` says why."""
    image = keras.Input((28, 28, 8))
    model = keras.Model(image, keras.layers.Flatten()(conv(image, 16, 1, 2, name="conv")))
    model.compile("sgd", "mse")
    draw = np.random.default_rng(0)
    x = draw.normal(size=(31, 28, 28, 8)).astype(np.float32)
    before = model.get_layer("conv").kernel.numpy()
    model.train_on_batch(x, np.zeros((31, 14 * 14 * 16), np.float32))
    rate, mean = 0.01, 2 / (31 * 14 * 14 * 16)
    picked = x[:, ::2, ::2].reshape(-1, 8)
    expected = before[0, 0] - rate * mean * picked.T @ (picked @ before[0, 0])
    np.testing.assert_allclose(model.get_layer("conv").kernel.numpy()[0, 0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("size", "padded"), [(28, True), (27, False)])
def test_a_padding_layer_stands_only_where_same_padding_differs(size: int, padded: bool) -> None:
    image = keras.Input((size, size, 2))
    model = keras.Model(image, conv(image, 3, 3, 2, name="conv"))
    assert ("conv_pad" in {layer.name for layer in model.layers}) == padded


@pytest.mark.parametrize("size", [8, 15, 112])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (3, 2, 0), (2, 2, 0)])
def test_max_pool(size: int, kernel: int, stride: int, padding: int) -> None:
    image = keras.Input((size, size, 2))
    model = keras.Model(image, max_pool(image, kernel, stride, padding=padding, name="pool"))
    x = np.maximum(np.random.default_rng(0).normal(size=(2, size, size, 2)), 0).astype(np.float32)
    expected = windows(x, kernel, stride, padding).max(axis=(3, 4))
    np.testing.assert_array_equal(model(x).numpy(), expected)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_pixel_normalization(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        layer = PixelNormalization((10.0, 20.0), (2.0, 7.0))
    finally:
        keras.config.set_dtype_policy("float32")
    x = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 2)).astype(np.float32)
    y = layer(x)
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    np.testing.assert_allclose(y.numpy(), (x - [10, 20]) / [2, 7], rtol=1e-5, atol=1e-5)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.get_config() == layer.get_config() and not layer.weights
