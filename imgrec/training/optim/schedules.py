"""How the learning rate moves: one table of schedules, each with a linear warm-up."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
from keras import ops

from imgrec.config import OptimConfig
from imgrec.registry import build
from imgrec.spec import Spec, number_option

Schedule: TypeAlias = keras.optimizers.schedules.LearningRateSchedule
MOST_WARMUP = 5
"""The warm-up takes one in this many steps at most, so that a short run still cools down."""


def cosine_with_warmup(peak: float, steps: int, warmup_steps: int, floor: float = 0.0) -> Schedule:
    """Linear from 0 to `peak` over `warmup_steps`, then a half cosine to `floor` × `peak` at `steps`.

    Source: Loshchilov and Hutter, "SGDR", 2017 (arXiv 1608.03983); warm-up after Goyal et al., 2017
    (arXiv 1706.02677).
    """
    warmup_steps = min(warmup_steps, steps // MOST_WARMUP)
    decay = keras.optimizers.schedules.CosineDecay
    if not warmup_steps:
        return decay(peak, max(steps, 1), alpha=floor)
    return decay(
        0.0, max(steps - warmup_steps, 1), alpha=floor, warmup_target=peak, warmup_steps=warmup_steps
    )


@keras.saving.register_keras_serializable("imgrec")
class Curve(Schedule):
    """Linear from 0 to `peak` over `warmup_steps`, then `peak` times what `share` gives: here 1.

    Args:
        peak: the largest rate.
        steps: of the training; later ones have the last one's rate.
        warmup_steps: at most a fifth of them are taken.
        shape: what the subclass's `share` depends on, numbers and lists of such.
    """

    def __init__(self, peak: float, steps: int, warmup_steps: int = 0, **shape: Any) -> None:
        self.peak, self.steps = peak, max(steps, 1)
        self.warmup_steps = min(warmup_steps, steps // MOST_WARMUP)
        self.shape = shape

    def share(self, step: Any) -> Any:
        """Return the rate at `step`, float32 [], from `warmup_steps` to `steps`, as a share of the peak."""
        return ops.ones_like(step)

    def done(self, step: Any) -> Any:
        """Return how much of the way from the warm-up's end to the last step is done, 0…1."""
        return (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)

    def __call__(self, step: Any) -> Any:
        """Return the rate at `step`."""
        step = ops.cast(step, "float32")
        after = self.share(ops.clip(step, float(self.warmup_steps), float(self.steps)))
        rising = step / max(self.warmup_steps, 1)
        return self.peak * ops.where(step < self.warmup_steps, self.before(rising), after)

    def before(self, rising: Any) -> Any:
        """Return the share of the peak at `rising`, 0…1, of the warm-up."""
        return rising

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"peak": self.peak, "steps": self.steps, "warmup_steps": self.warmup_steps, **self.shape}


@keras.saving.register_keras_serializable("imgrec")
class Steps(Curve):
    """`factor` times as much from each step of `at` on."""

    def share(self, step: Any) -> Any:
        """Factor to the power of the milestones behind."""
        passed = ops.sum(ops.cast(step >= ops.array(self.shape["at"], "float32"), "float32"))
        return ops.power(ops.cast(self.shape["factor"], "float32"), passed)


@keras.saving.register_keras_serializable("imgrec")
class Polynomial(Curve):
    """(1 − done)^`power`, between 1 and `floor`."""

    def share(self, step: Any) -> Any:
        """Between 1 and the floor."""
        floor = self.shape["floor"]
        return floor + (1 - floor) * ops.power(1 - self.done(step), self.shape["power"])


@keras.saving.register_keras_serializable("imgrec")
class Restarts(Curve):
    """Half cosines from 1 to `floor`, the k-th over `lengths[k]` steps and `shrink`^k as high."""

    def share(self, step: Any) -> Any:
        """Where the cycle at work stands."""
        lengths, floor = self.shape["lengths"], self.shape["floor"]
        starts = [self.warmup_steps + sum(lengths[:k]) for k in range(len(lengths))]
        cycle = ops.sum(ops.cast(step >= ops.array(starts, "float32"), "int32")) - 1
        start, length = (ops.take(ops.array(values, "float32"), cycle) for values in (starts, lengths))
        height = ops.power(ops.cast(self.shape["shrink"], "float32"), ops.cast(cycle, "float32"))
        return height * (floor + (1 - floor) * _half_cosine((step - start) / length))


@keras.saving.register_keras_serializable("imgrec")
class OneCycle(Curve):
    """From `start` up to 1 over the warm-up, then down to `end`, both along half cosines."""

    def __init__(self, peak: float, steps: int, warmup_steps: int = 0, **shape: Any) -> None:
        super().__init__(peak, steps, **shape)
        self.warmup_steps = warmup_steps  # the rise is half of the matter here

    def before(self, rising: Any) -> Any:
        """Return the share of the peak on the way up."""
        return 1 - (1 - self.shape["start"]) * _half_cosine(rising)

    def share(self, step: Any) -> Any:
        """On the way down."""
        end = self.shape["end"]
        return end + (1 - end) * _half_cosine(self.done(step))


