"""Which learning rate: a sweep from too small to too large over some steps, and the model as it was."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from imgrec import runtime
from imgrec.config import OptimConfig
from imgrec.errors import InputError
from imgrec.training.freezing import frozen
from imgrec.training.optim.optimizers import build_optimizer
from imgrec.training.optim.regularize import regularized
from imgrec.training.optim.sam import sharpness_aware
from imgrec.training.phase import Phase

LEAST, MOST = 1e-6, 10.0
"""The rates that the sweep begins and ends with."""
DIVERGED = 4.0
"""The sweep ends where the smoothed loss is this many times its least."""
SMOOTHING = 0.9
"""Share of the past in the smoothed loss; corrected for its beginning."""
FEWEST = 10
"""Steps below which there is no curve to read a rate from."""


@dataclass(frozen=True)
class Sweep:
    """What a sweep saw."""

    rates: np.ndarray
    """float64 `[steps]`, rising."""
    losses: np.ndarray
    """float64 `[steps]`: of each step's batch, smoothed."""

    @property
    def suggested(self) -> float:
        """The rate at which the smoothed loss falls the most steeply over the logarithm of the rate.

        It is looked for before the least loss.

        Raises:
            InputError: the loss never fell.
        """
        last = int(np.argmin(self.losses))
        slope = np.gradient(self.losses, np.log(self.rates))[: last + 1]
        if last < 2 or slope.min() >= 0:
            raise InputError(
                f"--lr-find: the loss fell at no rate from {self.rates[0]:.0e} to {self.rates[-1]:.0e}: look "
                "at the images (--preview) and the labels, or choose another --model"
            )
        return float(self.rates[int(np.argmin(slope))])


class _Recorder(keras.callbacks.Callback):
    """Notes the loss of each batch by itself, and ends the sweep where it has diverged."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.mean = 0.0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Smooth the loss (an exponential mean) and compare it with the least so far."""
        loss = float((logs or {})["loss"])
        self.model.reset_metrics()  # Keras gives the mean since then
        if not math.isfinite(loss):
            self.model.stop_training = True
            return
        self.mean = SMOOTHING * self.mean + (1 - SMOOTHING) * loss
        self.losses.append(self.mean / (1 - SMOOTHING ** (len(self.losses) + 1)))
        if len(self.losses) > FEWEST and self.losses[-1] > DIVERGED * min(self.losses):
            self.model.stop_training = True


def sweep(
    model: keras.Model,
    phase: Phase,
    *,
    optim: OptimConfig,
    loss: keras.losses.Loss,
    steps: int = 100,
    strategy: Any = None,
) -> Sweep:
    """Train as `phase` does, on one batch a rate, the rates rising by equal factors; put all weights back.

    Smith, "Cyclical learning rates", 2015 (arXiv 1506.01186), section 3.3, with exponential steps.

    Args:
        model: the whole one.
        phase: what is fitted of it, what is frozen, and at least `steps` training batches.
        optim: the optimiser and what goes with it; the schedule is the sweep's.
        loss: on soft targets and logits.
        steps: `FEWEST` or more.
        strategy: that the model was built under, or None.

    Raises:
        InputError: fewer than `FEWEST` steps, or the loss was no number from the first step on.
    """
    if steps < FEWEST:
        raise InputError(f"--lr-find: {steps} training batches, expected {FEWEST}: lower --batch-size")
    kept = [(v, np.array(keras.ops.convert_to_numpy(v))) for v in model.variables]
    recorder, part = _Recorder(), phase.part or model
    rates = LEAST * (MOST / LEAST) ** (np.arange(steps) / (steps - 1))
    try:
        with frozen(model, phase.frozen), regularized(part, optim), sharpness_aware(part, optim):
            with runtime.scope(strategy):
                part.compile(
                    optimizer=_rising(model, optim, steps),
                    loss=loss,
                    jit_compile=runtime.wants_jit(),
                )
            part.fit(
                phase.batches(0).take(steps),
                epochs=1,
                steps_per_epoch=steps,
                shuffle=False,
                verbose=0,
                callbacks=[recorder],
            )
    finally:
        for variable, value in kept:
            variable.assign(value)
    if len(recorder.losses) < 3:
        raise InputError("--lr-find: the loss is no number from the first steps on: look at the images")
    return Sweep(rates[: len(recorder.losses)], np.array(recorder.losses))


def _rising(model: keras.Model, optim: OptimConfig, steps: int) -> keras.optimizers.Optimizer:
    plain = replace(optim, schedule="constant", warmup_epochs=0.0, accumulate=1, ema=0.0)
    optimizer = build_optimizer(model, plain, steps)
    optimizer.learning_rate = keras.optimizers.schedules.ExponentialDecay(LEAST, steps - 1, MOST / LEAST)
    if keras.config.dtype_policy().name == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer
