"""Index → the pixels of an image, for the datasets of `pipeline.py`: read, prepared, kept where they fit."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from imgrec.data.cache import Cache, prepared_bytes, whole_bytes
from imgrec.data.decode import decode
from imgrec.data.preprocess import Preprocess, read_file
from imgrec.data.sources.dataset import Split
from imgrec.processors import cores

Found = TypeVar("Found")


def load_arrays(split: Split, preprocess: Preprocess) -> np.ndarray:
    """Return all prepared pixels, uint8 `[N, H, W, C]`."""
    if split.images is not None and is_prepared(split, preprocess):
        return split.images
    return np.stack(_of_all(split, reader(split, preprocess)))


def triggered(split: Split, preprocess: Preprocess) -> list[tuple[str, ...]]:
    """Return the names of the adaptive steps that fire on each image, in the split's order.

    Raises:
        InputError: as `Preprocess.on_file`.
    """
    read = _decoded(split, preprocess)
    return _of_all(split, lambda index: preprocess.whole_and_fired(read(index))[1])


def each_image(split: Split, preprocess: Preprocess, look: Callable[[np.ndarray], Found]) -> list[Found]:
    """Return what `look` says of each image as it is stored, uint8 `[h, w, C]`, in the split's order.

    Raises:
        InputError: as `Preprocess.on_file`.
    """
    read = _decoded(split, preprocess)
    return _of_all(split, lambda index: look(read(index)))


def _of_all(split: Split, read: Callable[[int], Found]) -> list[Found]:
    """Return what `read` gives of every image, in order, read side by side."""
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(read, range(len(split))))


def _decoded(split: Split, preprocess: Preprocess) -> Callable[[int], np.ndarray]:
    """Return index → the image as it is stored, uint8 `[h, w, C]`."""
    if split.images is not None:
        return split.images.__getitem__
    paths = split.paths or ()
    pixels, bits = preprocess.max_pixels, preprocess.bits
    return lambda index: decode(read_file(paths[index]), pixels, paths[index], bits)


def reader(split: Split, preprocess: Preprocess) -> Callable[[int], np.ndarray]:
    """Return index → prepared pixels, uint8 `[H, W, C]`."""
    read = _decoded(split, preprocess)
    return lambda index: preprocess.on_array(read(index))


def whole_image(split: Split, preprocess: Preprocess, cache: Cache) -> Callable[[int], np.ndarray]:
    """Return index → the image in its own size, adapted, uint8 `[h, w, C]`, from memory if kept."""
    stored = _decoded(split, preprocess)

    def read(index: int) -> np.ndarray:
        return preprocess.whole(stored(index))

    if split.images is not None and not preprocess.adapts:
        return read  # in memory as it is
    kept = cache.keep(
        split,
        preprocess,
        "whole",
        lambda: whole_bytes(split, read),
        lambda: _of_all(split, read),
        "training",
    )
    return read if kept is None else kept.__getitem__


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
