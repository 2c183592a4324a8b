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
from imgrec.losses import build_loss
from imgrec.training.averaging import averaging, reserve
from imgrec.training.bad_steps import BadStep, Guard, named
from imgrec.training.balanced_accuracy import BalancedAccuracy
from imgrec.training.callbacks import BestWeights, HistoryWriter, Progress
from imgrec.training.checkpoint import Place, Snapshot
from imgrec.training.freezing import frozen
from imgrec.training.input_wait import InputWait
from imgrec.training.interruption import Interruption
from imgrec.training.keeper import Keep, Keeper, Position
from imgrec.training.label_sets import ExactMatch, MicroF1
from imgrec.training.live import Crew, Live, Remembering, Terms, put
from imgrec.training.optimizers import build_optimizer, go_to_step
from imgrec.training.phase import Phase as Phase  # those who train find all of it here
from imgrec.training.phase import Stream as Stream
from imgrec.training.phase import schedule_end
from imgrec.training.plateau import plateau
from imgrec.training.regularize import regularized
from imgrec.training.sam import sharpness_aware
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


def fit_phases(
    model: keras.Model,
    phases: Sequence[Phase],
    *,
    optim: OptimConfig,
    steps_per_epoch: int,
    layer_decay: float = 1.0,
    loss: keras.losses.Loss | None = None,
    score: str = "accuracy",
    strategy: Any = None,
    history_path: Path | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    keep: Keep | None = None,
) -> Fitted:
    """As `fit`, in phases: one history, and one optimiser and schedule up to where a phase restarts them.

    Every other phase begins at the schedule's place of its first epoch, also where `optim.patience` ended the
    one before early. `layer_decay` is that of `build_optimizer`. `loss` takes soft targets and logits; the
    default is cross-entropy with `optim.label_smoothing`. The best epoch is that of the highest `score`,
    which the history holds: accuracy; balanced_accuracy, the mean of the classes' recalls; or, of images
    with several labels, f1.

    With `keep` the training is saved, and goes on from the newest whole checkpoint where there is one, as if
    it had not stopped; SIGTERM and SIGINT save before the process ends.

    Raises:
        InputError: the loss or a weight is no number any more, or no checkpoint can be used.
    """
    crew = Crew(
        HistoryWriter(history_path),
        BestWeights(optim.patience, model, f"val_{score}"),
        Progress(optim.epochs, steps_per_epoch, int(optim.batch_size)),
        Guard(),
        tuple(callback for callback in callbacks if isinstance(callback, Remembering)),
    )
    course = _Course(
        model=model,
        phases=phases,
        optim=optim,
        steps=steps_per_epoch,
        layer_decay=layer_decay,
        loss=loss or build_loss("cross_entropy", optim.label_smoothing),
        score=score,
        strategy=strategy,
        callbacks=(*callbacks,),
        crew=crew,
        keep=keep,
    )
    course.run()
    crew.best.restore()
    return Fitted(crew.history.rows, crew.best.best_epoch + 1)