@keras.saving.register_keras_serializable("imgrec")
class Plateau(Curve):
    """The peak, times what `callbacks.ReduceOnPlateau` has made of it.

    `state` is a variable of the optimiser, float32 `[3]`, and saved with it: the share of the peak, the least
    validation loss so far, epochs since.
    """

    state: Any = None

    def keep_state(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Add the state to the variables of an optimiser with this schedule."""
        self.state = optimizer.add_variable((3,), "zeros", "float32", name="plateau")
        self.state.assign([1.0, float("inf"), 0.0])

    def share(self, step: Any) -> Any:
        """What the validation losses have left of the peak."""
        return super().share(step) if self.state is None else ops.cast(self.state, "float32")[0]


def _half_cosine(share: Any) -> Any:
    """1 at 0, 0 at 1."""
    return 0.5 * (1 + ops.cos(math.pi * share))


@dataclass(frozen=True)
class Course:
    """The training that a schedule is made for."""

    peak: float
    """The largest rate."""
    steps: int
    warmup_steps: int
    epoch: int
    """Steps of an epoch."""

    def along(self, curve: Callable[..., Schedule], **shape: Any) -> Schedule:
        """Return `curve` with this peak, length and warm-up."""
        return curve(self.peak, self.steps, self.warmup_steps, **shape)


def _cosine(course: Course, floor: float = 0.0) -> Schedule:
    return course.along(cosine_with_warmup, floor=number_option("floor", floor, 0, 1))


def _constant(course: Course) -> Schedule:
    return course.along(Curve)


def _polynomial(course: Course, power: float = 1.0, floor: float = 0.0) -> Schedule:
    """Linear by default; a power of 2 is Caffe's and DeepLab's choice of 0.9 to 2."""
    power, floor = number_option("power", power, 0), number_option("floor", floor, 0, 1)
    return course.along(Polynomial, power=power, floor=floor)


def _step(course: Course, at: Sequence[float] | float | None = None, factor: float = 0.1) -> Schedule:
    """`at` counts epochs; by default half and three quarters of the training."""
    if at is None:
        milestones = [course.steps / 2, course.steps * 3 / 4]
    else:
        given = at if isinstance(at, (list, tuple)) else [at]
        milestones = [course.epoch * number_option("at", value, 0) for value in given]
    return course.along(Steps, at=milestones, factor=number_option("factor", factor, 0, 1))


def _restarts(
    course: Course, first: float = 0.0, multiply: float = 2.0, shrink: float = 1.0, floor: float = 0.0
) -> Schedule:
    """Loshchilov and Hutter, "SGDR", 2017 (arXiv 1608.03983): T_0, T_mult and the smallest rate there.

    `first` counts epochs; 0: so long that three whole cycles fill the training.
    """
    first, multiply = number_option("first", first, 0), number_option("multiply", multiply, 1)
    shrink, floor = number_option("shrink", shrink, 0, 1), number_option("floor", floor, 0, 1)
    span = max(course.steps - min(course.warmup_steps, course.steps // MOST_WARMUP), 1)
    lengths = [first * course.epoch or span / (1 + multiply + multiply**2)]
    while sum(lengths) < span * (1 - 1e-9):  # three exact thirds may add up to a rounding less
        lengths.append(lengths[-1] * multiply)
    return course.along(Restarts, lengths=lengths, shrink=shrink, floor=floor)


def _one_cycle(course: Course, rise: float = 0.3, start: float = 0.04, end: float = 4e-6) -> Schedule:
    """Smith, "A disciplined approach to neural network hyper-parameters", 2018 (arXiv 1803.09820).

    It rises over the share `rise` of the steps in place of the warm-up, by cosines, from a 25th of the peak
    and down to a 10,000th of that; the momentum stays as it is.
    """
    rise = number_option("rise", rise, 0, 1)
    start, end = number_option("start", start, 0, 1), number_option("end", end, 0, 1)
    return OneCycle(course.peak, course.steps, round(rise * course.steps), start=start, end=end)


def _plateau(
    course: Course, factor: float = 0.5, wait: float = 3, threshold: float = 1e-4, floor: float = 0.0
) -> Schedule:
    """`factor` times as much after `wait` epochs without a validation loss smaller by `threshold`."""
    return course.along(
        Plateau,
        factor=number_option("factor", factor, 0, 1),
        wait=number_option("wait", wait, 1),
        threshold=number_option("threshold", threshold, 0),
        floor=number_option("floor", floor, 0, 1),
    )


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "cosine": _cosine,
    "restarts": _restarts,
    "step": _step,
    "polynomial": _polynomial,
    "one_cycle": _one_cycle,
    "plateau": _plateau,
    "constant": _constant,
}


def build_schedule(optim: OptimConfig, steps_per_epoch: int) -> Schedule:
    """Build the schedule that `optim` names, for `optim.epochs` × `steps_per_epoch` steps.

    Raises:
        InputError: an unknown schedule or option, or a value that cannot be meant.
    """
    spec = Spec.named(optim.schedule, "--schedule")
    course = Course(
        peak=optim.learning_rate,
        steps=optim.epochs * steps_per_epoch,
        warmup_steps=round(optim.warmup_epochs * steps_per_epoch),
        epoch=steps_per_epoch,
    )
    return build(SCHEDULES, spec.name, "schedule", spec.options, course=course)


def summary(optim: OptimConfig) -> str:
    """The schedule in words for the overview: `cosine after 1 epochs of warm-up`."""
    spec = Spec.named(optim.schedule, "--schedule")
    if spec.name == "one_cycle":
        return f"{spec} with a rise of its own"
    return f"{spec} after {optim.warmup_epochs:g} epochs of warm-up"
