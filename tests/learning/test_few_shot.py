"""Learning in episodes: losses against NumPy, the head of class means, inner steps, and through fit."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax
from sessions import session_of

from imgrec.config import Config
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source, Split
from imgrec.errors import InputError
from imgrec.layers.normalization import BatchNormalization
from imgrec.learning import episodic, methods
from imgrec.learning.episodic import Episode, FewShot, head_of
from imgrec.learning.maml import Inner, Maml
from imgrec.learning.protonet import ProtoNet, prototype_logits
from imgrec.learning.session import Session
from imgrec.training.fit import fit_phases

EPISODE = Episode(way=3, shot=2, query=4)
CLASSES = ("a", "b", "c", "d")
SETTINGS: dict[str, Any] = {
    "crop": "none",
    "flip": False,
    "epochs": 8,
    "batch_size": 18,
    "learning_rate": 0.02,
    "optimizer": "adamw",
    "weight_decay": 0.0,
    "warmup_epochs": 0.0,
    "layer_decay": 1.0,
    "patience": 0,
    "label_smoothing": 0.0,
    "freeze": "none",
}


def drawn(count: int, seed: int) -> Split:
    """Four textures in noise."""
    draw, labels = np.random.default_rng(seed), np.arange(count) % 4
    images = draw.integers(0, 120, (count, 16, 16, 1), np.uint8)
    images[labels == 0, ::4] += 90
    images[labels == 1, :, ::4] += 90
    images[labels == 2, ::2, ::2] += 90
    return Split(tuple(f"{seed}-{n}" for n in range(count)), labels.astype(np.int32), images=images)


@pytest.fixture(scope="module")
def source() -> Source:
    return Source(CLASSES, "grey", drawn(72, 0), drawn(40, 1), drawn(8, 2), "f" * 64, "textures", 16)


def session(source: Source, method: str, **more: Any) -> Session:
    config = Config().replace(**{**SETTINGS, "method": method, **more})
    keras.utils.set_random_seed(0)
    return session_of(config, source, Preprocess(size=(16, 16), colour="grey"), network())


def network() -> keras.Model:
    """Two convolutions and their normalisation."""
    inputs = keras.Input((16, 16, 1))
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    for number, stride in enumerate((2, 1)):
        x = keras.layers.Conv2D(12, 3, stride, padding="same", name=f"conv{number}")(x)
        x = keras.layers.ReLU()(BatchNormalization(name=f"norm{number}")(x))
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(inputs, keras.layers.Dense(4, name="logits")(x))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_answers_are_those_of_the_nearest_prototype(metric: str) -> None:
    features = np.random.default_rng(0).normal(size=(2 * 3 * 6, 5)).astype(np.float32)
    given = features.reshape(2, 3, 6, 5).astype(np.float64)
    expected = np.empty((2, 3, 4, 3))
    for task in range(2):
        for label in range(3):
            for number in range(4):
                query = given[task, label, 2 + number]
                for other in range(3):
                    mean = given[task, other, :2].mean(0)
                    cosine = 10 * query @ mean / np.linalg.norm(query) / np.linalg.norm(mean)
                    far = ((query - mean) ** 2).sum()
                    expected[task, label, number, other] = cosine if metric == "cosine" else -far
    found = prototype_logits(features, EPISODE, metric)
    np.testing.assert_allclose(np.asarray(found), expected.reshape(-1, 3), atol=1e-4)
    targets = np.asarray(EPISODE.targets(2))
    assert targets.shape == (24, 3) and (targets.argmax(1) == np.tile(np.repeat([0, 1, 2], 4), 2)).all()


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_head_answers_by_the_nearest_mean(metric: str) -> None:
    rng = np.random.default_rng(1)
    means, features = rng.normal(size=(6, 5)), rng.normal(size=(50, 5))
    kernel, bias = head_of(means, metric, 2.0)
    said = softmax(features @ kernel + bias, axis=1)
    logits = np.asarray(episodic.closeness(features[None], means[None], metric))[0]
    assert (said.argmax(1) == logits.argmax(1)).all()
    if metric == "euclidean":
        np.testing.assert_allclose(said, softmax(logits, axis=1), atol=1e-5)


def one_dense() -> keras.Model:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(3)(inputs))


def by_hand(weights: list[np.ndarray], known: np.ndarray, asked: np.ndarray, rate: float, steps: int) -> Any:
    """Two layers, cross-entropy and gradient steps, in NumPy; the second layer begins at zero."""
    first, bias, second, offset = *(w.astype(np.float64) for w in weights), np.zeros((3, 2)), np.zeros(2)
    truth = np.repeat(np.eye(2), len(known) // 2, axis=0)
    for _ in range(steps):
        hidden = known @ first + bias
        wrong = (softmax(hidden @ second + offset, axis=1) - truth) / len(known)
        back = wrong @ second.T
        second, offset = second - rate * hidden.T @ wrong, offset - rate * wrong.sum(0)
        first, bias = first - rate * known.T @ back, bias - rate * back.sum(0)
    return (asked @ first + bias) @ second + offset


def test_inner_steps_and_the_gradient_through_them() -> None:
    rng, model = np.random.default_rng(2), one_dense()
    known, asked = rng.normal(size=(6, 4)).astype(np.float32), rng.normal(size=(4, 4)).astype(np.float32)
    truth = np.repeat(np.eye(2, dtype=np.float32), 3, axis=0)
    labels = np.array([0, 0, 1, 1])
    weights = model.get_weights()

    def cost(kernel: np.ndarray) -> float:
        logits = by_hand([kernel, weights[1]], known, asked, 0.3, 3)
        return float(-log_softmax(logits, axis=1)[np.arange(4), labels].mean())

    slopes = {}
    for order in (1, 2):
        with tf.GradientTape() as tape:
            logits, _ = Inner(0.3, 3, order)(model, known, truth, asked, [])
            told = keras.ops.log_softmax(logits)
            loss = -keras.ops.mean(keras.ops.sum(told * np.eye(2, dtype=np.float32)[labels], -1))
        slopes[order] = tape.gradient(loss, model.trainable_variables[0].value).numpy()
        np.testing.assert_allclose(np.asarray(logits), by_hand(weights, known, asked, 0.3, 3), atol=1e-5)

    numeric = np.zeros_like(weights[0], np.float64)
    for place in np.ndindex(*numeric.shape):
        step = np.zeros_like(numeric)
        step[place] = 1e-5
        numeric[place] = (cost(weights[0] + step) - cost(weights[0] - step)) / 2e-5
    np.testing.assert_allclose(slopes[2], numeric, atol=1e-4)
    assert np.abs(slopes[1] - numeric).max() > 1e-3
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    "text",
    [
        "protonet(way=3, shot=1, query=3)",
        "protonet(way=3, shot=2, query=2, metric=cosine)",
        "maml(way=3, shot=1, query=2, inner_steps=1)",
    ],
)
def test_it_learns_through_fit_and_leaves_a_recogniser_of_all_classes(source: Source, text: str) -> None:
    given = session(source, text)
    (phase,) = methods.choose(given.config).phases(given, 8)
    done = fit_phases(given.model, [phase], optim=given.config.optim, steps_per_epoch=given.steps_per_epoch)
    assert done.history[-1]["val_accuracy"] > 0.9
    images, targets = next(iter(given.evaluation(source.test)))
    assert (given.model.predict(images, verbose=0).argmax(1) == np.asarray(targets).argmax(1)).mean() > 0.8
    # A training that goes on sees what it would have seen.
    left, whole = phase.train.batches(5), list(phase.train.batches(0))[5:]
    for (one, _), (other, _) in zip(left, whole, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(phase.train.images(5)) == whole[0][0].shape[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("protonet(way=5)", "an episode of 5 classes: the data has 4"),
        ("protonet(way=3, shot=15, query=5)", "takes 20 images a class: class 'a' has 18 training images"),
        ("protonet(metric=manhattan)", "unknown metric of protonet 'manhattan'"),
        ("maml(order=3)", "order=3: expected a whole number from 1 to 2"),
        ("protonet(shot=0)", "shot=0: expected a whole number from 1"),
    ],
)
def test_what_cannot_be_followed_is_named(source: Source, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given = session(source, text)
        methods.choose(given.config).check_source(source)


def test_both_say_what_they_do_not_go_with() -> None:
    for kind in (ProtoNet, Maml):
        assert issubclass(kind, FewShot) and {"mixing", "imbalance"} <= set(kind.conflicts)