@dataclass(frozen=True)
class _Course:
    """A training: the arguments of `fit_phases`."""

    model: keras.Model
    phases: Sequence[Phase]
    optim: OptimConfig
    steps: int
    layer_decay: float
    loss: keras.losses.Loss
    score: str
    strategy: Any
    callbacks: tuple[keras.callbacks.Callback, ...]
    crew: Crew
    keep: Keep | None
    interruption: Interruption = dataclasses.field(default_factory=Interruption)
    waiting: InputWait = dataclasses.field(default_factory=InputWait)

    def run(self) -> None:
        """Train from the beginning, or from the newest checkpoint; go back to one after a bad step."""
        if self.keep is None:
            try:
                return self._from(None, Terms())
            except BadStep as bad:
                raise InputError(f"{bad.advice}{named(bad.images)}") from None
        with self.interruption.installed():
            start, last = self.keep.newest(), None
            if start:
                done = start.place.phase == len(self.phases)
                print("trained already" if done else f"going on at {start.place}", flush=True)
            terms = Terms.of(start)
            while True:
                try:
                    return self._from(start, terms)
                except BadStep as bad:
                    self.interruption.idle = True
                    start = self.keep.give_up_or_return(bad, terms.returns, last)
                    last, terms = start.place, terms.lowered()

    def _from(self, start: Snapshot | None, terms: Terms) -> None:
        """Run the phases, or those that `start` is not beyond."""
        if start and start.place.phase == len(self.phases):
            put(self.model, self.crew, start)
            return
        begin = origin = 0
        optimizer: keras.optimizers.Optimizer | None = None
        for number, phase in enumerate(self.phases):
            if phase.restart or not number:
                origin, end, optimizer = begin, schedule_end(self.phases[number:]), None
            if not start or start.place.phase <= number:
                optimizer = optimizer or self._optimizer(end - origin, terms)
                go_to_step(optimizer, (begin - origin) * self.steps)
                self._run_phase(number, begin, optimizer, start, terms)
            begin = phase.until

    def _optimizer(self, epochs: int, terms: Terms) -> keras.optimizers.Optimizer:
        """Build the optimiser with its schedule over `epochs`."""
        rate = self.optim.learning_rate * terms.rate
        settings = dataclasses.replace(self.optim, epochs=epochs, learning_rate=rate)
        with runtime.scope(self.strategy):
            optimizer = build_optimizer(self.model, settings, self.steps, self.layer_decay)
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
        terms: Terms,
    ) -> None:
        """Fit a phase that begins with epoch `begin`, from 0, or what `start` left of it; save its end."""
        phase, crew, team = self.phases[number], self.crew, Team(self.strategy)
        part = phase.part or self.model
        position = Position(number, self.steps)
        callbacks = [
            position,
            crew.guard,
            crew.progress,
            self.waiting,
            *self.callbacks,
            crew.history,
            crew.best,
        ]
        callbacks += self._followers(phase, part, optimizer)
        with (
            frozen(self.model, phase.frozen),
            regularized(part, self.optim),
            sharpness_aware(part, self.optim),
        ):
            live = Live(self.model, part, optimizer, self._compile(part, optimizer), crew, terms)
            crew.guard.watch(live, lambda: (*position.last_step, phase.images(position.taken(begin) - 1)))
            keeper = Keeper(self.keep, live, position, self.interruption, phase.until) if self.keep else None
            place = Place(number, begin, 0)
            if start and start.place.phase == number:
                live.put(start, fresh_optimizer=phase.restart and start.place == place)
                place = start.place
            if place == Place(number, begin, 0):
                crew.best.begin_phase()
                if keeper and not start and not number and keeper.keep.on_nan == "rollback":
                    keeper.save(place)
            part.stop_training = False
            if start and place.step == self.steps:
                self._judge(part, phase, place.epoch, start.state["logs"], callbacks)
                place = Place(number, place.epoch + 1, 0)
            if place.epoch < phase.until and not part.stop_training:
                position.begun = (live, start) if start and place.step else None
                crew.progress.first_step = place.step
                batches = phase.batches((place.epoch - begin) * self.steps + place.step)
                part.fit(
                    self.waiting.watch(team.share(batches), self.strategy),
                    validation_data=team.share(phase.validation),
                    initial_epoch=place.epoch,
                    epochs=phase.until,
                    steps_per_epoch=self.steps,
                    shuffle=False,
                    verbose=0,
                    callbacks=[*callbacks, keeper] if keeper else callbacks,
                )
        if keeper:
            keeper.save(Place(number + 1, phase.until, 0))

    def _followers(
        self, phase: Phase, part: keras.Model, optimizer: keras.optimizers.Optimizer
    ) -> list[keras.callbacks.Callback]:
        """Those who act on an epoch's figures: after the best weights are kept, before anything is saved."""

        def batches(count: int) -> Any:
            return phase.batches(0).take(count)

        averaged = averaging(optimizer, self.model, part, self.optim, self.phases[-1].until, batches)
        return [*plateau(optimizer), *averaged]

    def _compile(
        self, part: keras.Model, optimizer: keras.optimizers.Optimizer
    ) -> list[keras.metrics.Metric]:
        """Compile what is fitted; return its metrics: what an epoch's line shows beside the loss."""
        with runtime.scope(self.strategy):
            metrics = _metrics(self.model, self.score)
            part.compile(
                optimizer=optimizer, loss=self.loss, metrics=metrics, jit_compile=runtime.wants_jit()
            )
        return metrics

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


def _metrics(model: keras.Model, score: str) -> list[keras.metrics.Metric]:
    """What an epoch's line shows beside the loss; one of them is the score."""
    if score == "f1":
        return [ExactMatch(), MicroF1()]
    accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    return (
        [accuracy, BalancedAccuracy(model.output_shape[-1])] if score == "balanced_accuracy" else [accuracy]
    )
