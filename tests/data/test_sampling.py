"""Samplings: exact shares of an epoch, every image in its turn, and any step can be gone on from."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from targets import feed

from imgrec.config import AugmentConfig
from imgrec.data.order.sampling import SAMPLINGS, order_of
from imgrec.data.pipeline import steps_per_epoch, training_dataset, training_order
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.learning.features import Features

COUNTS = np.array([64, 16, 4])
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(3), COUNTS)).astype(np.int32)
SHARES = {
    "natural": [64, 16, 4],
    "balanced": [28, 28, 28],
    "sqrt": [48, 24, 12],  # 8 : 4 : 2 of 84
    "over": [64, 64, 64],
    "under": [4, 4, 4],
}


def shown(sampling: str, epochs: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Turn and image at every position of the first epochs, `[epochs, size]` each."""
    order = order_of(LABELS, sampling, seed)
    epoch, spot = np.divmod(np.arange(epochs * order.size), order.size)
    found = order.index_at(tf.constant(epoch), tf.constant(spot))
    return tuple(found[key].numpy().reshape(epochs, -1) for key in ("epoch", "index"))


def test_every_sampling_of_the_table_is_tested() -> None:
    assert SHARES.keys() == SAMPLINGS.keys()


@pytest.mark.parametrize("sampling", SHARES)
def test_every_epoch_holds_the_classes_in_exact_shares(sampling: str) -> None:
    _, index = shown(sampling, 3)
    for epoch in index:
        assert np.bincount(LABELS[epoch], minlength=3).tolist() == SHARES[sampling]


def test_shares_that_do_not_come_out_even_still_fill_the_epoch() -> None:
    labels = np.repeat(np.arange(3), [50, 3, 1]).astype(np.int32)
    for sampling, expected in (("balanced", [18, 18, 18]), ("sqrt", [39, 10, 5])):
        # √50 : √3 : 1 of 54 is 38.98, 9.55, 5.51: largest remainders first.
        order = order_of(labels, sampling, 0)
        found = order.index_at(tf.zeros(order.size, tf.int64), tf.range(order.size, dtype=tf.int64))
        assert np.bincount(labels[found["index"].numpy()]).tolist() == expected


@pytest.mark.parametrize("sampling", SHARES)
def test_all_images_of_a_class_are_shown_before_one_comes_again(sampling: str) -> None:
    turn, index = shown(sampling, 20)
    pairs = np.stack([turn.ravel(), index.ravel()], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs), "an image twice with the same draws"
    for label, count in enumerate(COUNTS):
        times = np.bincount(index.ravel(), minlength=84)[label == LABELS]
        assert times.max() - times.min() <= 1
        assert times.sum() == 20 * SHARES[sampling][label] and len(times) == count


@pytest.mark.parametrize("sampling", SHARES)
def test_the_order_is_the_seed_s_and_differs_between_epochs(sampling: str) -> None:
    _, first = shown(sampling, 2)
    _, again = shown(sampling, 2)
    _, other = shown(sampling, 2, seed=1)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other) and not np.array_equal(first[0], first[1])
    # The classes are mixed: as many changes from one to the next as chance makes.
    changes = (np.diff(LABELS[first.ravel()]) != 0).mean()
    shares = np.array(SHARES[sampling]) / sum(SHARES[sampling])
    assert changes == pytest.approx(1 - (shares**2).sum(), abs=0.2)


@pytest.mark.parametrize("sampling", SHARES)
def test_a_single_position_is_that_of_the_batch(sampling: str) -> None:
    turn, index = shown(sampling, 2)
    order = order_of(LABELS, sampling, 0)
    found = order.index_at(tf.constant(1, tf.int64), tf.constant(5, tf.int64))
    assert (int(found["epoch"]), int(found["index"])) == (turn[1, 5], index[1, 5])


@pytest.mark.parametrize(("sampling", "crop"), [("balanced", "pad"), ("over", "random_resized")])
def test_any_step_can_be_gone_on_from(sampling: str, crop: Any) -> None:
    images = np.random.default_rng(1).integers(0, 256, (84, 8, 8, 1), np.uint8)
    split = Split(tuple(map(str, range(84))), LABELS, images=images)
    augment = AugmentConfig(crop=crop, mixup=0.2)

    def batches(steps: int, start_step: int) -> list[tuple[np.ndarray, np.ndarray]]:
        place: dict[str, int] = {"steps": steps, "start_step": start_step}
        data = training_dataset(
            split, feed(Preprocess((8, 8), "grey"), 3, augment, 16, 0, sampling=sampling), **place
        )
        return [(x.numpy(), y.numpy()) for x, y in data]

    for one, two in zip(batches(14, 0)[9:], batches(5, 9), strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])


def test_an_image_shown_often_is_changed_each_time() -> None:
    """The smallest class comes 16 times in an epoch of over-sampling, in as many images."""
    images = np.random.default_rng(1).integers(0, 256, (84, 12, 12, 1), np.uint8)
    split = Split(tuple(map(str, range(84))), LABELS, images=images)
    augment = AugmentConfig(crop="pad", crop_share=0.5)
    data = training_dataset(
        split, feed(Preprocess((12, 12), "grey"), 3, augment, 64, 0, sampling="over"), steps=3
    )
    rare = [image.tobytes() for x, y in data for image in x.numpy()[y.numpy()[:, 2] == 1]]
    assert len(rare) == 64 and len(set(rare)) > 50


@pytest.mark.parametrize("sampling", ["balanced", "over"])
def test_features_come_in_the_order_of_the_pictures(sampling: str) -> None:
    features = Features(np.arange(84, dtype=np.float32).reshape(1, 84, 1), LABELS)
    data = features.training_dataset(
        feed(Preprocess((8, 8)), 3, AugmentConfig(), 16, 2, sampling=sampling), steps=20, start_step=3
    )
    order = order_of(LABELS, sampling, 2)
    expected = training_order(order, 16, steps=20, start_step=3)
    for (values, targets), place in zip(data, expected, strict=True):
        np.testing.assert_array_equal(values[:, 0], place["index"])
        np.testing.assert_array_equal(targets.numpy().argmax(axis=1), LABELS[place["index"]])


def test_an_epoch_smaller_than_a_batch_is_one_batch() -> None:
    images = np.zeros((84, 8, 8, 1), np.uint8)
    split = Split(tuple(map(str, range(84))), LABELS, images=images)
    data = training_dataset(
        split,
        feed(Preprocess((8, 8), "grey"), 3, AugmentConfig(crop="none", flip=False), 32, 0, sampling="under"),
        steps=3,
    )
    assert steps_per_epoch(12, 12) == 1
    assert [y.numpy().sum(axis=0).tolist() for _, y in data] == [[4, 4, 4]] * 3


@pytest.mark.parametrize(
    ("labels", "sampling", "message"),
    [
        (LABELS, "ballanced", "unknown sampling 'ballanced': did you mean balanced?"),
        (LABELS // 2 * 2, "over", "sampling 'over': class 1 has no training image"),
        (np.eye(3), "sqrt", "sampling 'sqrt': expected one class an image"),
    ],
)
def test_what_cannot_be_sampled_is_named(labels: np.ndarray, sampling: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        order_of(labels, sampling, 0)
    assert message in str(caught.value)
