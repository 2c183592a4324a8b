"""Embeddings taught beside the logits, balanced accuracy, and a schedule that begins anew."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import balanced_accuracy_score
from targets import feed, one_hot

from imgrec.config import AugmentConfig, OptimConfig
from imgrec.data.pipeline import evaluation_dataset, training_dataset
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.learning.auxiliary_loss import EmbeddingSupervised
from imgrec.losses import build_embedding_loss
from imgrec.losses.embedding import unit_length
from imgrec.metrics.epoch import BalancedAccuracy
from imgrec.models import build_model
from imgrec.training.fit import Phase, fit_phases

OPTIM = OptimConfig.plain(epochs=4, batch_size=16, learning_rate=0.03, warmup_epochs=0.5, label_smoothing=0.0)
PREPROCESS = Preprocess(size=(16, 16), colour="grey")


def stripes(count: int, seed: int) -> Split:
    draw, labels = np.random.default_rng(seed), np.arange(count) % 2
    images = draw.integers(0, 120, (count, 16, 16, 1), np.uint8)
    images[labels == 0, ::4] += 90
    images[labels == 1, :, ::4] += 90
    return Split(tuple(map(str, range(count))), labels.astype(np.int32), images=images)


def spread(model: keras.Model, split: Split) -> float:
    """Mean cosine between features of one class less that between those of two."""
    features = keras.Model(model.input, model.get_layer("features").output)
    units = np.asarray(unit_length(features(split.images.astype("float32"))))
    cosine, same = units @ units.T, split.labels[:, None] == split.labels
    return float(cosine[same & ~np.eye(len(split), dtype=bool)].mean() - cosine[~same].mean())


@pytest.mark.parametrize("name", ["supcon", pytest.param("triplet", marks=pytest.mark.slow)])
def test_features_gather_by_class_and_the_validation_loss_is_the_logits(name: str) -> None:
    keras.utils.set_random_seed(0)
    model = build_model("resnet8", (16, 16, 1), 2, width=8)
    part = EmbeddingSupervised(model, build_embedding_loss(name), 0.5)
    train = training_dataset(
        stripes(64, 0), feed(PREPROCESS, 2, AugmentConfig(crop="none", flip=False), 16, 0), steps=16
    )
    validation = evaluation_dataset(stripes(32, 1), PREPROCESS, one_hot(2), 16)
    before = spread(model, stripes(32, 1))
    fitted = fit_phases(model, [Phase(train, validation, 4, part=part)], optim=OPTIM, steps_per_epoch=4)
    assert spread(model, stripes(32, 1)) > before + 0.1
    best = fitted.history[fitted.best_epoch - 1]
    assert best["val_accuracy"] > 0.9
    model.compile(loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    assert model.evaluate(validation, verbose=0) == pytest.approx(best["val_loss"], rel=1e-4)


def test_the_loss_is_the_sum_of_both() -> None:
    keras.utils.set_random_seed(0)
    model = build_model("resnet8", (16, 16, 1), 2, width=8)
    split, plain = stripes(16, 0), keras.losses.CategoricalCrossentropy(from_logits=True)
    loss = build_embedding_loss("triplet", {"margin": 1.0})
    part = EmbeddingSupervised(model, loss, 0.25)
    part.compile(loss=plain)
    targets = np.eye(2, dtype="float32")[split.labels]
    logits, features = part([split.images.astype("float32")])
    expected = float(plain(targets, logits)) + 0.25 * float(loss(split.labels, features))
    outputs = [logits, features]
    assert float(part.compute_loss(y=targets, y_pred=outputs)) == pytest.approx(expected, rel=1e-5)
    still = float(part.compute_loss(y=targets, y_pred=outputs, training=False))
    assert still == pytest.approx(float(plain(targets, logits)), rel=1e-5)


def test_balanced_accuracy_is_scikit_learn_s_over_batches_of_any_size() -> None:
    draw = np.random.default_rng(0)
    labels = draw.choice(5, 90, p=[0.6, 0.2, 0.1, 0.1, 0.0])
    logits = draw.normal(0, 1, (90, 5)).astype("float32")
    logits[np.arange(90), labels] += 1
    metric = BalancedAccuracy(5)
    assert float(metric.result()) == 0
    for part in np.split(np.arange(90), [40, 47]):
        metric.update_state(np.eye(5)[labels[part]], logits[part])
    # No image is of class 4: keep scikit-learn from warning of answers that are.
    kept = logits.copy()
    kept[:, 4] = -9
    without = BalancedAccuracy(5)
    without.update_state(np.eye(5)[labels], kept)
    assert float(without.result()) == pytest.approx(balanced_accuracy_score(labels, kept.argmax(axis=1)))
    recalls = [(logits.argmax(axis=1) == c)[labels == c].mean() for c in range(4)]
    assert float(metric.result()) == pytest.approx(np.mean(recalls), rel=1e-6)
    metric.reset_state()
    assert float(metric.result()) == 0


def test_a_phase_that_restarts_has_a_whole_schedule_of_its_own() -> None:
    values = np.random.default_rng(0).normal(0, 1, (16, 3)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((values, np.eye(2, dtype="float32")[np.arange(16) % 2])).batch(
        4
    )
    given = keras.Input((3,))
    features = keras.layers.Dense(3, name="features")(given)
    model = keras.Model(given, keras.layers.Dense(2, name="logits")(features))
    phases = [
        Phase(data.repeat(2), data, 2),
        Phase(data.repeat(2), data, 4),
        Phase(data.repeat(2), data, 6, frozen="features", restart=True),
    ]
    optim = OptimConfig.plain(epochs=6, warmup_epochs=0, batch_size=4, learning_rate=0.1)
    history = fit_phases(model, phases, optim=optim, steps_per_epoch=4).history
    # A half cosine over 16 steps in the first two phases, over 8 in the last.
    cosine = [0.05 * (1 + np.cos(np.pi * place)) for place in (0.25, 0.5, 0.75, 1, 0.5, 1)]
    assert [row["learning_rate"] for row in history] == pytest.approx(cosine, abs=1e-6)
