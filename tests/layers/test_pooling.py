"""Pooling to a grid, pooling that rounds up, and pooled scores, against NumPy."""

import math

import keras
import numpy as np
import pytest

from imgrec.compression.graph import expand
from imgrec.compression.lower import lower
from imgrec.layers.conv import max_pool
from imgrec.layers.pooling import AdaptiveAveragePooling, PooledScores, adaptive_average_pool


def cell(index: int, side: int, count: int) -> slice:
    return slice(math.floor(index * side / count), math.ceil((index + 1) * side / count))


def adaptive(x: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """PyTorch's definition: cell i of n is the mean from ⌊i·side/n⌋ to ⌈(i + 1)·side/n⌉."""
    result = np.empty((len(x), *grid, x.shape[-1]))
    for row in range(grid[0]):
        for column in range(grid[1]):
            part = x[:, cell(row, x.shape[1], grid[0]), cell(column, x.shape[2], grid[1])]
            result[:, row, column] = part.mean(axis=(1, 2))
    return result


@pytest.mark.parametrize("size", [(7, 7), (14, 7), (1, 1), (3, 4), (5, 9), (16, 11)])
def test_adaptive_pooling(size: tuple[int, int]) -> None:
    image = keras.Input((*size, 2))
    model = keras.Model(image, adaptive_average_pool(image, (7, 7), "grid"))
    x = np.random.default_rng(0).normal(size=(2, *size, 2)).astype(np.float32)
    np.testing.assert_allclose(model(x).numpy(), adaptive(x, (7, 7)), rtol=1e-5, atol=1e-6)
    assert lower(expand(model))[1] == [], "an int8 file must cover it"


@pytest.mark.parametrize(
    ("size", "kind"), [((7, 7), None), ((14, 21), "AveragePooling2D"), ((9, 7), "Adaptive")]
)
def test_adaptive_pooling_takes_the_simplest_layer(size: tuple[int, int], kind: str | None) -> None:
    image = keras.Input((*size, 2))
    layers = keras.Model(image, adaptive_average_pool(image, (7, 7), "grid")).layers[1:]
    assert [type(layer).__name__ for layer in layers] == (
        [kind.replace("Adaptive", AdaptiveAveragePooling.__name__)] if kind else []
    )


@pytest.mark.parametrize("size", [(7, 7), (8, 8), (7, 8), (12, 13), (2, 5)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (2, 2), (3, 3)])
def test_max_pool_rounds_up(size: tuple[int, int], kernel: int, stride: int) -> None:
    image = keras.Input((*size, 2))
    model = keras.Model(image, max_pool(image, kernel, stride, ceil=True, name="pool"))
    x = np.random.default_rng(0).uniform(size=(2, *size, 2)).astype(np.float32)
    counts = [max(-(-(side - kernel) // stride), 0) + 1 for side in size]
    expected = np.empty((2, *counts, 2), np.float32)
    for row in range(counts[0]):
        for column in range(counts[1]):
            top, left = row * stride, column * stride
            expected[:, row, column] = x[:, top : top + kernel, left : left + kernel].max(axis=(1, 2))
    np.testing.assert_array_equal(model(x).numpy(), expected)


def test_pooled_scores() -> None:
    image = keras.Input((2, 3, 4))
    flat = keras.layers.Flatten()(image)
    layer = PooledScores(5, (2, 3), name="logits")
    model = keras.Model(image, layer(flat))
    assert [w.shape for w in layer.trainable_weights] == [(1, 1, 4, 5), (5,)]
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(4, 5)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    layer.set_weights([kernel[None, None], bias])
    x = rng.normal(size=(6, 2, 3, 4)).astype(np.float32)
    expected = np.maximum(x @ kernel + bias, 0).mean(axis=(1, 2))
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert lower(expand(model))[1] == []


@pytest.mark.parametrize("layer", [AdaptiveAveragePooling((7, 5)), PooledScores(3, (2, 2))])
def test_layers_are_rebuilt_from_their_config(layer: keras.Layer) -> None:
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.get_config() == layer.get_config()
