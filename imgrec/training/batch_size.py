"""How many images a step should take here: the fewest that keep the device busy, measured."""

import resource
import time
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from imgrec import runtime
from imgrec.config import OptimConfig
from imgrec.data.cache import available_memory
from imgrec.training.optim.optimizers import build_optimizer

SMALLEST, LARGEST = 16, 1024
ENOUGH = 0.95
"""A size is large enough at this share of the best pace: beyond, images wait for each other."""
FEWEST_STEPS = 20
"""An epoch keeps at least so many steps: with fewer, there is little to learn by."""
SECONDS = 1.0
"""Each size is timed for as long, or for three steps."""


@dataclass(frozen=True)
class Trial:
    """One size that was tried."""

    size: int
    images_per_second: float


def find(model: keras.Model, optim: OptimConfig, images: int, strategy: Any = None) -> list[Trial]:
    """Time training steps of `model` on noise at 16, 32, … images; put all its weights back.

    It ends where memory would, or an epoch of `images` would have fewer than 20 steps, or a doubling brings
    less than 5 %.

    Args:
        model: that will be trained, built under `strategy`.
        optim: the optimiser, whose slots take memory too.
        images: an epoch's.
        strategy: or None.
    """
    kept = [(v, np.array(keras.ops.convert_to_numpy(v))) for v in model.variables]
    devices = 1 if strategy is None else strategy.num_replicas_in_sync
    size, trials, peaks = SMALLEST * devices, [], [_peak()]
    with runtime.scope(strategy):
        plain = replace(optim, schedule="constant", warmup_epochs=0.0, accumulate=1, ema=0.0)
        model.compile(
            build_optimizer(model, plain, 1),
            keras.losses.CategoricalCrossentropy(from_logits=True),
            jit_compile=runtime.wants_jit(),
        )
    try:
        while size <= min(LARGEST * devices, max(images // FEWEST_STEPS, SMALLEST * devices)):
            pace = _pace(model, size)
            if pace is None:
                break
            trials.append(Trial(size, pace))
            peaks.append(_peak())
            if len(trials) > 1 and pace < trials[-2].images_per_second / ENOUGH:
                break
            if 2 * max(peaks[-1] - peaks[-2], 0) > 0.7 * available_memory():
                break
            size *= 2
    finally:
        for variable, value in kept:
            variable.assign(value)
    return trials


def choose(trials: list[Trial]) -> int:
    """Return the smallest size within 5 % of the best pace."""
    best = max(trial.images_per_second for trial in trials)
    return next(trial.size for trial in trials if trial.images_per_second >= ENOUGH * best)


def _pace(model: keras.Model, size: int) -> float | None:
    """Return the images a second that training takes at `size`; None where the device has not the memory."""
    draw = np.random.default_rng(size)
    pixels = draw.integers(0, 256, (size, *model.input_shape[1:])).astype(np.float32)
    classes = model.output_shape[-1]
    targets = np.eye(classes, dtype=np.float32)[draw.integers(0, classes, size)]
    try:
        model.train_on_batch(pixels, targets)  # traced, and its memory taken
        steps, begun = 0, time.perf_counter()
        while steps < 3 or time.perf_counter() - begun < SECONDS:
            float(np.asarray(model.train_on_batch(pixels, targets)).flat[0])
            steps += 1
    except Exception as error:
        if "RESOURCE_EXHAUSTED" in str(error) or type(error).__name__ == "ResourceExhaustedError":
            return None
        raise
    return size * steps / (time.perf_counter() - begun)


def _peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
