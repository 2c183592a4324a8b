"""Random numbers as a function: f(seed, epoch, index, stream), the same whenever and wherever asked.

SplitMix64's finaliser (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014)
over the four numbers, in TensorFlow operations, for single examples and whole batches alike.
"""

from typing import Any

import tensorflow as tf

_GOLDEN = 0x9E3779B97F4A7C15
_MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
# Streams of their own for every kind of draw, so that none repeats another's numbers.
FLIP, CROP_TOP, CROP_LEFT, CROP_AREA, CROP_RATIO, MIX, ERASE = range(7)


def uniform(seed: int, epoch: Any, index: Any, stream: int, count: int = 0) -> Any:
    """Return float32 in [0, 1), one for each entry of `index`; with `count`, that many (a last axis).

    Args:
        seed: of the run.
        epoch: int64 `[...]`.
        index: int64 `[...]`, the image's number in its split.
        stream: which kind of draw.
        count: draws an image; 0 gives one, without an axis.
    """
    state = tf.fill(tf.shape(index), _unsigned(seed * 64 + stream))
    for value in (epoch, index):
        state = _finalise(state + _unsigned(_GOLDEN)) ^ tf.cast(value, tf.uint64)
    if count:
        state = state[..., tf.newaxis] + tf.cast(tf.range(1, count + 1), tf.uint64) * _unsigned(_GOLDEN)
    return tf.cast(tf.bitwise.right_shift(_finalise(state), _unsigned(40)), tf.float32) * 2.0**-24


def permuted(seed: int, position: Any, epoch: Any, size: Any) -> Any:
    """Return int64 `[...]`: the image at each position of an epoch's order, a permutation of `size`.

    `size` is a number or int64 `[...]`. Every entry is computed by itself, so that a run can resume at any
    position.
    """
    words = [tf.zeros_like(epoch) + (seed >> shift & 0x7FFFFFFF) for shift in (0, 31)]
    return tf.raw_ops.RandomIndexShuffle(
        index=position,
        seed=tf.stack([*words, epoch], axis=-1),
        max_index=tf.zeros_like(position) + size - 1,
        # TensorFlow's four rounds of its cipher leave short blocks unmixed: under seed 0, 41 of 56 images
        # stood in the first epoch where they stand in the folder.
        rounds=4 if isinstance(size, int) and size >= 2**15 else 12,
    )


def _finalise(state: Any) -> Any:
    for shift, factor in _MIXERS:
        state = (state ^ tf.bitwise.right_shift(state, _unsigned(shift))) * _unsigned(factor)
    return state ^ tf.bitwise.right_shift(state, _unsigned(31))


def _unsigned(value: int) -> Any:
    return tf.constant(value % 2**64, tf.uint64)
