"""AugMix's consistency: the divergence against closed forms and SciPy, its views, and a training with it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax
from scipy.stats import entropy
from targets import feed, one_hot

from imgrec.config import AugmentConfig, OptimConfig
from imgrec.data.augment.policies import augmix
from imgrec.data.augment.view import View
from imgrec.data.order.draws import Draws
from imgrec.data.order.sampling import order_of
from imgrec.data.pipeline import evaluation_dataset, training_dataset, training_order
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.learning.consistency import Consistent, jensen_shannon
from imgrec.models import build_model
from imgrec.training.fit import Phase, fit_phases

PREPROCESS = Preprocess(size=(16, 16), colour="grey")
PLAIN = AugmentConfig(crop="none", flip=False)


def stripes(count: int, seed: int) -> Split:
    draw, labels = np.random.default_rng(seed), np.arange(count) % 2
    images = draw.integers(0, 120, (count, 16, 16, 1), np.uint8)
    images[labels == 0, ::4] += 90
    images[labels == 1, :, ::4] += 90
    return Split(tuple(map(str, range(count))), labels.astype(np.int32), images=images)


def test_the_divergence_is_the_entropy_of_the_mean_less_the_mean_entropy() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (5, 3, 7)).astype("float32")
    answers = softmax(logits.astype(float), axis=-1)
    expected = entropy(answers.mean(axis=1), axis=-1) - entropy(answers, axis=-1).mean(axis=1)
    assert float(jensen_shannon(logits)) == pytest.approx(expected.mean(), rel=1e-5)


def test_it_is_0_for_equal_answers_and_log_3_for_sure_ones_that_all_differ() -> None:
    assert float(jensen_shannon(np.tile([[[3.0, -1.0, 0.5]]], (2, 3, 1)))) == pytest.approx(0, abs=1e-6)
    sure = tf.constant(200 * np.eye(3, dtype="float32")[np.newaxis])
    with tf.GradientTape() as tape:
        tape.watch(sure)
        value = jensen_shannon(sure)
    assert float(value) == pytest.approx(np.log(3), rel=1e-6)
    assert np.isfinite(tape.gradient(value, sure)).all()
    # Two views that agree and one that does not: entropy of (2/3, 1/3).
    two = 200 * np.eye(3, dtype="float32")[[[0, 0, 1]]]
    assert float(jensen_shannon(two)) == pytest.approx(entropy([2 / 3, 1 / 3]), rel=1e-5)


def test_the_views_are_made_of_what_other_augmentation_gives_and_repeat() -> None:
    split, flips = stripes(24, 0), AugmentConfig(crop="pad")

    def batches(views: bool, seed: int = 3, start: int = 0) -> list[np.ndarray]:
        data = training_dataset(
            split,
            feed(PREPROCESS, 2, flips, 8, seed, needs=frozenset({"views"} if views else ())),
            steps=6 - start,
            start_step=start,
        )
        return [images.numpy() for images, _ in data]

    plain, views = batches(False), batches(True)
    assert all(batch.shape == (8, 3, 16, 16, 1) for batch in views)
    assert all(np.array_equal(a[:, 0], b) for a, b in zip(views, plain, strict=True))
    assert all(map(np.array_equal, views[4:], batches(True, start=4)))
    assert not np.array_equal(views[0][:, 1], views[0][:, 2])

    place = next(iter(training_order(order_of(split.labels, "natural", 3), 8, steps=1)))
    for spot, (epoch, index) in enumerate(zip(place["epoch"].numpy(), place["index"].numpy(), strict=True)):
        picture = View.of(plain[0][spot].astype(np.uint8), 0)
        for view in (1, 2):
            expected = augmix(picture, Draws(3, epoch, index, 60 + view)).pixels()
            assert np.array_equal(views[0][spot, view], expected)


def test_the_loss_is_the_sum_of_both_and_all_views_are_one_batch() -> None:
    keras.utils.set_random_seed(0)
    model = build_model("resnet8", (16, 16, 1), 2, width=8)
    part, plain = Consistent(model, 12.0), keras.losses.CategoricalCrossentropy(from_logits=True)
    part.compile(loss=plain)
    images = np.random.default_rng(0).uniform(0, 255, (6, 3, 16, 16, 1)).astype("float32")
    targets = np.eye(2, dtype="float32")[[0, 1] * 3]
    logits = part(images, training=True)
    whole = model(images.reshape(18, 16, 16, 1), training=True)
    np.testing.assert_allclose(logits, np.reshape(whole, (6, 3, 2)), rtol=1e-5, atol=1e-5)
    expected = float(plain(targets, logits[:, 0])) + 12 * float(jensen_shannon(logits))
    assert float(part.compute_loss(y=targets, y_pred=logits)) == pytest.approx(expected, rel=1e-5)
    own = part(images[:, 0])
    np.testing.assert_allclose(own, model(images[:, 0]), rtol=1e-6)
    assert float(part.compute_loss(y=targets, y_pred=own)) == pytest.approx(
        float(plain(targets, own)), rel=1e-6
    )


def trained(weight: float) -> Consistent:
    optim = OptimConfig.plain(
        epochs=3, batch_size=16, learning_rate=0.03, warmup_epochs=0.5, label_smoothing=0.0
    )
    keras.utils.set_random_seed(0)
    part = Consistent(build_model("resnet8", (16, 16, 1), 2, width=8), weight)
    data = training_dataset(
        stripes(64, 0), feed(PREPROCESS, 2, PLAIN, 16, 0, needs=frozenset({"views"})), steps=12
    )
    phase = Phase(data, evaluation_dataset(stripes(32, 1), PREPROCESS, one_hot(2), 16), 3, part=part)
    fitted = fit_phases(part.recogniser, [phase], optim=optim, steps_per_epoch=4)
    assert fitted.history[fitted.best_epoch - 1]["val_accuracy"] > 0.9
    return part


def test_a_training_with_it_learns() -> None:
    trained(12.0)


@pytest.mark.slow
def test_answers_for_views_agree_more_after_it() -> None:
    views = training_dataset(
        stripes(32, 1), feed(PREPROCESS, 2, PLAIN, 32, 9, needs=frozenset({"views"})), steps=1
    )
    ((shown, _),) = views
    without, with_it = (float(jensen_shannon(trained(weight)(shown))) for weight in (0.0, 12.0))
    assert with_it < without
