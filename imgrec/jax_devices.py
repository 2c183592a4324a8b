"""Devices under Keras's JAX backend: one process with all of its devices, or several processes.

Weights are on every device, each step's images are divided among them, and the compiler adds up what must be
added; batch normalisation measures the whole batch. (`keras.distribution.DataParallel`)
"""

import contextlib
from typing import Any

import keras
import numpy as np

from imgrec.errors import InputError


class JaxDevices:
    """The devices that a training under JAX runs on; stands where a `tf.distribute.Strategy` would."""

    def __init__(self) -> None:
        import jax

        self.num_replicas_in_sync = jax.device_count()
        self.workers, self.index = jax.process_count(), jax.process_index()
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(devices=jax.devices(), auto_shard_dataset=False)
        )

    def scope(self) -> contextlib.AbstractContextManager[None]:
        """Models need none: the distribution holds for the whole process."""
        return contextlib.nullcontext()

    def share(self, dataset: Any) -> Any:
        """Return a `tf.data.Dataset` of this process's part of every batch, which must split evenly."""
        if self.workers == 1:
            return dataset

        import tensorflow as tf

        def part(*batch: Any) -> Any:
            def cut(values: Any) -> Any:
                own = (values.shape[0] or tf.shape(values)[0]) // self.workers
                return values[self.index * own : (self.index + 1) * own]

            parts = keras.tree.map_structure(cut, batch)
            return parts if len(parts) > 1 else parts[0]

        return dataset.map(part)

    def gather(self, values: list[float]) -> np.ndarray:
        """Return every process's values, `[workers, len(values)]`."""
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(np.asarray(values, np.float32)))


def choose(name: str, cluster: tuple[list[str], int] | None) -> tuple[JaxDevices | None, str]:
    """Return (the devices, or None for a single one, a line that says which).

    `name` is that of `runtime.choose_strategy`; `cluster`, for multiworker, holds the addresses of the
    workers and which of them this is.

    Raises:
        InputError: tpu, and there is none.
    """
    import jax

    if cluster:
        addresses, index = cluster
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        # Else JAX ends the process itself when another one is lost, and not only when the first is.
        jax.config.update("jax_enable_recoverability", True)
        jax.distributed.initialize(addresses[0], len(addresses), index)
    kind = jax.devices()[0]
    if name == "tpu" and kind.platform != "tpu":
        raise InputError(
            f"--strategy tpu: JAX sees {kind.platform}; pip install 'jax[tpu]' on a machine with a TPU "
            "(python -m pipelines.doctor says more)"
        )
    line = f"{jax.device_count()} × {kind.device_kind} (JAX)"
    if cluster:
        line += f" of {jax.process_count()} workers, of which this is {jax.process_index()}"
    alone = jax.device_count() == 1 or name == "none"
    return (None if alone else JaxDevices()), line
