"""GELU and its derivative against SciPy's normal distribution, and within an MLP."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm

from imgrec.layers.transformer import MLP, exact_gelu


@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-6), ("bfloat16", 0.03)])
def test_gelu_and_its_derivative_are_the_normal_distributions(dtype: str, error: float) -> None:
    x = np.linspace(-6, 6, 241)
    at = tf.cast(x, dtype)
    x = tf.cast(at, tf.float64).numpy()  # as bfloat16 holds them
    outer = tf.cast(np.linspace(1, 2, 241), dtype)
    with tf.GradientTape() as tape:
        tape.watch(at)
        y = exact_gelu(at)
    slope = tape.gradient(y, at, output_gradients=outer)
    assert y.dtype == slope.dtype == dtype
    np.testing.assert_allclose(tf.cast(y, tf.float64), x * norm.cdf(x), atol=error, rtol=error)
    expected = tf.cast(outer, tf.float64).numpy() * (norm.cdf(x) + x * norm.pdf(x))
    np.testing.assert_allclose(tf.cast(slope, tf.float64), expected, atol=error, rtol=error)


def test_an_mlp_trains_by_the_gradient_that_its_answer_has() -> None:
    keras.utils.set_random_seed(0)
    layer, tokens = MLP(32), tf.random.normal((2, 5, 8), seed=1)
    found = []
    for training in (True, False):
        with tf.GradientTape() as tape:
            tape.watch(tokens)
            y = layer(tokens, training=training)
            loss = tf.reduce_sum(y**2)
        weights = [weight.value for weight in layer.trainable_weights]
        found.append([y, *tape.gradient(loss, [tokens, *weights])])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
