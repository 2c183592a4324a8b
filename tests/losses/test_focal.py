"""Focal losses against their closed forms, in value and gradient, and where float32 runs out of digits."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.losses.focal import BinaryFocal, CategoricalFocal

DRAW = np.random.default_rng(0)
LOGITS = DRAW.normal(0, 3, (40, 6)).astype("float32")
LABELS = DRAW.integers(0, 6, 40)
ONE_HOT = np.eye(6, dtype="float32")[LABELS]


def gradient(loss: keras.losses.Loss, targets: Any, logits: Any) -> np.ndarray:
    """d(sum of the images' losses) / d(logits)."""
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total = tf.reduce_sum(loss.call(tf.constant(targets), logits))
    return np.asarray(tape.gradient(total, logits))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_value_and_gradient_are_the_closed_form(gamma: float) -> None:
    p = softmax(LOGITS)
    own = p[np.arange(40), LABELS][:, None]
    loss = CategoricalFocal(gamma)
    np.testing.assert_allclose(
        loss.call(ONE_HOT, LOGITS), (-((1 - own) ** gamma) * np.log(own))[:, 0], rtol=2e-5, atol=1e-12
    )
    slope = gamma * own * (1 - own) ** (gamma - 1) * np.log(own) - (1 - own) ** gamma
    np.testing.assert_allclose(gradient(loss, ONE_HOT, LOGITS), slope * (ONE_HOT - p), rtol=1e-4, atol=1e-7)


def test_without_gamma_it_is_cross_entropy_with_its_smoothing() -> None:
    soft = softmax(DRAW.normal(0, 1, (40, 6))).astype("float32")
    plain = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    np.testing.assert_allclose(
        CategoricalFocal(0.0, label_smoothing=0.1).call(soft, LOGITS), plain.call(soft, LOGITS), rtol=1e-5
    )


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_a_sure_answer_keeps_its_digits(gamma: float) -> None:
    # 1 − p is 3e-9: float32 rounds p to 1, and both Keras's loss and a plain difference give 0.
    logits = np.array([[20.0, 0.5, -1.0]], "float32")
    p = softmax(logits)[0]
    rest = p[1] + p[2]
    expected = rest**gamma * -np.log1p(-rest)
    target = np.array([[1.0, 0.0, 0.0]], "float32")
    value = CategoricalFocal(gamma).call(target, logits)
    np.testing.assert_allclose(value, [expected], rtol=1e-5)
    slope = gamma * (1 - rest) * rest ** (gamma - 1) * np.log1p(-rest) - rest**gamma
    found = gradient(CategoricalFocal(gamma), target, logits)[0]
    np.testing.assert_allclose(found, [slope * rest, -slope * p[1], -slope * p[2]], rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("kind", [CategoricalFocal, BinaryFocal])
@pytest.mark.parametrize("scale", [0.0, 1e2, 1e4, 1e30])
def test_large_and_equal_logits_stay_finite(kind: Any, gamma: float, scale: float) -> None:
    logits = scale * np.array([[1, -1, 0], [-1, 1, 1], [0, 0, 0]], "float32")
    targets = np.array([[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0]], "float32")
    loss = kind(gamma)
    assert np.isfinite(loss.call(targets, logits)).all()
    assert np.isfinite(gradient(loss, targets, logits)).all()


def test_equal_logits_share_the_gradient_as_the_softmax_does() -> None:
    target = np.array([[1.0, 0, 0, 0]], "float32")
    found = gradient(CategoricalFocal(0.0), target, np.zeros((1, 4), "float32"))
    np.testing.assert_allclose(found, [[-0.75, 0.25, 0.25, 0.25]], rtol=1e-6)


@pytest.mark.parametrize("alpha", [None, 0.25])
@pytest.mark.parametrize("gamma", [0.0, 2.0, 0.5])
def test_binary_value_and_gradient_are_the_closed_form(gamma: float, alpha: float | None) -> None:
    targets = (DRAW.random((40, 6)) < 0.3).astype("float32")
    p = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    yes, no = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    value = -yes * targets * (1 - p) ** gamma * np.log(p)
    value -= no * (1 - targets) * p**gamma * np.log(1 - p)
    slope = yes * targets * (1 - p) ** gamma * (gamma * p * np.log(p) + p - 1)
    slope -= no * (1 - targets) * p**gamma * (gamma * (1 - p) * np.log(1 - p) - p)
    loss = BinaryFocal(gamma, alpha)
    np.testing.assert_allclose(loss.call(targets, LOGITS), value.mean(axis=1), rtol=2e-5)
    np.testing.assert_allclose(gradient(loss, targets, LOGITS), slope / 6, rtol=1e-4, atol=1e-8)


def test_binary_agrees_with_keras_on_hard_targets() -> None:
    targets = (DRAW.random((40, 6)) < 0.3).astype("float32")
    reference = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, alpha=0.25, gamma=2.0, from_logits=True
    )
    found = BinaryFocal(2.0, 0.25).call(targets, LOGITS)
    np.testing.assert_allclose(found, reference.call(targets, LOGITS), rtol=1e-4)
