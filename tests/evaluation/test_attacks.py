"""FGSM and PGD: by a direct gradient, by formula, by what is best on a linear model."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from robust_models import CLASSES, SIDE, given, learned, linear, split, subject
from scipy.special import expit, softmax

from imgrec.data.sources.dataset import Split
from imgrec.evaluation.evaluations import requested
from imgrec.evaluation.page import fragment
from imgrec.evaluation.robustness.attacks import Ball, Descent, fgsm, gradient_of, pgd
from imgrec.evaluation.subject import Subject
from imgrec.metrics.intervals import wilson_interval
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel
from imgrec.tasks.task import Task


def test_the_gradient_is_that_of_cross_entropy_of_logits() -> None:
    task = Multiclass(CLASSES)
    one, images = subject(task, linear(task)), split(9, task)
    weights = one.model.get_weights()[0].astype(np.float64)
    pixels = images.images.astype(np.float32)  # type: ignore[union-attr]
    probable = softmax(pixels.reshape(9, -1).astype(np.float64) @ weights, axis=1)
    expected = (probable - np.eye(3)[images.labels]) @ weights.T
    found = gradient_of(one)(pixels, images.labels)
    np.testing.assert_allclose(found.reshape(9, -1), expected, atol=1e-6)


def test_the_gradient_of_labels_is_that_of_binary_cross_entropy() -> None:
    task = Multilabel(CLASSES)
    one, images = subject(task, linear(task)), split(9, task)
    weights = one.model.get_weights()[0].astype(np.float64)
    pixels = images.images.astype(np.float32)  # type: ignore[union-attr]
    expected = (expit(pixels.reshape(9, -1) @ weights) - images.labels) @ weights.T / 3
    found = gradient_of(one)(pixels, images.labels)
    np.testing.assert_allclose(found.reshape(9, -1), expected, atol=1e-6)


def test_a_model_that_is_sure_still_has_a_gradient() -> None:
    task = Multiclass(CLASSES)
    one, images = subject(task, linear(task, scale=2)), split(9, task)
    pixels = images.images.astype(np.float32)  # type: ignore[union-attr]
    logits = one.model.predict(pixels, verbose=0)
    assert (softmax(logits, axis=1).max(axis=1) == 1).any()
    found = gradient_of(one)(pixels, logits.argmax(axis=1).astype(np.int32))
    assert (np.abs(found).max(axis=(1, 2, 3)) > 0).all()


def network() -> tuple[Subject, Split]:
    keras.utils.set_random_seed(3)
    image = keras.Input((SIDE, SIDE, 1), name="image")
    x = keras.layers.Conv2D(4, 3, activation="tanh")(image / 255.0)
    x = keras.layers.BatchNormalization()(x)
    logits = keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(x))
    task = Multiclass(CLASSES)
    return subject(task, keras.Model(image, logits)), split(6, task)


def test_fgsm_is_one_step_along_the_sign_of_a_direct_gradient() -> None:
    import tensorflow as tf

    one, images = network()
    pixels = images.images.astype(np.float32)  # type: ignore[union-attr]
    held = tf.Variable(pixels)
    with tf.GradientTape() as tape:
        total = tf.nn.sparse_softmax_cross_entropy_with_logits(images.labels, one.model(held, training=False))
    direct = tape.gradient(total, held).numpy()
    found = gradient_of(one)(pixels, images.labels)
    np.testing.assert_allclose(found, direct, rtol=1e-4, atol=1e-9)
    moved = fgsm(gradient_of(one), pixels, images.labels, 3)
    np.testing.assert_array_equal(moved, np.clip(pixels + 3 * np.sign(found), 0, 255))
    assert np.isin(moved - pixels, (-3, 0, 3)).all()


@pytest.mark.parametrize(("norm", "radius"), [("linf", 4.0), ("l2", 30.0)])
def test_pgd_stays_in_its_ball_and_raises_the_loss_more_than_one_step(norm: str, radius: float) -> None:
    one, images = network()
    pixels = images.images.astype(np.float32)  # type: ignore[union-attr]
    moved = pgd(gradient_of(one), pixels, images.labels, Ball(norm, radius), Descent(20))
    change = (moved - pixels).astype(np.float64).reshape(6, -1)
    sizes = np.abs(change).max(axis=1) if norm == "linf" else np.linalg.norm(change, axis=1)
    assert (sizes <= radius * (1 + 1e-5)).all() and (sizes > 0.9 * radius).all()
    assert moved.min() >= 0 and moved.max() <= 255

    def loss(shown: NDArray[np.floating]) -> float:
        return float(
            one.task.loss("auto", 0.0).call(np.eye(3)[images.labels], one.model(shown)).numpy().mean()
        )

    steps = [
        loss(pgd(gradient_of(one), pixels, images.labels, Ball(norm, radius), Descent(n, 2.5 / n)))
        for n in (1, 40)
    ]
    assert loss(pixels) < steps[0] <= steps[1] + 1e-6


def test_on_a_linear_model_pgd_finds_the_best_change_there_is() -> None:
    task = Multiclass(("a", "b"))
    one, images = subject(task, linear(task)), split(5, task)
    pixels = np.full((5, SIDE, SIDE, 1), 127.0, np.float32)
    weights = one.model.get_weights()[0]
    away = (weights[:, 1 - images.labels] - weights[:, images.labels]).T.reshape(pixels.shape)
    linf = pgd(gradient_of(one), pixels, images.labels, Ball("linf", 5), Descent(40))
    np.testing.assert_allclose(linf, pixels + 5 * np.sign(away), atol=1e-4)
    l2 = pgd(gradient_of(one), pixels, images.labels, Ball("l2", 20), Descent(60, 0.2))
    best = pixels + 20 * away / np.linalg.norm(away.reshape(5, -1), axis=1).reshape(5, 1, 1, 1)
    np.testing.assert_allclose(l2, best, atol=0.15)


def test_random_starts_fill_the_ball_evenly() -> None:
    shape = (4000, 2, 1, 1)
    draw = np.random.default_rng(0)
    for ball in (Ball("l2", 3.0), Ball("linf", 3.0)):
        start = ball.start(draw, shape).reshape(4000, 2)
        sizes = np.linalg.norm(start, axis=1) if ball.norm == "l2" else np.abs(start).max(axis=1)
        assert sizes.max() <= 3.0
        # In two dimensions a quarter of the ball lies within half of its radius, for both norms.
        assert (sizes < 1.5).mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("task", [Multiclass(CLASSES), Multilabel(CLASSES)], ids=["class", "classes"])
def test_the_section_of_attacks_falls_with_strength_and_to_nothing_without_a_bound(task: Task) -> None:
    one, images = learned(task)
    section = requested("attacks(epsilon=[1, 30], steps=10, images=20)")["attacks"](given(one, images))
    assert section is not None
    told = section.json["attacks"]
    assert told["clean"]["accuracy"] == 1 and told["images"] == 20
    weak, strong = told["strengths"]
    assert weak["fgsm"]["accuracy"] >= weak["pgd"]["accuracy"] > strong["pgd"]["accuracy"]
    assert weak["l2_radius"] == pytest.approx(SIDE / 3)
    assert told["unbounded"] == {"images": 20, "accuracy": 0.0, "interval_95": wilson_interval(0, 20)}
    assert told["doubts"] == []
    assert "The gradient can be trusted" in fragment(section.template, section.data)


def test_a_masked_gradient_is_told() -> None:
    """A staircase has no gradient: attacks fail, which is no robustness."""
    task = Multiclass(CLASSES)
    one, images = learned(task)
    image = keras.Input((SIDE, SIDE, 1))
    stairs = keras.layers.Lambda(lambda x: keras.ops.round(x / 8) * 8)(image)
    masked = subject(task, keras.Model(image, one.model(stairs)))
    section = requested("attacks(epsilon=2, steps=5)")["attacks"](given(masked, images))
    assert section is not None and section.json["attacks"]["unbounded"]["accuracy"] > 0
    page = fragment(section.template, section.data)
    assert "These figures may look better than they are" in page and "can be trusted" not in page
