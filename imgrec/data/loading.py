"""Index → the pixels of an image, for the datasets of `pipeline.py`: read, prepared, kept where they fit."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from imgrec.data.cache import Cache, prepared_bytes, whole_bytes
from imgrec.data.preprocess import Preprocess, read_file
from imgrec.data.sources.dataset import Split
from imgrec.processors import cores


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
    if split.images is not None and is_prepared(split, preprocess):
        return split.images if len(chosen) == len(split) else split.images[chosen]
    read = reader(split, preprocess)
    with ThreadPoolExecutor(cores()) as pool:
        return np.stack(list(pool.map(read, chosen)))


def reader(split: Split, preprocess: Preprocess) -> Callable[[int], np.ndarray]:
    """Return index → prepared pixels, uint8 `[H, W, C]`."""
    if split.images is not None:
        images = split.images
        return lambda index: preprocess.on_array(images[index])
    paths = split.paths or ()
    return lambda index: preprocess.on_file(paths[index])


def whole_image(split: Split, preprocess: Preprocess, cache: Cache) -> Callable[[int], np.ndarray]:
    """Return index → the image in its own size, adapted, uint8 `[h, w, C]`, from memory if kept."""
    read = _whole_reader(split, preprocess)
    if split.images is not None and not preprocess.adapts:
        return read  # in memory as it is

    def load() -> list[np.ndarray]:
        with ThreadPoolExecutor(cores()) as pool:
            return list(pool.map(read, range(len(split))))

    kept = cache.keep(split, preprocess, "whole", lambda: whole_bytes(split, read), load, "training")
    return read if kept is None else kept.__getitem__


def _whole_reader(split: Split, preprocess: Preprocess) -> Callable[[int], np.ndarray]:
    if split.images is not None:
        images = split.images
        return lambda index: preprocess.whole(images[index])
    paths = split.paths or ()
    return lambda index: preprocess.whole_of_bytes(read_file(paths[index]), paths[index])


def prepared(split: Split, preprocess: Preprocess, cache: Cache) -> Callable[[int], np.ndarray]:
    """Return index → prepared pixels, uint8 `[H, W, C]`, from memory where they are kept."""
    kept = split.images
    if not is_prepared(split, preprocess):
        kept = cache.keep(
            split,
            preprocess,
            "array",
            lambda: prepared_bytes(split, preprocess),
            lambda: load_arrays(split, preprocess),
            "training",
        )
    return reader(split, preprocess) if kept is None else kept.__getitem__


def kept_tensor(split: Split, preprocess: Preprocess, cache: Cache, name: str = "") -> Any:
    """Return all prepared images, a tensor uint8 `[N, H, W, C]`, or None where they are not kept."""

    def load() -> Any:
        with tf.device("CPU"):
            return tf.constant(load_arrays(split, preprocess))

    if is_prepared(split, preprocess):
        return load()
    return cache.keep(split, preprocess, "tensor", lambda: prepared_bytes(split, preprocess), load, name)


def is_prepared(split: Split, preprocess: Preprocess) -> bool:
    """Whether the split holds the very pixels that `preprocess` makes."""
    return split.images is not None and split.images.shape[1:] == preprocess.shape and not preprocess.adapts
