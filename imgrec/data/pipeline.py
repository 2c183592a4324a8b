"""From a split to batches; the whole order stands in `training_dataset`.

Batches are `(images float32 [B, H, W, C] in 0…255, targets float32 [B, num_classes])`. Order, draws
and mixing are functions of the seed and the position, so a dataset that starts at step s gives what
one that starts at 0 gives from its step s on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from imgrec.config import AugmentConfig
from imgrec.data.augment.batch import Example, augmix_views
from imgrec.data.augment.compose import Augmenter
from imgrec.data.augment.engine import engines
from imgrec.data.cache import Cache
from imgrec.data.loading import kept_tensor, prepared, reader, whole_image
from imgrec.data.mixing import mixer
from imgrec.data.order.sampling import Order, order_of
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.processors import cores


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Return the number of batches of an epoch, which shows every image; `training_order` fills the last."""
    return -(-examples // batch_size)


NEVER = 1 << 30
"""An epoch that no training comes to; what fills the last batch of an epoch is taken from those after it."""
Targets = Callable[[Any], Any]
"""Labels of a batch, as `Split.labels` has them, → float32 `[B, K]`: a task's `targets`."""
VISIBILITY, VIEWS = "visibility", "views"
"""What a batch of training may hold beside images and targets; see `Feed.needs`."""


@dataclass(frozen=True)
class Feed:
    """How images and labels become batches of training.

    preprocess, augment, batch_size, seed: as they are named.
    targets: labels → what the loss is held against.
    sampling: the order, one of `order.sampling.SAMPLINGS`.
    needs: what else a batch holds. `visibility`, for which erasing must be on and mixing off, makes the
        targets the pair (targets, visible float32 `[B, H, W, 1]`, 0 where erasing hid the image). `views`,
        for which mixing must be off, makes the images `[B, 3, H, W, C]`: each with two AugMix views of it.
    cache: keeps decoded images, which changes no pixel; without it files are decoded anew every epoch.
    """

    preprocess: Preprocess
    targets: Targets
    augment: AugmentConfig
    batch_size: int
    seed: int
    sampling: str = "natural"
    needs: frozenset[str] = frozenset()
    cache: Cache = field(default_factory=lambda: Cache("none"))

    def order(self, labels: np.ndarray) -> Order:
        """Return the order of a split with these labels."""
        return order_of(labels, self.sampling, self.seed)


def training_dataset(split: Split, feed: Feed, *, steps: int, start_step: int = 0) -> tf.data.Dataset:
    """Return the batches of `steps` steps from `start_step` on, epochs in shuffled orders one after another.

    number → load → (crop, flip, erase) → (views) → targets → (mix) → prefetch, all on batches

    `augment.augment`, a line of operations, stands for crop and flip. `augment/engine.py` says what of crop,
    flip and erasing is run while an image is loaded.

    Raises:
        InputError: the images do not fit into memory, and `feed.cache` must keep them.
    """
    order = feed.order(split.labels)
    batch = min(feed.batch_size, order.size)
    visibility = VISIBILITY in feed.needs
    numbers = training_order(order, batch, steps=steps, start_step=start_step)
    augmenter, operations = engines(feed.augment, feed.preprocess, feed.seed, visibility)
    batches = _loaded(numbers, batch, split, feed.preprocess, augmenter, feed.cache)
    for operation in operations:
        batches = _map(batches, operation)
    if VIEWS in feed.needs:
        batches = _map(batches, augmix_views(feed.seed))
    mix = mixer(feed.augment, feed.seed, steps_per_epoch(order.size, batch))
    batches = _map(batches, _to_pair(feed.targets, visibility, tf.float32 if mix is None else tf.uint8))
    if mix is not None:
        batches = _map(batches.enumerate(start_step), mix)
    return _deterministic(batches)


def _loaded(
    numbers: tf.data.Dataset,
    batch: int,
    split: Split,
    preprocess: Preprocess,
    augmenter: Augmenter | None,
    cache: Cache,
) -> tf.data.Dataset:
    """Add labels and images to batches of numbers: augmented while they are read, from memory, or read."""
    if augmenter is not None:
        return _map(numbers, _augmented(split, preprocess, augmenter, cache), cores())
    kept = kept_tensor(split, preprocess, cache, "training")
    if kept is not None:
        return _map(numbers, _gather(kept, split.labels))
    examples = _map(numbers.unbatch(), _prepared_image(split, preprocess), cores())
    return examples.batch(batch, drop_remainder=True)


def training_order(order: Order, batch_size: int, *, steps: int, start_step: int = 0) -> tf.data.Dataset:
    """Return batches of `epoch` and `index`, int64 `[batch_size]`: which image stands where in training.

    An epoch shows all of `order`; places that its last batch has left show some once more, drawn anew and
    changed in other ways. `batch_size` is at most `order.size`.
    """
    length = steps_per_epoch(order.size, batch_size) * batch_size
    positions = tf.data.Dataset.range(start_step * batch_size, (start_step + steps) * batch_size)

    def place(position: Any) -> dict[str, Any]:
        epoch, spot = position // length, position % length
        left = spot // order.size  # 1 in the places that are left
        return order.index_at(epoch + left * NEVER, spot - left * order.size)

    return positions.batch(batch_size, drop_remainder=True).map(place)


def images_of_step(split: Split, feed: Feed, step: int) -> list[str]:
    """Return the ids of the images that `training_dataset` shows in a step, counted from the run's first."""
    order = feed.order(split.labels)
    batch = next(iter(training_order(order, min(feed.batch_size, order.size), steps=1, start_step=step)))
    return [split.ids[index] for index in batch["index"].numpy()]


def evaluation_dataset(
    split: Split, preprocess: Preprocess, targets: Targets, batch_size: int, cache: Cache | None = None
) -> tf.data.Dataset:
    """Return every image once, in the split's order, as training sees it less the augmentation.

    The last batch may be smaller. A `cache` is worth it where the images are gone through again and again.
    """
    numbered = tf.data.Dataset.range(len(split)).map(lambda index: {"index": index})
    kept = kept_tensor(split, preprocess, cache or Cache("none"))
    if kept is not None:
        batches = _map(numbered.batch(batch_size), _gather(kept, split.labels))
    else:
        batches = _map(numbered, _prepared_image(split, preprocess), cores()).batch(batch_size)
    return _deterministic(_map(batches, _to_pair(targets)))


def _augmented(
    split: Split, preprocess: Preprocess, augmenter: Augmenter, cache: Cache
) -> Callable[[Example], Example]:
    """Add labels and augmented images, uint8 `[B, H, W, C]`, of a batch.

    Decoding and all changes of an image are one call: nothing of its full size goes through TensorFlow.
    """
    # Batches are worked on side by side already.
    cv2.setNumThreads(1)
    read_image = (whole_image if augmenter.whole else prepared)(split, preprocess, cache)
    labels = tf.constant(split.labels)

    def read(epoch: np.ndarray, index: np.ndarray) -> np.ndarray:
        result = np.empty((len(index), *preprocess.shape), np.uint8)
        for row, (e, i) in enumerate(zip(epoch.tolist(), index.tolist(), strict=True)):
            result[row] = augmenter(read_image(i), e, i)
        return result

    def load(batch: Example) -> Example:
        image = tf.numpy_function(read, [batch["epoch"], batch["index"]], tf.uint8)
        image = tf.ensure_shape(image, (None, *preprocess.shape))
        return {**batch, "image": image, "label": tf.gather(labels, batch["index"])}

    return load


def _prepared_image(split: Split, preprocess: Preprocess) -> Callable[[Example], Example]:
    """Add the label and the prepared image, uint8 `[H, W, C]`."""
    # NumPy inside tf.data, so that there is one implementation; OpenCV and NumPy leave Python's lock
    # while they work, so images are still prepared in parallel.
    read, labels = reader(split, preprocess), tf.constant(split.labels)

    def load(example: Example) -> Example:
        image = tf.numpy_function(read, [example["index"]], tf.uint8)
        image = tf.ensure_shape(image, preprocess.shape)
        return {**example, "image": image, "label": labels[example["index"]]}

    return load


def _gather(images: Any, labels: np.ndarray) -> Callable[[Example], Example]:
    """Add labels and prepared images of a batch from memory."""
    with tf.device("CPU"):
        held = tf.constant(labels)

    def gather(batch: Example) -> Example:
        index = batch["index"]
        return {**batch, "image": tf.gather(images, index), "label": tf.gather(held, index)}

    return gather


def _to_pair(
    targets: Targets, visibility: bool = False, dtype: Any = tf.float32
) -> Callable[[Example], tuple[Any, Any]]:
    def pair(batch: Example) -> tuple[Any, Any]:
        held = targets(batch["label"])
        return tf.cast(batch["image"], dtype), (held, batch["visible"]) if visibility else held

    return pair


def _map(
    dataset: tf.data.Dataset, function: Callable[..., Any], side_by_side: int = tf.data.AUTOTUNE
) -> tf.data.Dataset:
    return dataset.map(function, num_parallel_calls=side_by_side, deterministic=True)


def _deterministic(dataset: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    # Several hosts: each takes its part of every batch. By files it would take batches of its own.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
