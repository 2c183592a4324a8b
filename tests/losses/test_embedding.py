"""Triplet and contrastive losses against loops over anchors, pairs and negatives."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.losses.embedding import SupervisedContrastive, Triplet, distances, unit_length

DRAW = np.random.default_rng(0)
EMBEDDINGS = DRAW.normal(0, 1, (24, 8)).astype("float32")
LABELS = DRAW.integers(0, 5, 24)
LABELS[0] = 9  # the only one of its class: an anchor without a positive


def unit(embeddings: np.ndarray) -> np.ndarray:
    values = embeddings.astype(np.float64)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def slow_triplet(embeddings: np.ndarray, labels: np.ndarray, mining: str, margin: float | str) -> float:
    units, losses = unit(embeddings), []

    def hinge(difference: float) -> float:
        if margin == "soft":
            return float(np.log1p(np.exp(difference)))
        return max(0.0, difference + float(margin))

    for anchor in range(len(labels)):
        far = [float(np.linalg.norm(units[anchor] - units[other])) for other in range(len(labels))]
        positives = [far[p] for p in range(len(labels)) if labels[p] == labels[anchor] and p != anchor]
        negatives = [far[n] for n in range(len(labels)) if labels[n] != labels[anchor]]
        if not positives or not negatives:
            continue
        if mining == "hard":
            losses.append(hinge(max(positives) - min(negatives)))
            continue
        for positive in positives:
            beyond = [n for n in negatives if n > positive]
            losses.append(hinge(positive - (min(beyond) if beyond else max(negatives))))
    return float(np.mean(losses)) if losses else 0.0


def slow_contrast(embeddings: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    units, losses = unit(embeddings), []
    for anchor in range(len(labels)):
        others = [a for a in range(len(labels)) if a != anchor]
        total = sum(np.exp(units[anchor] @ units[a] / temperature) for a in others)
        own = [a for a in others if labels[a] == labels[anchor]]
        if own:
            terms = [np.log(np.exp(units[anchor] @ units[p] / temperature) / total) for p in own]
            losses.append(-float(np.mean(terms)))
    return float(np.mean(losses)) if losses else 0.0


@pytest.mark.parametrize("mining", ["hard", "semi_hard"])
@pytest.mark.parametrize("margin", [0.2, 1.0, "soft"])
def test_triplet_is_the_slow_reference(mining: str, margin: float | str) -> None:
    found = float(Triplet(mining, margin)(LABELS, EMBEDDINGS))
    assert found == pytest.approx(slow_triplet(EMBEDDINGS, LABELS, mining, margin), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_contrast_is_the_slow_reference(temperature: float) -> None:
    found = float(SupervisedContrastive(temperature)(LABELS, EMBEDDINGS))
    assert found == pytest.approx(slow_contrast(EMBEDDINGS, LABELS, temperature), rel=1e-5)


def test_by_hand() -> None:
    # On a circle: two of class 0 at 0° and 60° (1 apart), one of class 1 at 90° (√2 and 2 sin 15°).
    angles = np.deg2rad([0.0, 60.0, 90.0])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("float32")
    near = 2 * np.sin(np.deg2rad(15))
    hard = (max(0, 1 - np.sqrt(2) + 0.2) + (1 - near + 0.2)) / 2
    labels = np.array([0, 0, 1])
    assert float(Triplet("hard", 0.2)(labels, points)) == pytest.approx(hard, rel=1e-5)
    # Supervised contrast with τ = 1: each of the pair against the other and the third.
    first = -0.5 + np.log(np.exp(0.5) + np.exp(0.0))
    second = -0.5 + np.log(np.exp(0.5) + np.exp(np.cos(np.deg2rad(30))))
    assert float(SupervisedContrastive(1.0)(labels, points)) == pytest.approx((first + second) / 2, rel=1e-5)


LOSSES = [Triplet("hard"), Triplet("semi_hard"), Triplet("hard", "soft"), SupervisedContrastive()]
CASES = {
    "all equal": (np.ones((6, 4)), [0, 0, 0, 1, 1, 1]),
    "all zero": (np.zeros((6, 4)), [0, 0, 0, 1, 1, 1]),
    "one class": (DRAW.normal(0, 1, (6, 4)), [0] * 6),
    "each its own": (DRAW.normal(0, 1, (6, 4)), range(6)),
    "very large": (1e15 * DRAW.normal(0, 1, (6, 4)), [0, 0, 0, 1, 1, 1]),
    "one image": (np.ones((1, 4)), [0]),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("loss", LOSSES, ids=["hard", "semi_hard", "soft", "supcon"])
def test_degenerate_batches_give_finite_losses_and_gradients(loss: Any, case: str, dtype: str) -> None:
    values, labels = CASES[case]
    embeddings = tf.Variable(tf.cast(values, dtype))
    with tf.GradientTape() as tape:
        value = loss(np.array(labels), embeddings)
    gradient = tape.gradient(value, embeddings)
    assert np.isfinite(float(value))
    assert np.isfinite(tf.cast(gradient, "float32")).all()
    if case in ("one class", "each its own", "one image") and isinstance(loss, Triplet):
        assert float(value) == 0.0


def test_bfloat16_embeddings_cost_what_their_values_cost_in_float64() -> None:
    rounded = tf.cast(EMBEDDINGS, "bfloat16")
    values = tf.cast(rounded, "float32").numpy()
    for mining in ("hard", "semi_hard"):
        expected = slow_triplet(values, LABELS, mining, 0.2)
        assert float(Triplet(mining)(LABELS, rounded)) == pytest.approx(expected, rel=1e-4)
    expected = slow_contrast(values, LABELS, 0.1)
    assert float(SupervisedContrastive()(LABELS, rounded)) == pytest.approx(expected, rel=1e-4)


def test_the_triplet_s_gradient_is_that_of_finite_differences() -> None:
    """In float64 by NumPy, away from ties."""
    embeddings = tf.Variable(EMBEDDINGS)
    for loss, slow in (
        (Triplet("hard", 1.0), lambda e: slow_triplet(e, LABELS, "hard", 1.0)),
        (Triplet("semi_hard", 1.0), lambda e: slow_triplet(e, LABELS, "semi_hard", 1.0)),
        (SupervisedContrastive(0.2), lambda e: slow_contrast(e, LABELS, 0.2)),
    ):
        with tf.GradientTape() as tape:
            value = loss(LABELS, embeddings)
        gradient = np.asarray(tape.gradient(value, embeddings))
        for row, column in ((1, 0), (5, 3), (11, 7)):
            step = np.zeros(EMBEDDINGS.shape)
            step[row, column] = 1e-5
            slope = (slow(EMBEDDINGS + step) - slow(EMBEDDINGS - step)) / 2e-5
            assert gradient[row, column] == pytest.approx(slope, rel=1e-3, abs=1e-6)


def test_distances_lie_between_0_and_2() -> None:
    units = unit_length(np.concatenate([EMBEDDINGS, -EMBEDDINGS]))
    found = np.asarray(distances(units))
    assert (np.diag(found) == 0).all() and found.max() == pytest.approx(2, rel=1e-6)


def test_a_batch_of_unknown_size() -> None:
    for loss in (Triplet("semi_hard"), SupervisedContrastive()):
        traced = tf.function(
            loss.__call__, input_signature=[tf.TensorSpec([None], tf.int64), tf.TensorSpec([None, 8])]
        )
        assert float(traced(LABELS, EMBEDDINGS)) == pytest.approx(float(loss(LABELS, EMBEDDINGS)), rel=1e-5)


def test_they_survive_saving() -> None:
    for loss in (Triplet("semi_hard", "soft"), SupervisedContrastive(0.3)):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
        assert float(again(LABELS, EMBEDDINGS)) == float(loss(LABELS, EMBEDDINGS))
