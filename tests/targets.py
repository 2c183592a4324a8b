"""Targets and feeds for tests of batches."""

from typing import Any

import tensorflow as tf

from imgrec.config import AugmentConfig
from imgrec.data.pipeline import Feed, Targets
from imgrec.data.preprocess import Preprocess


def one_hot(classes: int) -> Targets:
    return lambda labels: tf.one_hot(labels, classes)


def feed(
    preprocess: Preprocess, classes: int, augment: AugmentConfig, batch_size: int, seed: int, **more: Any
) -> Feed:
    return Feed(preprocess, one_hot(classes), augment, batch_size, seed, **more)
