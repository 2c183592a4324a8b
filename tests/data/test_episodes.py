"""Episodes: distinct classes, distinct images of each, and any step can be gone on from."""

import numpy as np
import pytest
from targets import feed

from imgrec.config import AugmentConfig
from imgrec.data.order.episodes import sampling_of
from imgrec.data.order.sampling import order_of
from imgrec.data.pipeline import images_of_step, training_dataset, training_order
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError

COUNTS = np.array([9, 5, 7, 4, 12, 6])
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(6), COUNTS)).astype(np.int32)


def batches(steps: int, start: int = 0, seed: int = 0, way: int = 3, images: int = 4) -> np.ndarray:
    """Images of each step, `[steps, way, images]`."""
    order = order_of(LABELS, sampling_of(way, images), seed)
    shown = training_order(order, way * images, steps=steps, start_step=start)
    return np.stack([batch["index"].numpy() for batch in shown]).reshape(steps, way, images)


def test_an_episode_has_so_many_images_of_so_many_classes() -> None:
    seen = batches(40)
    for episode in seen:
        labels = LABELS[episode]
        assert (labels == labels[:, :1]).all() and len(set(labels[:, 0])) == 3
        assert len(set(episode.ravel().tolist())) == episode.size
    # Classes come alike often, whatever their size, and so do the images of each.
    often = np.bincount(LABELS[seen[:, :, 0]].ravel(), minlength=6)
    assert often.min() > 10 and np.unique(seen).size == len(LABELS)


def test_it_is_a_function_of_seed_and_step() -> None:
    np.testing.assert_array_equal(batches(10)[6:], batches(4, start=6))
    assert (batches(10) != batches(10, seed=1)).any()


def test_batches_of_several_episodes_are_whole() -> None:
    images = np.zeros((len(LABELS), 8, 8, 1), np.uint8)
    split = Split(tuple(map(str, range(len(LABELS)))), LABELS, images=images)
    given = feed(Preprocess((8, 8), "grey"), 6, AugmentConfig(crop="none"), 24, 0, sampling=sampling_of(3, 4))
    steps = [np.asarray(targets).argmax(1) for _, targets in training_dataset(split, given, steps=5)]
    for step, labels in enumerate(steps):
        assert labels.reshape(6, 4).std(axis=1).max() == 0
        assert labels.tolist() == [LABELS[int(name)] for name in images_of_step(split, given, step)]


@pytest.mark.parametrize(
    ("way", "images", "message"),
    [(7, 2, "an episode of 7 classes: the data has 6"), (3, 5, "class '3' has 4 training images")],
)
def test_too_few_classes_or_images_are_named(way: int, images: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        order_of(LABELS, sampling_of(way, images), 0)


def test_several_labels_are_refused() -> None:
    with pytest.raises(InputError, match="expected one class an image"):
        order_of(np.eye(3, dtype=np.float32), sampling_of(2, 1), 0)
