"""Targets and feeds for tests of batches."""

from typing import Any

import tensorflow as tf

from imgrec.config import AugmentConfig
from imgrec.data.pipeline import Feed, Targets
from imgrec.data.preprocess import Preprocess


def one_hot(classes: int) -> Targets:
    """One-hot targets of one class an image; multi-hot labels as they are."""
    return lambda labels: labels if labels.shape.rank == 2 else tf.one_hot(labels, classes)


def feed(
    preprocess: Preprocess, classes: int, augment: AugmentConfig, batch_size: int, seed: int, **more: Any
) -> Feed:
    return Feed(preprocess, one_hot(classes), augment, batch_size, seed, **more)
