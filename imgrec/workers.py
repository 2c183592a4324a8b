"""Several hosts that train one model together: who they are, what they tell each other, what Keras needs.

TensorFlow knows them by the environment variable TF_CONFIG, as in `EXAMPLE`, each host with its own index.
"""

import contextlib
import json
import os
import re
import zlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from imgrec.errors import InputError, WorkerLost
from imgrec.jax_devices import JaxDevices

EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


class Team:
    """The workers of a training. A strategy on one host, or none, is a team of one.

    What a team does together (`any`, `same`, `meet`, a step), all its workers must do in the same order.
    """

    def __init__(self, strategy: Any = None) -> None:
        self.strategy = strategy
        self._gathering: Any = None
        self.size, self.index = _place(strategy)

    @property
    def is_chief(self) -> bool:
        """Whether this worker is the one that writes."""
        return not self.index

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Return, for each flag, whether it is set on any worker."""
        if self.size == 1:
            return flags
        return tuple((self._gather([float(flag) for flag in flags]).max(axis=0) > 0).tolist())

    def same(self, what: str, value: str) -> None:
        """Check that all workers have the same `value`.

        Raises:
            InputError: they do not; on every worker.
        """
        if self.size == 1:
            return
        number = float(zlib.crc32(value.encode()) % 2**24)  # float32 holds it exactly
        if np.ptp(self._gather([number])):
            raise InputError(
                f"worker {self.index} of {self.size}: {what} is {value[:80] or 'not there'} here, and not so "
                "on every worker: give all the same command and data, and an --out that they share"
            )

    def share(self, dataset: Any) -> Any:
        """Return what of a dataset this worker feeds: TensorFlow divides it by itself, JAX does not."""
        return self.strategy.share(dataset) if isinstance(self.strategy, JaxDevices) else dataset

    def meet(self) -> None:
        """Wait until every worker is here."""
        self.any(False)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Turn the failure of what the team does together into one that names its cause.

        Raises:
            WorkerLost: in place of TensorFlow's errors of communication.
        """
        if self.size == 1:
            yield
            return
        try:
            yield
        except _lost() as error:
            if isinstance(error, ValueError) and not re.match("[A-Z_]+: ", str(error)):
                raise  # none of communication, which begins with its status
            why = type(error).__name__
            raise WorkerLost(
                f"worker {self.index} of {self.size}: another one does not answer ({why}); start all of them "
                "again with the same command, they go on from the newest checkpoint"
            ) from None

    def _gather(self, values: list[float]) -> np.ndarray:
        """Return every worker's, or every replica's, values, `[…, len(values)]`."""
        if isinstance(self.strategy, JaxDevices):
            return self.strategy.gather(values)
        import tensorflow as tf

        def gather(own: Any) -> Any:
            return self.strategy.run(
                lambda: tf.distribute.get_replica_context().all_gather(own[None], axis=0)
            )

        if self._gathering is None:  # traced once: it is asked after every step
            self._gathering = tf.function(gather, reduce_retracing=True)
        gathered = self._gathering(tf.constant(values, tf.float32))
        return np.asarray(self.strategy.experimental_local_results(gathered)[0])


def _lost() -> tuple[type[Exception], ...]:
    """What the backend raises when another worker does not answer."""
    if keras.backend.backend() == "jax":
        import jax

        return (jax.errors.JaxRuntimeError, ValueError)
    import tensorflow as tf

    names = ("Unavailable", "Aborted", "Cancelled", "DeadlineExceeded", "FailedPrecondition", "Internal")
    return tuple(getattr(tf.errors, f"{name}Error") for name in names)


def _place(strategy: Any) -> tuple[int, int]:
    """Return the number of workers, and which of them this is."""
    if isinstance(strategy, JaxDevices):
        return strategy.workers, strategy.index
    resolver: Any = getattr(strategy, "cluster_resolver", None)
    size = len(resolver.cluster_spec().as_dict().get("worker", ())) if resolver else 1
    return (size, int(resolver.task_id or 0)) if size > 1 else (1, 0)


def join() -> Any:
    """Meet the workers that TF_CONFIG names; return their strategy. Nothing may have been computed before.

    Raises:
        InputError: TF_CONFIG is not set, or is no such cluster.
    """
    cluster()
    import tensorflow as tf

    repair_keras()
    return tf.distribute.MultiWorkerMirroredStrategy()


def cluster() -> tuple[list[str], int]:
    """Return the addresses of all workers, and which of them this is, as TF_CONFIG says.

    Raises:
        InputError: it is not set, or says something else.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        raise InputError(
            "--strategy multiworker: TF_CONFIG is not set; give each host, with its own index, "
            f"TF_CONFIG='{EXAMPLE}'"
        )
    try:
        config = json.loads(text)
        workers, index = config["cluster"]["worker"], config["task"]["index"]
        if config["task"]["type"] == "worker" and 0 <= int(index) < len(workers):
            return list(workers), int(index)
    except (ValueError, KeyError, TypeError):
        pass
    raise InputError(
        f"TF_CONFIG={text!r}: expected workers, and this host's index among them, like {EXAMPLE}"
    )


def repair_keras() -> None:
    """Mend two faults of Keras 3.15's `fit` over several hosts.

    `_maybe_symbolic_build` averages the first batch over all replicas, which fails for what is already this
    host's share of it; and `reduce_per_replica` averages figures, which are scalars, along their first axis.
    Only shapes are asked for in the first, and in the second the epoch's figures are those of the metrics,
    which add up over the workers when they are read: this host's part serves both.
    """
    from keras.src.backend.tensorflow import trainer

    if not keras.__version__.startswith("3.15."):
        return

    def build(self: Any, iterator: Any = None, data_batch: Any = None) -> None:
        strategy = self._distribute_strategy
        if strategy is None:
            return
        if iterator is not None:
            _, _, batches = next(iter(iterator))
            data_batch = next(batches)
        data_batch = keras.tree.map_structure(
            lambda value: strategy.experimental_local_results(value)[0], data_batch
        )
        with strategy.scope():
            self._symbolic_build(data_batch=data_batch)

    original = trainer.reduce_per_replica

    def reduce(values: Any, strategy: Any, reduction: str) -> Any:
        if reduction != "auto" or Team(strategy).size == 1:
            return original(values, strategy, reduction)
        import tensorflow as tf

        return keras.tree.map_structure(
            lambda value: tf.reduce_mean(tf.stack(strategy.experimental_local_results(value)), axis=0), values
        )

    trainer.TensorFlowTrainer._maybe_symbolic_build = build
    trainer.reduce_per_replica = reduce
