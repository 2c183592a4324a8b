"""Sharpness-aware steps against NumPy, and that dropout and batch statistics see one step."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.config import OptimConfig
from imgrec.layers.normalization import BatchNormalization
from imgrec.training.fit import fit
from imgrec.training.optim.regularize import sharpness_aware

RATE = 0.5
DRAW = np.random.default_rng(0)
X = DRAW.normal(0, 1, (12, 4)).astype("float32")
Y = np.eye(3, dtype="float32")[np.arange(12) % 3]
DATA = tf.data.Dataset.from_tensor_slices((X, Y)).batch(12)


def settings(**values: Any) -> OptimConfig:
    plain = {"schedule": "constant", "warmup_epochs": 0.0, "weight_decay": 0.0, "epochs": 2, "momentum": 0.0}
    plain |= {"label_smoothing": 0.0, "learning_rate": RATE, "batch_size": 12}
    return OptimConfig.plain(**{**plain, **values})


def gradient(w: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Loss and gradients of softmax regression."""
    logits = X.astype("float64") @ w + b
    chance = np.exp(logits - logits.max(1, keepdims=True))
    chance /= chance.sum(1, keepdims=True)
    loss = -np.log((chance * Y).sum(1)).mean()
    off = (chance - Y) / len(X)
    return loss, X.T @ off, off.sum(0)


def by_hand(w: np.ndarray, b: np.ndarray, radius: float, adaptive: bool) -> tuple[np.ndarray, np.ndarray]:
    _, gw, gb = gradient(w, b)
    scale = np.abs(w) + 0.01 if adaptive else np.ones_like(w)
    norm = np.sqrt(((scale * gw) ** 2).sum() + (gb**2).sum())
    _, gw, gb = gradient(w + radius * scale**2 * gw / norm, b + radius * gb / norm)
    return w - RATE * gw, b - RATE * gb


@pytest.mark.parametrize(("radius", "adaptive"), [(0.3, False), (0.8, True)])
def test_two_steps_are_those_by_hand(radius: float, adaptive: bool) -> None:
    keras.utils.set_random_seed(0)
    given = keras.Input((4,))
    model = keras.Model(given, keras.layers.Dense(3, name="logits")(given))
    w, b = (v.numpy().astype("float64") for v in model.trainable_variables)
    optim = settings(sam=radius, sam_adaptive=adaptive)
    fitted = fit(model, DATA.repeat(2), DATA, optim=optim, steps_per_epoch=1)
    losses = []
    for _ in range(2):
        losses.append(gradient(w, b)[0])
        w, b = by_hand(w, b, radius, adaptive)
    assert [row["loss"] for row in fitted.history] == pytest.approx(losses, rel=1e-5)
    assert fitted.history[-1]["val_loss"] == pytest.approx(gradient(w, b)[0], rel=1e-5)
    if fitted.best_epoch == 2:
        np.testing.assert_allclose(model.trainable_variables[0].numpy(), w, rtol=1e-4, atol=1e-6)
    assert "train_step" not in vars(model)
    plain = w - RATE * gradient(w, b)[1]
    assert np.abs(by_hand(w, b, radius, adaptive)[0] - plain).max() > 1e-3  # the radius matters here


def test_both_passes_see_one_dropout_mask_and_statistics_move_once() -> None:
    def model() -> keras.Model:
        keras.utils.set_random_seed(0)
        given = keras.Input((4,))
        x = BatchNormalization(momentum=0.5)(given)
        x = keras.layers.Dropout(0.5, seed=3)(x)
        return keras.Model(given, keras.layers.Dense(3, name="logits")(x))

    ends = []
    for radius in (0.0, 1e-7):
        network, optim = model(), settings(sam=radius, epochs=1)
        with sharpness_aware(network, optim):
            network.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
            network.fit(DATA, epochs=2, shuffle=False, verbose=0)
        ends.append([np.asarray(v.numpy()) for v in network.variables])
    # With next to no radius both gradients are the same, if they are of one function.
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
