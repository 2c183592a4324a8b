"""Steps that leave no number: ended at once in float32, skipped and counted under loss scaling."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from imgrec.training.callbacks import Remembering
from imgrec.training.optim.optimizers import raw

MOST_SKIPPED = 30
"""Skipped steps in a row after which loss scaling, halved as often, has nothing left to give."""
NAMED = 8
"""Images that a message names; a file beside the checkpoints has them all."""


class BadStep(Exception):
    """The loss or a weight is no number any more.

    Args:
        what: what became what.
        epoch: from 0.
        step: of the epoch, from 1.
        images: ids of the images that the step trained on; empty where they are not known.
    """

    def __init__(self, what: str, epoch: int, step: int, images: Sequence[str]) -> None:
        super().__init__(f"{what} in epoch {epoch + 1}, step {step}")
        self.advice = f"{self}: lower --learning-rate, or lengthen --warmup-epochs"
        self.images = tuple(images)


class NaNGuard(Remembering):
    """Raises BadStep after the step that made the loss, or any weight, NaN or infinite.

    A gradient that is no number makes a weight one in the same step, so the right step is named. Under loss
    scaling the optimiser leaves such a gradient out: then the step is left out of the epoch's metrics too,
    and counted in the history (`skipped_steps`).
    """

    remembered = ("skipped", "in_a_row")

    def __init__(self) -> None:
        super().__init__()
        self.skipped = self.in_a_row = 0
        self.last: dict[str, float] = {}

    def watch(
        self,
        part: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        metrics: Sequence[Any],
        images: Callable[[], tuple[int, int, tuple[str, ...]]],
    ) -> None:
        """Name what is looked at in the phase that begins.

        `metrics` are the variables that an epoch's figures are counted in; `images` tells epoch, step and
        images of the step that has just been taken.
        """
        self.finite, self.metrics, self.images = finite_check(part), metrics, images
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        self.scaled = raw(optimizer) if scaled else None

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Under loss scaling, remember what a step that is skipped must not have changed."""
        if self.scaled:
            self.applied = int(ops.convert_to_numpy(self.scaled._iterations))
            self.counted = [np.array(ops.convert_to_numpy(v)) for v in self.metrics]

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the loss and the weights."""
        logs = {} if logs is None else logs
        if self.scaled and int(ops.convert_to_numpy(self.scaled._iterations)) == self.applied:
            self._skip(logs)
        else:
            self.in_a_row = 0
            self.last = dict(logs)
        loss = float(logs.get("loss", 0.0))
        if not math.isfinite(loss):
            raise BadStep(f"the loss became {loss}", *self.images())
        if not self.finite():
            raise BadStep("a weight became no number, from a gradient that was none,", *self.images())

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Before the first step of an epoch there are no figures to fall back on."""
        self.last = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Hand the count to the history."""
        if logs is not None and self.scaled:
            logs["skipped_steps"] = self.skipped
        self.skipped = 0

    def _skip(self, logs: dict[str, Any]) -> None:
        """Count a step that the optimiser has skipped, and take it out of the epoch's figures."""
        self.skipped += 1
        self.in_a_row += 1
        epoch, step, images = self.images()
        if self.in_a_row > MOST_SKIPPED:
            raise BadStep(f"loss scaling skipped {self.in_a_row} steps in a row", epoch, step, images)
        for variable, value in zip(self.metrics, self.counted, strict=True):
            variable.assign(value)
        logs.clear()
        logs.update(self.last)
        print(f"epoch {epoch + 1}, step {step}: skipped, a gradient was no number{named(images)}", flush=True)


def finite_check(part: keras.Model) -> Callable[[], bool]:
    """Return a function that tells whether all entries of all floating weights of `part` are finite.

    It sums them up, in one pass over the memory: a sum with NaN or infinity in it is none or infinite.
    """

    def finite(values: Sequence[Any]) -> Any:
        floating = [v for v in values if "float" in keras.backend.standardize_dtype(v.dtype)]
        return ops.isfinite(ops.sum(ops.stack([ops.sum(ops.cast(v, "float32")) for v in floating])))

    if keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit(finite)
        return lambda: bool(compiled(_weights_under_jax(part)))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(lambda: finite(part.weights))
        return lambda: bool(compiled())
    return lambda: bool(finite(part.weights))


def _weights_under_jax(part: keras.Model) -> list[Any]:
    """What is trained stays outside the variables during an epoch."""
    state = getattr(part, "_jax_state", None)
    if state and not part._jax_state_synced:
        return [*state["trainable_variables"], *state["non_trainable_variables"]]
    return [variable.value for variable in part.variables]


def named(images: Sequence[str]) -> str:
    """Return `; its images: a, b, …`, at most `NAMED` of them, or nothing where none are known."""
    if not images:
        return ""
    more = f" and {len(images) - NAMED} more" if len(images) > NAMED else ""
    return f"; its images: {', '.join(images[:NAMED])}{more}"
