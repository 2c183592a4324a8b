"""The one trainer: compile, fit with the standard callbacks, give the history back."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from imgrec import runtime
from imgrec.config import OptimConfig
from imgrec.errors import InputError
from imgrec.training.callbacks import BestWeights, HistoryWriter, Progress, Remembering, plateau
from imgrec.training.checkpointing.callback import CheckpointCallback, CheckpointPolicy, StepCounter
from imgrec.training.checkpointing.interruption import Interruption
from imgrec.training.checkpointing.store import Snapshot, Step
from imgrec.training.checkpointing.train_state import Rollbacks, StatefulCallbacks, TrainState, put
from imgrec.training.freezing import frozen
from imgrec.training.input_wait import InputWait
from imgrec.training.nan_guard import BadStep, NaNGuard, named
from imgrec.training.optim.averaging import averaging, reserve
from imgrec.training.optim.optimizers import build_optimizer, go_to_step
from imgrec.training.optim.regularize import regularized, sharpness_aware
from imgrec.training.phase import Goal as Goal
from imgrec.training.phase import Phase as Phase  # those who train find all of it here
from imgrec.training.phase import Stream as Stream
from imgrec.training.phase import schedule_end
from imgrec.workers import Team


@dataclass(frozen=True)
class Fitted:
    """What came of a training."""

    history: list[dict[str, float]]
    """One row an epoch: epoch, learning_rate, loss, accuracy, val_loss, val_accuracy, images_per_second …

    The losses are what training minimises, class weights and logit adjustment included.
    """
    best_epoch: int
    """The epoch, from 1, whose weights the model holds now."""


def fit(
    model: keras.Model,
    train: Any,
    validation: Any,
    *,
    optim: OptimConfig,
    steps_per_epoch: int,
    **options: Any,
) -> Fitted:
    """Train `model` in place and leave it with the weights of its best validation epoch.

    `train` and `validation` are `tf.data.Dataset`s of (images float32 `[B, H, W, C]` in 0…255, targets
    float32 `[B, num_classes]`); `train`, or a `Stream` of such, holds `optim.epochs` × `steps_per_epoch`
    batches. `options` are those of `fit_phases`.

    Raises:
        InputError: as `fit_phases`.
    """
    phases = [Phase(train, validation, optim.epochs)]
    return fit_phases(model, phases, optim=optim, steps_per_epoch=steps_per_epoch, **options)


@dataclass(frozen=True)
class Recording:
    """What is kept of a training while it goes on."""

    history_path: Path | None = None
    """history.csv, a row an epoch; None writes none."""
    callbacks: Sequence[keras.callbacks.Callback] = ()
    """Who else is called."""
    policy: CheckpointPolicy | None = None
    """Where and how often the training is saved; None: never."""


def fit_phases(
    model: keras.Model,
    phases: Sequence[Phase],
    *,
    optim: OptimConfig,
    steps_per_epoch: int,
    goal: Goal | None = None,
    strategy: Any = None,
    recording: Recording | None = None,
) -> Fitted:
    """As `fit`, in phases: one history, and one optimiser and schedule up to where a phase restarts them.

    Every other phase begins at the schedule's step of its first epoch, also where `optim.patience` ended the
    one before early. `goal` says what is minimised and what the best epoch is highest in; by default
    cross-entropy of classes with `optim.label_smoothing`, and accuracy.

    With `recording.policy` the training is saved and goes on from the newest whole checkpoint where there is
    one, as if it had not stopped; SIGTERM and SIGINT save before the process ends.

    Raises:
        InputError: the loss or a weight became NaN or infinite, or no checkpoint can be used.
    """
    goal, recording = goal or Goal.accuracy(optim.label_smoothing), recording or Recording()
    stateful = StatefulCallbacks(
        HistoryWriter(recording.history_path),
        BestWeights(optim.patience, model, f"val_{goal.score}"),
        Progress(optim.epochs, steps_per_epoch, int(optim.batch_size), goal.score),
        NaNGuard(),
        tuple(callback for callback in recording.callbacks if isinstance(callback, Remembering)),
    )
    course = _Course(
        model=model,
        phases=phases,
        optim=optim,
        steps=steps_per_epoch,
        goal=goal,
        strategy=strategy,
        recording=recording,
        stateful=stateful,
    )
    course.run()
    stateful.best.restore()
    return Fitted(stateful.history.rows, stateful.best.best_epoch + 1)


@dataclass(frozen=True)
class _Course:
    """A training: the arguments of `fit_phases`."""

    model: keras.Model
    phases: Sequence[Phase]
    optim: OptimConfig
    steps: int
    goal: Goal
    strategy: Any
    recording: Recording
    stateful: StatefulCallbacks
    interruption: Interruption = dataclasses.field(default_factory=Interruption)
    waiting: InputWait = dataclasses.field(default_factory=InputWait)

    def run(self) -> None:
        """Train from the beginning, or from the newest checkpoint; go back to one after a bad step."""
        policy = self.recording.policy
        if policy is None:
            try:
                return self._from(None, Rollbacks())
            except BadStep as bad:
                raise InputError(f"{bad.advice}{named(bad.images)}") from None
        with self.interruption.installed():
            start, last = policy.newest(), None
            if start:
                done = start.at.phase == len(self.phases)
                print("trained already" if done else f"going on at {start.at}", flush=True)
            rollbacks = Rollbacks.of(start)
            while True:
                try:
                    return self._from(start, rollbacks)
                except BadStep as bad:
                    self.interruption.idle = True
                    start = policy.give_up_or_return(bad, rollbacks.returns, last)
                    last, rollbacks = start.at, rollbacks.lowered()

    def _from(self, start: Snapshot | None, rollbacks: Rollbacks) -> None:
        """Run the phases, or those that `start` is not beyond."""
        if start and start.at.phase == len(self.phases):
            put(self.model, self.stateful, start)
            return
        begin = origin = 0
        optimizer: keras.optimizers.Optimizer | None = None
        for number, phase in enumerate(self.phases):
            if phase.restart or not number:
                origin, end, optimizer = begin, schedule_end(self.phases[number:]), None
            if not start or start.at.phase <= number:
                optimizer = optimizer or self._optimizer(end - origin, rollbacks)
                go_to_step(optimizer, (begin - origin) * self.steps)
                self._run_phase(number, begin, optimizer, start, rollbacks)
            begin = phase.until

    def _optimizer(self, epochs: int, rollbacks: Rollbacks) -> keras.optimizers.Optimizer:
        """Build the optimiser with its schedule over `epochs`."""
        rate = self.optim.learning_rate * rollbacks.rate
        settings = dataclasses.replace(self.optim, epochs=epochs, learning_rate=rate)
        with runtime.scope(self.strategy):
            optimizer = build_optimizer(self.model, settings, self.steps)
            if keras.config.dtype_policy().name == "mixed_float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            # Over all variables: those that are frozen now find their slots when they are not any more.
            optimizer.build(self.model.trainable_variables)
            reserve(optimizer, self.model, self.optim)
        return optimizer

    def _run_phase(
        self,
        number: int,
        begin: int,
        optimizer: keras.optimizers.Optimizer,
        start: Snapshot | None,
        rollbacks: Rollbacks,
    ) -> None:
        """Fit a phase that begins with epoch `begin`, from 0, or what `start` left of it; save its end."""
        phase, stateful, team = self.phases[number], self.stateful, Team(self.strategy)
        part = phase.part or self.model
        position = StepCounter(number, self.steps)
        callbacks = [
            position,
            stateful.guard,
            stateful.progress,
            self.waiting,
            *self.recording.callbacks,
            stateful.history,
            stateful.best,
        ]
        callbacks += self._followers(phase, part, optimizer)
        with (
            frozen(self.model, phase.frozen),
            regularized(part, self.optim),
            sharpness_aware(part, self.optim),
        ):
            state = TrainState(
                self.model, part, optimizer, self._compile(part, optimizer), stateful, rollbacks
            )

            def last_step() -> tuple[int, int, tuple[str, ...]]:
                taken = (position.epoch - begin) * self.steps + position.step
                return position.epoch, position.step, phase.images(taken - 1)

            stateful.guard.watch(part, optimizer, state.metrics, last_step)
            saver = None
            if policy := self.recording.policy:
                saver = CheckpointCallback(policy, state, position, self.interruption, phase.until)
            at = Step(number, begin, 0)
            if start and start.at.phase == number:
                state.put(start, fresh_optimizer=phase.restart and start.at == at)
                at = start.at
            if at == Step(number, begin, 0):
                stateful.best.begin_phase()
                if saver and not start and not number and saver.policy.on_nan == "rollback":
                    saver.save(at)
            part.stop_training = False
            if start and at.step == self.steps:
                self._judge(part, phase, at.epoch, start.state["logs"], callbacks)
                at = Step(number, at.epoch + 1, 0)
            if at.epoch < phase.until and not part.stop_training:
                position.begun = (state, start) if start and at.step else None
                stateful.progress.first_step = at.step
                batches = phase.batches((at.epoch - begin) * self.steps + at.step)
                part.fit(
                    self.waiting.watch(team.share(batches), self.strategy),
                    validation_data=team.share(phase.validation),
                    initial_epoch=at.epoch,
                    epochs=phase.until,
                    steps_per_epoch=self.steps,
                    shuffle=False,
                    verbose=0,
                    callbacks=[*callbacks, saver] if saver else callbacks,
                )
        if saver:
            saver.save(Step(number + 1, phase.until, 0))

    def _followers(
        self, phase: Phase, part: keras.Model, optimizer: keras.optimizers.Optimizer
    ) -> list[keras.callbacks.Callback]:
        """Those who act on an epoch's figures: after the best weights are kept, before anything is saved."""
        averaged = averaging(optimizer, self.model, part, self.optim, self.phases[-1].until, phase)
        return [*plateau(optimizer), *averaged]

    def _compile(self, part: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
        """Compile what is fitted; return the variables that the figures of an epoch are counted in."""
        with runtime.scope(self.strategy):
            metrics = self.goal.metrics()
            part.compile(
                optimizer=optimizer, loss=self.goal.loss, metrics=metrics, jit_compile=runtime.wants_jit()
            )
        # The first of a compiled model's metrics tracks the loss.
        return [v for metric in (part.metrics[0], *metrics) for v in metric.variables]

    def _judge(
        self,
        part: keras.Model,
        phase: Phase,
        epoch: int,
        logs: Mapping[str, float],
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        """End an epoch whose steps were all done when the process before was told to end."""
        everyone = keras.callbacks.CallbackList([*callbacks], model=part)
        everyone.on_train_begin()
        everyone.on_epoch_begin(epoch)
        judged = part.evaluate(phase.validation, return_dict=True, verbose=0, callbacks=everyone)
        everyone.on_epoch_end(epoch, {**logs, **{f"val_{name}": value for name, value in judged.items()}})
        everyone.on_train_end()
