"""Batch statistics on other images: against moments taken by hand, and where they help."""

import keras
import numpy as np
import pytest
from keras import ops

from imgrec.errors import InputError
from imgrec.layers.normalization import BatchNormalization
from imgrec.learning.adaptive_bn import adapt_batch_norm


def two_layers(dropout: float = 0.0) -> keras.Model:
    """Pixels through a normalisation, a convolution, a second normalisation."""
    pixels = keras.Input((6, 5, 2))
    x = BatchNormalization(name="first")(pixels)
    x = keras.layers.Dropout(dropout, seed=1)(x)
    x = keras.layers.Conv2D(3, 3, name="convolution")(x)
    return keras.Model(pixels, BatchNormalization(name="second", epsilon=1e-3)(x))


IMAGES = np.random.default_rng(0).integers(0, 200, (12, 6, 5, 2)).astype("uint8")


def moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values.mean(axis=(0, 1, 2)), values.var(axis=(0, 1, 2))


def held(model: keras.Model, name: str) -> tuple[np.ndarray, np.ndarray]:
    layer = model.get_layer(name)
    return ops.convert_to_numpy(layer.moving_mean), ops.convert_to_numpy(layer.moving_variance)


def test_one_batch_gives_the_moments_of_every_layers_input() -> None:
    model = two_layers(dropout=0.5)
    model.get_layer("first").trainable = False
    weights = [np.array(w) for w in model.get_layer("convolution").get_weights()]
    assert adapt_batch_norm(model, IMAGES) == 2
    mean, variance = moments(IMAGES.astype("float64"))
    assert np.allclose(held(model, "first"), (mean, variance), rtol=1e-5)
    # Dropout stays off, so the second layer sees the first one's output as in use.
    middle = model.get_layer("convolution")((IMAGES - mean) / np.sqrt(variance + 1e-3))
    assert np.allclose(held(model, "second"), moments(ops.convert_to_numpy(middle)), rtol=1e-3, atol=1e-5)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(weights, model.get_layer("convolution").get_weights(), strict=True)
    )
    first = model.get_layer("first")
    assert (first.trainable, first.momentum, first.uses_batch) == (False, 0.99, False)
    out = model.predict(IMAGES.astype("float32"), verbose=0)
    assert np.allclose(out.mean(axis=(0, 1, 2)), 0, atol=1e-3) and np.allclose(
        out.std(axis=(0, 1, 2)), 1, atol=1e-2
    )


def test_batches_add_up_to_the_whole_and_a_prior_is_mixed_in() -> None:
    model = two_layers()
    adapt_batch_norm(model, IMAGES, batch_size=5, prior=4)  # batches of 5 and 7
    mean, variance = moments(IMAGES.astype("float64"))
    # The layer started with mean 0 and variance 1.
    assert np.allclose(held(model, "first"), (mean * 12 / 16, variance * 12 / 16 + 4 / 16), rtol=1e-5)


def test_what_cannot_be_meant() -> None:
    with pytest.raises(InputError, match="0 images"):
        adapt_batch_norm(two_layers(), IMAGES[:0])
    with pytest.raises(InputError, match="prior of -1"):
        adapt_batch_norm(two_layers(), IMAGES, prior=-1)
    pixels = keras.Input((6, 5, 2))
    with pytest.raises(InputError, match="no batch normalisation"):
        adapt_batch_norm(keras.Model(pixels, keras.layers.Flatten()(pixels)), IMAGES)


def test_a_failure_leaves_the_model_as_it_was() -> None:
    model = two_layers()
    with pytest.raises(Exception, match=r"shape|input"):
        adapt_batch_norm(model, np.zeros((2, 6, 5, 3), "uint8"))
    assert np.array_equal(held(model, "first"), (np.zeros(2), np.ones(2)))
    assert model.get_layer("first").momentum == 0.99
