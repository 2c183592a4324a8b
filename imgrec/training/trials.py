"""Which batch size and which learning rate: a model is trained a little, and is then as it was."""

import contextlib
import math
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from imgrec import runtime
from imgrec.config import OptimConfig
from imgrec.data.cache import available_memory
from imgrec.errors import InputError
from imgrec.training.freezing import frozen
from imgrec.training.optim.optimizers import build_optimizer
from imgrec.training.optim.regularize import regularized, sharpness_aware
from imgrec.training.phase import Phase, helpers

SMALLEST, LARGEST = 16, 1024
ENOUGH = 0.95
"""A size is large enough at this share of the best pace: beyond, images wait for each other."""
FEWEST_STEPS = 20
"""An epoch keeps at least so many steps: with fewer, there is little to learn by."""
SECONDS = 1.0
"""Each size is timed for as long, or for three steps."""
RANGES = {"sgd": (1e-4, 10.0), "muon": (1e-4, 10.0)}
ADAPTIVE = (1e-6, 0.1)
"""The rates that the sweep begins and ends with: by optimiser, and for all others, whose steps have a length
of their own."""
CLEAR = 0.02
"""Share of the first loss by which it must fall."""
DIVERGED = 4.0
"""The sweep ends where the smoothed loss is this many times its least."""
SMOOTHING = 0.9
"""Share of the past in the smoothed loss; corrected for its beginning."""
FEWEST = 10
"""Steps below which there is no curve to read a rate from."""


@contextlib.contextmanager
def _put_back(model: keras.Model) -> Iterator[None]:
    """Give all variables of `model` their values back when the context ends."""
    kept = [(v, np.array(keras.ops.convert_to_numpy(v))) for v in model.variables]
    try:
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


def _plain_optimizer(model: keras.Model, optim: OptimConfig) -> keras.optimizers.Optimizer:
    """Build the optimiser with a constant rate, an update a step and no averages."""
    plain = replace(optim, schedule="constant", warmup_epochs=0.0, accumulate=1, ema=0.0)
    return build_optimizer(model, plain, 1)


@contextlib.contextmanager
def _timed(model: keras.Model, optim: OptimConfig, strategy: Any) -> Iterator[None]:
    """Compile `model` for steps on noise; put all its weights back when the context ends."""
    with runtime.scope(strategy):
        model.compile(
            _plain_optimizer(model, optim),
            keras.losses.CategoricalCrossentropy(from_logits=True),
            jit_compile=runtime.wants_jit(),
        )
    with _put_back(model):
        yield


@dataclass(frozen=True)
class Trial:
    """One size that was tried."""

    size: int
    images_per_second: float


def time_sizes(model: keras.Model, optim: OptimConfig, images: int, strategy: Any = None) -> list[Trial]:
    """Time training steps of `model` on noise at 16, 32, … images; put all its weights back.

    It ends where memory would, or an epoch of `images` would have fewer than 20 steps, or a doubling brings
    less than 5 %.

    Args:
        model: that will be trained, built under `strategy`.
        optim: the optimiser, whose slots take memory too.
        images: an epoch's.
        strategy: or None.
    """
    devices = 1 if strategy is None else strategy.num_replicas_in_sync
    size, trials, peaks = SMALLEST * devices, [], [_peak()]
    with _timed(model, optim, strategy):
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
    return trials


def seconds_forward(model: keras.Model, images: int = 16) -> float:
    """Return how long an image takes forwards through `model`, in seconds: the fastest of three batches."""
    pixels = np.random.default_rng(0).integers(0, 256, (images, *model.input_shape[1:])).astype(np.float32)
    model.predict_on_batch(pixels)  # traced
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        model.predict_on_batch(pixels)
        times.append(time.perf_counter() - begun)
    return min(times) / images


def seconds_step(model: keras.Model, optim: OptimConfig, images: int = 16, strategy: Any = None) -> float:
    """Return how long an image takes in a training step of `images`, in seconds; all weights are put back.

    Raises:
        InputError: the device has not the memory.
    """
    with _timed(model, optim, strategy):
        pace = _pace(model, images)
    if pace is None:
        raise InputError(f"a step of {images} images does not fit the device's memory: lower --image-size")
    return 1 / pace


def fastest(trials: list[Trial]) -> int:
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


@dataclass(frozen=True)
class Sweep:
    """What a sweep saw."""

    rates: np.ndarray
    """float64 `[steps]`, rising."""
    losses: np.ndarray
    """float64 `[steps]`: of each step's batch, smoothed."""

    @property
    def suggested(self) -> float | None:
        """The rate at which the loss falls the most steeply over the logarithm of the rate.

        It is looked for from where the loss has clearly fallen to its least, and is a tenth of the rate there
        at most. None where half of the fall is over after the lowest tenth of the rates: the best one lies
        below them.

        Raises:
            InputError: the loss never clearly fell.
        """
        even, edge = self._even(), max(3, len(self.rates) // 10)
        start, least = float(np.median(even[:edge])), int(even.argmin())
        drop = start - float(even[least])
        if least < 2 or drop <= max(CLEAR * abs(start), 2 * float(np.std(self.losses - even))):
            raise InputError(
                f"--lr-find: the loss fell at no rate from {self.rates[0]:.0e} to {self.rates[-1]:.0e}: look "
                "at the images (--preview) and the labels, or choose another --model"
            )
        first = float(np.median(self.losses[:3]))
        if first - np.median(even[edge : 2 * edge]) >= 0.5 * (first - even[least]):
            return None
        slope = np.gradient(even, np.log(self.rates))[: least + 1]
        fallen = int(np.argmax(even < start - 0.1 * drop))
        steepest = fallen + int(slope[fallen:].argmin())
        lower = min(self.rates[steepest], self.rates[least] / 10)
        return float(max(lower, self.rates[fallen]))

    def _even(self) -> np.ndarray:
        """The losses without what a few batches do to them: means over a twelfth of the sweep, `[steps]`."""
        side = max(1, len(self.losses) // 24)
        padded = np.pad(self.losses, side, mode="edge")
        return np.convolve(padded, np.full(2 * side + 1, 1 / (2 * side + 1)), "valid")


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
    recorder, part = _Recorder(), phase.part or model
    low, high = RANGES.get(optim.optimizer, ADAPTIVE)
    rates = low * (high / low) ** (np.arange(steps) / (steps - 1))
    with (
        _put_back(model),
        frozen(model, phase.frozen),
        regularized(part, optim),
        sharpness_aware(part, optim),
    ):
        with runtime.scope(strategy):
            optimizer = _plain_optimizer(model, optim)
            rising = keras.optimizers.schedules.ExponentialDecay(low, steps - 1, high / low)
            optimizer.learning_rate = rising
            if keras.config.dtype_policy().name == "mixed_float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            optimizer.build([*model.trainable_variables, *helpers(model, [phase])])
            part.compile(optimizer, loss, jit_compile=runtime.wants_jit())
        part.fit(
            phase.batches(0).take(steps),
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=[recorder],
        )
    if len(recorder.losses) < 3:
        raise InputError("--lr-find: the loss is no number from the first steps on: look at the images")
    return Sweep(rates[: len(recorder.losses)], np.array(recorder.losses))
