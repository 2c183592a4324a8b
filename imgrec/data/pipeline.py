"""From a split to batches; the whole order stands in `training_dataset`.

Batches are `(images float32 [B, H, W, C] in 0…255, targets float32 [B, num_classes])`. Order, draws
and mixing are functions of the seed and the position, so a dataset that starts at step s gives what
one that starts at 0 gives from its step s on.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from imgrec.config import AugmentConfig
from imgrec.data.augment import (
    Example,
    crop_for,
    flip_left_right,
    pad_and_crop,
    random_erasing,
    random_resized_crop,
)
from imgrec.data.dataset import Split
from imgrec.data.mixing import mixer
from imgrec.data.preprocess import Preprocess, read_file
from imgrec.data.randomness import permuted

# Files whose prepared pixels fit into this are decoded once and kept.
IN_MEMORY_BYTES = 1 << 30


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Return the number of full batches of an epoch, at least one.

    What does not fill a batch is left out of that epoch; the next has another order. A batch is
    never larger than the set.
    """
    return max(1, examples // batch_size)


def training_dataset(
    split: Split,
    preprocess: Preprocess,
    num_classes: int,
    augment: AugmentConfig,
    batch_size: int,
    seed: int,
    *,
    steps: int,
    start_step: int = 0,
    visibility: bool = False,
) -> tf.data.Dataset:
    """Return the batches of `steps` steps from `start_step` on, epochs in shuffled orders one after another.

    number → load → (random resized crop) → batch → (pad and crop) → (flip) → (erase) → one-hot → (mix)
    → prefetch

    With `visibility`, for which erasing must be on and mixing off, the targets are the pair (targets,
    visible float32 `[B, H, W, 1]`, 0 where erasing hid the image).
    """
    batch = min(batch_size, len(split))
    epoch_length = steps_per_epoch(len(split), batch_size) * batch
    crop = crop_for(augment.crop, preprocess.size)
    numbering = _numbering(len(split), epoch_length, seed)
    positions = tf.data.Dataset.range(start_step * batch, (start_step + steps) * batch)

    if crop == "random_resized":
        examples = _map(positions.map(numbering), _whole_image(split, preprocess))
        examples = _map(examples, random_resized_crop(seed, preprocess.size, antialias=preprocess.antialias))
        batches = examples.batch(batch, drop_remainder=True)
    elif _fits_memory(split, preprocess):
        batches = training_order(len(split), batch, seed, steps=steps, start_step=start_step)
        batches = _map(batches, _gather(split, preprocess))
    else:
        examples = _map(positions.map(numbering), _prepared_image(split, preprocess))
        batches = examples.batch(batch, drop_remainder=True)

    if crop == "pad":
        mode: Literal["zeros", "reflect"] = "zeros" if preprocess.colour == "grey" else "reflect"
        batches = _map(batches, pad_and_crop(seed, augment.crop_share, mode))
    if augment.flip:
        batches = _map(batches, flip_left_right(seed))
    if augment.erasing:
        batches = _map(batches, random_erasing(seed, augment.erasing, (0.02, augment.erasing_area)))
    batches = _map(batches, _to_pair(num_classes, visibility))
    mix = mixer(augment, seed)
    if mix is not None:
        batches = _map(batches.enumerate(start_step), mix)
    return _deterministic(batches)


def training_order(
    size: int, batch_size: int, seed: int, *, steps: int, start_step: int = 0
) -> tf.data.Dataset:
    """Return batches of `epoch` and `index`, int64 `[batch_size]`: which image stands where in training.

    `size` is that of the split, and `batch_size` at most that.
    """
    epoch_length = steps_per_epoch(size, batch_size) * batch_size
    positions = tf.data.Dataset.range(start_step * batch_size, (start_step + steps) * batch_size)
    return positions.batch(batch_size, drop_remainder=True).map(_numbering(size, epoch_length, seed))


def evaluation_dataset(
    split: Split, preprocess: Preprocess, num_classes: int, batch_size: int
) -> tf.data.Dataset:
    """Return every image once, in the split's order, as training sees it less the augmentation.

    The last batch may be smaller.
    """
    numbered = tf.data.Dataset.range(len(split)).map(lambda index: {"index": index})
    if _fits_memory(split, preprocess):
        batches = _map(numbered.batch(batch_size), _gather(split, preprocess))
    else:
        batches = _map(numbered, _prepared_image(split, preprocess)).batch(batch_size)
    return _deterministic(_map(batches, _to_pair(num_classes)))


def load_arrays(
    split: Split, preprocess: Preprocess, count: int | None = None, seed: int | None = None
) -> np.ndarray:
    """Return prepared pixels, uint8 `[N, H, W, C]`: of all, of the first `count`, or of `count` by `seed`.

    The images that a seed draws are in the split's order.
    """
    chosen = np.arange(len(split))
    if count is not None and count < len(split):
        drawn = None if seed is None else np.random.default_rng(seed).permutation(len(split))[:count]
        chosen = chosen[:count] if drawn is None else np.sort(drawn)
    if split.images is not None and split.images.shape[1:] == preprocess.shape and not preprocess.adapts:
        return split.images if len(chosen) == len(split) else split.images[chosen]
    read = _reader(split, preprocess)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return np.stack(list(pool.map(read, chosen)))


def _reader(split: Split, preprocess: Preprocess) -> Callable[[int], np.ndarray]:
    """Return index → prepared pixels, uint8 `[H, W, C]`."""
    if split.images is not None:
        images = split.images
        return lambda index: preprocess.on_array(images[index])
    paths = split.paths or ()
    return lambda index: preprocess.on_file(paths[index])


def _numbering(size: int, epoch_length: int, seed: int) -> Callable[[Any], Example]:
    """Position in the run → epoch and index of the image, for one position or many."""

    def number(position: Any) -> Example:
        epoch = position // epoch_length
        return {"epoch": epoch, "index": permuted(seed, position % epoch_length, epoch, size)}

    return number


def _whole_image(split: Split, preprocess: Preprocess) -> Callable[[Example], Example]:
    """Add the label and the picture in its own size, adapted, uint8 `[h, w, C]`."""
    if split.images is not None:
        images = split.images
        return _loader(split, preprocess, lambda i: preprocess.whole(images[i]), (None, None))
    paths = split.paths or ()

    def read(index: int) -> np.ndarray:
        return preprocess.whole_of_bytes(read_file(paths[index]), paths[index])

    return _loader(split, preprocess, read, (None, None))


def _prepared_image(split: Split, preprocess: Preprocess) -> Callable[[Example], Example]:
    """Add the label and the prepared picture, uint8 `[H, W, C]`."""
    return _loader(split, preprocess, _reader(split, preprocess), preprocess.size)


def _loader(
    split: Split,
    preprocess: Preprocess,
    read: Callable[[int], np.ndarray],
    size: tuple[int | None, int | None],
) -> Callable[[Example], Example]:
    # NumPy inside tf.data, so that there is one implementation; OpenCV and NumPy leave Python's lock
    # while they work, so images are still prepared in parallel.
    labels = tf.constant(split.labels, tf.int32)

    def load(example: Example) -> Example:
        image = tf.numpy_function(read, [example["index"]], tf.uint8)
        image = tf.ensure_shape(image, (*size, preprocess.shape[-1]))
        return {**example, "image": image, "label": labels[example["index"]]}

    return load


def _gather(split: Split, preprocess: Preprocess) -> Callable[[Example], Example]:
    """Add labels and prepared pictures of a batch from memory."""
    with tf.device("CPU"):
        images = tf.constant(load_arrays(split, preprocess))
        labels = tf.constant(split.labels, tf.int32)

    def gather(batch: Example) -> Example:
        index = batch["index"]
        return {**batch, "image": tf.gather(images, index), "label": tf.gather(labels, index)}

    return gather


def _fits_memory(split: Split, preprocess: Preprocess) -> bool:
    return split.images is not None or len(split) * int(np.prod(preprocess.shape)) <= IN_MEMORY_BYTES


def _to_pair(num_classes: int, visibility: bool = False) -> Callable[[Example], tuple[Any, Any]]:
    def pair(batch: Example) -> tuple[Any, Any]:
        targets = tf.one_hot(batch["label"], num_classes)
        return tf.cast(batch["image"], tf.float32), (targets, batch["visible"]) if visibility else targets

    return pair


def _map(dataset: tf.data.Dataset, function: Callable[..., Any]) -> tf.data.Dataset:
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _deterministic(dataset: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
