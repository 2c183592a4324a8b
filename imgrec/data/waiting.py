"""How long the consumer of a dataset waits for it, measured where it takes its batches."""

from typing import Any

import tensorflow as tf


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

        # `zip` asks one dataset after the other, in their order.
        watched = tf.data.Dataset.zip(_clock(), dataset, _clock()).map(noted)
        options = tf.data.Options()
        # A buffer behind the clock would ask ahead, and the clock would measure the buffer's wait.
        options.experimental_optimization.inject_prefetch = False
        return watched.with_options(options)


def _clock() -> tf.data.Dataset:
    """The time at which each element is asked for, float64 seconds, without end."""
    return tf.data.Dataset.counter().map(lambda _: tf.timestamp())
