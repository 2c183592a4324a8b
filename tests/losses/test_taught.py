"""Losses against a teacher, by the papers' formulas in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax
from scipy.stats import entropy

from imgrec.losses.taught import Hint, SoftTargets

DRAW = np.random.default_rng(0)
TAUGHT = DRAW.normal(0, 3, (5, 2, 7)).astype("float32")
LOGITS = DRAW.normal(0, 3, (5, 7)).astype("float32")


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_it_is_the_divergence_of_the_softened_answers_times_the_squared_temperature(
    temperature: float,
) -> None:
    theirs = softmax(TAUGHT.astype(float) / temperature, axis=-1).mean(axis=1)
    ours = softmax(LOGITS.astype(float) / temperature, axis=-1)
    expected = temperature**2 * entropy(theirs, ours, axis=-1)
    loss = SoftTargets(temperature)
    np.testing.assert_allclose(loss.call(TAUGHT, LOGITS), expected, rtol=2e-5)
    assert float(loss(TAUGHT, LOGITS)) == pytest.approx(expected.mean(), rel=2e-5)


def test_of_yes_and_no_each_class_is_a_choice_of_two() -> None:
    theirs, ours = expit(TAUGHT.astype(float) / 2).mean(axis=1), expit(LOGITS.astype(float) / 2)
    two = [np.stack([p, 1 - p], axis=-1) for p in (theirs, ours)]
    expected = 4 * entropy(*two, axis=-1).mean(axis=-1)
    np.testing.assert_allclose(SoftTargets(2.0, "sigmoid").call(TAUGHT, LOGITS), expected, rtol=2e-5)


def test_equal_answers_cost_nothing_and_sure_ones_stay_finite() -> None:
    assert float(SoftTargets(3.0)(LOGITS[:, None], LOGITS)) == pytest.approx(0, abs=1e-6)
    for activation in ("softmax", "sigmoid"):
        sure = tf.constant(1e4 * np.eye(3, dtype="float32"))
        with tf.GradientTape() as tape:
            tape.watch(sure)
            value = SoftTargets(1.0, activation)(-sure[:, None], sure)
        assert np.isfinite(float(value)) and np.isfinite(tape.gradient(value, sure)).all()


def test_at_a_high_temperature_the_gradient_is_that_of_matched_logits() -> None:
    """Equation (4) of the paper, times T²: (z − v) / N, for logits of mean zero."""
    ours, theirs = (x - x.mean(axis=-1, keepdims=True) for x in (LOGITS, TAUGHT[:, 0]))
    logits = tf.constant(ours)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = tf.reduce_sum(SoftTargets(1000.0).call(theirs[:, None], logits))
    np.testing.assert_allclose(tape.gradient(value, logits), (ours - theirs) / 7, rtol=0, atol=5e-3)


def test_a_hint_is_a_share_of_the_teachers_mean_square() -> None:
    theirs, ours = DRAW.normal(0, 5, (2, 4, 3, 3, 6)).astype("float32")
    expected = ((ours - theirs) ** 2).mean(axis=(1, 2, 3)) / (theirs**2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(Hint().call(theirs, ours), expected, rtol=1e-5)
    np.testing.assert_allclose(Hint().call(theirs, 0 * theirs), np.ones(4), rtol=1e-5)
    assert np.isfinite(Hint().call(0 * theirs, ours)).all()
