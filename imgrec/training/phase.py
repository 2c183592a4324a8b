"""What a training consists of: phases, and streams of batches that can begin anywhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras


@dataclass(frozen=True)
class Stream:
    """The training batches of a phase, without those that an earlier process has trained on.

    Both functions take a number of steps of the phase, from 0.
    """

    batches: Callable[[int], Any]
    """→ the `tf.data.Dataset` of what is left after that many steps; nothing before is loaded."""
    images: Callable[[int], Sequence[str]]
    """→ ids of the images that the next step trains on."""


@dataclass(frozen=True)
class Goal:
    """What a training makes small, and by what its best epoch is chosen."""

    loss: keras.losses.Loss
    """On soft targets and the model's outputs."""
    score: str
    """The metric that the best epoch is highest in."""
    metrics: Callable[[], list[keras.metrics.Metric]]
    """→ what an epoch's line shows beside the loss, made anew for each phase; one is named `score`."""

    @classmethod
    def accuracy(cls, label_smoothing: float = 0.0) -> "Goal":
        """Return cross-entropy of classes, and the share of images that are recognised."""
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)
        return cls(loss, "accuracy", lambda: [keras.metrics.CategoricalAccuracy(name="accuracy")])


@dataclass(frozen=True)
class Phase:
    """Some epochs of a training, in which other layers learn, or from other inputs, than in the next."""

    train: Any
    """`tf.data.Dataset` of (inputs of `part`, targets float32 `[B, num_classes]`), a batch a step; or a
    `Stream` of such."""
    validation: Any
    """The same, each example once."""
    until: int
    """The training's epoch, from 1, that is the last of this phase."""
    frozen: str = ""
    """Endpoint of the model up to which nothing changes; empty: everything learns."""
    hold_statistics: bool = False
    """Whether batch normalisation keeps the statistics that it has: where what comes after it was fitted to
    those, such as a solved head, those of batches would undo that before anything is learned."""
    part: keras.Model | None = None
    """What is fitted in place of the whole model: some of its layers as a model of their own."""
    restart: bool = False
    """Whether the schedule, ended by the phase before, begins anew with a fresh optimiser."""

    def batches(self, done: int) -> Any:
        """Return the batches after `done` steps of the phase; a plain dataset runs through those before."""
        if isinstance(self.train, Stream):
            return self.train.batches(done)
        return self.train.skip(done) if done else self.train

    def images(self, step: int) -> tuple[str, ...]:
        """Return the ids of the images of a step, from 0; empty where they are not known."""
        return tuple(self.train.images(step)) if isinstance(self.train, Stream) else ()


@dataclass(frozen=True)
class Solved(Phase):
    """A phase of one epoch without steps: its weights are set by a calculation, then judged as an epoch's.

    Give all but `validation` and `until` by name. The next phase begins a schedule, with a fresh optimiser.
    """

    train: Any = field(default=None, kw_only=True)
    """What the epoch's own loss and score are told on, each example once; None: they are not told."""
    solve: Callable[[], None] = field(kw_only=True)
    """Sets weights of the model in place; the same ones whenever it is called on the same weights, for a
    training that is stopped in it calls it again."""
    settle: Callable[[], None] | None = field(default=None, kw_only=True)
    """Called once the training is over, where it ended with the weights of `solve` as its best; it may give
    the model others. None: they stay."""


def helpers(model: keras.Model, phases: Sequence[Phase]) -> list[keras.Variable]:
    """Return what learns in some phase beside the model: saved while it trains, and not shipped."""
    own = {id(variable) for variable in model.variables}
    parts = [phase.part for phase in phases if phase.part is not None]
    found = {id(v): v for part in parts for v in part.trainable_variables if id(v) not in own}
    return list(found.values())


def begins_anew(phases: Sequence[Phase], number: int) -> bool:
    """Whether a phase begins a schedule with a fresh optimiser."""
    before, phase = phases[max(number - 1, 0)], phases[number]
    return not number or phase.restart or isinstance(before, Solved) or isinstance(phase, Solved)


def schedule_end(phases: Sequence[Phase], number: int) -> int:
    """Return the last epoch of the phases from `number` on, up to the next with a schedule of its own."""
    restarts = (later for later in range(number + 1, len(phases)) if begins_anew(phases, later))
    return phases[next(restarts, len(phases)) - 1].until


def alike_until(phases: Sequence[Phase], number: int) -> int:
    """Return the last epoch, from 1, whose steps take about as long as those of phase `number`, or less.

    That is the training's last, but for a phase on a part of the model or with frozen layers before one with
    none.
    """
    phase = phases[number]
    if phase.part is None and not phase.frozen:
        return phases[-1].until
    other = any(later.part is not phase.part or not later.frozen for later in phases[number + 1 :])
    return phase.until if other else phases[-1].until
