"""How much of an epoch training waits for its next batch, and a word where that is much."""

import time
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from imgrec import runtime

NOTEWORTHY = 0.2
"""Share of an epoch from which on waiting is worth a warning."""
LEAST = 0.25
"""Seconds of it below which nothing can be gained."""


class InputWait(keras.callbacks.Callback):
    """Hands the share of an epoch that was spent waiting for batches to the history: `input_wait`, 0…1.

    The first time it is `NOTEWORTHY`, one line says so and what may help. An epoch's first step is left out,
    for it compiles and finds the buffers empty; an epoch of one step has nothing else, and waits for nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stopwatch: Stopwatch | None = None
        self._warned = False
        self._begun = self._waited = self._ended = 0.0

    def watch(self, dataset: Any, strategy: Any = None) -> Any:
        """Return a `tf.data.Dataset` so that it can be measured.

        With a strategy it is as it was, and nothing is measured: the strategy asks ahead for its devices, and
        what it waits for is not what training waits for. Nor under deterministic operations, to which a clock
        does not belong.
        """
        self._stopwatch = None if strategy is not None or runtime.is_deterministic() else Stopwatch()
        return dataset if self._stopwatch is None else self._stopwatch.watch(dataset)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Read the clock, and after an epoch's first step what was waited until then."""
        self._ended = time.perf_counter()
        if batch == 0 and self._stopwatch is not None:
            self._begun, self._waited = self._ended, self._stopwatch.seconds

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Hand the share on, and warn the first time that it is much."""
        if self._stopwatch is None:
            return
        waited = self._stopwatch.seconds - self._waited
        share = waited / max(self._ended - self._begun, 1e-9)
        share = min(share, 1.0) if self._ended > self._begun else 0.0
        if logs is not None:
            logs["input_wait"] = round(share, 4)
        if share >= NOTEWORTHY and waited >= LEAST and not self._warned:
            self._warned = True
            print(
                f"warning: training waited for its images in {share:.0%} of epoch {epoch + 1}: try --cache "
                "memory if they are not kept yet, a smaller --image-size or less in --augment",
                flush=True,
            )


class Stopwatch:
    """Adds up the seconds that taking elements from a dataset lasts.

    Keras takes its batches inside of the compiled step, where no callback sees the wait. So the dataset does
    it itself: before it passes the request for a batch on to what lies before it, and after, it reads the
    clock. It takes two readings a batch, and no copy.
    """

    def __init__(self) -> None:
        with tf.device("CPU"):
            self._seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    @property
    def seconds(self) -> float:
        """The sum so far."""
        return float(self._seconds.numpy())

    def watch(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Return the same elements, as they come out of the last buffer of `dataset`."""

        def noted(begin: Any, element: Any, end: Any) -> Any:
            self._seconds.assign_add(end - begin)
            return element

        # The time at which each element is asked for; `zip` asks one dataset after the other, in their order.
        clock = tf.data.Dataset.counter().map(lambda _: tf.timestamp())
        watched = tf.data.Dataset.zip(clock, dataset, clock).map(noted)
        options = tf.data.Options()
        # A buffer behind the clock would ask ahead, and the clock would measure the buffer's wait.
        options.experimental_optimization.inject_prefetch = False
        return watched.with_options(options)
