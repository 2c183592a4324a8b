"""Dropout at work in use: it alone, and as before afterwards; and what the head is given."""

import keras
import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.models import build_model
from imgrec.models.inside import look_inside
from imgrec.models.monte_carlo import dropout_at_work, dropouts

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.float32)


def test_dropout_draws_anew_and_batch_normalisation_stays_in_inference() -> None:
    model = build_model("resnet8", (32, 32, 3), 4, width=8, dropout=0.5)
    look = look_inside(model)
    before, features = look(PIXELS)
    held = [weight.numpy() for weight in model.non_trainable_weights]
    with dropout_at_work(model):
        first, same = look(PIXELS)
        second, _ = look(PIXELS)
    assert np.abs(first - second).max() > 0.01
    # Before the dropout nothing is by chance: normalisation works as in inference.
    np.testing.assert_array_equal(same, features)
    for weight, value in zip(model.non_trainable_weights, held, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    np.testing.assert_array_equal(look(PIXELS)[0], before)
    with dropout_at_work(model):
        np.testing.assert_array_equal(look(PIXELS)[0], first)
    with dropout_at_work(model, seed=1):
        assert np.abs(look(PIXELS)[0] - first).max() > 0.01


def test_the_mean_of_many_passes_is_that_of_the_masks() -> None:
    image = keras.Input((4,))
    kept = keras.layers.Dropout(0.25)(image)
    model = keras.Model(image, keras.layers.Dense(1, kernel_initializer="ones")(kept))
    look = look_inside(model)
    with dropout_at_work(model):
        passes = np.stack([look(np.ones((50, 4)))[0] for _ in range(100)])
    assert look(np.ones((1, 4)))[1] is None  # no endpoint called features
    # Four inputs of 4/3 with probability 3/4 each: mean 4, variance 4 · (16/9 · 3/16).
    assert passes.mean() == pytest.approx(4, abs=0.06)
    assert passes.var() == pytest.approx(4 / 3, rel=0.06)


def test_stochastic_depth_counts_and_a_network_without_is_refused() -> None:
    assert dropouts(build_model("efficientnet_lite0", (32, 32, 3), 3))
    with (
        pytest.raises(InputError, match="has no dropout"),
        dropout_at_work(build_model("resnet8", (32, 32, 3), 3)),
    ):
        pass
