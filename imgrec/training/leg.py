"""One phase of a training under way: begun or gone on with, its epochs run, its end saved."""

from collections.abc import Mapping

import keras

from imgrec.training.callbacks import plateau
from imgrec.training.checkpointing.callback import CheckpointCallback, StepCounter
from imgrec.training.checkpointing.store import Snapshot, Step
from imgrec.training.checkpointing.train_state import Rollbacks, TrainState
from imgrec.training.freezing import frozen, statistics_held
from imgrec.training.optim.averaging import averaging
from imgrec.training.optim.regularize import regularized, sharpness_aware
from imgrec.training.phase import Solved, alike_until, begins_anew
from imgrec.training.setup import Setup
from imgrec.workers import Team


class Leg:
    """A phase under way.

    Args:
        setup: of the whole training.
        number: of the phase.
        begin: the epoch, from 0, that it begins with.
        optimizer: built, at the schedule's step of that epoch.
        rollbacks: what bad steps have changed.
    """

    def __init__(
        self,
        setup: Setup,
        number: int,
        begin: int,
        optimizer: keras.optimizers.Optimizer,
        rollbacks: Rollbacks,
    ) -> None:
        self.setup, self.begin, self.optimizer, self.rollbacks = setup, begin, optimizer, rollbacks
        self.phase, self.first = setup.phases[number], Step(number, begin, 0)
        self.part = self.phase.part or setup.model
        self.team = Team(setup.strategy)
        self.position = StepCounter(number, setup.steps)
        self.saver: CheckpointCallback | None = None

    def run(self, start: Snapshot | None) -> None:
        """Fit the phase, or what `start` left of it; save its end."""
        with (
            frozen(self.setup.model, self.phase.frozen),
            statistics_held(self.setup.model, self.phase.hold_statistics),
            regularized(self.part, self.setup.optim),
            sharpness_aware(self.part, self.setup.optim),
        ):
            state = self._compiled()
            at = self._begun(state, start)
            callbacks = self._callbacks()
            self.part.stop_training = False
            if isinstance(self.phase, Solved):
                self._solve(self.phase, callbacks)
            else:
                self._fit(at, state, start, callbacks)
        if self.saver:
            self.saver.save(Step(self.first.phase + 1, self.phase.until, 0))

    def _callbacks(self) -> list[keras.callbacks.Callback]:
        """Who is called, in their order: those who act on an epoch's figures stand after the best weights are
        kept, and before anything is saved."""
        setup, stateful = self.setup, self.setup.stateful
        callbacks = [self.position, stateful.guard, stateful.progress, setup.waiting]
        callbacks += [*setup.recording.callbacks, stateful.history, stateful.best]
        stateful.progress.until = alike_until(setup.phases, self.first.phase)
        if watch := setup.recording.watch:
            watch.rate, watch.retry = setup.rate(self.rollbacks), setup.may_retry(self.rollbacks)
            callbacks.append(watch)
        if isinstance(self.phase, Solved):  # no weights to average, and no rate to lower
            return callbacks
        epochs = setup.phases[-1].until
        averaged = averaging(self.optimizer, setup.model, self.part, setup.optim, epochs, self.phase)
        return [*callbacks, *plateau(self.optimizer), *averaged]

    def _compiled(self) -> TrainState:
        """Compile what is fitted; make those who watch its steps and save them."""
        setup, position = self.setup, self.position
        metrics = setup.compile(self.part, self.optimizer)
        state = TrainState(
            setup.model, self.part, self.optimizer, metrics, setup.stateful, self.rollbacks, setup.helpers
        )

        def last_step() -> tuple[int, int, tuple[str, ...]]:
            taken = (position.epoch - self.begin) * setup.steps + position.step
            return position.epoch, position.step, self.phase.images(taken - 1)

        setup.stateful.guard.watch(self.part, self.optimizer, metrics, last_step)
        if policy := setup.recording.policy:
            self.saver = CheckpointCallback(policy, state, position, setup.interruption, self.phase.until)
        return state

    def _begun(self, state: TrainState, start: Snapshot | None) -> Step:
        """Put `start` back where it is of this phase; return where the phase stands."""
        at = self.first
        if start and start.at.phase == at.phase:
            state.put(start, fresh_optimizer=begins_anew(self.setup.phases, at.phase) and start.at == at)
            at = start.at
        if at == self.first:
            self.setup.stateful.best.begin_phase()
            anew = self.rollbacks.retried or (self.saver and self.saver.policy.on_nan == "rollback")
            if self.saver and not start and not at.phase and anew:
                self.saver.save(at)
        return at

    def _fit(
        self,
        at: Step,
        state: TrainState,
        start: Snapshot | None,
        callbacks: list[keras.callbacks.Callback],
    ) -> None:
        """Run the epochs from `at` on, the first perhaps from its middle."""
        steps, until = self.setup.steps, self.phase.until
        if start and at.step == steps:
            self._judge(at.epoch, start.state["logs"], callbacks)
            at = Step(at.phase, at.epoch + 1, 0)
        if at.epoch >= until or self.part.stop_training:
            return
        self.position.begun = (state, start) if start and at.step else None
        self.setup.stateful.progress.first_step = at.step
        batches = self.team.share(self.phase.batches((at.epoch - self.begin) * steps + at.step))
        self.part.fit(
            self.setup.waiting.watch(batches, self.setup.strategy),
            validation_data=self.team.share(self.phase.validation),
            initial_epoch=at.epoch,
            epochs=until,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=[*callbacks, self.saver] if self.saver else callbacks,
        )

    def _solve(self, phase: Solved, callbacks: list[keras.callbacks.Callback]) -> None:
        """Set the weights as `phase` says, and judge them as an epoch's."""
        phase.solve()
        logs = {}
        if phase.train is not None:
            logs = self.part.evaluate(self.team.share(phase.train), return_dict=True, verbose=0)
        self._judge(phase.until - 1, logs, callbacks)

    def _judge(
        self, epoch: int, logs: Mapping[str, float], callbacks: list[keras.callbacks.Callback]
    ) -> None:
        """End an epoch without steps left, such as where the process before was told to end after them."""
        everyone = keras.callbacks.CallbackList([*callbacks], model=self.part)
        everyone.on_train_begin()
        everyone.on_epoch_begin(epoch)
        validation = self.team.share(self.phase.validation)
        judged = self.part.evaluate(validation, return_dict=True, verbose=0, callbacks=everyone)
        everyone.on_epoch_end(epoch, {**logs, **{f"val_{name}": value for name, value in judged.items()}})
        everyone.on_train_end()
